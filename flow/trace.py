"""Trace: all that is known of one record, as one timeline: pulled, judged, bound, merged, held back, compared, sent.

Read from the published snapshot, the ledger and the lake; nothing is written. Personal values are masked unless asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from flow import trace_push
from flow.fold import folded
from flow.personal import ask
from flow.trace_read import Event, Record, Row, Stores
from flow.trace_stores import bound, compared, judged, merged, pulled, quarantined, waiting, warned
from flow.trace_won import fields_of
from hub.config import Project
from hub.entity import Entity, Model, children
from hub.errors import UsageError
from hub.findings import nearest
from warehouse.ledger import Ledger

# What of one instant comes first.
ORDER = ("pull", "gate", "quarantine", "bind", "merge", "reconcile", "push")


def trace(project: Project, entity: str, key: str, *, field: str | None = None, unmask: bool = False) -> dict[str, Any]:
    """Everything about the record that `key` names: its number, any system's id of it, another match key, or `#hub_id`.

    `{"entity", "key", "hub_id", "others", "fields", "events"}`: `fields` gives for each column the value that holds, who
    said it and what the others say; an event is `{"at", "step", "system", "what", "detail"}`, oldest first. With `field`
    (`total`, `order_line.sku`) also `cell`, how that value came about (`trace_field.py`). Empty where nothing is known. Raises UsageError P401 for
    an unknown entity, P402 for one who may not see personal values, P404 for an unknown field.
    """
    from warehouse.model import entities

    model = entities()
    found = _entity(model, entity)
    if field is not None:
        _check_field(model, found, field)
    with Ledger(project.ledger, read_only=True) as ledger, folded(project, ledger) as con:
        hubs = named(Stores(project, con, ledger, model, found, unmask), key)
        if unmask:
            ask(project, f"trace {entity} {f'#{hubs[0]}' if hubs else 'of an unknown key'}")
        stores = Stores(project, con, ledger, model, found, unmask)
        if not hubs:
            events = [*quarantined(stores, [key]), *waiting(stores, key)]
            return _told(entity, key, None, [], {}, events) if events else {}
        return _traced(stores, key, hubs, field)


def _traced(stores: Stores, key: str, hubs: Sequence[int], field: str | None) -> dict[str, Any]:
    record = Record.of(stores, hubs[0])
    sent = trace_push.Sent.of(stores, record)
    events = [
        *pulled(stores, record),
        *judged(stores, record),
        *quarantined(stores, record.ids, {row["system"] for row in record.bindings}),
        *warned(stores, record),
        *bound(record),
        *merged(stores, record),
        *compared(stores, record),
        *sent.events(),
    ]
    told = _told(stores.entity.name, key, hubs[0], hubs[1:], fields_of(stores, record), events)
    if field is not None:
        from flow.trace_field import cell

        told["cell"] = cell(stores, record, sent, field)
    return told


def _entity(model: Model, name: str) -> Entity:
    if name not in model or model[name].parent:
        headers = [one.name for one in model.values() if not one.parent]
        fix = nearest(name, headers)
        raise UsageError("P401", f"there is no entity '{name}' to trace", fix=fix)
    return model[name]


def _check_field(model: Model, entity: Entity, name: str) -> None:
    inner = children(model, entity.name)
    known = [column.name for column in entity] + [f"{one.name}.{column.name}" for one in inner for column in one]
    if name not in known:
        fix = nearest(name, known)
        raise UsageError("P404", f"a {entity.name} has no field '{name}'", fix=fix)


def named(stores: Stores, key: str) -> list[int]:
    """The hub ids that the key may mean, the likeliest first: a number, a system's id, the key of a call, the hub's id."""
    entity = stores.entity
    if key.startswith("#") and key[1:].isdigit():
        hub = int(key[1:])
        return [hub] if stores.rows(f"SELECT 1 FROM canonical.{entity.name} WHERE hub_id = $hub", {"hub": hub}) else []
    texts = {m[0] for m in entity.match if len(m) == 1} | {"number", "seller_number", "customer_po", "sku"}
    columns = [c.name for c in entity if c.kind == "text" and c.name in texts]
    parts = [f'SELECT hub_id, 1 AS rank FROM canonical.{entity.name} WHERE "{c}" = $key' for c in columns]
    parts.append("SELECT hub_id, 2 FROM ops.bindings WHERE entity = $entity AND source_id = $key")
    parts.append("SELECT hub_id, 3 FROM push.state WHERE entity = $entity AND key = $key")
    if key.isdigit():
        parts.append(f"SELECT hub_id, 4 FROM canonical.{entity.name} WHERE hub_id = TRY_CAST($key AS BIGINT)")
    sql = f"SELECT hub_id FROM ({' UNION ALL '.join(parts)}) GROUP BY hub_id ORDER BY min(rank), hub_id"
    return [row["hub_id"] for row in stores.rows(sql, {"key": key, "entity": entity.name})]


def _told(
    entity: str, key: str, hub_id: int | None, others: Sequence[int], fields: Row, events: Iterable[Event]
) -> dict[str, Any]:
    never = datetime.min.replace(tzinfo=UTC)
    ordered = sorted(events, key=lambda event: (event["at"] or never, ORDER.index(event["step"])))
    told = [event | {"at": event["at"].isoformat() if event["at"] else None} for event in ordered]
    return {"entity": entity, "key": key, "hub_id": hub_id, "others": list(others), "fields": fields, "events": told}
