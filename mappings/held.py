"""What a target holds, in the words of a push's payload: its own view, sent backwards as if the canonical row said so.

The last pull is kept in canonical words (`source`). A plan compares what will be sent with what is there, so the same push
is compiled once more over that view. The statement takes $target and $ids (the target's own ids) and gives a row for each:

    external_id  VARCHAR      what the target calls the record
    held         JSON         as `payload` of `outbound.py`; what the target has no value for is left out
    read_at      TIMESTAMPTZ  when that was read last, changed or not

Only some places of a payload can be known so: a column that a mapping of the target reads, and an expression over such
columns. A constant, the hub's own id and what depends on a binding are not, and stay out of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as Map
from dataclasses import dataclass, replace

from hub.entity import Column, Entity, Model
from mappings import sql
from mappings.compare import Known
from mappings.compare import known as known_of
from mappings.leaves import LeafMaker, Leaves, inbound_field
from mappings.payload import Place, json_object
from mappings.reach import Reach, Rows
from mappings.syntax import Field, Mapping, Push, PushChild, PushField


@dataclass(frozen=True, slots=True)
class Sent:
    """One value of a payload: the field's name in the push, and the columns of the entity that it is made of.

    `known` says whether the target's own is known; `personal` whether a person's data goes into it; `constant` that it is
    the same for every record.
    """

    name: str
    columns: tuple[str, ...]
    known: bool
    personal: bool
    constant: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """`places`: dotted place in the payload (`items[].sku` within a list) → what is sent there.

    `sql` is empty where nothing of it can be known.
    """

    sql: str
    places: Map[str, Sent]


def held(mapping: Mapping, push: Push, model: Model, siblings: Iterable[Mapping] = ()) -> Held:
    """What can be known of the target's side of a push. The push has to compile (`outbound.check`)."""
    return _View(mapping, push, model, known_of([mapping, *siblings])).made()


class _Backwards(LeafMaker):
    """The leaves of the target's own row: a reference is the id that the target itself quotes, and nothing is waited for."""

    def _reference(self, pushed: PushField) -> str | None:
        column = next((one for one in self.entity.refs if one.name == pushed.name), None)
        return f"to_json({self.rows.column(f'{pushed.name}_ref')})" if column else None

    def _wait_for(self, column: Column) -> str:
        return "NULL"


class _View:
    def __init__(self, mapping: Mapping, push: Push, model: Model, known: Known) -> None:
        self.mapping, self.push, self.model, self.known = mapping, push, model, known
        self.entity = model[push.entity]
        self.reach = Reach(model)
        self.reach.relation("ours", "our", self.entity.name)
        self.reach.relation("theirs", "their", self.entity.name)
        self.ours = Rows(self.reach, "our", self.entity, "ours", "ours")
        self.theirs = Rows(self.reach, "their", self.entity, "theirs", "theirs")
        self.places: dict[str, Sent] = {}
        self.lists: dict[str, str] = {}

    def made(self) -> Held:
        leaves = Leaves()
        maker = _Backwards(self.mapping, self.entity, self.theirs, leaves, [], {})
        for field in self.push.fields:
            read = inbound_field(self.mapping, None, self.entity, field.name)
            self._field(maker, field, read)
        for child in self.push.children:
            self._list(maker, child)
        return Held(self._statement(leaves.json) if leaves.json else "", self.places)

    def _field(self, maker: LeafMaker, field: PushField, read: Field | None) -> None:
        asked = self._asked(field, read, self.ours, self.theirs, self.entity)
        known = asked is not None and maker.add(asked, read)
        if place := _place(field, read):
            self.places[place] = self._sent(field, self.ours, self.entity, known)

    def _sent(self, field: PushField, rows: Rows, entity: Entity, known: bool) -> Sent:
        reading = rows.read(field.value, []) if field.value is not None else None
        read = set(reading.columns) if reading else set()
        read |= {(entity.name, field.name)} if field.name in entity else set()
        columns = tuple(sorted(name for owner, name in read if owner == entity.name))
        personal = any(self.model[owner][name].pii for owner, name in read)
        return Sent(
            field.name,
            columns,
            known,
            personal,
            not read and reading is not None and not (reading.unseen or reading.own_id),
        )

    def _asked(
        self, field: PushField, read: Field | None, ours: Rows, theirs: Rows, entity: Entity
    ) -> PushField | None:
        """The field as it is asked of the target's view; None where that cannot answer."""
        if field.name in entity:
            if (entity.name, field.name) not in self.known:
                return None
            if field.value is not None and read is not None and read.values is not None and field.values is None:
                return None  # read with a value map and sent in the target's own words
            return replace(field, value=None)
        if field.value is None:
            return None
        here = ours.read(field.value, [])
        if here is None or here.unseen or here.own_id or not here.columns or here.columns - self.known:
            return None
        return field if theirs.read(field.value, []) else None

    def _list(self, maker: LeafMaker, child: PushChild) -> None:
        entity = self.model[child.entity]
        read = self.mapping.child(entity.name) if self.mapping.entity == self.entity.name else None
        relation = self.reach.relation(f"their_{entity.name}", "their", entity.name)
        ours = Rows(self.reach, "our", entity, "line", f"our_{entity.name}", self.ours)
        theirs = Rows(self.reach, "their", entity, "line", relation, self.theirs)
        parts = _Backwards(self.mapping, entity, theirs, Leaves(), [], {})
        found = {}
        for field in child.fields:
            inbound = inbound_field(self.mapping, read, entity, field.name) if read else None
            asked = self._asked(field, inbound, ours, theirs, entity) if read else None
            known = asked is not None and parts.add(asked, inbound)
            if at := _place(field, inbound):
                found[f"{child.each.text}[].{at}"] = self._sent(field, ours, entity, known)
        place = maker.place(child.each)
        known = bool(parts.leaves.json) and child.when is None and not theirs.joins
        if place is None:
            return
        personal = any(one.personal for one in found.values())
        self.places[child.each.text] = Sent(child.entity, (), known, personal)
        self.places |= found
        if known:
            self._listed(maker, place, relation, json_object(parts.leaves.json))

    def _listed(self, maker: LeafMaker, place: Place, relation: str, element: str) -> None:
        alias = f"{'_'.join(place)}_list"
        items = f"'[' || string_agg({element}, ', ' ORDER BY line.hub_id, line.source_id) || ']'"
        self.lists[alias] = (
            f"SELECT line.parent_source_id AS source_id, {items} AS items\nFROM {relation} AS line\n"
            "WHERE line.parent_source_id IN (SELECT unnest($ids))\nGROUP BY 1"
        )
        maker.leaves.json[place] = f"{alias}.items"
        self.theirs.joins[alias] = f"LEFT JOIN {alias} ON {alias}.source_id = theirs.source_id"

    def _statement(self, leaves: Map[Place, str]) -> str:
        made = json_object(leaves)
        queries = {name: text for name, text in self.reach.queries().items() if not name.startswith("our")}
        ctes = ",\n".join(f"{name} AS (\n{sql.indent(text, 2)}\n)" for name, text in (queries | self.lists).items())
        return (
            f"WITH\n{ctes}\nSELECT theirs.source_id AS external_id, CAST({made} AS JSON) AS held,\n"
            f"  greatest(theirs.seen_at, theirs.pulled_at) AS read_at\nFROM theirs"
            f"{self.theirs.joined()}\nWHERE theirs.source_id IN (SELECT unnest($ids))"
        )


def _place(field: PushField, read: Field | None) -> str | None:
    at = read.at if field.bare and read is not None else field.at
    return at.text if at is not None else None
