"""Which runs a warehouse has merged (`ops.runs`), in the order of its rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import duckdb

from warehouse.duck import Connection, run

_AT = "TIMESTAMP WITH TIME ZONE"


@dataclass(frozen=True, slots=True)
class MergedRun:
    """A row of ops.runs. `counts`: entity → state → records; one that brought nothing has none."""

    run_id: str
    system: str
    started: datetime
    finished: datetime
    mapping_hash: str
    outcome: str = "clean"
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def note(con: Connection, runs: Sequence[MergedRun]) -> None:
    """Add runs, in this order."""
    rows = [
        (
            one.run_id,
            one.system,
            one.started,
            one.finished,
            "merged",
            one.outcome,
            json.dumps(one.counts),
            one.mapping_hash,
        )
        for one in runs
    ]
    kinds = ("VARCHAR", "VARCHAR", _AT, _AT, "VARCHAR", "VARCHAR", "VARCHAR", "VARCHAR")
    lists = ", ".join(f"unnest(${number}::{kind}[])" for number, kind in enumerate(kinds, 1))
    run(con, f"INSERT INTO ops.runs SELECT {lists}", [list(column) for column in zip(*rows, strict=True)], name="run")


def merged_so_far(con: Connection, run_id: str = "") -> tuple[bool, str | None]:
    """Whether the run is merged, and which one was merged last: None where none was, or the file is new."""
    sql = "SELECT coalesce(bool_or(run_id = $1), false), arg_max(run_id, rowid) FROM ops.runs"
    try:
        row = con.execute(sql, [run_id]).fetchone()
    except duckdb.CatalogException:
        row = None
    return (bool(row[0]), row[1]) if row else (False, None)
