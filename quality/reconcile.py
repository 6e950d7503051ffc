"""Reconciliation: do two systems say the same of the same records? What differs is a break, with reason, parts and money.

`reconcile` works on `source.*` of the warehouse and keeps `recon.*`: a break has a stable id, closes itself when the two
sides agree, opens again when they differ again, and every change of it stays in `recon.break_history`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

import duckdb

from quality import reconcile_sql as sql
from quality.reconcile_spec import Spec, Specs, load
from quality.sql import literal, name
from quality.tables import ensure_tables

__all__ = ["Break", "ReconcileReport", "Spec", "Specs", "load", "reconcile"]
WORST = 20

_EVENT = """
CREATE OR REPLACE TEMP TABLE recon_next AS
SELECT f.*, b.opened_at, b.times_opened, CASE
    WHEN b.break_id IS NULL THEN 'opened'
    WHEN b.state = 'closed' THEN 'reopened'
    WHEN (b.reason, b.difference, b.money_at_risk) IS DISTINCT FROM (f.reason, f.difference, f.money_at_risk) THEN 'changed'
    ELSE 'seen' END AS event
FROM recon_found AS f LEFT JOIN recon.breaks AS b USING (break_id)"""

_CLOSING = """
CREATE OR REPLACE TEMP TABLE recon_closing AS
SELECT break_id, reason, difference, money_at_risk FROM recon.breaks AS b
WHERE b.name = {name} AND b.state = 'open'
  AND b.break_id NOT IN (SELECT break_id FROM recon_found)
  AND b.key NOT IN (SELECT key FROM recon_pairs WHERE state IN ('in_flight', 'out_of_scope'))"""

_HISTORY = """
INSERT INTO recon.break_history BY NAME
SELECT break_id, {at} AS happened_at, event, reason, difference, money_at_risk, {run} AS run_id FROM recon_next WHERE event <> 'seen'
UNION ALL BY NAME
SELECT break_id, {at} AS happened_at, 'closed' AS event, reason, difference, money_at_risk, {run} AS run_id FROM recon_closing"""

_CLOSE = """
UPDATE recon.breaks SET state = 'closed', closed_at = {at}, run_id = {run}
WHERE break_id IN (SELECT break_id FROM recon_closing)"""

_KEEP = """
INSERT INTO recon.breaks BY NAME
SELECT * EXCLUDE (event, opened_at, times_opened), 'open' AS state, {entity} AS entity,
  {left} AS left_system, {right} AS right_system, {owner} AS owner,
  date_diff('hour', record_at, {at}) AS age_hours, {at} AS last_seen_at, NULL AS closed_at, {run} AS run_id,
  CASE WHEN event IN ('opened', 'reopened') THEN {at} ELSE opened_at END AS opened_at,
  coalesce(times_opened, 0) + (event IN ('opened', 'reopened'))::INTEGER AS times_opened
FROM recon_next"""


@dataclass(frozen=True, slots=True)
class Break:
    """A difference as it is now. Amounts are of the record's currency, `difference` is right minus left."""

    break_id: str
    key: str
    aspect: str
    reason: str
    code: str
    currency: str | None
    left_value: str | None
    right_value: str | None
    difference: Decimal | None
    money_at_risk: Decimal
    age_hours: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class ReconcileReport:
    """`outcome` is agree, breaks or undecided (`why` says so). `worst` are the breaks with the most money at risk."""

    name: str
    run_id: str
    left: str
    right: str
    outcome: str
    why: str = ""
    numbers: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    money_at_risk: dict[str, Decimal] = field(default_factory=dict)
    worst: tuple[Break, ...] = ()

    def counts(self) -> dict[str, int]:
        return dict(self.numbers)

    def lines(self) -> list[str]:
        """What a person reads, the whole first, then the worst."""
        if self.outcome == "undecided":
            return [f"{self.left} ↔ {self.right}: nothing can be said; {self.why}"]
        n = self.numbers
        head = f"{self.left} ↔ {self.right}: {n['agreed']:,} agree, {n['breaks_open']:,} breaks open, {n['in_flight']:,} in flight"
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.reasons.items())
        money = ", ".join(f"{amount:,.2f} {currency}" for currency, amount in self.money_at_risk.items())
        said = [head] + ([f"{reasons}; at risk: {money or 'nothing'}"] if reasons else [])
        return said + [_line(found, self.left, self.right) for found in self.worst]


