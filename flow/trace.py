"""Trace: all that is known of one record, as one timeline: seen, bound, merged, held back, compared, sent.

Read from the published snapshot and the ledger; nothing is written. Personal values are masked by the model's `pii` tag.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from flow.fold import as_now_called, folded, joined_hubs
from hub.config import Project
from hub.entity import Entity, Model, children
from hub.errors import UsageError
from hub.findings import did_you_mean
from warehouse.duck import Connection
from warehouse.ledger import Intent, Ledger

MASK = "***"
Event = dict[str, Any]
Row = dict[str, Any]


def trace(project: Project, entity: str, key: str, *, unmask: bool = False) -> dict[str, Any]:
    """Everything about the record that `key` names: its number, any system's id of it, another match key, or `#hub_id`.

    `{"entity", "key", "hub_id", "others", "fields", "events"}`: `fields` gives for each column the value that holds, who
    said it and what the others say; an event is `{"at", "step", "system", "what", "detail"}`, oldest first. Empty where
    nothing is known. Raises UsageError P401 for an unknown entity.
    """
    from warehouse.model import entities

    model = entities()
    if entity not in model or model[entity].parent:
        headers = [one.name for one in model.values() if not one.parent]
        fix = did_you_mean(entity, headers) or f"there are: {', '.join(headers)}"
        raise UsageError("P401", f"there is no entity '{entity}' to trace", fix=fix)
    with Ledger(project.ledger, read_only=True) as ledger, folded(project, ledger) as con:
        tracer = _Tracer(con, ledger, model, model[entity], unmask)
        hubs = tracer.named(key)
        if not hubs:
            events = tracer.quarantined([key])
            return tracer.shown(key, None, [], {}, events) if events else {}
        return tracer.all_of(key, hubs[0], hubs[1:])


class _Tracer:
    def __init__(self, con: Connection, ledger: Ledger, model: Model, entity: Entity, unmask: bool) -> None:
        self.con, self.ledger, self.model, self.entity = con, ledger, model, entity
        self.masked = frozenset() if unmask else frozenset(c.name for c in entity if c.pii)

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
        cursor = self.con.execute(sql, {name: value for name, value in parameters.items() if f"${name}" in sql})
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def named(self, key: str) -> list[int]:
        """The hub ids that the key may mean, the likeliest first."""
        if key.startswith("#") and key[1:].isdigit():
            return [int(key[1:])]
        texts = {m[0] for m in self.entity.match if len(m) == 1} | {"number", "seller_number", "customer_po", "sku"}
        columns = [c.name for c in self.entity if c.kind == "text" and c.name in texts]
        parts = [f'SELECT hub_id, 1 AS rank FROM canonical.{self.entity.name} WHERE "{c}" = $key' for c in columns]
        parts.append("SELECT hub_id, 2 FROM ops.bindings WHERE entity = $entity AND source_id = $key")
        sql = f"SELECT hub_id FROM ({' UNION ALL '.join(parts)}) GROUP BY hub_id ORDER BY min(rank), hub_id"
        return [row["hub_id"] for row in self.rows(sql, {"key": key, "entity": self.entity.name})]

    def all_of(self, key: str, hub_id: int, others: Sequence[int]) -> dict[str, Any]:
        bindings = self.rows(
            "SELECT * FROM ops.bindings WHERE entity = $entity AND hub_id = $hub ORDER BY bound_at, system",
            {"entity": self.entity.name, "hub": hub_id},
        )
        views = self.rows(
            f"SELECT * FROM source.{self.entity.name} WHERE hub_id = $hub ORDER BY seen_at, system", {"hub": hub_id}
        )
        ids = [row["source_id"] for row in bindings]
        events = [
            *[self._bound(row) for row in bindings],
            *[self._seen(row) for row in views],
            *self._merged(hub_id),
            *self.quarantined(ids, [row["system"] for row in bindings]),
            *self._warned(bindings),
            *self._compared(bindings),
            *self._sent(hub_id),
        ]
        return self.shown(key, hub_id, others, self._fields(hub_id, views), events)

    def shown(
        self, key: str, hub_id: int | None, others: Sequence[int], fields: dict[str, Any], events: list[Event]
    ) -> dict[str, Any]:
        events.sort(key=lambda event: event["at"] or datetime.min.replace(tzinfo=UTC))
        told = [event | {"at": event["at"].isoformat() if event["at"] else None} for event in events]
        entity = self.entity.name
        return {
            "entity": entity,
            "key": key,
            "hub_id": hub_id,
            "others": list(others),
            "fields": fields,
            "events": told,
        }

    def value(self, column: str, value: Any) -> Any:
        """As it may be shown: masked where personal, JSON else."""
        if value is None:
            return None
        if column.removesuffix("_ref") in self.masked:
            return MASK
        return (
            value.isoformat()
            if hasattr(value, "isoformat")
            else value
            if isinstance(value, (bool, int))
            else str(value)
        )

    # Events -----------------------------------------------------------------------------------------------------------

    def _bound(self, row: Row) -> Event:
        how = {"source": "first seen", "match": "recognised", "push": "made by a push"}.get(
            row["origin"], row["origin"]
        )
        return event(row["bound_at"], "bind", row["system"], f"{how} as {row['source_id']}", {"origin": row["origin"]})

    def _seen(self, row: Row) -> Event:
        what = f"{row['source_id']} by {row['mapping']}, from {row['segment']}:{row['line']}"
        if row.get("waiting"):
            what += f"; waits for {row['waiting']}"
        said = {c: self.value(c, row[c]) for c in self._columns(row) if row[c] is not None}
        return event(
            row.get("pulled_at") or row["seen_at"], "pull", row["system"], what, said | {"run_id": row["run_id"]}
        )

    def _columns(self, row: Row) -> list[str]:
        return [name for c in self.entity for name in (c.name, f"{c.name}_ref") if name in row]

    def _merged(self, hub_id: int) -> list[Event]:
        """Each version of the canonical row, and what changed from the one before."""
        names = ", ".join(f'"{c.name}"' for c in self.entity)
        versions = self.rows(
            f"""SELECT {names}, valid_from, run_id FROM history.{self.entity.name} WHERE hub_id = $hub
                UNION ALL SELECT {names}, valid_from, run_id FROM canonical.{self.entity.name} WHERE hub_id = $hub
                ORDER BY valid_from""",
            {"hub": hub_id},
        )
        events = []
        before: Row | None = None
        for version in versions:
            changed = [c.name for c in self.entity if before is not None and version[c.name] != before[c.name]]
            what = (
                "the record appeared"
                if before is None
                else ", ".join(self._change(c, before, version) for c in changed)
            )
            if what:
                events.append(event(version["valid_from"], "merge", "hub", what, {"run_id": version["run_id"]}))
            before = version
        return events

    def _change(self, column: str, before: Row, after: Row) -> str:
        if column in self.masked:
            return f"{column} changed"
        return f"{column} {_short(self.value(column, before[column]))} → {_short(self.value(column, after[column]))}"

    def quarantined(self, ids: Collection[str], systems: Collection[str] | None = None) -> list[Event]:
        cases = self.rows(
            """SELECT * FROM quality.quarantine WHERE entity = $entity AND source_id IN (SELECT unnest($ids))
               ORDER BY first_seen""",
            {"entity": self.entity.name, "ids": list(ids)},
        )
        events = []
        for case in cases:
            if systems is not None and case["system"] not in systems:
                continue
            place = f"{case['segment']}:{case['line']}"
            what = f"{case['code']} {case['field'] or ''}: {case['message']}".replace(" :", ":")
            raw = case["raw"] if case["field"] and not self._is_personal(case["field"]) else MASK
            detail = {"rule": case["rule"], "raw": raw, "place": place, "times": case["count"]}
            events.append(event(case["first_seen"], "quarantine", case["system"], what, detail))
            if case["closed_at"]:
                closed = f"{case['code']} closed: a later version passed"
                events.append(event(case["closed_at"], "quarantine", case["system"], closed, {}))
        return events

    def _is_personal(self, field: str) -> bool:
        """A field of the entity or (`order_line.quantity`) of a child; what the model does not know may be anything."""
        owner, _, name = field.rpartition(".")
        entity = self.model.get(owner) if owner else self.entity
        if entity is None or name not in entity:
            return bool(self.masked)
        return bool(self.masked) and entity[name].pii

    def _warned(self, bindings: Sequence[Row]) -> list[Event]:
        known = {(row["system"], row["source_id"]) for row in bindings}
        found = self.rows(
            "SELECT * FROM quality.findings WHERE entity = $entity AND source_id IN (SELECT unnest($ids))",
            {"entity": self.entity.name, "ids": [source_id for _, source_id in known]},
        )
        return [
            event(row["seen_at"], "gate", row["system"], f"{row['code']} {row['field'] or ''}: {row['message']}", {})
            for row in found
            if (row["system"], row["source_id"]) in known
        ]

    def _compared(self, bindings: Sequence[Row]) -> list[Event]:
        if not self._exists("recon", "breaks"):
            return []
        known = {(row["system"], row["source_id"]) for row in bindings}
        found = self.rows(
            """SELECT * FROM recon.breaks WHERE entity = $entity AND (left_source_id IN (SELECT unnest($ids))
                                                                  OR right_source_id IN (SELECT unnest($ids)))""",
            {"entity": self.entity.name, "ids": [source_id for _, source_id in known]},
        )
        events = []
        for row in found:
            if not known & {(row["left_system"], row["left_source_id"]), (row["right_system"], row["right_source_id"])}:
                continue
            pair = f"{row['left_system']}–{row['right_system']}"
            what = f"{row['aspect']}: {row['reason']}"
            if row["left_value"] is not None or row["right_value"] is not None:
                column = row["aspect"]
                what += f", {_short(self.value(column, row['left_value']))} against {_short(self.value(column, row['right_value']))}"
            detail = {"state": row["state"], "money_at_risk": self.value("", row["money_at_risk"]), "name": row["name"]}
            events.append(event(row["opened_at"], "reconcile", pair, what, detail))
            if row["closed_at"]:
                events.append(event(row["closed_at"], "reconcile", pair, f"{row['aspect']} closed", {}))
        return events

    def _sent(self, hub_id: int) -> list[Event]:
        """Every call for the record, with what became of each attempt."""
        joined = joined_hubs(self.con)
        hubs = [hub_id, *(old for (entity, old), new in joined.items() if entity == self.entity.name and new == hub_id)]
        intents = {i.id: i for i in as_now_called(self.ledger.intents_of(self.entity.name, hubs), joined)}
        events = [
            event(
                i.created_at,
                "push",
                i.target,
                f"{i.operation} {i.stream} {i.business_key} is to be sent",
                self._call(i),
            )
            for i in intents.values()
        ]
        for outcome in self.ledger.outcomes_of(self.entity.name, hubs):
            said = f": {outcome.message}" if outcome.message else ""
            given = f" as {outcome.external_id}" if outcome.external_id else ""
            what = f"{outcome.operation} {outcome.stream} {outcome.key} {outcome.status}{given}{said}"
            detail = {"request_id": outcome.request_id, "seconds": outcome.duration, "plan": outcome.plan_id}
            events.append(event(outcome.at, "push", outcome.target, what, detail))
        return events

    def _call(self, intent: Intent) -> dict[str, Any]:
        detail: dict[str, Any] = {"plan": intent.plan_id, "attempts": intent.attempts, "state": intent.state}
        if not self.masked:
            detail["payload"] = self.ledger.payload(intent.payload_id)
        return detail

    # Values -----------------------------------------------------------------------------------------------------------

    def _fields(self, hub_id: int, views: Sequence[Row]) -> dict[str, Any]:
        """What holds of each column, who said it, and what the others say instead."""
        held = self.rows(f"SELECT * FROM canonical.{self.entity.name} WHERE hub_id = $hub", {"hub": hub_id})
        if not held:
            return {}
        fields = {}
        for column in (c.name for c in self.entity):
            value = held[0][column]
            said = {f"{v['system']} {v['source_id']}": v.get(column) for v in views if v.get(column) is not None}
            if value is None and not said:
                continue
            fields[column] = {
                "value": self.value(column, value),
                "said_by": sorted(who for who, other in said.items() if other == value),
                "others": {who: self.value(column, other) for who, other in said.items() if other != value},
            }
        for child in children(self.model, self.entity.name):
            (count,) = self.con.execute(
                f"SELECT count(*) FROM canonical.{child.name} WHERE parent = $1", [hub_id]
            ).fetchall()[0]
            if count:
                fields[child.name] = {"value": f"{count} rows", "said_by": [], "others": {}}
        return fields

    def _exists(self, schema: str, table: str) -> bool:
        sql = "SELECT 1 FROM duckdb_views() WHERE schema_name = $schema AND view_name = $table AND NOT internal"
        return bool(self.rows(sql, {"schema": schema, "table": table}))


def event(at: datetime | None, step: str, system: str, what: str, detail: Mapping[str, Any]) -> Event:
    aware = at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC) if at else None
    return {"at": aware, "step": step, "system": system, "what": what, "detail": dict(detail)}


def _short(value: Any) -> str:
    return "nothing" if value is None else str(value)
