"""The limit that keeps what a first load keeps: the raw pages, and each row twice, as the system says it and as the hub's own.

Still nothing is decided: one system speaks for everything, no reference is looked up, nothing is refused, compared or told by its run.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
from contestants import limit_lake

_OWN = {
    "sales_order": "SELECT row_number() OVER () AS hub_id, * FROM sales_order",
    "order_line": """SELECT row_number() OVER () AS hub_id, o.hub_id AS header, l.*
                     FROM order_line l JOIN canonical.sales_order o ON o.source_id = l.parent""",
    "customer": "SELECT row_number() OVER () AS hub_id, * FROM customer",
}


def contest(folder: Path, out: Path) -> None:
    limit_lake.contest(folder, out)
    con = duckdb.connect(str(out / "warehouse.duckdb"))
    con.execute("BEGIN")
    con.execute("CREATE SCHEMA canonical")
    for table, select in _OWN.items():
        con.execute(f"CREATE TABLE canonical.{table} AS {select}")
    con.execute("COMMIT")
    con.close()
