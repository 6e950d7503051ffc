"""dlt as its first page shows it: records as dictionaries, merged by primary key, then SQL over the tables that it made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
os.environ.setdefault("RUNTIME__LOG_LEVEL", "ERROR")

import dlt
import dlt.destinations.impl.duckdb.duck
import duckdb
import orjson
from contestants import limit

_STREAMS = ("orders", "customers")


def records(folder: Path, stream: str) -> Iterator[dict[str, Any]]:
    for path in sorted((folder / stream).glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            yield orjson.loads(line)


def pipeline(out: Path) -> Any:
    return dlt.pipeline(
        pipeline_name="shop",
        pipelines_dir=str(out / "dlt"),
        destination=dlt.destinations.duckdb(str(out / "warehouse.duckdb")),
        dataset_name="raw",
    )


def resource(items: Any, stream: str) -> Any:
    """Merged by id; of several versions in one load the newest."""
    newest: Any = {"updated_at": {"dedup_sort": "desc"}}
    return dlt.resource(items, name=stream, write_disposition="merge", primary_key="id", columns=newest)


def transform(out: Path) -> None:
    """From dlt's tables into the canonical ones, with the limit's SQL."""
    con = duckdb.connect(str(out / "warehouse.duckdb"))
    con.execute("SET TimeZone = 'UTC'")
    there = {name for (name,) in con.execute("SELECT column_name FROM duckdb_columns() WHERE schema_name = 'raw' AND table_name = 'orders'").fetchall()}  # fmt: skip
    con.execute(f"CREATE TEMP VIEW orders AS SELECT {_columns(limit.ORDERS, there)} FROM raw.orders")
    con.execute(f"CREATE TEMP VIEW customers AS SELECT {_columns(limit.CUSTOMERS, None)} FROM raw.customers")
    con.execute(
        """CREATE TEMP VIEW lines AS
           SELECT CAST(o.id AS VARCHAR) AS parent, o.currency, l AS line, l._dlt_list_idx + 1 AS line_number
           FROM raw.orders__line_items l JOIN raw.orders o ON o._dlt_id = l._dlt_parent_id"""
    )
    limit.merge_all(con)
    con.close()


def _columns(columns: dict[str, str], there: set[str] | None) -> str:
    """dlt flattens an object into columns, and makes none where every value is null."""
    made = []
    for name, kind in columns.items():
        if kind.startswith("STRUCT") and not kind.endswith("[]"):
            fields = [part.split()[0] for part in kind[len("STRUCT(") : -1].split(", ")]
            packed = ", ".join(f"{field} := CAST({name}__{field} AS VARCHAR)" for field in fields)
            made.append(f"struct_pack({packed}) AS {name}")
        elif not kind.endswith("[]"):
            made.append(f"CAST({name if there is None or name in there else 'NULL'} AS {kind}) AS {name}")
    return ", ".join(made)


def contest(folder: Path, out: Path) -> None:
    pipeline(out).run([resource(records(folder, stream), stream) for stream in _STREAMS])
    transform(out)
