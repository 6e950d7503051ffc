"""The compiler of `push:`: from canonical rows to the payloads that a target should have, as one SQL statement a person can read.

It gives a row for each record that the push is about, in the order of hub_id:

    hub_id       BIGINT       the record
    key          VARCHAR      our own business key, by which an unanswered call is looked up
    external_id  VARCHAR      what the target calls the record; NULL where it is not bound there
    since        TIMESTAMPTZ  compared with the target's go-live; may be NULL
    hold         VARCHAR      why it waits for a person; NULL where it does not
    waits_for    VARCHAR      'customer/12' where the payload refers to a record that the target does not know yet
    named        VARCHAR[]    'customer/12' where the payload names that record by the hub's id; may hold NULLs
    same         BOOLEAN      the target's own view equals what would be sent; NULL where that is not known of every field
    payload      JSON         keys in alphabetical order, missing values left out, `{"$id_of": "customer/12"}` for ids to come;
                              {} where `same` is true: nothing is to be sent
    seen_at      TIMESTAMPTZ  when the target's own view was read; NULL without one

What is deleted in the hub is not pushed, and archived where a push says so; what the target deleted waits for a person.

`create` is about records that the target does not know, `change`, `cancel`, `fulfil` and `archive` about those it knows, `upsert`
about both. What is missing on our side is not sent, so it clears nothing and makes no difference. A field that says `null: clear` is emptied
where another system has the record and none has the value: what the target holds may be nothing but what we sent it. `reach.py` says what an expression may name, `compare.py` how `same` is made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hub.connector import Stream
from hub.entity import Entity, Model
from hub.errors import ConfigurationError
from hub.findings import Finding, errors_in, nearest
from mappings import sql
from mappings.compare import ELSEWHERE, Comparison, Known
from mappings.compare import known as known_of
from mappings.declarations import taken
from mappings.held import Held
from mappings.leaves import LeafMaker, Leaves, inbound_field
from mappings.meaning import Meaning, certain
from mappings.payload import Place as At
from mappings.payload import json_object
from mappings.reach import Reach, Reading, Rows
from mappings.syntax import Expr, Mapping, Push, PushChild

_KNOWN_THERE = {"create": "me.source_id IS NULL", "upsert": ""}
_ON_BINDING = "me.entity = {entity} AND me.hub_id = ours.hub_id"


@dataclass(frozen=True, slots=True)
class Outbound:
    """A compiled push. `key` is the expression of the business key, `refers` the entities whose records it has to wait for.

    `sql` is one statement over the schemas `canonical`, `source`, `ops` and `quality`, with the parameter `$target`. `held`
    is what can be known of the target's own side, where it was asked for.
    """

    mapping: str
    stream: str
    entity: str
    operation: str
    key: str
    sql: str
    refers: tuple[str, ...] = ()
    held: Held | None = None
    match: str = "bound"


def compile(mapping: Mapping, push: Push, model: Model, siblings: Iterable[Mapping] = ()) -> Outbound:
    """The SQL of a push. `siblings` are the mappings of the same system: they say what is known of the target's view.

    Raises ConfigurationError with every finding in its text.
    """
    made, findings = check(mapping, push, model, siblings)
    if made is None:
        what = "\n".join(str(finding) for finding in errors_in(findings))
        raise ConfigurationError(errors_in(findings)[0].code, what, fix="crossdock lint")
    return made


def check(
    mapping: Mapping, push: Push, model: Model, siblings: Iterable[Mapping] = (), stream: Stream | None = None
) -> tuple[Outbound | None, list[Finding]]:
    """The compiled push, or None, and all findings, warnings among them. `stream` says what its fields take."""
    findings: list[Finding] = []
    entity = model.get(push.entity)
    if entity is None or entity.parent:
        headers = [name for name, one in model.items() if not one.parent]
        fix = nearest(push.entity, headers)
        findings.append(Finding("M201", f"'{push.entity}' is nothing that can be pushed", push.place, fix))
        return None, findings
    compiler = _Compiler(mapping, push, model, entity, known_of([mapping, *siblings]), findings)
    if stream is not None:
        compiler.takes = taken(mapping, push, stream, findings)
    made = compiler.outbound()
    return (None if errors_in(findings) else made), findings


class _Compiler:
    def __init__(
        self, mapping: Mapping, push: Push, model: Model, entity: Entity, known: Known, findings: list[Finding]
    ) -> None:
        self.mapping, self.push, self.model, self.entity, self.findings = mapping, push, model, entity, findings
        self.reach = Reach(model)
        self.reach.relation("ours", "our", entity.name, deleted_too=push.gone)
        self.reach.relation("theirs", "their", entity.name)
        self.reach.bound.add(entity.name)
        self.rows = Rows(self.reach, "our", entity, "ours", "ours")
        self.rows.units = certain(push.when.text if push.when else None)
        self.takes: dict[str, Meaning] = {}
        self.same = Comparison(self.reach, entity, known, findings)
        self.views = push.operation != "create"  # the target may have a view of the record
        self.lists: dict[str, str] = {}  # CTEs of the children
        self.holds: dict[str, str] = {}  # condition → SQL of the reason
        self.waits: dict[str, None] = {}
        self.named: list[str] = []  # SQL of lists of records
        self.refers: dict[str, None] = {}

    def outbound(self) -> Outbound:
        wanted = self._wanted()
        key = self._key()
        since = self._since()
        for hold in self.push.hold:
            if reading := self.rows.read(hold.when, self.findings, "boolean"):
                self.holds[_certain(reading)] = sql.text(hold.reason)
        self.holds["doubtful.hub_id IS NOT NULL"] = sql.text("its newest version is in quarantine")
        if self.views:
            self.holds["seen.deleted_there IS NOT NULL"] = sql.text("it was deleted there")
        payload = self._payload()
        text = self._statement(wanted, key, since, payload)
        shown = self.push.key.text if self.push.key else self._default_key().text
        return Outbound(
            self.mapping.name,
            self.push.stream,
            self.entity.name,
            self.push.operation,
            shown,
            text,
            tuple(self.refers),
            match=self.push.match,
        )

    # -- which records

    def _wanted(self) -> str:
        """The records that the push is about, with what the target calls them."""
        rows = Rows(self.reach, "our", self.entity, "ours", "ours")
        conditions = [_KNOWN_THERE.get(self.push.operation, "me.source_id IS NOT NULL")]
        if self.push.when and (reading := rows.read(self.push.when, self.findings, "boolean")):
            conditions += _gone(self.entity, reading) if self.push.gone else [_certain(reading)]
            if reading.value.failed and (again := self.rows.read(self.push.when, [], "boolean")):
                self.holds[str(again.value.failed)] = sql.text("whether it is due cannot be computed")
        binding = _ON_BINDING.format(entity=sql.text(self.entity.name))
        lines = ["SELECT ours.hub_id, me.source_id AS external_id", "FROM ours", f"LEFT JOIN bound AS me ON {binding}"]
        if any("theirs." in condition for condition in conditions):
            lines.append("LEFT JOIN theirs ON theirs.source_id = me.source_id")
        where = "\n  AND ".join(sql.term(c) if " OR " in c else c for c in conditions if c)
        return "\n".join(lines) + rows.joined() + (f"\nWHERE {where}" if where else "")

    def _default_key(self) -> Expr:
        single = [match[0] for match in self.entity.match if len(match) == 1 and not self.entity[match[0]].ref]
        return Expr(single[0] if single and not self.entity[single[0]].pii else "hub_id", self.push.place)

    def _key(self) -> str:
        reading = self.rows.read(self.push.key or self._default_key(), self.findings, "text")
        return reading.value.sql if reading else "NULL"

    def _since(self) -> str:
        if self.push.since is None:
            return "NULL"
        reading = self.rows.read(self.push.since, self.findings)
        if reading is None:
            return "NULL"
        if reading.value.type == "date":
            return f"timezone('UTC', CAST({reading.value.sql} AS TIMESTAMP))"
        if reading.value.type != "instant":
            self.findings.append(
                Finding("M209", f"since: is a {reading.value.type}", self.push.since.place, "name an instant or a day")
            )
        return reading.value.sql

    # -- what is sent

    def _payload(self) -> str:
        leaves = Leaves()
        maker = LeafMaker(self.mapping, self.entity, self.rows, leaves, self.findings, self.takes)
        for field in self.push.fields:
            read = inbound_field(self.mapping, None, self.entity, field.name)
            if maker.add(field, read) and self.views:
                self.same.value(field, read)
        if self.push.operation in ("change", "upsert"):
            self._clear(leaves)
        for child in self.push.children:
            place = maker.place(child.each)
            if place and maker.take(place, child) and (alias := self._children(child, place)):
                leaves.json[place] = f"{alias}.items"
        self.holds |= leaves.holds
        self.waits |= leaves.waits
        if leaves.named:
            self.named.append(f"[{', '.join(leaves.named)}]")
        self.refers |= leaves.refers
        made = json_object(leaves.json) if leaves.json else "'{}'"
        if self.views:
            made = f"CASE WHEN seen.same THEN '{{}}' ELSE {made} END"
        return f"CAST({made} AS JSON)"

    def _clear(self, leaves: Leaves) -> None:
        """What is missing in every other system is emptied in a record that the target has, and not in one that is only made."""
        for place, field in leaves.cleared.items():
            text = leaves.json[place]
            missing = self.same.missing(field, f"{sql.term(text)} IS NULL")
            leaves.json[place] = f"CASE WHEN {missing} AND seen.external_id IS NOT NULL THEN 'null' ELSE {text} END"
            self.rows.joins["elsewhere"] = ELSEWHERE

    # -- children

    def _children(self, child: PushChild, place: At) -> str | None:
        """A query that gives the list of a child entity for each due header; its name, or None where it is wrong."""
        entity = self.model.get(child.entity)
        if entity is None or entity.parent != self.entity.name:
            there = [one.name for one in self.model.values() if one.parent == self.entity.name]
            fix = nearest(child.entity, there)
            what = f"'{child.entity}' is no child of {self.entity.name}"
            self.findings.append(Finding("M201", what, child.place, fix))
            return None
        header = Rows(self.reach, "our", self.entity, "ours", "ours")
        header.units = self.rows.units
        relation = self.reach.relation(f"our_{entity.name}", "our", entity.name)
        rows = Rows(self.reach, "our", entity, "line", relation, header)
        read = self.mapping.child(entity.name) if self.mapping.entity == self.entity.name else None
        leaves = Leaves()
        below = f"{child.each.text}."
        takes = {at.removeprefix(below): one for at, one in self.takes.items() if at.startswith(below)}
        maker = LeafMaker(self.mapping, entity, rows, leaves, self.findings, takes)
        for field in child.fields:
            maker.add(field, inbound_field(self.mapping, read, entity, field.name))
        where = ""
        if child.when and (reading := rows.read(child.when, self.findings, "boolean")):
            where = f"\nWHERE {_certain(reading)}"
        alias = f"{entity.name}_list" if len(self.push.children) == 1 else f"{'_'.join(place)}_list"
        made = json_object(leaves.json)
        columns = ["line.parent AS hub_id", f"'[' || string_agg({made}, ', ' ORDER BY line.hub_id) || ']' AS items"]
        if leaves.holds:
            columns.append(f"min({_case(leaves.holds)}) AS hold")
            self.holds[f"{alias}.hold IS NOT NULL"] = f"{alias}.hold"
        if leaves.waits:
            columns.append(f"min({_first(leaves.waits)}) AS waits_for")
            self.waits[f"{alias}.waits_for"] = None
        if leaves.named:
            columns.append(f"flatten(list([{', '.join(leaves.named)}])) AS named")
            self.named.append(f"{alias}.named")
        self.refers |= leaves.refers
        due = "due" if self.views else "wanted"
        joins = f"\nJOIN {due} ON {due}.hub_id = line.parent"
        if header.joins or any("ours." in text for text in (*columns, where)):
            joins += f"\nJOIN ours ON ours.hub_id = line.parent{header.joined()}"
        shown = ",\n".join(sql.indent(column, 2) for column in columns)
        self.lists[alias] = f"SELECT\n{shown}\nFROM {relation} AS line{joins}{rows.joined()}{where}\nGROUP BY 1"
        self.rows.joins[alias] = f"LEFT JOIN {alias} ON {alias}.hub_id = ours.hub_id"
        if self.views:
            self.same.children(child, read, entity, alias)
        return alias

    # -- the whole

    def _statement(self, wanted: str, key: str, since: str, payload: str) -> str:
        base = "seen" if self.views else "wanted"
        columns = {
            "hub_id": f"{base}.hub_id",
            "key": key,
            "external_id": f"{base}.external_id",
            "since": f"CAST({since} AS TIMESTAMP WITH TIME ZONE)",
            "hold": _case(self.holds),
            "waits_for": _first(self.waits),
            "named": _joined(self.named),
            "same": "seen.same" if self.views else "CAST(NULL AS BOOLEAN)",
            "payload": payload,
            "seen_at": "seen.seen_at" if self.views else "CAST(NULL AS TIMESTAMP WITH TIME ZONE)",
        }
        shown = ",\n".join(sql.indent(f"{text} AS {name}", 2) for name, text in columns.items())
        joins = f"\nJOIN ours ON ours.hub_id = {base}.hub_id"
        if "theirs." in shown:
            joins += f"\nLEFT JOIN theirs ON theirs.source_id = {base}.external_id"
        joins += f"\nLEFT JOIN doubtful ON doubtful.hub_id = {base}.hub_id"
        made = f"SELECT\n{shown}\nFROM {base}{joins}{self.rows.joined()}"
        compared = self.same.queries() if self.views else {}
        queries = {
            **self._bound(),
            **self.reach.queries(),
            "wanted": wanted,
            **self.same.elsewhere(),
            **compared,
            **self.lists,
            "made": made,
        }
        if not any("theirs." in text for name, text in queries.items() if name != "theirs"):
            del queries["theirs"]
        if "due" in queries and not self.lists:
            del queries["due"]
        ctes = ",\n".join(f"{name} AS (\n{sql.indent(text, 2)}\n)" for name, text in queries.items())
        head = "hub_id, key, external_id, since, CASE WHEN same THEN NULL ELSE hold END AS hold, waits_for, named, same, payload, seen_at"
        return f"WITH\n{ctes}\nSELECT {head}\nFROM made\nORDER BY hub_id"

    def _bound(self) -> dict[str, str]:
        """What the target calls each record (of several the first that is there), and whose newest version lies in quarantine."""
        names = sorted(self.reach.bound)
        entities = ", ".join(map(sql.text, names))
        gone = (
            f"SELECT {sql.text(name)} AS entity, source_id\nFROM source.{sql.name(name)}\n"
            "WHERE system = $target AND deleted_at IS NOT NULL"
            for name in names
        )
        return {
            "deleted_there": "\nUNION ALL\n".join(gone),
            "bound": "SELECT entity, hub_id, source_id\nFROM ops.bindings\nLEFT JOIN deleted_there AS gone USING (entity, source_id)\n"
            f"WHERE system = $target AND entity IN ({entities})\n"
            "QUALIFY row_number() OVER (PARTITION BY entity, hub_id ORDER BY gone.source_id IS NOT NULL, bound_at, source_id) = 1",
            "doubtful": "SELECT DISTINCT bindings.hub_id\nFROM quality.quarantine AS quarantine\n"
            "JOIN ops.bindings AS bindings USING (system, entity, source_id)\n"
            f"WHERE quarantine.entity = {sql.text(self.entity.name)} AND quarantine.closed_at IS NULL",
        }


def _gone(entity: Entity, reading: Reading) -> list[str]:
    """What another system brought and is deleted or not wanted any more; what only the target ever knew is its own."""
    brought = f"SELECT hub_id FROM source.{sql.name(entity.name)} WHERE system <> $target"
    unwanted = f"ours.deleted_at IS NOT NULL OR ({reading.value.sql}) IS NOT TRUE" + (
        f" OR {sql.term(reading.value.failed)}" if reading.value.failed else ""
    )
    return [f"ours.hub_id IN ({brought})", unwanted, "theirs.deleted_at IS NULL"]


def _certain(reading: Reading) -> str:
    """A condition that is true also where it cannot be decided: such a record is shown, and held, not passed over."""
    text, failed = reading.value.sql, reading.value.failed
    return f"({text}) OR {sql.term(failed)}" if failed else text


def _case(holds: dict[str, str]) -> str:
    """The reason of the first condition that is true."""
    if not holds:
        return "CAST(NULL AS VARCHAR)"
    whens = [f"WHEN {condition} THEN {reason}" for condition, reason in holds.items()]
    return f"CASE {whens[0]} END" if len(whens) == 1 else "CASE\n    " + "\n    ".join(whens) + "\n  END"


def _first(texts: Iterable[str]) -> str:
    unique = list(texts)
    if not unique:
        return "CAST(NULL AS VARCHAR)"
    return unique[0] if len(unique) == 1 else f"coalesce({', '.join(unique)})"


def _joined(lists: list[str]) -> str:
    if not lists:
        return "CAST(NULL AS VARCHAR[])"
    return lists[0] if len(lists) == 1 else f"list_concat({', '.join(lists)})"
