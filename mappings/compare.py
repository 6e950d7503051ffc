"""Does the target's own view already equal what would be sent? The column `same` of an outbound SQL.

A value that is named after a canonical column is compared with what the target's records say in that column, if a mapping of
the target reads it. Any other value is computed a second time, from the target's own view, if all that it reads is read
from there too. What cannot be compared makes `same` unknown, not true; a constant is not compared. What is missing on our
side is not sent and so does not differ, unless the field says `null: clear`.

The hub's own id is compared where the target's mapping reads what its records quote (`hub:`). A record that quotes none is
not known to differ: it may have been read before quotes were kept.

Rows of a child are compared in the order of their values, so that neither side's order matters.
"""

from __future__ import annotations

from collections.abc import Iterable

from hub.entity import Entity
from hub.findings import Finding
from mappings import sql
from mappings.reach import TYPES, Reach, Rows
from mappings.syntax import Child, Field, Mapping, PushChild, PushField

Known = frozenset[tuple[str, str]]
_UNKNOWN = "CAST(NULL AS BOOLEAN)"
ELSEWHERE = "LEFT JOIN elsewhere ON elsewhere.hub_id = ours.hub_id"


def known(mappings: Iterable[Mapping]) -> Known:
    """Which (entity, column) pairs the mappings read: what is known of the system's own view. `hub_id` is what it quotes."""
    found = set()
    for mapping in mappings:
        if mapping.hub is not None:
            found.add((mapping.entity, "hub_id"))
        found |= {(mapping.entity, field.name) for field in mapping.fields}
        found |= {(child.entity, field.name) for child in mapping.children for field in child.fields}
    return frozenset(found)


