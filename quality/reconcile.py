"""Reconciliation: do the systems say the same of the same records? What differs is a break, with reason, parts and money.

`reconcile` works on `source.*` of the warehouse and keeps `recon.*`: a break has a stable id, closes itself when the
sides agree, opens again when they differ again, and every change of it stays in `recon.break_history`. Of three sides each
is compared with the next one that knows the key.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Any

import duckdb

from hub.entity import Model
from hub.transaction import transaction
from quality import reconcile_breaks as breaks
from quality import reconcile_pairs as pairs
from quality import reconcile_sides as sides
from quality.reconcile_pairs import Moment
from quality.reconcile_read import load
from quality.reconcile_report import Break, ReconcileReport, report_of
from quality.reconcile_spec import Pairing, Side, Spec, Specs, pairings
from quality.reconcile_store import compare_only, store
from quality.reconcile_tables import ensure_tables
from quality.sql import literal, name

__all__ = ["Break", "ReconcileReport", "Spec", "Specs", "load", "reconcile"]
Con = duckdb.DuckDBPyConnection


def reconcile(
    con: Con,
    spec: Spec,
    now: datetime,
    *,
    go_live: date | None = None,
    in_flight: Collection[str] = (),
    planned: Collection[tuple[str, int]] = (),
    run_id: str | None = None,
    model: Model | None = None,
    write: bool = True,
) -> ReconcileReport:
    """Compare the sides as `source.*` has them at `now` and bring `recon.*` up to date, in one transaction.

    `go_live` is the day from which the hub creates records on the right side. On their way are, besides those with an open
    outcome in `push.state` or one newer than what was read, the keys `in_flight` and the records (entity, hub_id) `planned`. `model` says what a key's reference names. With `write=False`
    nothing is stored: for a snapshot. A side that was never synchronised makes the outcome undecided: no break opens or closes.
    """
    run_id = run_id or f"{now:%Y%m%dT%H%M%S}-reconcile-{spec.name}"
    if write:
        ensure_tables(con)
    unknown = [side.system for side in spec.sides if not _known(con, side)]
    if unknown:
        report = _undecided(spec, run_id, list(dict.fromkeys(unknown)))
    else:
        moment = Moment(now, go_live, tuple(in_flight))
        counts = [_compare(con, pairing, moment, model, planned) for pairing in pairings(spec)]
        if write:
            with transaction(con.execute):
                store(con, spec, now, run_id)
        else:
            compare_only(con)
        report = report_of(con, spec, now, run_id, counts, write)
    if write:
        with transaction(con.execute):
            _store_run(con, report, now)
    return report


def _compare(
    con: Con, pairing: Pairing, moment: Moment, model: Model | None, planned: Collection[tuple[str, int]]
) -> dict[str, int]:
    """One pairing, from its sides to its breaks, which are added to those of the pairings before. Returns its counts."""
    _prepare(con, pairing, moment)
    if planned:
        rows = ", ".join(f"({hub_id}, {literal(entity)})" for entity, hub_id in sorted(planned))
        con.execute(f"INSERT INTO recon_on_the_way VALUES {rows}")
    tables = [("recon_left", pairing.left), ("recon_right", pairing.right)]
    tables += [("recon_before", pairing.before)] if pairing.before else []
    for table, side in tables:
        con.execute(sides.records_sql(pairing, side, table, _target(model, side)))
    for match in pairing.spec.match:
        for _ in range(1 if match.split else pairs.ROUNDS):
            con.execute(pairs.match_sql(pairing, match))
            if not _count(con, "FROM recon_matched"):
                break
            for table in ("recon_left", "recon_right"):
                con.execute(pairs.rekey_sql(table))
    for table, side in tables:
        _one_a_key(con, pairing, side, table)
    left = sides.before_sql() if pairing.before else "SELECT *, 'recon_left' AS origin FROM recon_left"
    con.execute(pairs.odd_sql(pairing, moment, left))
    con.execute(pairs.pairs_sql(pairing, moment))
    for table, side in tables:
        prefix = "right" if table == "recon_right" else "left"
        con.execute(sides.values_sql(pairing, side, table, prefix, _target(model, side)))
    both = "FROM recon_left_values" + (" UNION ALL BY NAME FROM recon_before_values" if pairing.before else "")
    con.execute(breaks.wide_sql(pairing, both))
    con.execute(breaks.parts_sql(pairing))
    con.execute(breaks.found_sql(pairing, moment))
    for settled in breaks.SETTLED:
        con.execute(settled)
    con.execute(breaks.records_sql([(table, side) for table, side in tables], _has(con, "ops", "runs")))
    for made, sql in breaks.gathered_sql(pairing).items():
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE {made} AS {sql}"
            if not pairing.number
            else f"INSERT INTO {made} BY NAME {sql}"
        )
    return {"left": _count(con, f"FROM ({left})"), "right": _count(con, "FROM recon_right")}


def _one_a_key(con: Con, pairing: Pairing, side: Side, table: str) -> None:
    if side.many:
        con.execute(sides.summed_sql(pairing, side, table))
        con.execute(sides.whole_sql(pairing, side, table))
        return
    con.execute(sides.repeated_sql(table))
    con.execute(sides.single_sql(table, bool(_count(con, f"FROM {table}_repeated"))))


def _count(con: Con, of: str) -> int:
    row = con.execute(f"SELECT count(*) {of}").fetchone()
    return int(row[0]) if row else 0


def _target(model: Model | None, side: Side) -> str | None:
    """The entity that the key's reference names; by convention the reference is called like it."""
    reference = side.key.rpartition(".")[0]
    if not reference or model is None:
        return reference or None
    return model[side.entity][reference].ref