def _line(found: Break, left: str, right: str) -> str:
    values = f"{left} {found.left_value or '—'}, {right} {found.right_value or '—'}"
    age = "" if found.age_hours is None else f", {found.age_hours // 24} days old"
    text = f"{found.code} {found.reason} {found.key}: {values}{age}" + (f"; {found.detail}" if found.detail else "")
    return re.sub(r"(\d\.\d\d)00\b", r"\1", text)  # amounts are kept with four decimals, most of them need two


def reconcile(
    con: duckdb.DuckDBPyConnection,
    spec: Spec,
    now: datetime,
    *,
    go_live: date | None = None,
    in_flight: Collection[str] = (),
    run_id: str | None = None,
    write: bool = True,
) -> ReconcileReport:
    """Compare the two sides as `source.*` has them at `now` and bring `recon.*` up to date, in one transaction.

    `go_live` is the day from which the hub creates records on the right side; `in_flight` are keys known to be on their
    way besides those with an open outcome in `push.state`. With `write=False` nothing is stored: for a snapshot.
    A side that was never synchronised makes the outcome undecided, and no break opens or closes.
    """
    run_id = run_id or f"{now:%Y%m%dT%H%M%S}-reconcile-{spec.name}"
    if write:
        ensure_tables(con)
    if unknown := [side.system for side in (spec.left, spec.right) if not _known(con, spec, side.system)]:
        return _undecided(con, spec, now, run_id, unknown, write)
    moment = sql.Moment(now, go_live, tuple(in_flight))
    _prepare(con, spec)
    for statement in (
        sql.side_sql(spec, spec.left, "recon_left"),
        sql.side_sql(spec, spec.right, "recon_right"),
        sql.pairs_sql(spec, moment),
        sql.wide_sql(spec),
        sql.parts_sql(spec),
        sql.found_sql(spec, moment),
    ):
        con.execute(statement)
    if write:
        _transaction(con, lambda: _store(con, spec, now, run_id))
    else:
        _compare_only(con)
    report = _report(con, spec, now, run_id, write)
    if write:
        _transaction(con, lambda: _store_run(con, report, now))
    return report


def _has(con: duckdb.DuckDBPyConnection, schema: str, table: str) -> bool:
    found = con.execute(
        "SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = ?", [schema, table]
    )
    return found.fetchone() is not None


def _known(con: duckdb.DuckDBPyConnection, spec: Spec, system: str) -> bool:
    if con.execute(f"SELECT 1 FROM source.{name(spec.entity)} WHERE system = ? LIMIT 1", [system]).fetchone():
        return True
    if not _has(con, "ops", "runs"):
        return False
    return con.execute("SELECT 1 FROM ops.runs WHERE system = ? LIMIT 1", [system]).fetchone() is not None


def _prepare(con: duckdb.DuckDBPyConnection, spec: Spec) -> None:
    """When each system was loaded first, and which records have a call on its way."""
    entity = literal(spec.entity)
    if _has(con, "ops", "runs"):
        first = "SELECT system, min(started_at) AS loaded_at FROM ops.runs GROUP BY system"
    else:
        first = f"SELECT system, min(seen_at) AS loaded_at FROM source.{name(spec.entity)} GROUP BY system"
    con.execute(f"CREATE OR REPLACE TEMP TABLE recon_first AS {first}")
    systems = f"({literal(spec.left.system)}, {literal(spec.right.system)})"
    on_the_way = "SELECT NULL::BIGINT AS hub_id WHERE false"
    if _has(con, "push", "state"):
        on_the_way = (
            f"SELECT hub_id FROM push.state WHERE entity = {entity} AND target IN {systems}"
            " AND status IN ('pending', 'unknown') AND hub_id IS NOT NULL"
        )
    con.execute(f"CREATE OR REPLACE TEMP TABLE recon_on_the_way AS {on_the_way}")


def _transaction(con: duckdb.DuckDBPyConnection, work: Callable[[], None]) -> None:
    con.execute("BEGIN")
    try:
        work()
        con.execute("COMMIT")
    except BaseException:
        con.execute("ROLLBACK")
        raise


