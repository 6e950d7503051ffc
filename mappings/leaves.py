"""What each field of a push sends: its place in the payload, its JSON as SQL, and why it may have to be held or wait."""

from __future__ import annotations

from collections.abc import Mapping as Map
from dataclasses import dataclass, field, replace

from hub.entity import Column, Entity
from hub.errors import Place
from hub.findings import Finding, did_you_mean
from mappings import sql
from mappings.expressions import Value
from mappings.meaning import Meaning, differ
from mappings.parse import bare_path
from mappings.payload import Place as At
from mappings.payload import json_value
from mappings.reach import Rows
from mappings.syntax import Child, Expr, Field, Mapping, PushChild, PushField, ValueMap
from mappings.tree import Index


@dataclass
class Leaves:
    """The values of one object of the payload, by place. `holds`: condition → SQL of the reason; `waits`: SQL of a record or NULL.

    `named`: SQL of a record whose hub id is sent. `cleared`: places that are emptied where our value is missing.
    """

    json: dict[At, str] = field(default_factory=dict)
    holds: dict[str, str] = field(default_factory=dict)
    waits: dict[str, None] = field(default_factory=dict)
    named: dict[str, None] = field(default_factory=dict)
    refers: dict[str, None] = field(default_factory=dict)
    taken: list[tuple[At, Place]] = field(default_factory=list)
    cleared: dict[At, PushField] = field(default_factory=dict)


class LeafMaker:
    """Makes the leaves of rows of one entity into `leaves`; what is wrong goes into `findings`.

    `takes` says what places of the payload mean in trade, where that is known.
    """

    def __init__(
        self,
        mapping: Mapping,
        entity: Entity,
        rows: Rows,
        leaves: Leaves,
        findings: list[Finding],
        takes: Map[str, Meaning],
    ) -> None:
        self.mapping, self.entity, self.rows, self.leaves, self.findings = mapping, entity, rows, leaves, findings
        self.takes = takes

    def wrong(self, code: str, what: str, place: Place, fix: str) -> None:
        self.findings.append(Finding(code, what, place, fix))

    def add(self, pushed: PushField, read: Field | None) -> bool:
        """One field; False (and findings) where it is wrong. `read` is the inbound field of that name, if there is one."""
        said = self._backwards(pushed, read) if pushed.bare else pushed
        place = self.place(said.at) if said and said.at else None
        if said is None or place is None or not self.take(place, pushed):
            return False
        text = self._reference(said) if said.ref is not None else self._json(said, ".".join(place))
        if text is not None:
            self.leaves.json[place] = text
            if said.clear:
                self.leaves.cleared[place] = pushed
        return text is not None

    def place(self, at: Expr) -> At | None:
        """`address.city` as a place of the payload."""
        path = bare_path(at.text)
        if path is None or any(isinstance(step, Index) for step in path.steps):
            self.wrong("M203", f"'{at.text}' is no place in a payload", at.place, "write names with dots between them")
            return None
        return tuple(str(path).split("."))

    def take(self, place: At, by: PushField | PushChild) -> bool:
        """Keep a place for one value; False where another one is there, above or below."""
        for other, first in self.leaves.taken:
            if place[: len(other)] == other or other[: len(place)] == place:
                self.wrong(
                    "M204", f"two values go to '{'.'.join(place)}'", by.place, f"the other is at line {first.line}"
                )
                return False
        self.leaves.taken.append((place, by.place))
        return True

    def _backwards(self, pushed: PushField, read: Field | None) -> PushField | None:
        """A bare name: the inbound field's path, value map and reference, if they can be read backwards."""
        if pushed.name not in self.entity:
            self._no_column(pushed)
        elif read is None:
            fix = f"write {pushed.name}: {{at: …}}"
            self.wrong("M205", f"'{pushed.name}' is not read here, so its place is not known", pushed.place, fix)
        elif why := not_invertible(read, self.mapping):
            fix = f"say the way out: {pushed.name}: {{at: …, value: …}}"
            self.wrong("M206", f"'{pushed.name}' cannot be sent as it is read: {why}", pushed.place, fix)
        else:
            return replace(pushed, at=read.at, values=read.values, ref=read.ref, bare=False)
        return None

    def _no_column(self, pushed: PushField) -> None:
        fix = did_you_mean(pushed.name, [column.name for column in self.entity]) or "a label of your own needs value:"
        self.wrong("M202", f"{self.entity.name} has no '{pushed.name}'", pushed.place, fix)

    def _reference(self, pushed: PushField) -> str | None:
        """The target's id of another record, or a promise of it where the target does not know the record yet."""
        column = next((one for one in self.entity.refs if one.name == pushed.name), None)
        if column is None or column.ref != pushed.ref:
            fix = f"there are: {', '.join(f'{one.name} ({one.ref})' for one in self.entity.refs) or 'none'}"
            self.wrong("M208", f"'{pushed.name}' does not refer to a {pushed.ref}", pushed.place, fix)
            return None
        self._wait_for(column)
        later = f"""'{{"$id_of": "{column.ref}/' || {self.rows.column(column.name)} || '"}}'"""
        return f"coalesce(to_json({self.rows.external(column)}), {later})"

    def _wait_for(self, column: Column) -> str:
        record = f"{sql.text(f'{column.ref}/')} || {self.rows.column(column.name)}"
        self.leaves.waits[f"CASE WHEN {self.rows.external(column)} IS NULL THEN {record} END"] = None
        self.leaves.refers[str(column.ref)] = None
        return record

    def _json(self, pushed: PushField, place: str) -> str | None:
        if pushed.value is None and pushed.name not in self.entity:
            self._no_column(pushed)
            return None
        if pushed.value is None and (ref := self.entity[pushed.name].ref):
            fix = f"write ref: {ref}, so that it becomes the target's id"
            self.wrong("M208", f"'{pushed.name}' refers to another record", pushed.place, fix)
            return None
        expr = pushed.value or Expr(sql_name(pushed.name), pushed.place)
        reading = self.rows.read(expr, self.findings, "text" if pushed.values else None)
        if reading is None:
            return None
        self._meant(pushed, expr, _said(reading.value), self.takes.get(place), place)
        for name in reading.waits:  # it names the hub's id of a record that the target has to know by it
            self.leaves.named[self._wait_for(self.entity[name])] = None
        text = reading.value.sql
        if reading.value.failed:
            self.leaves.holds[reading.value.failed] = sql.text(f"{pushed.name} cannot be computed")
        if pushed.values is not None:
            return self._outward(pushed, pushed.values, text)
        if reading.money:
            return f"to_json({self.rows.money_text(reading.money, text)})"
        return json_value(text, reading.value.type)

    def _meant(self, pushed: PushField, expr: Expr, have: Meaning | None, wanted: Meaning | None, place: str) -> None:
        """Is what is sent what the value map, and the target's field, take?"""
        if pushed.values is not None:
            words = set(pushed.values.outward) - set(have.words) if have and have.words else set()
            if words or (have and have.kind != "picklist"):
                what = (
                    f"the value map {pushed.values.name} is about {', '.join(pushed.values.outward)}, not about {have}"
                )
                self.wrong("M154", what, expr.place, "name the value map of this column")
                return
            have = Meaning("picklist", names=frozenset([f"{self.mapping.system}.{pushed.values.name}"]))
        if have and wanted and (found := differ(have, wanted)):
            code, what, fix = found
            self.wrong(code, f"{pushed.name} to {place}: {what}", expr.place, fix)

    def _outward(self, pushed: PushField, values: ValueMap, text: str) -> str:
        """A value map backwards: nothing is sent where the system's value is a missing one; unknown ones are held."""
        if values.ambiguous:
            what = f"several values of '{values.name}' mean {', '.join(values.ambiguous)}"
            self.wrong("M207", what, pushed.place, "write out: in the value map")
        known = [*values.outward, *([values.inward[""]] if "" in values.inward else [])]
        self.leaves.holds[f"{text} NOT IN ({', '.join(map(sql.text, known))})"] = sql.text(
            f"the target has no word for this {pushed.name}"
        )
        pairs = [(ours, theirs) for ours, theirs in values.outward.items() if theirs != ""]
        whens = " ".join(f"WHEN {sql.text(ours)} THEN {sql.text(theirs)}" for ours, theirs in pairs)
        return f"to_json(CASE {text} {whens} END)" if pairs else "NULL"


