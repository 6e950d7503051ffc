"""Which segments of the lake the warehouse still refers to: as what a record is now, or as the evidence of what is open."""

from __future__ import annotations

from datetime import datetime

from hub.entity import Model
from warehouse.duck import Connection, quote, run

# Why a segment is kept → the segments, as SQL. Those of the present records are added by entity.
PINS: dict[str, str] = {
    "open case": "SELECT segment FROM quality.quarantine WHERE closed_at IS NULL",
    "open break": "SELECT r.segment FROM recon.break_records AS r JOIN recon.breaks AS b USING (break_id) WHERE b.state = 'open'",
}


def merged_before(con: Connection, cutoff: datetime) -> list[tuple[str, str, str]]:
    """(system, stream, segment) of what was merged before the instant, the oldest first."""
    sql = "SELECT system, stream, segment FROM ops.segments WHERE merged_at < $1 ORDER BY seq, segment"
    return list(run(con, sql, [cutoff]).fetchall())


def pinned(con: Connection, model: Model) -> dict[str, str]:
    """Segment → why it is kept."""
    tables = {row[0] for row in run(con, "SELECT DISTINCT schema_name FROM duckdb_tables()").fetchall()}
    present = " UNION ".join(f"SELECT segment FROM source.{quote(name)}" for name in model)
    reasons = {"newest version": present, **PINS}
    found: dict[str, str] = {}
    for why, sql in reasons.items():
        if why != "open break" or "recon" in tables:
            found |= {segment: why for (segment,) in run(con, sql, name=why).fetchall() if segment}
    return found