class Comparison:
    """Collects what is compared; `queries()` says it. `findings` gets a warning where a comparison makes no sense."""

    def __init__(self, reach: Reach, entity: Entity, known: Known, findings: list[Finding]) -> None:
        self.reach, self.entity, self.known, self.findings = reach, entity, known, findings
        self.ours = Rows(reach, "our", entity, "ours", "ours")
        self.theirs = Rows(reach, "their", entity, "theirs", "theirs")
        self.terms: dict[str, None] = {}
        self.lists: dict[str, str] = {}
        self.cleared: dict[str, None] = {}  # columns

    def queries(self) -> dict[str, str]:
        """`seen`: the wanted records with `same`, `seen_at` and `deleted_there`; `due`: those of them that are not the same already."""
        joins = "\nJOIN ours ON ours.hub_id = wanted.hub_id\nLEFT JOIN theirs ON theirs.source_id = wanted.external_id"
        shown = f"wanted.hub_id, wanted.external_id, theirs.seen_at, theirs.deleted_at AS deleted_there,\n  {self._same()} AS same"
        seen = f"SELECT\n  {shown}\nFROM wanted{joins}{self.ours.joined()}{self.theirs.joined()}"
        return {**self.lists, "seen": seen, "due": "SELECT hub_id\nFROM seen\nWHERE same IS NOT TRUE"}

    def _same(self) -> str:
        """NULL without a view of the target, and where nothing can be compared."""
        if not any(term != _UNKNOWN for term in self.terms):
            return _UNKNOWN
        inner = "\n    AND ".join(self.terms)
        return f"CASE WHEN theirs.source_id IS NOT NULL THEN\n    {inner}\n  END"

    def value(self, field: PushField, read: Field | None) -> None:
        """A value that is pushed. Whether the target's own view can be asked is found out here."""
        if field.name in self.entity:
            self.terms[self._column(field, read) or _UNKNOWN] = None
        elif field.value is not None and (term := self._expression(field)):
            self.terms[term] = None

    def _expression(self, field: PushField) -> str | None:
        """A value with a name of its own: computed from both views; None for a constant."""
        value = field.value
        here = self.ours.read(value, []) if value else None
        if value is None or here is None or not (here.columns or here.unseen or here.own_id):
            return None
        reads = here.columns | ({(self.entity.name, "hub_id")} if here.own_id else set())
        there = None if here.unseen or reads - self.known else self.theirs.read(value, [])
        if there is None:
            return _UNKNOWN
        same = self._same_value(field, here.value.sql, there.value.sql)
        return f"CASE WHEN theirs.hub_ref IS NOT NULL THEN {same} END" if here.own_id else same

    def _column(self, field: PushField, read: Field | None) -> str | None:
        if (self.entity.name, field.name) not in self.known:
            return None
        text = self._value(field, read, self.ours, self.entity)
        return None if text is None else self._same_value(field, text, self.theirs.column(field.name))

    def _same_value(self, field: PushField, ours: str, theirs: str) -> str:
        if not field.clear:
            return _equal(ours, theirs)
        missing = self.missing(field, f"{sql.term(ours)} IS NULL")
        return f"CASE WHEN {missing} THEN {sql.term(theirs)} IS NULL ELSE {_equal(ours, theirs)} END"

    def missing(self, field: PushField, none: str) -> str:
        """Whether another system has the record, and none has this value; `none` says it of a value that is no plain column."""
        self.ours.joins["elsewhere"] = ELSEWHERE
        if field.value is not None or field.name not in self.entity:
            return f"(elsewhere.hub_id IS NOT NULL AND {none})"
        self.cleared[field.name] = None
        return f"(NOT elsewhere.{sql.name(field.name)})"

    def elsewhere(self) -> dict[str, str]:
        """Of which columns that are emptied any other system has a value; nothing where none is."""
        if "elsewhere" not in self.ours.joins:
            return {}
        said = [f"bool_or({sql.name(name)} IS NOT NULL) AS {sql.name(name)}" for name in self.cleared]
        shown = ",\n  ".join(["hub_id", *said])
        where = "WHERE system <> $target AND hub_id IN (SELECT hub_id FROM wanted)"
        return {"elsewhere": f"SELECT\n  {shown}\nFROM source.{sql.name(self.entity.name)}\n{where}\nGROUP BY 1"}

    def children(self, child: PushChild, read: Child | None, entity: Entity, alias: str) -> None:
        """The rows of a child; only values named after columns that are read count."""
        ours = Rows(
            self.reach,
            "our",
            entity,
            "line",
            f"our_{entity.name}",
            Rows(self.reach, "our", self.entity, "ours", "ours"),
        )
        there = self.reach.relation(f"their_{entity.name}", "their", entity.name)
        theirs = Rows(self.reach, "their", entity, "line", there)
        pairs = {}
        for field in child.fields:
            inbound = next((one for one in read.fields if one.name == field.name), None) if read else None
            if inbound and (text := self._value(field, inbound, ours, entity)):
                pairs[field.name] = text
        wheres = self._wheres(child, ours, theirs)
        if not pairs or wheres is None:
            self.terms[_UNKNOWN] = None
            return
        self.terms[f"coalesce({alias}_same.same, true)"] = None
        self.ours.joins[alias] = f"LEFT JOIN {alias}_same ON {alias}_same.hub_id = ours.hub_id"
        here = "JOIN wanted ON wanted.hub_id = line.parent"
        if ours.header and (ours.header.joins or any("ours." in text for text in (*pairs.values(), *wheres))):
            here += f"\nJOIN ours ON ours.hub_id = line.parent{ours.header.joined()}"
        names = {name: theirs.column(name) for name in pairs}
        told = "JOIN wanted ON wanted.external_id = line.parent_source_id"
        self.lists |= {
            f"{alias}_ours": _lines(pairs, f"FROM our_{entity.name} AS line\n{here}{ours.joined()}{wheres[0]}"),
            f"{alias}_theirs": _lines(names, f"FROM {there} AS line\n{told}{theirs.joined()}{wheres[1]}"),
            f"{alias}_same": _paired(list(pairs), alias),
        }

    def _wheres(self, child: PushChild, ours: Rows, theirs: Rows) -> tuple[str, str] | None:
        """The condition on both sides; None where the target's view cannot be asked."""
        if child.when is None:
            return "", ""
        here = ours.read(child.when, [], "boolean")
        if here is None or here.unseen or here.own_id or here.columns - self.known:
            return None
        there = theirs.read(child.when, [], "boolean")
        if there is None:
            return None
        return (
            f"\nWHERE {here.value.sql}",
            f"\nWHERE {there.value.sql}",
        )

    def _value(self, field: PushField, read: Field | None, ours: Rows, entity: Entity) -> str | None:
        """What we would say in the canonical column; None where the value is in the target's own words."""
        column = entity[field.name]
        if field.value is None:
            return ours.column(field.name)
        if read is not None and read.values is not None and field.values is None:
            what = f"'{field.name}' is read with a value map and sent without one, so the two cannot be compared"
            self.findings.append(Finding("M214", what, field.place, "write values: too", "warning"))
            return None
        reading = ours.read(field.value, [])
        if reading is None:
            return None
        text = reading.value.sql
        return text if reading.value.type == TYPES[column.kind] else f"TRY_CAST({text} AS {column.sql_type})"


def _equal(ours: str, theirs: str) -> str:
    here = sql.term(ours)
    return f"coalesce({here} = {sql.term(theirs)}, {here} IS NULL)"


def _lines(columns: dict[str, str], tail: str) -> str:
    order = ", ".join(columns.values())
    shown = ", ".join(f"{text} AS {sql.name(name)}" for name, text in columns.items())
    return f"SELECT\n  wanted.hub_id, row_number() OVER (PARTITION BY wanted.hub_id ORDER BY {order}) AS place,\n  {shown}\n{tail}"


def _paired(names: list[str], alias: str) -> str:
    terms = [
        "o.hub_id IS NOT NULL AND t.hub_id IS NOT NULL",
        *(_equal(f"o.{sql.name(n)}", f"t.{sql.name(n)}") for n in names),
    ]
    shown = "\n    AND ".join(terms)
    return (
        f"SELECT coalesce(o.hub_id, t.hub_id) AS hub_id, bool_and(\n    {shown}\n  ) AS same\nFROM {alias}_ours AS o\n"
        f"FULL JOIN {alias}_theirs AS t ON t.hub_id = o.hub_id AND t.place = o.place\nGROUP BY 1"
    )
