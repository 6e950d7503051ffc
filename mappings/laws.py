"""`crossdock test --laws`: pull(push(x)) = x over canonical x, tried with generated records.

The payload of a push is laid over a record of the mapping's own examples, as if the target gave it back, and is read by the mapping's way in.
Columns that go both ways (sent to a place from which they are read) have to come back as they were. All others are listed as
lossy, with the reason; so are columns that the way in only normalises. The lists in a payload are not tried.
"""

from __future__ import annotations

import copy
import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from hub.entity import Column, Entity, Model
from hub.errors import UsageError
from hub.findings import Finding
from mappings import examples, outbound, trial
from mappings.outcomes import Difference
from mappings.reads import Part, reads
from mappings.syntax import Example, Field, Mapping, Push, PushField

_RUNS, _ROWS = 6, 12


@dataclass(frozen=True, slots=True)
class Law:
    """What was tried of one push: the columns that come back, what does not (field → reason), and what is wrong."""

    mapping: str
    push: str
    tried: int
    held: tuple[str, ...]
    lossy: dict[str, str]
    findings: tuple[Finding, ...]

    def as_dict(self) -> dict[str, Any]:
        told = [finding.as_dict() for finding in self.findings]
        return {
            "mapping": self.mapping,
            "push": self.push,
            "tried": self.tried,
            "held": self.held,
            "lossy": self.lossy,
            "findings": told,
        }


def laws(mapping: Mapping, model: Model) -> list[Law]:
    """One for each push of a mapping that also reads its entity from the stream it pushes to.

    Raises UsageError M411 where the library that generates the records is not installed.
    """
    both = [one for one in mapping.push if (one.entity, one.stream) == (mapping.entity, mapping.stream)]
    if mapping.key is None or mapping.each is not None:
        return []
    return [_Trial(mapping, push, model).law() for push in both]


