"""What is usual: how fresh, how many, with which shares, for the rules of the gate that speak of a whole batch.

Read from the published snapshot, so that no gate waits for the writer. "The same weekday" are the days of the last eight
weeks, each up to the time of day at which the run started: a morning is compared with mornings.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import duckdb

from warehouse.duck import Connection, literal, quote, run

WEEKS = 8
Measure = Literal["newest", "rows", "share"]
Wanted = tuple[str, Measure, str]


def baseline(con: Connection | None, system: str, wanted: Sequence[Wanted], at: datetime) -> list[tuple[Any, ...]]:
    """Rows of gate.baseline for (entity, measure, column): entity, measure, field, item, days, value, moment. And `now`.

    `con` is in the snapshot. One that is missing (None), or too old to have the tables, knows nothing: only `now` is given.
    """
    found: list[tuple[Any, ...]] = [(None, "now", "", None, None, None, at)]
    if con is None:
        return found
    try:
        for entity, measure, column in wanted:
            found += [(entity, *row) for row in _known(con, system, entity, measure, column, at)]
    except duckdb.CatalogException:
        pass
    return found


def fill(con: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Rows of `baseline` into gate.baseline, in one statement: a value that is usual each, there may be hundreds."""
    kinds = ("VARCHAR", "VARCHAR", "VARCHAR", "VARCHAR", "BIGINT", "DOUBLE", "TIMESTAMPTZ")
    lists = ", ".join(f"unnest(${number}::{kind}[])" for number, kind in enumerate(kinds, 1))
    run(
        con,
        f"INSERT INTO gate.baseline SELECT {lists}",
        [list(cells) for cells in zip(*rows, strict=True)],
        name="baseline",
    )


def _known(con: Connection, system: str, entity: str, measure: Measure, column: str, at: datetime) -> list[Any]:
    if measure == "newest":
        sql = f"SELECT 'newest', {literal(column)}, NULL, NULL, NULL, max({quote(column)})::TIMESTAMPTZ FROM source.{quote(entity)} WHERE system = {literal(system)}"
    elif measure == "rows":
        sql = rows_sql(system, entity, at)
    else:
        sql = shares_sql(system, entity, column, at)
    return con.execute(sql).fetchall()


def _days(at: datetime) -> str:
    """Of runs `r`: those of the day itself and of the same weekdays, up to the time of day."""
    now = f"TIMESTAMPTZ {literal(at.astimezone(UTC).isoformat())}"
    return f"""r.started_at < {now} AND r.started_at >= {now} - INTERVAL {7 * WEEKS + 1} DAY
        AND dayofweek(r.started_at) = dayofweek({now}) AND (r.started_at AT TIME ZONE 'UTC')::TIME <= ({now} AT TIME ZONE 'UTC')::TIME"""


def rows_sql(system: str, entity: str, at: datetime) -> str:
    today = f"DATE {literal(at.astimezone(UTC).date().isoformat())}"
    return f"""
        WITH counted AS (
            SELECT r.started_at::DATE AS day, sum(c.n) AS n FROM ops.counts c JOIN ops.runs r ON r.run_id = c.run_id
            WHERE c.system = {literal(system)} AND c.entity = {literal(entity)} AND c.state = 'mapped' AND {_days(at)}
            GROUP BY 1
        )
        SELECT 'rows', '', NULL, count(*), median(n), NULL FROM counted WHERE day < {today}
        UNION ALL SELECT 'today', '', NULL, NULL, coalesce(sum(n), 0), NULL FROM counted WHERE day = {today}"""


def shares_sql(system: str, entity: str, column: str, at: datetime) -> str:
    today = f"DATE {literal(at.astimezone(UTC).date().isoformat())}"
    return f"""
        WITH counted AS (
            SELECT p.item, r.started_at::DATE AS day, p.n FROM quality.profiles p JOIN ops.runs r ON r.run_id = p.run_id
            WHERE p.system = {literal(system)} AND p.entity = {literal(entity)} AND p.field = {literal(column)}
              AND {_days(at)} AND r.started_at::DATE < {today}
        )
        SELECT 'share', {literal(column)}, item, (SELECT count(DISTINCT day) FROM counted),
               sum(n) / (SELECT sum(n) FROM counted), NULL
        FROM counted GROUP BY item"""