def _has(con: Con, schema: str, table: str) -> bool:
    found = con.execute(
        "SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = ?", [schema, table]
    )
    return found.fetchone() is not None


def _known(con: Con, side: Side) -> bool:
    if con.execute(f"SELECT 1 FROM source.{name(side.entity)} WHERE system = ? LIMIT 1", [side.system]).fetchone():
        return True
    if not _has(con, "ops", "runs"):
        return False
    return con.execute("SELECT 1 FROM ops.runs WHERE system = ? LIMIT 1", [side.system]).fetchone() is not None


def _prepare(con: Con, pairing: Pairing, moment: Moment) -> None:
    """When each system was loaded first, which records have a call on its way, and since when keys differ.

    On its way is also what a call has just changed, until its system is read again.
    """
    if _has(con, "ops", "runs"):
        first = "SELECT system, min(started_at) AS loaded_at FROM ops.runs GROUP BY system"
    else:
        first = f"SELECT system, min(seen_at) AS loaded_at FROM source.{name(pairing.left.entity)} GROUP BY system"
    systems = ", ".join(literal(side.system) for side in (pairing.left, pairing.right))
    on_the_way = "SELECT NULL::BIGINT AS hub_id, NULL::VARCHAR AS entity WHERE false"
    if _has(con, "push", "state"):
        on_the_way = (
            f"SELECT hub_id, entity FROM push.state WHERE target IN ({systems}) AND hub_id IS NOT NULL"
            f" AND (status IN ('pending', 'unknown') OR {_unread(con, pairing, moment)})"
        )
    since = "SELECT NULL::VARCHAR AS key, NULL::TIMESTAMPTZ AS since WHERE false"
    if _has(con, "recon", "differing_since"):
        since = (
            f"SELECT key, min(since) AS since FROM recon.differing_since"
            f" WHERE name = {literal(pairing.spec.name)} AND pairing = {pairing.number} GROUP BY key"
        )
    for table, sql in (("first", first), ("on_the_way", on_the_way), ("since", since)):
        con.execute(f"CREATE OR REPLACE TEMP TABLE recon_{table} AS {sql}")


def _unread(con: Con, pairing: Pairing, moment: Moment) -> str:
    """Applied, and no run of the target has begun since; within the window, for a target may be one that is never read."""
    if not _has(con, "ops", "runs"):
        return "false"
    edge = literal(moment.now - timedelta(hours=float(pairing.spec.in_flight_hours)))
    read_at = "(SELECT max(started_at) FROM ops.runs AS r WHERE r.system = target)"
    return f"(status = 'applied' AND answered_at > greatest({edge}, {read_at}))"


def _undecided(spec: Spec, run_id: str, systems: list[str]) -> ReconcileReport:
    why = f"R106 {' and '.join(systems)} {'was' if len(systems) == 1 else 'were'} never synchronised"
    return ReconcileReport(spec.name, run_id, spec.title, spec.left.system, spec.right.system, "undecided", why)


def _store_run(con: Con, report: ReconcileReport, now: datetime) -> None:
    row: dict[str, Any] = {
        "run_id": report.run_id,
        "name": report.name,
        "started_at": now,
        "outcome": report.outcome,
        "why": report.why,
        "title": report.title,
        "left_system": report.left,
        "right_system": report.right,
        **report.numbers,
        "money_at_risk": report.money_at_risk,
    }
    con.execute("DELETE FROM recon.runs WHERE run_id = ? AND name = ?", [report.run_id, report.name])
    money = "map_from_entries([{}]::STRUCT(k VARCHAR, v DECIMAL(18,4))[])".format(
        ", ".join(f"({literal(currency)}, {literal(amount)})" for currency, amount in report.money_at_risk.items())
    )
    del row["money_at_risk"]
    con.execute(
        f"INSERT INTO recon.runs ({', '.join(row)}, money_at_risk) VALUES ({', '.join('?' * len(row))}, {money})",
        list(row.values()),
    )
