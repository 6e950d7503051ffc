"""Reads `quality/reconcile/<name>.yaml`: everything that is wrong is found at once, each with its place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from hub import yaml
from hub.entity import Entity, Model
from hub.errors import Place, shown
from hub.findings import Finding, did_you_mean
from quality.checks import Condition
from quality.reconcile_spec import (
    FIELD_REASONS,
    LEVELS,
    PARTS,
    SEVERITY,
    AmountField,
    Field,
    Match,
    Part,
    Severity,
    Side,
    Spec,
    Specs,
    Tolerance,
)

TOP = (
    "entity",
    "about",
    "owner",
    "key",
    "left",
    "middle",
    "right",
    "match",
    "scope",
    "in_flight",
    "done",
    "compare",
    "severity",
)
SIDE = ("system", "entity", "key", "columns", "where", "many", "needs_partner", "own_when_equal", "key_matches")
COMPARE = ("status", "currency", "amount", "quantity", "customer", "fields")
AMOUNT = ("column", "tolerance", "percent", "rounding", "parts")
FIELD = ("reason", "tolerance", "percent", "days", "least", "both")
MATCH = ("same", "tolerance", "percent", "days", "split")
LEVEL = ("amount", "days", "due")
NEVER = "never"


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
        self.sides: list[Side] = []

    def wrong(self, code: str, what: str, place: Place, fix: str = "") -> None:
        self.findings.append(Finding(code, what, place, fix))

    def spec(self, content: Any, name: str, place: Place) -> Spec | None:
        before = len(self.findings)
        top = self.node(content, place, TOP, ("entity", "key", "left", "right", "compare"))
        if top is None or self.entity(top, "entity") is None:
            return None
        left, middle, right = (self.side(top, key) for key in ("left", "middle", "right"))
        self.sides = [side for side in (left, middle, right) if side]
        made: dict[str, Any] = {
            "left": left,
            "middle": middle,
            "right": right,
            "match": tuple(self.matches(top)),
            "done": self.shared_conditions(top, "done"),
            "owner": str(top.get("owner") or ""),
            "about": str(top.get("about") or ""),
            "severity": self.severity(top),
            **self.scope(top),
            **self.in_flight(top),
            **self.compare(top),
        }
        return None if len(self.findings) > before else Spec(name=name, place=top.place, **made)

    # -- places and values

    def node(self, value: Any, place: Place, known: Sequence[str], needed: Sequence[str] = ()) -> yaml.Node | None:
        if not isinstance(value, yaml.Node):
            self.wrong("R101", "several settings are expected here", place, f"known: {', '.join(known)}")
            return None
        self.findings += value.unknown(known, "R103")
        absent = [key for key in needed if value.get(key) is None]
        for key in absent:
            self.wrong("R101", f"'{key}' is not said", value.place)
        return None if absent else value

    def at(self, node: yaml.Node, key: str) -> Place:
        return node.value_places.get(key, node.place)

    def child(self, top: yaml.Node, key: str, known: Sequence[str], needed: Sequence[str] = ()) -> yaml.Node | None:
        return self.node(top[key], self.at(top, key), known, needed) if top.get(key) is not None else None

    def number(self, node: yaml.Node, key: str, default: Decimal = Decimal(0)) -> Decimal:
        value = node.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | Decimal) or value < 0:
            self.wrong("R104", f"'{value}' is no number from 0 on", self.at(node, key))
            return default
        return Decimal(value)

    def tolerance(self, node: yaml.Node, absolute: str = "tolerance") -> Tolerance:
        days = self.number(node, "days") if node.get("days") is not None else None
        return Tolerance(self.number(node, absolute), self.number(node, "percent"), days)

    # -- names of the model

    def entity(self, node: yaml.Node, key: str) -> Entity | str | None:
        """The entity; its bare name without a model; None where there is no such one."""
        name = str(node[key])
        if self.model is None:
            return name
        if name not in self.model or self.model[name].parent:
            self.wrong("R102", f"unknown entity '{name}'", self.at(node, key), did_you_mean(name, self.model))
            return None
        return self.model[name]

    def named(self, column: str, place: Place, entity: Entity | str | None) -> str:
        if isinstance(entity, Entity) and column not in entity:
            fix = did_you_mean(column, [c.name for c in entity])
            self.wrong("R102", f"unknown column '{column}' in {entity.name}", place, fix)
        return column

    def shared(self, node: yaml.Node, key: str) -> str:
        """A column by its name in the reconciliation: every side has it, or says what it is called there."""
        return self.everywhere(str(node[key]), self.at(node, key))

    def everywhere(self, column: str, place: Place) -> str:
        for side in self.sides:
            there = side.column(column)
            if self.model is None or there is None or side.entity not in self.model:
                continue
            entity = self.model[side.entity]
            if there not in entity:
                fix = did_you_mean(there, [c.name for c in entity])
                more = f"under columns: say what it is called in {entity.name}, or {column}: ~"
                self.wrong("R102", f"unknown column '{there}' in {entity.name}", place, fix or more)
                break
        return column

    def key(self, column: str, place: Place, entity: Entity | str | None) -> str:
        reference, _, beyond = column.rpartition(".")
        if not isinstance(entity, Entity) or self.model is None or column == "hub_id":
            return column
        if not reference:
            return self.named(column, place, entity)
        self.named(reference, place, entity)
        if reference in entity:
            if entity[reference].ref is None:
                self.wrong("R104", f"'{reference}' is no reference", place, "write <reference>.<column>")
            else:
                self.named(beyond, place, self.model[str(entity[reference].ref)])
        return column

    def conditions(self, top: yaml.Node, key: str, entities: Iterable[Entity | str | None]) -> tuple[Condition, ...]:
        if top.get(key) is None:
            return ()
        node = top[key]
        if not isinstance(node, yaml.Node):
            self.wrong("R104", "a condition is column: value", self.at(top, key))
            return ()
        made = []
        for name in node:
            values = tuple(node[name]) if isinstance(node[name], list) else (node[name],)
            for entity in entities:
                self.named(name, node.key_places[name], entity)
                known = entity[name].values if isinstance(entity, Entity) and name in entity else ()
                for value in values:
                    if known and value is not None and value not in known:
                        fix = did_you_mean(str(value), known) or f"one of {', '.join(known)}"
                        self.wrong("R104", f"{name} is never '{value}'", self.at(node, name), fix)
            made.append(Condition(name, values))
        return tuple(made)

    def shared_conditions(self, top: yaml.Node, key: str) -> tuple[Condition, ...]:
        """Conditions in the reconciliation's own words; a side that cannot say a column never meets its condition."""
        made = self.conditions(top, key, [self.model.get(self.sides[0].entity)] if self.model and self.sides else ())
        for condition in made:
            self.everywhere(condition.column, self.at(top[key], condition.column))
        return made

    # -- parts of a reconciliation

    def side(self, top: yaml.Node, key: str) -> Side | None:
        node = self.child(top, key, SIDE, ("system",))
        if node is None:
            return None
        entity = self.entity(node, "entity") if node.get("entity") is not None else self.entity(top, "entity")
        equal = node.get("own_when_equal")
        if equal is not None and (not isinstance(equal, yaml.Items) or len(equal) != 2):
            self.wrong("R104", "own_when_equal names two columns", self.at(node, "own_when_equal"))
            equal = None
        pair = [self.named(str(c), self.at(node, "own_when_equal"), entity) for c in equal or ()]
        said = node if node.get("key") is not None else top
        never = node.get("needs_partner") == NEVER
        return Side(
            system=str(node["system"]),
            entity=entity.name if isinstance(entity, Entity) else str(entity or ""),
            key=self.key(str(said["key"]), self.at(said, "key"), entity),
            columns=self.columns(node, entity),
            where=self.conditions(node, "where", [entity]),
            many=node.get("many") is True,
            needs=None if never else self.conditions(node, "needs_partner", [entity]),
            own_when_equal=(pair[0], pair[1]) if pair else None,
            key_matches=self.pattern(node, "key_matches"),
        )

    def columns(self, node: yaml.Node, entity: Entity | str | None) -> tuple[tuple[str, str | None], ...]:
        given = node.get("columns")
        if given is None:
            return ()
        if not isinstance(given, yaml.Node):
            self.wrong("R104", "columns: says what our columns are called here", self.at(node, "columns"))
            return ()
        for name in given:
            if given[name] is not None:
                self.named(str(given[name]), self.at(given, name), entity)
        return tuple((name, None if given[name] is None else str(given[name])) for name in given)

    def pattern(self, node: yaml.Node, key: str) -> str | None:
        if (text := node.get(key)) is None:
            return None
        try:
            re.compile(str(text))
        except re.error as error:
            self.wrong("R104", f"not a regular expression: {error}", self.at(node, key))
        return str(text)

    def matches(self, top: yaml.Node) -> Iterable[Match]:
        given = top.get("match")
        if given is None:
            return
        for number, one in enumerate(given if isinstance(given, yaml.Items) else [given]):
            place = given.item_places[number] if isinstance(given, yaml.Items) else self.at(top, "match")
            node = self.node(one, place, MATCH, ("same",))
            if node is not None:
                columns = node["same"] if isinstance(node["same"], list) else [node["same"]]
                same = tuple(self.everywhere(str(column), self.at(node, "same")) for column in columns)
                yield Match(same, self.tolerance(node), node.get("split") is True)

    def scope(self, top: yaml.Node) -> dict[str, Any]:
        node = self.child(top, "scope", ("column", "from", "days"), ("column",))
        if node is None:
            return {}
        made: dict[str, Any] = {"scope_column": self.shared(node, "column")}
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
        node = self.child(top, "in_flight", ("column", "hours"), ("hours",))
        if node is None:
            return {}
        column = self.shared(node, "column") if node.get("column") is not None else None
        return {"in_flight_column": column, "in_flight_hours": self.number(node, "hours")}

    def severity(self, top: yaml.Node) -> dict[str, Severity]:
        made = dict(SEVERITY)
        for level in self.child(top, "severity", LEVELS) or ():
            node = self.child(top["severity"], level, LEVEL) if level in LEVELS else None
            if node is not None:
                usual = made[level]
                made[level] = Severity(
                    self.number(node, "amount", usual.amount),
                    int(self.number(node, "days", Decimal(usual.days))),
                    int(self.number(node, "due", Decimal(usual.due))),
                )
        return made

    def compare(self, top: yaml.Node) -> dict[str, Any]:
        node = self.child(top, "compare", COMPARE)
        made: dict[str, Any] = {}
        if node is None:
            return made
        if (status := self.child(node, "status", ("column", "same"), ("column",))) is not None:
            made["status"] = self.shared(status, "column")
            made["same_status"] = tuple(tuple(str(v) for v in group) for group in status.get("same") or ())
        for name in ("currency", "customer"):
            if (simple := self.child(node, name, ("column",), ("column",))) is not None:
                made[name] = self.shared(simple, "column")
        if (quantity := self.child(node, "quantity", ("sum", "tolerance"), ("sum",))) is not None:
            made["quantity"] = self.sum_of(quantity)
            made["quantity_tolerance"] = self.number(quantity, "tolerance")
        if (amount := self.child(node, "amount", AMOUNT, ("column",))) is not None:
            rounding = self.number(amount, "rounding", Decimal("0.02"))
            column, tolerance = self.shared(amount, "column"), self.tolerance(amount)
            made["amount"] = AmountField(column, tolerance, rounding, self.parts(amount))
        made["fields"] = tuple(self.fields(node))
        return made

    def fields(self, compare: yaml.Node) -> Iterable[Field]:
        given = compare.get("fields")
        if given is None:
            return
        if not isinstance(given, yaml.Node):
            self.wrong("R104", "fields: is column: reason, or column: {reason, tolerance}", self.at(compare, "fields"))
            return
        for name in given:
            column = self.everywhere(name, given.key_places[name])
            if not isinstance(given[name], yaml.Node):
                yield Field(
                    column, self.reason(given[name] or "reference", self.at(given, name)), pii=self.personal(column)
                )
            elif (node := self.node(given[name], self.at(given, name), FIELD)) is not None:
                exact = not {"tolerance", "percent", "days"} & set(node)
                usual = "timing" if node.get("days") is not None else "reference"
                reason = self.reason(node.get("reason") or usual, self.at(node, "reason"))
                least = self.number(node, "least") if node.get("least") is not None else None
                yield Field(
                    column,
                    reason,
                    None if exact else self.tolerance(node),
                    least,
                    node.get("both") is True,
                    self.personal(column),
                )

    def personal(self, column: str) -> bool:
        entities = [(side, self.model[side.entity]) for side in self.sides if self.model and side.entity in self.model]
        there = [(entity, side.column(column)) for side, entity in entities]
        return any(name in entity and entity[name].pii for entity, name in there if name)

    def reason(self, said: Any, place: Place) -> str:
        if said not in FIELD_REASONS:
            fix = did_you_mean(str(said), FIELD_REASONS) or f"one of {', '.join(FIELD_REASONS)}"
            self.wrong("R104", f"'{said}' is no reason for a column", place, fix)
        return str(said)

    def sum_of(self, node: yaml.Node) -> tuple[str, str]:
        child, _, column = str(node["sum"]).rpartition(".")
        if self.model is not None and self.sides:
            entity = self.sides[0].entity
            if child not in self.model or self.model[child].parent != entity:
                self.wrong("R102", f"'{child}' is no child of {entity}", self.at(node, "sum"))
            else:
                self.named(column, self.at(node, "sum"), self.model[child])
        return child, column

    def parts(self, amount: yaml.Node) -> tuple[Part, ...]:
        node = self.child(amount, "parts", PARTS)
        made = []
        for reason in node or ():
            part = self.node(node[reason], self.at(node, reason), ("plus", "minus")) if node else None
            if part is None:
                continue
            if len(part) != 1:
                self.wrong("R104", f"the part '{reason}' is one column, plus or minus", part.place)
                continue
            (sign,) = part
            made.append(Part(reason, self.shared(part, sign), 1 if sign == "plus" else -1))
        return tuple(made)
