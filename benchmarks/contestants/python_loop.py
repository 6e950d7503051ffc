"""A careful loop in Python: orjson decodes each record, a dictionary keeps the newest, columns become Arrow tables."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa
from tables import TABLES

PAYMENT = {
    "pending": "unpaid",
    "voided": "unpaid",
    "authorized": "authorised",
    "paid": "paid",
    "partially_refunded": "partially_refunded",
    "refunded": "refunded",
}
FULFILMENT = {None: "unfulfilled", "": "unfulfilled", "partial": "partial", "fulfilled": "fulfilled"}
STATE = {"enabled": "active", "disabled": "blocked"}
TIER = {"retail": "standard", "business": "silver", "vip": "gold"}
TYPES = {
    "VARCHAR": pa.string(),
    "BIGINT": pa.int64(),
    "BOOLEAN": pa.bool_(),
    "DATE": pa.date32(),
    "TIMESTAMPTZ": pa.timestamp("us", tz="UTC"),
    "DECIMAL(18,4)": pa.decimal128(18, 4),
    "DECIMAL(18,6)": pa.decimal128(18, 6),
}


def records(folder: Path, stream: str) -> Iterator[dict[str, Any]]:
    for path in sorted((folder / stream).glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            yield orjson.loads(line)


def newest(folder: Path, stream: str, keep: Any = None) -> list[Any]:
    """The newest version of each record, as `keep` makes it."""
    found: dict[int, tuple[str, Any]] = {}
    for record in records(folder, stream):
        key, version = record["id"], record["updated_at"]
        if key not in found or found[key][0] <= version:
            found[key] = (version, keep(record) if keep else record)
    return [record for _, record in found.values()]


def instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def order(r: dict[str, Any]) -> tuple[Any, ...]:
    a, fulfilled = r["shipping_address"], r["fulfillment_status"]
    lifecycle = "cancelled" if r["cancelled_at"] else "completed" if fulfilled == "fulfilled" else "open"
    money = (Decimal(r[n]) for n in ("subtotal_price", "total_discounts", "total_shipping", "total_tax", "total_price", "total_refunded"))  # fmt: skip
    return (
        str(r["id"]), str(r["number"]), r["erp_order_number"], r["po_number"], "web", instant(r["created_at"]),
        date.fromisoformat(r["requested_date"]), str(r["customer"]["id"]), r["currency"], *money, r["taxes_included"], lifecycle,
        PAYMENT[r["financial_status"]], FULFILMENT[fulfilled], instant(r["cancelled_at"]), a["name"], a["address1"], a["city"],
        a["zip"], a["country_code"].upper(), r["note"],
    )  # fmt: skip


def lines(r: dict[str, Any]) -> list[tuple[Any, ...]]:
    parent, currency = str(r["id"]), r["currency"]
    return [
        (f"{parent}/{line['id']}", parent, number, line["sku"], line["title"], Decimal(line["quantity"]), line["unit"], currency,
         Decimal(line["price"]), Decimal(line["discount"]), Decimal(line["total"]), Decimal(line["tax_amount"]))
        for number, line in enumerate(r["line_items"], 1)
    ]  # fmt: skip


def customer(r: dict[str, Any]) -> tuple[Any, ...]:
    company, country = r["company"], r["default_address"]["country_code"]
    name = company or f"{r['first_name']} {r['last_name']}"
    return (
        str(r["id"]), name, r["first_name"], r["last_name"], "organisation" if company else "person", r["email"].strip().lower(),
        r["phone"], r["vat_number"], STATE[r["state"]], TIER[r["customer_group"]], country and country.upper(), r["guest"],
    )  # fmt: skip


def table(name: str, rows: list[tuple[Any, ...]]) -> pa.Table:
    types = [TYPES[kind] for kind in TABLES[name].values()]
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, type) for column, type in zip(columns, types, strict=True)]
    return pa.Table.from_arrays(arrays, names=list(TABLES[name]))


def load(out: Path, made: dict[str, pa.Table]) -> None:
    con = duckdb.connect(str(out / "warehouse.duckdb"))
    con.execute("BEGIN")
    for name, arrow in made.items():
        con.register("arrived", arrow)
        columns = ", ".join(f"{column} {kind}" for column, kind in TABLES[name].items())
        con.execute(f"CREATE TABLE IF NOT EXISTS {name} ({columns})")
        key = "parent" if name == "order_line" else "source_id"
        con.execute(f"DELETE FROM {name} WHERE {key} IN (SELECT {key} FROM arrived)")
        con.execute(f"INSERT INTO {name} SELECT * FROM arrived")
    con.execute("COMMIT")
    con.close()


def contest(folder: Path, out: Path) -> None:
    orders = newest(folder, "orders", lambda record: (order(record), lines(record)))
    made = {
        "sales_order": table("sales_order", [head for head, _ in orders]),
        "order_line": table("order_line", [line for _, listed in orders for line in listed]),
        "customer": table("customer", newest(folder, "customers", customer)),
    }
    load(out, made)
