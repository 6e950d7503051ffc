"""What became of each example of a mapping: `crossdock test` shows it, a JUnit file tells it to a CI."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hub.connector import Stream
from hub.entity import Model
from hub.errors import Place
from hub.findings import Finding
from mappings.syntax import Example, Mapping


@dataclass(frozen=True, slots=True)
class Difference(Finding):
    """A value that is not as an example expects it. `place` is that of the expectation; None means missing."""

    field: str = ""
    expected: str | None = None
    came: str | None = None


def difference(example: Example, place: Place, name: str, expected: str | None, came: str | None) -> Difference:
    """M401: one field of one example. The values are shown as they were compared."""
    what = f"example '{example.name}': {name} is {_told(came)}, expected {_told(expected)}"
    return Difference("M401", what, place, field=name, expected=expected, came=came)


def _told(text: str | None) -> str:
    return "missing" if text is None else text


@dataclass(frozen=True, slots=True)
class Outcome:
    """One example and what does not hold of it. `example` is empty where the mapping itself cannot be compiled."""

    mapping: str
    example: str
    place: Place
    push: str | None = None
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        return not self.findings

    def as_dict(self) -> dict[str, Any]:
        return {
            "mapping": self.mapping,
            "example": self.example,
            "push": self.push,
            "place": str(self.place),
            "holds": self.holds,
            "findings": [finding.as_dict() for finding in self.findings],
        }


def outcomes(mapping: Mapping, model: Model, stream: Stream | None = None) -> list[Outcome]:
    """Run all examples of a mapping, in both directions, in the order in which they are written."""
    from mappings import examples, push_examples

    made: list[Outcome] = []
    for inward in (True, False):
        began = time.perf_counter()
        told = examples.judged(mapping, model, stream) if inward else push_examples.judged(mapping, model)
        seconds = (time.perf_counter() - began) / max(len(told), 1)
        made += [_outcome(mapping, example, findings, seconds) for example, findings in told]
    return sorted(made, key=lambda one: (one.place.where != mapping.place.where, one.place.where, one.place.line or 0))


def _outcome(mapping: Mapping, example: Example | None, findings: Iterable[Finding], seconds: float) -> Outcome:
    if example is None:
        return Outcome(mapping.name, "", mapping.place, findings=tuple(findings))
    return Outcome(mapping.name, example.name, example.place, example.push, tuple(findings), seconds)


def junit(listed: Iterable[Outcome]) -> str:
    """The outcomes as JUnit XML: a suite for each mapping, a case for each example."""
    from xml.etree import ElementTree

    whole = list(listed)
    root = ElementTree.Element("testsuites", name="crossdock", tests=str(len(whole)), failures=_failures(whole))
    for name in dict.fromkeys(one.mapping for one in whole):
        own = [one for one in whole if one.mapping == name]
        time_taken = f"{sum(one.seconds for one in own):.3f}"
        numbers = {"tests": str(len(own)), "failures": _failures(own), "errors": "0", "time": time_taken}
        suite = ElementTree.SubElement(root, "testsuite", {"name": name, **numbers})
        for one in own:
            told = {"classname": name.replace("/", "."), "name": _plain(one.example or "the mapping compiles")}
            told |= {"file": one.place.where, "line": str(one.place.line or 1), "time": f"{one.seconds:.3f}"}
            case = ElementTree.SubElement(suite, "testcase", told)
            if not one.holds:
                first = one.findings[0]
                failure = ElementTree.SubElement(case, "failure", type=first.code, message=_plain(first.what))
                failure.text = _plain("\n".join(str(finding) for finding in one.findings))
    ElementTree.indent(root)
    return "<?xml version='1.0' encoding='utf-8'?>\n" + ElementTree.tostring(root, encoding="unicode") + "\n"


def _failures(listed: list[Outcome]) -> str:
    return str(sum(not one.holds for one in listed))


def _plain(text: str) -> str:
    """XML holds no control characters, and no halves of a pair."""
    return "".join(
        c if c in "\t\n" or (c >= " " and not "\ud800" <= c <= "\udfff" and c < "\ufffe") else "\ufffd" for c in text
    )
