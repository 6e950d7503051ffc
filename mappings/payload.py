"""The JSON of a payload as SQL: what is missing is left out, keys stand in alphabetical order at every level."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mappings import sql
from mappings.expressions import NUMBER
from mappings.tree import Type

Place = tuple[str, ...]

# Text of a JSON value for each type of the language; NULL stays NULL.
_JSON: dict[Type, Callable[[str], str]] = {
    "text": lambda x: f"to_json({x})",
    "boolean": lambda x: f"to_json({x})",
    "integer": lambda x: f"to_json({x})",
    "date": lambda x: f"to_json({x})",
    "number": lambda x: f"rtrim(rtrim(CAST(CAST({x} AS {NUMBER}) AS VARCHAR), '0'), '.')",
    "instant": lambda x: f"to_json(strftime(timezone('UTC', {x}), '%Y-%m-%dT%H:%M:%S.%fZ'))",
    "missing": lambda x: "NULL",
}


def json_value(text: str, kind: Type) -> str:
    """SQL that gives the JSON text of a value: a number exactly and without trailing zeros, an instant in UTC."""
    return _JSON[kind](text)


def json_object(leaves: Mapping[Place, str], depth: int = 0) -> str:
    """SQL that gives the JSON text of a nested object: `{("address", "city"): "to_json(x)"}`.

    An object in it that has nothing to say is left out like a missing value.
    """
    parts = []
    for key in sorted({place[0] for place in leaves}):
        below = {place[1:]: text for place, text in leaves.items() if place[0] == key}
        text = below[()] if () in below else f"nullif({json_object(below, depth + 1)}, '{{}}')"
        parts.append(f"{sql.text(_key(key))} || {text}")
    inner = ",\n".join(sql.indent(part, 2) for part in parts)
    return f"'{{' || concat_ws(', ',\n{inner}\n) || '}}'"


def _key(key: str) -> str:
    import json

    return f"{json.dumps(key, ensure_ascii=False)}: "
