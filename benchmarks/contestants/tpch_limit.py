"""The limit for TPC-H: hand-written SQL from its nested orders and its customers to the canonical tables."""

from __future__ import annotations

from pathlib import Path

import duckdb
from contestants.limit import merge, read_sql
from tables import TABLES

_LINE = "STRUCT(l_linenumber BIGINT, l_partkey VARCHAR, l_quantity DECIMAL(18,6), l_extendedprice DECIMAL(18,4), l_comment VARCHAR)"
ORDERS = {
    "o_orderkey": "VARCHAR",
    "o_custkey": "VARCHAR",
    "o_orderstatus": "VARCHAR",
    "o_totalprice": "DECIMAL(18,4)",
    "o_orderdate": "DATE",
    "o_comment": "VARCHAR",
    "lines": f"{_LINE}[]",
}
CUSTOMERS = {"c_custkey": "VARCHAR", "c_name": "VARCHAR", "c_phone": "VARCHAR"}
SELECTS = {
    "sales_order": """
        SELECT id AS source_id, id AS number, 'edi' AS channel, o_orderdate::TIMESTAMP AT TIME ZONE 'UTC' AS ordered_at, o_custkey AS customer,
               'USD' AS currency, o_totalprice AS total, CASE WHEN o_orderstatus = 'F' THEN 'completed' ELSE 'open' END AS lifecycle_status,
               o_comment AS note FROM orders""",
    "order_line": """
        SELECT id || '/' || line.l_linenumber AS source_id, id AS parent, line.l_linenumber AS line_number, line.l_partkey AS sku,
               line.l_comment AS description, line.l_quantity AS quantity, 'USD' AS currency, line.l_extendedprice AS line_total
        FROM (SELECT id, unnest(lines) AS line FROM orders)""",
    "customer": "SELECT id AS source_id, c_name AS name, 'organisation' AS kind, c_phone AS phone FROM customers",
}


def contest(folder: Path, out: Path) -> None:
    con = duckdb.connect(str(out / "warehouse.duckdb"))
    con.execute("SET TimeZone = 'UTC'")
    for stream, key, columns in (("orders", "o_orderkey", ORDERS), ("customers", "c_custkey", CUSTOMERS)):
        con.execute(f"CREATE TEMP TABLE {stream} AS SELECT {key} AS id, * FROM {read_sql(folder, stream, columns)}")
        con.execute(f"DELETE FROM {stream} WHERE rowid NOT IN (SELECT max(rowid) FROM {stream} GROUP BY id)")
    con.execute("BEGIN")
    for table, select in SELECTS.items():
        merge(con, table, _whole(con, table, select))
    con.execute("COMMIT")
    con.close()


def _whole(con: duckdb.DuckDBPyConnection, table: str, select: str) -> str:
    """With the columns that TPC-H does not know."""
    there = {row[0] for row in con.execute(f"DESCRIBE {select}").fetchall()}
    listed = (name if name in there else f"CAST(NULL AS {kind}) AS {name}" for name, kind in TABLES[table].items())
    return f"SELECT {', '.join(listed)} FROM ({select})"
