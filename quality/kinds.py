"""How each kind of rule is written in YAML. `KINDS` is the whole list; a kind is a reader of its value."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from hub import yaml
from hub.entity import Entity, Model
from hub.errors import Place
from hub.findings import Finding, did_you_mean, nearest
from quality import checks
from quality.checks import OPERATORS, Amount, Bound, Check, Condition
from quality.currencies import MINOR_UNITS
from quality.sql import SYSTEM_COLUMNS

_NUMBERS = ("integer", "quantity", "money", "percent")
_DAYS = ("date", "instant")
LISTS: dict[str, tuple[str, ...]] = {"iso_4217": tuple(MINOR_UNITS)}


class Reader:
    """Reads names against the model; what is wrong goes to `findings` and the reading goes on."""

    def __init__(self, entity: Entity, model: Model, findings: list[Finding]) -> None:
        self.entity, self.model, self.findings = entity, model, findings

    def wrong(self, code: str, what: str, place: Place, fix: str = "") -> None:
        self.findings.append(Finding(code, what, place, fix))

    def settings(self, value: Any, place: Place, known: Sequence[str], needed: Sequence[str]) -> yaml.Node | None:
        if not isinstance(value, yaml.Node):
            self.wrong("Q112", "this kind of rule has several settings", place, f"write {{{', '.join(needed)}: …}}")
            return None
        self.findings += value.unknown(known, "Q103")
        absent = [key for key in needed if value.get(key) is None]
        for key in absent:
            self.wrong("Q112", f"'{key}' is not said", value.place)
        return None if absent else value

    def column(self, value: Any, place: Place, entity: Entity | None = None, kinds: Sequence[str] = ()) -> str | None:
        entity = entity or self.entity
        if not isinstance(value, str) or (value not in entity and value not in SYSTEM_COLUMNS):
            if isinstance(value, (yaml.Items, yaml.Node)):
                self.wrong("Q112", "one column belongs here", place, "write its name; a rule for each of several")
                return None
            fix = did_you_mean(str(value), [*(c.name for c in entity), *SYSTEM_COLUMNS])
            self.wrong("Q102", f"unknown column '{value}' in {entity.name}", place, fix)
            return None
        kind = entity[value].kind if value in entity else "text"
        if kinds and kind not in kinds:
            self.wrong("Q113", f"{entity.name}.{value} is of kind {kind}", place, f"one of kind {', '.join(kinds)}")
            return None
        return value

    def columns(self, value: Any, place: Place) -> tuple[str, ...] | None:
        items = list(value) if isinstance(value, yaml.Items) else [value]
        places = value.item_places if isinstance(value, yaml.Items) else [place]
        found = [self.column(item, at) for item, at in zip(items, places, strict=True)]
        if not found:
            self.wrong("Q112", "no column is named", place)
        return tuple(c for c in found if c) if found and all(found) else None

    def amounts(self, value: Any, place: Place) -> tuple[Amount, ...] | None:
        items = list(value) if isinstance(value, yaml.Items) else [value]
        places = value.item_places if isinstance(value, yaml.Items) else [place]
        found = [self.amount(item, at) for item, at in zip(items, places, strict=True)]
        return tuple(a for a in found if a) if found and all(found) else None

    def amount(self, value: Any, place: Place, kinds: Sequence[str] = _NUMBERS) -> Amount | None:
        """`total`, `order_line.line_total`, or `{sum: payment.amount, where: {status: captured}}`."""
        where: Any = None
        where_place = place
        if isinstance(value, yaml.Node):
            node = self.settings(value, place, ("sum", "where"), ("sum",))
            if node is None:
                return None
            value, place = node["sum"], node.value_places["sum"]
            where, where_place = node.get("where"), node.value_places.get("where", place)
        other, _, column = str(value).rpartition(".")
        if not other:
            name = self.column(value, place, kinds=kinds)
            return Amount(name) if name else None
        if other not in self.model:
            self.wrong("Q104", f"unknown entity '{other}'", place, nearest(other, self.model))
            return None
        entity = self.model[other]
        via = self._via(entity, place)
        name = self.column(column, place, entity, _NUMBERS)
        conditions = self.conditions(where, where_place, entity)
        return Amount(name, other, via or None, conditions) if name and via is not None else None

    def _via(self, other: Entity, place: Place) -> str | None:
        """The reference by which rows of `other` belong to the entity; '' for children, None where there is none."""
        if other.parent == self.entity.name:
            return ""
        for ref in other.refs:
            if ref.ref == self.entity.name:
                return ref.name
        self.wrong("Q114", f"rows of {other.name} do not belong to a {self.entity.name}", place)
        return None

    def conditions(self, value: Any, place: Place, entity: Entity) -> tuple[Condition, ...]:
        """`{status: captured, tax_included: [false, null]}`: all of them have to hold."""
        if value is None:
            return ()
        if not isinstance(value, yaml.Node):
            self.wrong("Q112", "a condition is column: value", place)
            return ()
        made = []
        for key in value:
            name = self.column(key, value.key_places[key], entity)
            given = value[key] if isinstance(value[key], list) else [value[key]]
            if name and name in entity:
                known = entity[name].values
                for item in given:
                    if known and item is not None and item not in known:
                        fix = did_you_mean(str(item), known) or f"one of {', '.join(known)}"
                        self.wrong("Q115", f"{name} is never '{item}'", value.value_places[key], fix)
            if name:
                made.append(Condition(name, tuple(given)))
        return tuple(made)


def _required(reader: Reader, value: Any, place: Place) -> Check | None:
    column = reader.column(value, place)
    return checks.Required(column) if column else None


def _any_of(reader: Reader, value: Any, place: Place) -> Check | None:
    columns = reader.columns(value, place)
    return checks.AnyOf(columns) if columns else None


def _unique(reader: Reader, value: Any, place: Place) -> Check | None:
    columns = reader.columns(value, place)
    return checks.Unique(columns) if columns else None


def _reference_exists(reader: Reader, value: Any, place: Place) -> Check | None:
    column = reader.column(value, place, kinds=("ref",))
    if column is None or (entity := reader.entity[column].ref) is None:
        return None
    return checks.ReferenceExists(column, entity)


def _range(reader: Reader, value: Any, place: Place) -> Check | None:
    bounds = ("least", "most", "above", "below")
    node = reader.settings(value, place, ("column", *bounds), ("column",))
    column = reader.column(node["column"], node.value_places["column"], kinds=_NUMBERS + _DAYS) if node else None
    if node is None or column is None:
        return None
    kind = reader.entity[column].kind
    made = {b: _bound(reader, node[b], node.value_places[b], kind) for b in bounds if node.get(b) is not None}
    if not made:
        reader.wrong("Q112", "no bound is said", place, f"write one of {', '.join(bounds)}")
    if not made or None in made.values():
        return None
    if _nothing_within(made):
        reader.wrong(
            "Q112", "no value lies within these bounds", place, "least, above: the lower; most, below: the upper"
        )
        return None
    return checks.Range(column, **made)


def _nothing_within(bounds: dict[str, Any]) -> bool:
    """Is the lower bound not below the upper one? The same value may be both `least` and `most`."""
    pairs = [(low, high) for low in ("least", "above") for high in ("most", "below") if {low, high} <= set(bounds)]
    return any(
        bounds[low] > bounds[high] or (bounds[low] == bounds[high] and (low, high) != ("least", "most"))
        for low, high in pairs
    )


def _bound(reader: Reader, value: Any, place: Place, kind: str) -> Bound | None:
    if kind in _DAYS:
        try:
            if kind == "date":
                return date.fromisoformat(str(value))
            # A day is its first moment in UTC: compared as a DATE it would depend on the session's time zone.
            instant = datetime.fromisoformat(str(value))
            return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
        except ValueError:
            reader.wrong("Q112", f"'{value}' is no day", place, 'write "YYYY-MM-DD"')
            return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        reader.wrong("Q112", f"'{value}' is no number", place)
        return None
    return value


def _pattern(reader: Reader, value: Any, place: Place) -> Check | None:
    node = reader.settings(value, place, ("column", "matches"), ("column", "matches"))
    column = reader.column(node["column"], node.value_places["column"], kinds=("text",)) if node else None
    if node is None or column is None:
        return None
    at, text = node.value_places["matches"], str(node["matches"])
    try:
        re.compile(text)
    except re.error as error:
        reader.wrong("Q116", f"not a regular expression: {error}", at)
        return None
    if re.search(r"\(\?(?:[=!]|<[=!]|P=|\()|\\[1-9]|[*+?}]\+", text):
        reader.wrong("Q116", "RE2 knows no look-around, back reference or possessive repeat", at)
        return None
    return checks.Pattern(column, text)


def _allowed(reader: Reader, value: Any, place: Place) -> Check | None:
    node = reader.settings(value, place, ("column", "values", "list"), ("column",))
    column = reader.column(node["column"], node.value_places["column"], kinds=("text",)) if node else None
    if node is None or column is None:
        return None
    if (listed := node.get("list")) is not None:
        if listed not in LISTS:
            fix = did_you_mean(str(listed), LISTS) or f"known: {', '.join(LISTS)}"
            reader.wrong("Q112", f"there is no list '{listed}'", node.value_places["list"], fix)
            return None
        return checks.Allowed(column, LISTS[listed])
    values = node.get("values")
    if not isinstance(values, yaml.Items) or not values or not all(isinstance(item, str) for item in values):
        reader.wrong("Q112", "no values are said", place, "write values: [a, b], texts only; or list: iso_4217")
        return None
    return checks.Allowed(column, tuple(values))


def _sum(reader: Reader, value: Any, place: Place) -> Check | None:
    node = reader.settings(value, place, ("total", "plus", "minus", "tolerance"), ("total", "plus"))
    if node is None:
        return None
    total = reader.amount(node["total"], node.value_places["total"])
    plus = reader.amounts(node["plus"], node.value_places["plus"])
    minus = reader.amounts(node["minus"], node.value_places["minus"]) if node.get("minus") is not None else ()
    tolerance = node.get("tolerance", 0)
    if isinstance(tolerance, bool) or not isinstance(tolerance, int) or tolerance < 0:
        reader.wrong("Q112", f"'{tolerance}' is no number of minor units", node.value_places["tolerance"], "e.g. 1")
        return None
    if total is None or plus is None or minus is None:
        return None
    if total.entity is not None:
        reader.wrong("Q112", "the total is a column of the row itself", node.value_places["total"])
        return None
    return checks.Sum(total, plus, minus, tolerance, reader.entity[total.column].currency)


def _compare(reader: Reader, value: Any, place: Place) -> Check | None:
    node = reader.settings(value, place, ("left", "is", "right"), ("left", "is", "right"))
    if node is None:
        return None
    if node["is"] not in OPERATORS:
        fix = did_you_mean(str(node["is"]), OPERATORS) or f"one of {', '.join(OPERATORS)}"
        reader.wrong("Q112", f"'{node['is']}' is no comparison", node.value_places["is"], fix)
        return None
    left = reader.amount(node["left"], node.value_places["left"], _NUMBERS + _DAYS)
    right = reader.amount(node["right"], node.value_places["right"], _NUMBERS + _DAYS)
    if left is None or right is None:
        return None
    if _of_days(reader, left) != _of_days(reader, right):
        reader.wrong("Q113", f"{left} and {right} cannot be compared", place)
        return None
    return checks.Compare(left, node["is"], right)


def _of_days(reader: Reader, amount: Amount) -> str:
    kind = reader.model[amount.entity or reader.entity.name][amount.column].kind
    return kind if kind in _DAYS else "number"


def _freshness(reader: Reader, value: Any, place: Place) -> Check | None:
    node = reader.settings(value, place, ("column", "hours"), ("column", "hours"))
    column = reader.column(node["column"], node.value_places["column"], kinds=_DAYS) if node else None
    if node is None or column is None:
        return None
    hours = _count(reader, node, "hours", 0)
    return checks.Freshness(column, hours) if hours and _is_header(reader, place) else None


def _volume(reader: Reader, value: Any, place: Place) -> Check | None:
    node = reader.settings(value, place, ("least", "most", "days"), ())
    if node is None:
        return None
    least, most = (_multiple(reader, node, key) for key in ("least", "most"))
    days = _count(reader, node, "days", 3)
    if least is None and most is None:
        reader.wrong("Q112", "no bound is said", place, "write least: 0.5 or most: 2, multiples of the usual rows")
        return None
    return checks.Volume(least, most, days) if days and _is_header(reader, place) else None


def _distribution(reader: Reader, value: Any, place: Place) -> Check | None:
    node = reader.settings(value, place, ("column", "most", "rows", "days"), ("column", "most"))
    column = reader.column(node["column"], node.value_places["column"], kinds=("text", "boolean")) if node else None
    if node is None or column is None:
        return None
    if column in SYSTEM_COLUMNS or reader.entity[column].pii:
        reader.wrong("Q113", f"{column} is personal or an id: its values are not counted", node.value_places["column"])
        return None
    most, rows, days = (
        _multiple(reader, node, "most"),
        _count(reader, node, "rows", 30),
        _count(reader, node, "days", 3),
    )
    if most is None or not rows or not days:
        return None
    return checks.Distribution(column, most, rows, days) if _is_header(reader, place) else None


def _is_header(reader: Reader, place: Place) -> bool:
    if reader.entity.parent is None:
        return True
    reader.wrong("Q114", "batches are counted by their headers", place, f"write it in {reader.entity.parent}.yaml")
    return False


def _count(reader: Reader, node: yaml.Node, key: str, default: int) -> int:
    """A whole number from 1; 0 where it is none."""
    number = node.get(key, default)
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        reader.wrong("Q112", f"'{number}' is no number of {key}", node.value_places.get(key, node.place), "1 or more")
        return 0
    return number


def _multiple(reader: Reader, node: yaml.Node, key: str) -> Decimal | None:
    number = node.get(key)
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int | Decimal) or number < 0:
        reader.wrong("Q112", f"'{number}' is no number", node.value_places[key], "0.5 is half")
        return None
    return Decimal(number)


BATCH = ("freshness", "volume", "distribution")
KINDS: dict[str, Callable[[Reader, Any, Place], Check | None]] = {
    "required": _required,
    "any_of": _any_of,
    "unique": _unique,
    "reference_exists": _reference_exists,
    "range": _range,
    "pattern": _pattern,
    "allowed": _allowed,
    "sum": _sum,
    "compare": _compare,
    "freshness": _freshness,
    "volume": _volume,
    "distribution": _distribution,
}