class _Trial:
    def __init__(self, mapping: Mapping, push: Push, model: Model) -> None:
        self.mapping, self.push, self.model = mapping, push, model
        self.entity: Entity = model[mapping.entity]
        self.lossy: dict[str, str] = {}
        only_key = replace(mapping, fields=(), children=(), when=None, version=None, hub=None)
        self.key = set(reads(only_key, model))
        self.parts: set[Part] = set()  # all that the columns are read from
        self.both: dict[str, tuple[PushField, Field, Part]] = dict(self._both())
        self.tried = 0
        self.broken: dict[str, Finding] = {}

    def law(self) -> Law:
        if self.both:
            self._generate()
        held = tuple(name for name in self.both if name not in self.broken and name not in self.lossy)
        return Law(self.mapping.name, self.push.operation, self.tried, held, self.lossy, tuple(self.broken.values()))

    # -- what goes both ways

    def _both(self) -> Iterator[tuple[str, tuple[PushField, Field, Part]]]:
        sent = {one.name: one for one in self.push.fields}
        for field in self.mapping.fields:
            pushed = sent.get(field.name)
            if pushed is None:
                self.lossy[field.name] = "read, and never sent by this push"
                continue
            at = field.at if pushed.bare or pushed.at is None else pushed.at
            place = tuple(at.text.split("."))
            read = reads(
                replace(self.mapping, fields=(field,), children=(), key=None, when=None, version=None, hub=None),
                self.model,
            )
            if place not in read:
                shown = ", ".join(".".join(part) for part in read) or "nothing"
                self.lossy[field.name] = f"sent to {at.text}, read from {shown}"
            else:
                self.parts.update(read)
                yield field.name, (pushed, field, place)
        for name in sent:
            if self.mapping.field(name) is None:
                self.lossy[name] = "sent, and never read by this mapping"
        for child in self.push.children:
            self.lossy[child.entity] = "a list: not tried"

    # -- generated records

    def _generate(self) -> None:
        try:
            import hypothesis
            from hypothesis import strategies as st
        except ImportError:
            fix = "pip install hypothesis (it is among the development tools: pip install 'crossdock[dev]')"
            raise UsageError("M411", "the laws need the library hypothesis, which is not installed", fix=fix) from None
        row = st.fixed_dictionaries({name: self._values(st, name) for name in self.both})
        quiet = hypothesis.settings(
            max_examples=_RUNS,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        quiet(hypothesis.given(st.lists(row, min_size=_ROWS, max_size=_ROWS))(self._try))()

    def _values(self, st: Any, name: str) -> Any:
        pushed, field, _ = self.both[name]
        column = self.entity[name]
        values = pushed.values or (field.values if pushed.bare else None)
        if values is not None:
            known = [*values.outward, *([values.inward[""]] if "" in values.inward else [])]
            made = st.sampled_from(sorted(set(known)))
            unsaid = sorted(set(column.values) - set(known))
            if unsaid:
                self.lossy.setdefault(
                    f"{name} = {', '.join(unsaid)}", f"the value map {values.name} has no word for it: held"
                )
        else:
            made = _of_column(st, column)
        fills = (
            field.default is not None
            or field.required
            or column.required
            or (field.values is not None and "" in field.values.inward)
        )
        return made if fills or self.both[name][2] in self.key else st.none() | made

    def _try(self, rows: Sequence[dict[str, Any]]) -> None:
        self.tried += len(rows)
        for row, found in zip(rows, self._trip(rows), strict=True):
            for finding in found:
                self._judge(row, finding)

    def _trip(self, rows: Sequence[dict[str, Any]]) -> list[list[Finding]]:
        """What of each row is not as it was, once it was sent and read again."""
        push = replace(self.push, when=None, hold=(), children=())
        made = outbound.compile(self.mapping, push, self.model)
        given = [self._over(payload or {}) for payload in trial.payloads(made, self.model, rows)]
        tried = [Example("law", self.push.place, raw, expect=(row,)) for raw, row in zip(given, rows, strict=True)]
        judged = examples.judged(replace(self.mapping, examples=tuple(tried), when=None), self.model)
        return [found for _, found in judged]

    def _over(self, payload: dict[str, Any]) -> dict[str, Any]:
        """The target's record with the payload in it: what is not sent of these columns is missing there."""
        plain = [
            one.given
            for one in self.mapping.examples
            if one.push is None and one.expect and isinstance(one.given, dict)
        ]
        record: dict[str, Any] = copy.deepcopy(plain[0]) if plain else {}
        for part in self.parts - self.key:
            _remove(record, part)
        _lay(record, payload)
        return record

    def _judge(self, row: dict[str, Any], finding: Finding) -> None:
        if not isinstance(finding, Difference):
            name = next((one for one in self.both if f" {one}, rule" in finding.what), "")
            what = f"push {self.push.operation}: what is sent cannot be read back: {finding.what.partition(': ')[2]}"
            self.broken.setdefault(name, Finding("M406", what, self._place(name), "have both ways say the same"))
            return
        name = finding.field
        if name in self.broken or name in self.lossy:
            return
        pushed, field, _ = self.both[name]
        if row[name] is None:
            self.lossy.setdefault(name, f"missing comes back as {finding.came}: {field.at.text}")
        elif not pushed.bare and finding.came is not None and self._is_stable(row, name, finding.came):
            self.lossy.setdefault(name, f"{finding.expected} comes back as {finding.came}: {field.at.text}")
        else:
            came = "missing" if finding.came is None else finding.came
            what = f"push {self.push.operation}: {name} {finding.expected} comes back {came}"
            fix = f"it is read by {field.at.text}; let the way out undo that, or name what is lost"
            self.broken.setdefault(name, Finding("M405", what, self._place(name), fix))

    def _is_stable(self, row: dict[str, Any], name: str, came: str) -> bool:
        """Does what came stay as it is from then on?"""
        again = self._trip([{**row, name: came[1:-1]}])[0]
        return all(isinstance(one, Difference) and one.field != name for one in again)

    def _place(self, name: str) -> Any:
        return self.both[name][0].place if name in self.both else self.push.place


def _remove(record: dict[str, Any], place: Part) -> None:
    for key in place[:-1]:
        inner = record.get(key)
        if not isinstance(inner, dict):
            return
        record = inner
    record.pop(place[-1], None)


def _lay(record: dict[str, Any], payload: dict[str, Any]) -> None:
    for key, value in payload.items():
        if isinstance(value, dict) and isinstance(record.get(key), dict):
            _lay(record[key], value)
        else:
            record[key] = value


# -- canonical values

_SAID = {
    "email": ["ann.lee@example.com", "b@example.org"],
    "phone": ["+497311234567", "+4930123456"],
    "country_code": ["DE", "AT", "US"],
    "currency": ["EUR", "USD"],
    "tax_id": ["DE136695976"],
}


def _of_column(st: Any, column: Column) -> Any:
    """Values that a canonical column of the hub holds."""
    if column.values or column.name in _SAID:
        return st.sampled_from(column.values or _SAID[column.name])
    if column.kind == "money":
        return st.decimals(0, Decimal("99999999.99"), places=2)
    if column.kind in ("quantity", "percent"):
        return st.decimals(0, Decimal("99.999999"), places=6)
    if column.kind == "integer":
        return st.integers(0, 10**9)
    if column.kind == "boolean":
        return st.booleans()
    if column.kind == "date":
        return st.dates(datetime.date(1990, 1, 1), datetime.date(2040, 1, 1)).map(str)
    if column.kind == "instant":
        days = st.datetimes(datetime.datetime(1990, 1, 1), datetime.datetime(2040, 1, 1))
        return days.map(lambda moment: f"{moment.isoformat(timespec='microseconds')}Z")
    characters = st.characters(categories=("L", "N", "P", "S"), max_codepoint=0x2FFFF)
    return st.text(characters, min_size=1, max_size=20)
