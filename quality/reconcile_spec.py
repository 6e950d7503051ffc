"""What a reconciliation compares: `quality/reconcile/<name>.yaml` becomes a `Spec`; orders.yaml there shows all of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from hub import yaml
from hub.entity import Entity, Model
from hub.errors import Place
from hub.findings import Finding, did_you_mean
from quality.checks import Condition
from quality.rules import shown

# The closed list, with the code that explains each. Where two parts weigh the same, the earlier is the reason.
REASONS: dict[str, str] = {
    "missing_left": "R201",
    "missing_right": "R202",
    "duplicate": "R203",
    "quantity": "R212",
    "amount": "R204",
    "shipping": "R206",
    "tax": "R205",
    "discount": "R207",
    "rounding": "R208",
    "status": "R209",
    "currency": "R210",
    "customer": "R211",
    "unknown": "R213",
}
PARTS = ("amount", "shipping", "tax", "discount")
_TOP = ("entity", "about", "owner", "key", "left", "right", "scope", "in_flight", "done", "compare")
_SIDE = ("system", "needs_partner", "own_when_equal", "key_matches")
_COMPARE = ("status", "currency", "amount", "quantity", "customer")


@dataclass(frozen=True, slots=True)
class Side:
    """A system's view. A record for which `needs` holds has to have a partner on the other side.

    Records whose two columns `own_when_equal` agree, or whose key is not like `key_matches` (RE2, end to end), never came
    from the other side and are left out.
    """

    system: str
    needs: tuple[Condition, ...] = ()
    own_when_equal: tuple[str, str] | None = None
    key_matches: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the amount; `sign` is -1 for what is taken off. The reason is the name a break gets from it."""

    reason: str
    column: str
    sign: int = 1


@dataclass(frozen=True, slots=True)
class AmountField:
    """Money compared: a difference up to `tolerance` is none, parts up to `rounding` are called rounding."""

    column: str
    tolerance: Decimal = Decimal(0)
    rounding: Decimal = Decimal("0.02")
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Spec:
    name: str
    entity: str
    key: str
    left: Side
    right: Side
    owner: str = ""
    about: str = ""
    scope_column: str | None = None
    scope_from: date | None = None
    scope_from_go_live: bool = False
    scope_days: int | None = None
    in_flight_column: str | None = None
    in_flight_hours: Decimal = Decimal(0)
    done: tuple[Condition, ...] = ()
    status: str | None = None
    same_status: tuple[tuple[str, ...], ...] = ()
    currency: str | None = None
    amount: AmountField | None = None
    quantity: tuple[str, str] | None = None  # child entity, column
    quantity_tolerance: Decimal = Decimal(0)
    customer: str | None = None
    place: Place = Place("quality/reconcile")

    def scope_begins(self, now: datetime, go_live: date | None) -> datetime | None:
        """The first instant of the scope, by date, by go-live and by days back: the latest of them."""
        days = [self.scope_from, go_live if self.scope_from_go_live else None]
        begins = [datetime(d.year, d.month, d.day, tzinfo=UTC) for d in days if d]
        if self.scope_days is not None:
            begins.append(now - timedelta(days=self.scope_days))
        return max(begins, default=None)


@dataclass(frozen=True, slots=True)
class Specs:
    specs: tuple[Spec, ...]
    findings: list[Finding] = field(default_factory=list)

    def __getitem__(self, name: str) -> Spec:
        for spec in self.specs:
            if spec.name == name:
                return spec
        raise KeyError(name)


def load(folders: Sequence[Path], model: Model | None = None) -> Specs:
    """Read `reconcile/*.yaml` of the quality folders, the project's first. Names are checked where a model is given."""
    files: dict[str, Path] = {}
    for folder in folders:
        for path in sorted((folder / "reconcile").glob("*.yaml")):
            files.setdefault(path.name, path)
    findings: list[Finding] = []
    specs = []
    for _, path in sorted(files.items()):
        content, found = yaml.load(path, shown(path))
        findings += found
        if content is not None or not found:
            spec = _Reader(findings, model).spec(content, path.stem, Place(shown(path), 1, 1))
            specs += [spec] if spec else []
    return Specs(tuple(specs), findings)