def _said(value: Value) -> Meaning | None:
    """What a value is in trade; a day and an instant are known by their type."""
    if value.type == "date" or value.type == "instant":
        return Meaning("instant" if value.type == "instant" else "date")
    return value.meaning


def inbound_field(mapping: Mapping, child: Child | None, entity: Entity, name: str) -> Field | None:
    """The field by which the mapping reads a column of the entity that is pushed; None where it reads it not."""
    if child is not None:
        return next((one for one in child.fields if one.name == name), None)
    return mapping.field(name) if mapping.entity == entity.name else None


def not_invertible(read: Field, mapping: Mapping) -> str:
    """Why an inbound field cannot be read backwards; an empty text where it can."""
    if read.lookup is not None:
        return f"it is looked up in {read.lookup.of}"
    if read.when is not None:
        return f"it is read only when {read.when.text}"
    path = bare_path(read.at.text)
    if path is None:
        return "it is read by an expression"
    if any(isinstance(step, Index) for step in path.steps):
        return "it is read from a list"
    if mapping.each is not None:
        return "it is read from the items of a list"
    if str(path).split(".")[0] == "record":
        return "it is read from the record around it"
    if read.values is not None and read.values.ambiguous:
        return f"several values of '{read.values.name}' mean {', '.join(read.values.ambiguous)}"
    return ""


def sql_name(name: str) -> str:
    """A column's name as an expression: in quotes, so that no name is a word of the language."""
    return '"' + name.replace('"', '""') + '"'