def _store(con: duckdb.DuckDBPyConnection, spec: Spec, now: datetime, run_id: str) -> None:
    values = {
        "at": literal(now),
        "run": literal(run_id),
        "name": literal(spec.name),
        "entity": literal(spec.entity),
        "left": literal(spec.left.system),
        "right": literal(spec.right.system),
        "owner": literal(spec.owner),
    }
    for statement in (_EVENT, _CLOSING, _HISTORY, _CLOSE):
        con.execute(statement.format(**values))
    for table in ("breaks", "break_parts"):
        con.execute(f"DELETE FROM recon.{table} WHERE break_id IN (SELECT break_id FROM recon_found)")
    con.execute(_KEEP.format(**values))
    con.execute(
        """INSERT INTO recon.break_parts BY NAME
        SELECT f.break_id, p.part, p.amount FROM recon_parts AS p JOIN recon_found AS f ON f.key = p.key
        WHERE f.aspect = 'amount'"""
    )


def _compare_only(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("CREATE OR REPLACE TEMP TABLE recon_next AS SELECT *, 'seen' AS event FROM recon_found")
    con.execute("CREATE OR REPLACE TEMP TABLE recon_closing AS SELECT break_id FROM recon_found WHERE false")


def _report(con: duckdb.DuckDBPyConnection, spec: Spec, now: datetime, run_id: str, write: bool) -> ReconcileReport:
    one = con.execute(
        """SELECT (SELECT count(*) FROM recon_left) AS left_records, (SELECT count(*) FROM recon_right) AS right_records,
          count(*) FILTER (left_id IS NOT NULL AND right_id IS NOT NULL) AS compared,
          count(*) FILTER (state = 'agreed' OR (state = 'differing' AND key NOT IN (SELECT key FROM recon_found))) AS agreed,
          count(*) FILTER (key IN (SELECT key FROM recon_found)) AS differing,
          count(*) FILTER (state = 'in_flight') AS in_flight,
          count(*) FILTER (state = 'not_expected') AS not_expected,
          count(*) FILTER (state = 'out_of_scope') AS out_of_scope,
          (SELECT count(*) FROM recon_found) AS breaks_open,
          (SELECT count(*) FROM recon_next WHERE event = 'opened') AS opened,
          (SELECT count(*) FROM recon_next WHERE event = 'reopened') AS reopened,
          (SELECT count(*) FROM recon_next WHERE event = 'changed') AS changed,
          (SELECT count(*) FROM recon_closing) AS closed
        FROM recon_pairs"""
    )
    numbers = dict(zip([column[0] for column in one.description or ()], one.fetchone() or (), strict=True))
    if write:  # with those whose record is in flight again, or has left the scope: they stay as they are
        still = con.execute(
            "SELECT count(*) FROM recon.breaks WHERE name = ? AND state = 'open'", [spec.name]
        ).fetchone()
        numbers["breaks_open"] = still[0] if still else 0
    reasons = con.execute("SELECT reason, count(*) FROM recon_found GROUP BY reason ORDER BY 2 DESC, 1").fetchall()
    money = con.execute(
        """SELECT coalesce(currency, '?'), sum(money_at_risk) FROM recon_found GROUP BY 1 HAVING sum(money_at_risk) > 0
        ORDER BY 2 DESC"""
    ).fetchall()
    worst = con.execute(
        """SELECT break_id, key, aspect, reason, code, currency, left_value, right_value, difference, money_at_risk,
          date_diff('hour', record_at, ?), detail
        FROM recon_found ORDER BY money_at_risk DESC, key, aspect LIMIT ?""",
        [now, WORST],
    ).fetchall()
    return ReconcileReport(
        spec.name,
        run_id,
        spec.left.system,
        spec.right.system,
        "breaks" if numbers["breaks_open"] else "agree",
        "",
        numbers,
        dict(reasons),
        dict(money),
        tuple(Break(*row) for row in worst),
    )


def _undecided(
    con: duckdb.DuckDBPyConnection, spec: Spec, now: datetime, run_id: str, systems: list[str], write: bool
) -> ReconcileReport:
    why = f"R106 {' and '.join(systems)} {'was' if len(systems) == 1 else 'were'} never synchronised"
    report = ReconcileReport(spec.name, run_id, spec.left.system, spec.right.system, "undecided", why)
    if write:
        _transaction(con, lambda: _store_run(con, report, now))
    return report


def _store_run(con: duckdb.DuckDBPyConnection, report: ReconcileReport, now: datetime) -> None:
    row: dict[str, object] = {
        "run_id": report.run_id,
        "name": report.name,
        "started_at": now,
        "outcome": report.outcome,
        "why": report.why,
        "left_system": report.left,
        "right_system": report.right,
        **report.numbers,
    }
    con.execute("DELETE FROM recon.runs WHERE run_id = ? AND name = ?", [report.run_id, report.name])
    con.execute(
        f"INSERT INTO recon.runs ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
        list(row.values()),
    )
