"""The events of a trace that the snapshot and the lake tell: pulls, verdicts, ties, merges, quarantine, warnings, breaks."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from flow.personal import is_personal, leaves
from flow.trace_read import Event, Pull, Record, Row, Stores, aware, event, short
from flow.trace_won import reason, won
from hub.entity import children
from hub.secrets import MASK


def pulled(stores: Stores, record: Record) -> Iterator[Event]:
    """Each version that came, with the raw record; of a later one what differs from the one before."""
    before: dict[tuple[str, str], Any] = {}
    for pull in record.pulls:
        version = f" version {pull.version}" if pull.version else ""
        what = f"{pull.source_id} by {pull.mapping}{version}, from {pull.place}"
        raw = pull.raw(stores)
        if pull.deleted_at is not None:
            what = f"{pull.source_id}: a full pass did not find it, the system has it no longer; the last that was known, {pull.place}"
        if pull.record is None:
            what += "; the lake no longer keeps it"
        if pull.row is not None and pull.row.get("waiting"):
            what += f"; waits for {pull.row['waiting']}"
        detail: dict[str, Any] = {
            "mapping": pull.mapping,
            "mapping_version": pull.version,
            "place": pull.place,
            "run_id": pull.run_id,
            "raw": raw,
        }
        key = (pull.system, pull.source_id)
        if key in before and raw is not None and before[key] is not None:
            detail["changed"] = _changes(before[key], raw)
            if not detail["changed"] and pull.deleted_at is None:
                what += "; nothing that may be shown is another" if not stores.unmask else "; mapped again"
        if pull.values is not None:
            detail["mapped"] = {
                c.name: stores.value(c.name, pull.values[c.name]) for c in _columns(stores, pull.values)
            }
        if again := _seen_again(pull):
            detail["seen_again"] = again.isoformat()
        yield event(pull.at, "pull", pull.system, what, detail)
        before[key] = raw


def _columns(stores: Stores, row: Row) -> list[Any]:
    return [c for c in stores.entity if row.get(c.name) is not None]


def _seen_again(pull: Pull) -> datetime | None:
    """When the same content was pulled last, where that was later."""
    newest = aware(pull.row.get("pulled_at")) if pull.row else None
    return newest if newest and pull.record is not None and newest > pull.at else None


def _changes(before: Any, after: Any) -> dict[str, tuple[Any, Any]]:
    """Place → (before, after) of all that differs."""
    old, new = dict(leaves(before)), dict(leaves(after))
    return {at: (old.get(at), new.get(at)) for at in {**old, **new} if old.get(at) != new.get(at)}


def judged(stores: Stores, record: Record) -> Iterator[Event]:
    """The gate's verdict on the batch of each run that brought the record."""
    family = [stores.entity.name, *(child.name for child in children(stores.model, stores.entity.name))]
    rows = stores.rows(
        """SELECT run_id, system, count(DISTINCT rule) AS rules, max(checked) AS checked, bool_or(closed) AS closed,
                  max(decided_at) AS at, list(DISTINCT rule || ': ' || failed || ' of ' || checked) FILTER (failed > 0) AS failed
           FROM quality.verdicts WHERE entity IN (SELECT unnest($family)) AND run_id IN (SELECT unnest($runs))
           GROUP BY ALL""",
        {"family": family, "runs": list(record.runs)},
    )
    for row in rows:
        said = "the gate was closed" if row["closed"] else "passed"
        what = f"{said}; {row['rules']} rules, {row['checked']:,} rows in the batch"
        detail = {"run_id": row["run_id"], "failed_in_batch": sorted(row["failed"] or ())}
        yield event(record.done(row["run_id"], row["at"]), "gate", row["system"], what, detail)


def bound(record: Record) -> Iterator[Event]:
    known = {"source": "first seen", "match": "recognised", "push": "made by a push"}
    started = {(pull.system, pull.run_at): pull.run_id for pull in record.pulls}
    for row in record.bindings:
        how = known.get(row["origin"], row["origin"])
        at = record.done(started.get((row["system"], row["bound_at"])), row["bound_at"])
        yield event(at, "bind", row["system"], f"{how} as {row['source_id']}", {"origin": row["origin"]})


def merged(stores: Stores, record: Record) -> Iterator[Event]:
    """Each version of the canonical row: what changed from the one before, who said so, and what lost."""
    name = stores.entity.name
    listed = ", ".join(f'"{c.name}"' for c in stores.entity)
    versions = stores.rows(
        f"""SELECT {listed}, valid_from, run_id FROM history.{name} WHERE hub_id = $hub
            UNION ALL SELECT {listed}, valid_from, run_id FROM canonical.{name} WHERE hub_id = $hub ORDER BY valid_from""",
        {"hub": record.hub_id},
    )
    speakers = {(pull.system, pull.source_id) for pull in record.pulls}
    if len(speakers) > 1 and len(versions) > 1:
        _map_again(stores, [pull for pull in record.pulls if pull.values is None and pull.record is not None])
    for before, version in zip([None, *versions], versions, strict=False):
        changed = [c.name for c in stores.entity if before is not None and version[c.name] != before[c.name]]
        if before is not None and not changed:
            continue
        then = _then(record, version["valid_from"]) if len(speakers) > 1 else _alone(speakers, version)
        columns = changed if before is not None else [c.name for c in stores.entity if version[c.name] is not None]
        found = {column: won(stores, version, then, column) for column in columns}
        if before is None:
            what = "the record appeared"
        else:
            what = ", ".join(_change(stores, column, before, version) for column in changed)
        values = {column: _merged(stores, column, before, version, one) for column, one in found.items()}
        detail = {"run_id": version["run_id"], "values": values}
        yield event(record.done(version["run_id"], version["valid_from"]), "merge", "hub", what, detail)


