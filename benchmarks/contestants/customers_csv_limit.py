"""The limit for the ERP's customers in a file: DuckDB reads the CSV, one SELECT makes the canonical rows."""

from __future__ import annotations

from pathlib import Path

import duckdb
from tables import TABLES

CUSTOMER = """
    SELECT ID AS source_id, coalesce(COMPANY, FIRST_NAME || ' ' || LAST_NAME) AS name, FIRST_NAME AS given_name, LAST_NAME AS family_name,
           CASE WHEN COMPANY IS NOT NULL THEN 'organisation' ELSE 'person' END AS kind, lower(trim(EMAIL)) AS email, PHONE AS phone,
           VAT_NUMBER AS tax_id, CASE STATE WHEN 'enabled' THEN 'active' WHEN 'disabled' THEN 'blocked' END AS status,
           CASE "GROUP" WHEN 'retail' THEN 'standard' WHEN 'business' THEN 'silver' WHEN 'vip' THEN 'gold' END AS tier,
           upper(COUNTRY) AS country_code
    FROM read_csv('{path}', delim = ';', header = true, all_varchar = true)"""


def merged(con: duckdb.DuckDBPyConnection, select: str) -> None:
    """Into the canonical table, with the columns that this source does not know."""
    there = {row[0] for row in con.execute(f"DESCRIBE {select}").fetchall()}
    listed = (name if name in there else f"CAST(NULL AS {kind}) AS {name}" for name, kind in TABLES["customer"].items())
    con.execute(f"CREATE TABLE customer AS SELECT {', '.join(listed)} FROM ({select})")


def contest(folder: Path, out: Path) -> None:
    con = duckdb.connect(str(out / "warehouse.duckdb"))
    merged(con, CUSTOMER.format(path=folder / "erp" / "customers.csv"))
    con.close()
