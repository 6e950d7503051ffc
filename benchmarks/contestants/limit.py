"""The limit: what a careful person would write by hand in DuckDB SQL, from the same pages to the merged canonical tables.

Each stream is read once, with declared columns and only those that are needed; decimals and instants are cast by the
reader's own SQL; the newest version of a key wins by arg_max; the merge is DELETE and INSERT in one transaction. There are no
rejects, no bindings, no history and no copy of the raw records.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

_ADDRESS = "STRUCT(name VARCHAR, address1 VARCHAR, city VARCHAR, zip VARCHAR, country_code VARCHAR)"
_LINE = (
    "STRUCT(id VARCHAR, sku VARCHAR, title VARCHAR, quantity DECIMAL(18,6), unit VARCHAR, price DECIMAL(18,4),"
    " discount DECIMAL(18,4), total DECIMAL(18,4), tax_amount DECIMAL(18,4))"
)
ORDERS = {
    "id": "VARCHAR",
    "updated_at": "VARCHAR",
    "number": "VARCHAR",
    "erp_order_number": "VARCHAR",
    "po_number": "VARCHAR",
    "created_at": "TIMESTAMPTZ",
    "requested_date": "DATE",
    "customer": "STRUCT(id VARCHAR)",
    "currency": "VARCHAR",
    "subtotal_price": "DECIMAL(18,4)",
    "total_discounts": "DECIMAL(18,4)",
    "total_shipping": "DECIMAL(18,4)",
    "total_tax": "DECIMAL(18,4)",
    "total_price": "DECIMAL(18,4)",
    "total_refunded": "DECIMAL(18,4)",
    "taxes_included": "BOOLEAN",
    "cancelled_at": "TIMESTAMPTZ",
    "financial_status": "VARCHAR",
    "fulfillment_status": "VARCHAR",
    "shipping_address": _ADDRESS,
    "note": "VARCHAR",
    "line_items": f"{_LINE}[]",
}
CUSTOMERS = {
    "id": "VARCHAR",
    "updated_at": "VARCHAR",
    "first_name": "VARCHAR",
    "last_name": "VARCHAR",
    "company": "VARCHAR",
    "email": "VARCHAR",
    "phone": "VARCHAR",
    "vat_number": "VARCHAR",
    "state": "VARCHAR",
    "customer_group": "VARCHAR",
    "default_address": "STRUCT(country_code VARCHAR)",
    "guest": "BOOLEAN",
}

SALES_ORDER = """
    SELECT id AS source_id, number, erp_order_number AS seller_number, po_number AS customer_po, 'web' AS channel,
           created_at AS ordered_at, requested_date, customer.id AS customer, currency, subtotal_price AS line_total,
           total_discounts AS discount_total, total_shipping AS charge_total, total_tax AS tax_total, total_price AS total,
           total_refunded AS refunded_total, taxes_included AS tax_included,
           CASE WHEN cancelled_at IS NOT NULL THEN 'cancelled' WHEN fulfillment_status = 'fulfilled' THEN 'completed' ELSE 'open' END AS lifecycle_status,
           CASE financial_status WHEN 'pending' THEN 'unpaid' WHEN 'voided' THEN 'unpaid' WHEN 'authorized' THEN 'authorised'
               WHEN 'paid' THEN 'paid' WHEN 'partially_refunded' THEN 'partially_refunded' WHEN 'refunded' THEN 'refunded' END AS payment_status,
           CASE coalesce(fulfillment_status, '') WHEN '' THEN 'unfulfilled' WHEN 'partial' THEN 'partial' WHEN 'fulfilled' THEN 'fulfilled' END AS fulfilment_status,
           cancelled_at, shipping_address.name AS ship_to_name, shipping_address.address1 AS ship_to_street,
           shipping_address.city AS ship_to_city, shipping_address.zip AS ship_to_postal_zone,
           upper(shipping_address.country_code) AS ship_to_country_code, note
    FROM orders"""
ORDER_LINE = """
    SELECT parent || '/' || line.id AS source_id, parent, line_number, line.sku AS sku, line.title AS description,
           line.quantity AS quantity, line.unit AS unit, currency, line.price AS unit_price, line.discount AS discount,
           line.total AS line_total, line.tax_amount AS tax_amount
    FROM lines"""
LINES = "SELECT id AS parent, currency, unnest(line_items) AS line, generate_subscripts(line_items, 1) AS line_number FROM orders"
CUSTOMER = """
    SELECT id AS source_id, coalesce(company, first_name || ' ' || last_name) AS name, first_name AS given_name, last_name AS family_name,
           CASE WHEN company IS NOT NULL THEN 'organisation' ELSE 'person' END AS kind, lower(trim(email)) AS email, phone, vat_number AS tax_id,
           CASE state WHEN 'enabled' THEN 'active' WHEN 'disabled' THEN 'blocked' END AS status,
           CASE customer_group WHEN 'retail' THEN 'standard' WHEN 'business' THEN 'silver' WHEN 'vip' THEN 'gold' END AS tier,
           upper(default_address.country_code) AS country_code, guest
    FROM customers"""


def read_sql(folder: Path, stream: str, columns: dict[str, str]) -> str:
    declared = ", ".join(f"{name}: '{kind}'" for name, kind in columns.items())
    return f"read_json('{folder / stream}/*.jsonl*', format = 'newline_delimited', columns = {{{declared}}})"


def stage(con: duckdb.DuckDBPyConnection, folder: Path, stream: str, columns: dict[str, str]) -> None:
    """The stream as a temporary table, one row a key: the newest."""
    con.execute(f"CREATE TEMP TABLE {stream} AS SELECT * FROM {read_sql(folder, stream, columns)}")
    con.execute(
        f"DELETE FROM {stream} WHERE rowid NOT IN (SELECT arg_max(rowid, (updated_at, rowid)) FROM {stream} GROUP BY id)"
    )


def merge(con: duckdb.DuckDBPyConnection, table: str, select: str) -> None:
    con.execute(f"CREATE TABLE IF NOT EXISTS {table} AS {select} LIMIT 0")
    key = "parent" if table == "order_line" else "source_id"
    con.execute(
        f"DELETE FROM {table} WHERE {key} IN (SELECT id FROM {'customers' if table == 'customer' else 'orders'})"
    )
    con.execute(f"INSERT INTO {table} {select}")


def merge_all(con: duckdb.DuckDBPyConnection) -> None:
    """From `orders`, `lines` and `customers` into the canonical tables."""
    con.execute("BEGIN")
    for table, select in (("sales_order", SALES_ORDER), ("order_line", ORDER_LINE), ("customer", CUSTOMER)):
        merge(con, table, select)
    con.execute("COMMIT")


def contest(folder: Path, out: Path) -> None:
    con = duckdb.connect(str(out / "warehouse.duckdb"))
    con.execute("SET TimeZone = 'UTC'")
    stage(con, folder, "orders", ORDERS)
    stage(con, folder, "customers", CUSTOMERS)
    con.execute(f"CREATE TEMP VIEW lines AS {LINES}")
    merge_all(con)
    con.close()