def _then(record: Record, at: datetime) -> list[Row]:
    """What each system said at that time: of each record the newest pull until then, as far as its values are known."""
    found: dict[tuple[str, str], Pull] = {}
    for pull in sorted(record.pulls, key=lambda one: one.run_at):
        if pull.run_at <= at:
            found[pull.system, pull.source_id] = pull
    return [pull.values for pull in found.values() if pull.values is not None and not pull.values.get("waiting")]


def _alone(speakers: Collection[tuple[str, str]], version: Row) -> list[Row]:
    """Where only one system ever spoke, what held is what it said."""
    return [{**version, "system": system, "source_id": source_id} for system, source_id in speakers]


def _map_again(stores: Stores, pulls: list[Pull]) -> None:
    """What the mappings, as they are now, make of versions that were replaced since: the warehouse keeps only where they lie."""
    from flow.trace_field import map_again

    map_again(stores, pulls)


def _merged(stores: Stores, column: str, before: Row | None, version: Row, found: Any) -> dict[str, Any]:
    values = {"new": stores.value(column, version[column]), "why": reason(stores, column, found)}
    if before is not None:
        values = {"old": stores.value(column, before[column]), **values}
    lost = {one.who: stores.value(column, one.value) for one in found.lost}
    return {**values, "lost": lost} if lost else values


def _change(stores: Stores, column: str, before: Row, after: Row) -> str:
    if column in stores.masked:
        return f"{column} changed"
    old, new = (short(stores.value(column, row[column])) for row in (before, after))
    return f"{column} {old} → {new}"


def quarantined(stores: Stores, ids: Collection[str], systems: Collection[str] | None = None) -> Iterator[Event]:
    cases = stores.rows(
        """SELECT * FROM quality.quarantine WHERE entity = $entity AND source_id IN (SELECT unnest($ids))
           ORDER BY first_seen""",
        {"entity": stores.entity.name, "ids": list(ids)},
    )
    for case in cases:
        if systems is not None and case["system"] not in systems:
            continue
        place = f"{case['segment']}:{case['line']}"
        what = f"{case['code']} {case['field'] or ''}: {case['message']}".replace(" :", ":")
        shown = stores.unmask or not is_personal(stores.model, stores.entity.name, case["field"])
        detail = {"rule": case["rule"], "raw": case["raw"] if shown else MASK, "place": place, "times": case["count"]}
        yield event(case["first_seen"], "quarantine", case["system"], what, detail)
        if case["closed_at"]:
            closed = f"{case['code']} closed: a later version passed"
            yield event(case["closed_at"], "quarantine", case["system"], closed, {})


def waiting(stores: Stores, key: str) -> Iterator[Event]:
    """A record that nobody knows yet by a hub id, for it refers to one that has not come."""
    found = stores.rows(
        "SELECT * FROM ops.waiting WHERE entity = $entity AND source_id = $key ORDER BY system",
        {"entity": stores.entity.name, "key": key},
    )
    for row in found:
        place = f"{row['segment']}:{row['line']}"
        what = f"waits for {row['waiting']}, which has not come; it goes on by itself in the merge after that came"
        yield event(row["seen_at"], "merge", row["system"], what, {"place": place, "run_id": row["run_id"]})


def warned(stores: Stores, record: Record) -> Iterator[Event]:
    found = stores.rows(
        "SELECT * FROM quality.findings WHERE entity = $entity AND source_id IN (SELECT unnest($ids))",
        {"entity": stores.entity.name, "ids": record.ids},
    )
    for row in found:
        if (row["system"], row["source_id"]) in record.known:
            what = f"{row['code']} {row['field'] or ''}: {row['message']}"
            yield event(record.done(row["run_id"], row["seen_at"]), "gate", row["system"], what, {"rule": row["rule"]})


def compared(stores: Stores, record: Record) -> Iterator[Event]:
    if not stores.exists("recon", "breaks"):
        return
    found = stores.rows(
        """SELECT * FROM recon.breaks WHERE entity = $entity AND (left_source_id IN (SELECT unnest($ids))
                                                              OR right_source_id IN (SELECT unnest($ids)))""",
        {"entity": stores.entity.name, "ids": record.ids},
    )
    for row in found:
        sides = {(row["left_system"], row["left_source_id"]), (row["right_system"], row["right_source_id"])}
        if not record.known & sides:
            continue
        pair = f"{row['left_system']}–{row['right_system']}"
        what = f"{row['aspect']}: {row['reason']}"
        if row["left_value"] is not None or row["right_value"] is not None:
            left, right = (short(stores.value(row["aspect"], row[f"{side}_value"])) for side in ("left", "right"))
            what += f", {left} against {right}"
        money = stores.value("", row["money_at_risk"])
        detail = {"state": row["state"], "money_at_risk": money, "name": row["name"]}
        yield event(row["opened_at"], "reconcile", pair, what, detail)
        if row["closed_at"]:
            yield event(row["closed_at"], "reconcile", pair, f"{row['aspect']} closed", {})
