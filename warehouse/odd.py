"""Records that DuckDB refuses, found one by one: the rest of their segment is read as if they were not there.

DuckDB decides what can be read; this module finds out which record it was, and why. Its rules for the shape of a
record are DuckDB's own (an object where an object is declared, no key twice among the declared ones), so that a record
is accepted or refused whatever else its segment holds.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import duckdb

from hub.among import among

RAW_CHARACTERS = 4000
MAX_RECORD = 16_000_000
_NOT_NUMBERS = ("NaN", "nan", "Infinity", "-Infinity", "inf", "-inf")


@dataclass(frozen=True, slots=True)
class Shape:
    """A declared type: `fields` of an object, `item` of a list, neither of a leaf."""

    fields: Mapping[str, Shape] | None = None
    item: Shape | None = None


@dataclass(frozen=True, slots=True)
class Odd:
    """Why a record was refused. `line` counts from 1; `raw` is the value that was wrong, cut at 4,000 characters."""

    line: int
    code: str
    field: str
    rule: str
    message: str
    raw: str
    source_id: str | None = None


class _NotANumber(str):
    """A literal NaN or Infinity, which JSON does not have."""


class _Object(dict[str, Any]):
    """A JSON object that knows which of its keys stood there twice."""

    twice: tuple[str, ...] = ()


def shape_of(columns: Mapping[str, str]) -> Shape:
    """The declared columns (name → DuckDB type) as a shape. Raises duckdb.Error for what is no type."""
    return Shape({name: _shape_of(kind) for name, kind in columns.items()})


@cache  # asked again for every batch
def _shape_of(kind: str) -> Shape:
    return _shape(duckdb.type(kind))


def _shape(kind: Any) -> Shape:
    if kind.id == "struct":
        return Shape({name: _shape(child) for name, child in kind.children})
    if kind.id == "list":
        return Shape(item=_shape(kind.children[0][1]))
    return Shape()


def examine(number: int, line: bytes, shape: Shape, key: str) -> tuple[Odd | None, bool]:
    """(why the record is refused or None, whether it could be parsed). One that could not is DuckDB's to judge."""
    if len(line) > MAX_RECORD:
        what = f"the record has {len(line):,} bytes, at most {MAX_RECORD:,} are read"
        return Odd(number, "D206", "", "size", what, cut(line)), True
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        return Odd(number, "D202", "", "utf8", f"byte {error.start + 1} is not UTF-8", cut(line)), True
    try:
        record = json.loads(text, object_pairs_hook=_object, parse_constant=_NotANumber)
    except (ValueError, RecursionError):
        return None, False
    found = _mismatch(record, shape, "")
    if found is None:
        return None, True
    code, field, rule, message, value = found
    return Odd(number, code, field, rule, message, cut(_text(value)), _at(record, key)), True


def not_json(number: int, line: bytes) -> Odd:
    return Odd(number, "D201", "", "json", "the line is not JSON: cut off, or not one record a line", cut(line))


def refused(number: int, line: bytes, said: str) -> Odd:
    return Odd(number, "D207", "", "read", said, cut(line))


def no_number_sql(columns: Mapping[str, str]) -> str:
    """A condition: some leaf outside lists holds the text of a literal NaN or Infinity. Few texts do; it is cheap."""
    leaves = [path for name, kind in columns.items() for path in _leaves_of(name, kind)]
    return " OR ".join(among(leaf, [f"'{word}'" for word in _NOT_NUMBERS]) for leaf in leaves) or "false"


@cache
def _leaves_of(name: str, kind: str) -> list[str]:
    return _leaves(_quoted(name), duckdb.type(kind))


def _leaves(path: str, kind: Any) -> list[str]:
    if kind.id == "struct":
        return [leaf for name, child in kind.children for leaf in _leaves(f"{path}.{_quoted(name)}", child)]
    return [path] if kind.id == "varchar" else []


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _object(pairs: Sequence[tuple[str, Any]]) -> _Object:
    made = _Object(pairs)
    if len(made) != len(pairs):
        counted = Counter(key for key, _ in pairs)
        made.twice = tuple(key for key, times in counted.items() if times > 1)
    return made


def _mismatch(value: Any, shape: Shape, path: str) -> tuple[str, str, str, str, Any] | None:
    """(code, field, rule, message, the value) of the first thing that DuckDB would refuse."""
    if path and value is None:
        return None
    if shape.fields is not None:
        if not isinstance(value, _Object):
            what = f"an object is declared, {_named(value)} came"
            return "D203", path, "object", what if path else f"a record is an object, {_named(value)} came", value
        for key in value.twice:
            if key in shape.fields:
                return "D204", _join(path, key), "duplicate_key", f"the key '{key}' stands twice", value
        for key, inner in shape.fields.items():
            if key in value and (found := _mismatch(value[key], inner, _join(path, key))):
                return found
    elif shape.item is not None:
        if not isinstance(value, list):
            return "D203", path, "list", f"a list is declared, {_named(value)} came", value
        for item in value:
            # A number that is none, inside a list, reaches the mapping as text and fails its cast there.
            if (found := _mismatch(item, shape.item, path)) and found[0] != "D205":
                return found
    elif isinstance(value, _NotANumber):
        return "D205", path, "number", "a number that is none: JSON has no NaN and no Infinity", value
    return None


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _named(value: Any) -> str:
    if isinstance(value, _NotANumber):
        return "a number that is none"
    names = {dict: "an object", list: "a list", str: "a text", bool: "a boolean", type(None): "null"}
    return next((name for kind, name in names.items() if isinstance(value, kind)), "a number")


def _at(record: Any, path: str) -> str | None:
    for part in path.split(".") if path else ():
        record = record.get(part) if isinstance(record, dict) else None
    return str(record) if isinstance(record, (str, int)) and not isinstance(record, bool) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def cut(raw: bytes | str) -> str:
    text = raw[: RAW_CHARACTERS * 4].decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    return text if len(text) <= RAW_CHARACTERS else text[:RAW_CHARACTERS] + "…"