class _Reader:
    def __init__(self, findings: list[Finding], model: Model | None) -> None:
        self.findings, self.model = findings, model
        self.entity: Entity | None = None

    def wrong(self, code: str, what: str, place: Place, fix: str = "") -> None:
        self.findings.append(Finding(code, what, place, fix))

    def spec(self, content: Any, name: str, place: Place) -> Spec | None:
        before = len(self.findings)
        top = self.node(content, place, _TOP, ("entity", "key", "left", "right", "compare"))
        if top is None:
            return None
        entity = str(top["entity"])
        if self.model is not None:
            if entity not in self.model:
                self.wrong(
                    "R102", f"unknown entity '{entity}'", self.at(top, "entity"), did_you_mean(entity, self.model)
                )
                return None
            self.entity = self.model[entity]
        made: dict[str, Any] = {
            "key": self.column(top, "key"),
            "left": self.side(top, "left"),
            "right": self.side(top, "right"),
            "done": self.conditions(top, "done"),
            "owner": str(top.get("owner") or ""),
            "about": str(top.get("about") or ""),
            **self.scope(top),
            **self.in_flight(top),
            **self.compare(top),
        }
        return None if len(self.findings) > before else Spec(name=name, entity=entity, place=top.place, **made)

    def node(self, value: Any, place: Place, known: Sequence[str], needed: Sequence[str]) -> yaml.Node | None:
        if not isinstance(value, yaml.Node):
            self.wrong("R101", "several settings are expected here", place, f"known: {', '.join(known)}")
            return None
        for key in value:
            if key not in known:
                fix = did_you_mean(key, known) or f"known: {', '.join(known)}"
                self.wrong("R103", f"unknown setting '{key}'", value.key_places[key], fix)
        absent = [key for key in needed if value.get(key) is None]
        for key in absent:
            self.wrong("R101", f"'{key}' is not said", value.place)
        return None if absent else value

    def at(self, node: yaml.Node, key: str) -> Place:
        return node.value_places.get(key, node.place)

    def child(self, top: yaml.Node, key: str, known: Sequence[str], needed: Sequence[str] = ()) -> yaml.Node | None:
        return self.node(top[key], self.at(top, key), known, needed) if top.get(key) is not None else None

    def column(self, node: yaml.Node, key: str) -> str:
        return self.named(str(node[key]), self.at(node, key), self.entity)

    def named(self, column: str, place: Place, entity: Entity | None) -> str:
        if entity is not None and column not in entity:
            fix = did_you_mean(column, [c.name for c in entity])
            self.wrong("R102", f"unknown column '{column}' in {entity.name}", place, fix)
        return column

    def conditions(self, top: yaml.Node, key: str) -> tuple[Condition, ...]:
        if top.get(key) is None:
            return ()
        node = top[key]
        if not isinstance(node, yaml.Node):
            self.wrong("R104", "a condition is column: value", self.at(top, key))
            return ()
        made = []
        for name in node:
            column = self.named(name, node.key_places[name], self.entity)
            values = tuple(node[name]) if isinstance(node[name], list) else (node[name],)
            known = self.entity[column].values if self.entity and column in self.entity else ()
            for value in values:
                if known and value is not None and value not in known:
                    fix = did_you_mean(str(value), known) or f"one of {', '.join(known)}"
                    self.wrong("R104", f"{column} is never '{value}'", self.at(node, name), fix)
            made.append(Condition(column, values))
        return tuple(made)

    def side(self, top: yaml.Node, key: str) -> Side | None:
        node = self.child(top, key, _SIDE, ("system",))
        if node is None:
            return None
        equal = node.get("own_when_equal")
        if equal is not None and (not isinstance(equal, yaml.Items) or len(equal) != 2):
            self.wrong("R104", "own_when_equal names two columns", self.at(node, "own_when_equal"))
            equal = None
        pair = [self.named(str(c), self.at(node, "own_when_equal"), self.entity) for c in equal or ()]
        return Side(
            str(node["system"]),
            self.conditions(node, "needs_partner"),
            (pair[0], pair[1]) if pair else None,
            self.pattern(node, "key_matches"),
        )

    def pattern(self, node: yaml.Node, key: str) -> str | None:
        if (text := node.get(key)) is None:
            return None
        try:
            re.compile(str(text))
        except re.error as error:
            self.wrong("R104", f"not a regular expression: {error}", self.at(node, key))
        return str(text)

    def scope(self, top: yaml.Node) -> dict[str, Any]:
        node = self.child(top, "scope", ("column", "from", "days"), ("column",))
        if node is None:
            return {}
        made: dict[str, Any] = {"scope_column": self.column(node, "column")}
        begins = node.get("from")
        if begins == "go_live":
            made["scope_from_go_live"] = True
        elif begins is not None:
            try:
                made["scope_from"] = date.fromisoformat(str(begins))
            except ValueError:
                self.wrong("R104", f"'{begins}' is no day", self.at(node, "from"), 'write "YYYY-MM-DD" or go_live')
        if node.get("days") is not None:
            made["scope_days"] = int(self.number(node, "days"))
        return made

    def in_flight(self, top: yaml.Node) -> dict[str, Any]:
        node = self.child(top, "in_flight", ("column", "hours"), ("column", "hours"))
        if node is None:
            return {}
        return {"in_flight_column": self.column(node, "column"), "in_flight_hours": self.number(node, "hours")}

    def number(self, node: yaml.Node, key: str, default: Decimal = Decimal(0)) -> Decimal:
        value = node.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | Decimal) or value < 0:
            self.wrong("R104", f"'{value}' is no number from 0 on", self.at(node, key))
            return default
        return Decimal(value)

    def compare(self, top: yaml.Node) -> dict[str, Any]:
        node = self.child(top, "compare", _COMPARE)
        made: dict[str, Any] = {}
        if node is None:
            return made
        if (status := self.child(node, "status", ("column", "same"), ("column",))) is not None:
            made["status"] = self.column(status, "column")
            made["same_status"] = tuple(tuple(str(v) for v in group) for group in status.get("same") or ())
        for name in ("currency", "customer"):
            if (simple := self.child(node, name, ("column",), ("column",))) is not None:
                made[name] = self.column(simple, "column")
        if (quantity := self.child(node, "quantity", ("sum", "tolerance"), ("sum",))) is not None:
            made["quantity"] = self.sum_of(quantity)
            made["quantity_tolerance"] = self.number(quantity, "tolerance")
        if (
            amount := self.child(node, "amount", ("column", "tolerance", "rounding", "parts"), ("column",))
        ) is not None:
            made["amount"] = AmountField(
                self.column(amount, "column"),
                self.number(amount, "tolerance"),
                self.number(amount, "rounding", Decimal("0.02")),
                self.parts(amount),
            )
        return made

    def sum_of(self, node: yaml.Node) -> tuple[str, str]:
        child, _, column = str(node["sum"]).rpartition(".")
        if self.model is not None and self.entity is not None:
            if child not in self.model or self.model[child].parent != self.entity.name:
                self.wrong("R102", f"'{child}' is no child of {self.entity.name}", self.at(node, "sum"))
            else:
                self.named(column, self.at(node, "sum"), self.model[child])
        return child, column

    def parts(self, amount: yaml.Node) -> tuple[Part, ...]:
        node = self.child(amount, "parts", PARTS)
        made = []
        for reason in node or ():
            part = self.node(node[reason], self.at(node, reason), ("plus", "minus"), ()) if node else None
            if part is None:
                continue
            if len(part) != 1:
                self.wrong("R104", f"the part '{reason}' is one column, plus or minus", part.place)
                continue
            (sign,) = part
            made.append(Part(reason, self.column(part, sign), 1 if sign == "plus" else -1))
        return tuple(made)
