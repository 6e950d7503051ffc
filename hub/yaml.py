"""A strict YAML loader for everything that people write: it keeps line and column and refuses YAML's surprises."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import yaml as pyyaml

from hub.errors import Place
from hub.findings import Finding, did_you_mean

# libyaml where PyYAML was built with it: ten times faster, the same tokens and marks.
_Loader: Any = getattr(pyyaml, "CSafeLoader", pyyaml.SafeLoader)
MAX_BYTES = 1_000_000
MAX_DEPTH = 40
MAX_NUMERAL = 60
MAX_VALUES = 16_384  # names and values of one file: composing them takes some 3 kB each
# What YAML 1.1 reads as a boolean, an octal or a sexagesimal number and a person means as text.
_SURPRISES = re.compile(
    r"^(?:[Yy]|[Nn]|[Yy]es|YES|[Nn]o|NO|[Oo]n|ON|[Oo]ff|OFF|0[0-9_]+|0x[0-9a-fA-F_]+|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?)$"
)

_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class Node(dict[str, Any]):
    """A mapping that knows where it and each of its keys and values stand."""

    __slots__ = ("key_places", "place", "value_places")

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.key_places: dict[str, Place] = {}
        self.value_places: dict[str, Place] = {}

    def unknown(self, known: Collection[str], code: str) -> list[Finding]:
        """One for each key that is none of those."""
        return [
            Finding(
                code,
                f"unknown setting '{key}'",
                self.key_places[key],
                did_you_mean(key, known) or f"known: {', '.join(known)}",
            )
            for key in self
            if key not in known
        ]


class Items(list[Any]):
    """A sequence that knows where it and each of its items stand."""

    __slots__ = ("item_places", "place")

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.item_places: list[Place] = []


class _Refused(Exception):
    def __init__(self, finding: Finding) -> None:
        self.finding = finding


def load(path: Path, name: str | None = None) -> tuple[Any, list[Finding]]:
    """The file's content (Node, Items, scalars) and all findings; content is None where it could not be read."""
    shown = name or str(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        return None, [Finding("F101", f"cannot read the file: {error.strerror}", Place(shown))]
    return loads(raw, shown)


def loads(raw: bytes | str, name: str = "<text>") -> tuple[Any, list[Finding]]:
    """Like `load`, from bytes or text."""
    data = raw.encode() if isinstance(raw, str) else raw
    if len(data) > MAX_BYTES:
        return None, [
            Finding("F102", f"the file has {len(data):,} bytes", Place(name), f"at most {MAX_BYTES:,} are read")
        ]
    findings: list[Finding] = []
    try:
        text = data.decode("utf-8-sig")
        _guard_tokens(text, name)
        root = pyyaml.compose(text, Loader=_Loader)
        return (None if root is None else _build(root, name, findings)), findings
    except _Refused as refused:
        return None, [*findings, refused.finding]
    except UnicodeDecodeError as error:
        return None, [
            Finding("F103", "the file is not UTF-8", Place(name), f"byte {error.start} does not belong there")
        ]
    except pyyaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = Place(name, mark.line + 1, mark.column + 1) if mark else Place(name)
        problem = str(error.problem or error.context)
        tab = r"'\t'" in problem or _begins_with_tab(text, mark)
        fix = "indent with spaces: YAML takes no tabs" if tab else "look at this line and at the one above it"
        if "',' or '}'" in problem:  # f(a, 'b') ends at its comma there
            fix = "within {…} write an expression with a comma in double quotes"
        return None, [Finding("F104", f"not YAML: {problem}", place, fix)]
    except pyyaml.YAMLError as error:
        return None, [Finding("F104", f"not YAML: {str(error).splitlines()[0]}", Place(name))]


def _begins_with_tab(text: str, mark: Any) -> bool:
    lines = text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    return "\t" in line[: len(line) - len(line.lstrip())]


def _guard_tokens(text: str, name: str) -> None:
    """Refuse depth, anchors, aliases and tags while they are still tokens: composing them is what costs."""
    depth = values = 0
    for token in _scan(text):
        place = Place(name, token.start_mark.line + 1, token.start_mark.column + 1)
        if isinstance(token, (pyyaml.AnchorToken, pyyaml.AliasToken)):
            raise _Refused(
                Finding("F105", "anchors and aliases are not used here", place, "write the value out, or use extends")
            )
        if isinstance(token, (pyyaml.TagToken, pyyaml.DirectiveToken)):
            raise _Refused(Finding("F106", "tags and directives are not used here", place))
        if isinstance(token, pyyaml.ScalarToken):
            values += 1
            if values > MAX_VALUES:
                raise _Refused(Finding("F112", f"more than {MAX_VALUES:,} names and values", place, "split the file"))
        if isinstance(
            token,
            (
                pyyaml.BlockMappingStartToken,
                pyyaml.BlockSequenceStartToken,
                pyyaml.FlowMappingStartToken,
                pyyaml.FlowSequenceStartToken,
            ),
        ):
            depth += 1
            if depth > MAX_DEPTH:
                raise _Refused(Finding("F107", f"nested deeper than {MAX_DEPTH}", place))
        elif isinstance(token, (pyyaml.BlockEndToken, pyyaml.FlowMappingEndToken, pyyaml.FlowSequenceEndToken)):
            depth -= 1


def _scan(text: str) -> Iterator[Any]:
    yield from pyyaml.scan(text, Loader=_Loader)


def _place(node: Any, name: str) -> Place:
    return Place(name, node.start_mark.line + 1, node.start_mark.column + 1)


def _build(node: Any, name: str, findings: list[Finding]) -> Any:
    place = _place(node, name)
    if isinstance(node, pyyaml.MappingNode):
        made = Node(place)
        for key_node, value_node in node.value:
            key_place = _place(key_node, name)
            if not isinstance(key_node, pyyaml.ScalarNode):
                findings.append(Finding("F108", "a key has to be a plain text", key_place))
                continue
            key = str(key_node.value)
            if not _visible(key, key_place, findings):
                continue
            if key in made:
                findings.append(
                    Finding(
                        "F109", f"the key '{key}' stands twice", key_place, f"first at line {made.key_places[key].line}"
                    )
                )
                continue
            made[key] = _build(value_node, name, findings)
            made.key_places[key] = key_place
            made.value_places[key] = _place(value_node, name)
        return made
    if isinstance(node, pyyaml.SequenceNode):
        items = Items(place)
        for item in node.value:
            items.append(_build(item, name, findings))
            items.item_places.append(_place(item, name))
        return items
    return _scalar(node, place, findings)


def _visible(text: str, place: Place, findings: list[Finding]) -> bool:
    """Is there nothing in it that only an escape could have written?"""
    if text.isprintable() or not (odd := _UNSEEN.search(text)):
        return True
    fix = "take it out; a tab or a line break may stay"
    findings.append(Finding("F111", f"a text holds the control character U+{ord(odd[0]):04X}", place, fix))
    return False


def _scalar(node: Any, place: Place, findings: list[Finding]) -> Any:
    text: str = node.value
    if not _visible(text, place, findings):
        return None
    if node.style in ("'", '"', "|", ">"):  # quoted or block: exactly what was written
        return text
    if _SURPRISES.match(text):
        findings.append(
            Finding("F110", f"YAML would not read {text} as you see it", place, f'write "{text}" in quotes')
        )
        return text
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text[0] in "tT"
    if len(text) > MAX_NUMERAL:  # an id, or nonsense; Python would refuse to read it as a number
        return text
    if re.fullmatch(r"[-+]?\d+", text):
        return int(text)
    if re.fullmatch(r"[-+]?\d+\.\d+", text):
        from decimal import Decimal

        return Decimal(text)
    return text
