"""pandas, as notebooks do it: json_normalize, drop_duplicates, and the frames into DuckDB."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
from contestants.python_loop import FULFILMENT, PAYMENT, STATE, TIER, TYPES, load, records
from tables import TABLES

_MONEY = {
    "line_total": "subtotal_price",
    "discount_total": "total_discounts",
    "charge_total": "total_shipping",
    "tax_total": "total_tax",
    "total": "total_price",
    "refunded_total": "total_refunded",
}
_SAME = {
    "seller_number": "erp_order_number",
    "customer_po": "po_number",
    "currency": "currency",
    "tax_included": "taxes_included",
    "ship_to_name": "shipping_address.name",
    "ship_to_street": "shipping_address.address1",
    "ship_to_city": "shipping_address.city",
    "ship_to_postal_zone": "shipping_address.zip",
    "note": "note",
}
_OF_LINE = {"sku": "sku", "description": "title", "unit": "unit"}
_LINE_MONEY = {"quantity": "quantity", "unit_price": "price", "discount": "discount", "line_total": "total", "tax_amount": "tax_amount"}  # fmt: skip


def _newest(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values("updated_at", kind="stable").drop_duplicates("id", keep="last")


def _utc(texts: pd.Series) -> pd.Series:
    return pd.to_datetime(texts, utc=True, format="ISO8601")


def _orders(frame: pd.DataFrame) -> pd.DataFrame:
    made = pd.DataFrame({"source_id": frame["id"].astype(str), "number": frame["number"].astype(str), "channel": "web"})
    made = made.assign(**{name: frame[source] for name, source in _SAME.items()})
    made = made.assign(**{name: frame[source].map(Decimal) for name, source in _MONEY.items()})
    cancelled, fulfilled = frame["cancelled_at"].notna(), frame["fulfillment_status"]
    lifecycle = fulfilled.eq("fulfilled").map({True: "completed", False: "open"}).mask(cancelled, "cancelled")
    return made.assign(
        ordered_at=_utc(frame["created_at"]),
        cancelled_at=_utc(frame["cancelled_at"]),
        requested_date=pd.to_datetime(frame["requested_date"]).dt.date,
        customer=frame["customer.id"].astype(str),
        lifecycle_status=lifecycle,
        payment_status=frame["financial_status"].map(PAYMENT),
        fulfilment_status=fulfilled.fillna("").map(FULFILMENT),
        ship_to_country_code=frame["shipping_address.country_code"].str.upper(),
    )


def _lines(frame: pd.DataFrame) -> pd.DataFrame:
    rows = frame[["id", "currency", "line_items"]].to_dict("records")
    lines = pd.json_normalize(rows, "line_items", ["id", "currency"], record_prefix="line.")
    parent = lines["id"].astype(str)
    made = pd.DataFrame({"source_id": parent + "/" + lines["line.id"].astype(str), "parent": parent, "currency": lines["currency"]})  # fmt: skip
    made = made.assign(**{name: lines[f"line.{source}"] for name, source in _OF_LINE.items()})
    made = made.assign(**{name: lines[f"line.{source}"].map(Decimal) for name, source in _LINE_MONEY.items()})
    return made.assign(line_number=lines.groupby("id").cumcount() + 1)


def _customers(frame: pd.DataFrame) -> pd.DataFrame:
    company = frame["company"]
    return pd.DataFrame(
        {
            "source_id": frame["id"].astype(str),
            "name": company.fillna(frame["first_name"] + " " + frame["last_name"]),
            "given_name": frame["first_name"],
            "family_name": frame["last_name"],
            "kind": company.notna().map({True: "organisation", False: "person"}),
            "email": frame["email"].str.strip().str.lower(),
            "phone": frame["phone"],
            "tax_id": frame["vat_number"],
            "status": frame["state"].map(STATE),
            "tier": frame["customer_group"].map(TIER),
            "country_code": frame["default_address.country_code"].str.upper(),
            "guest": frame["guest"],
        }
    )


def _arrow(name: str, frame: pd.DataFrame) -> pa.Table:
    schema = pa.schema([(column, TYPES[kind]) for column, kind in TABLES[name].items()])
    return pa.Table.from_pandas(frame[list(TABLES[name])], schema=schema, preserve_index=False)


def contest(folder: Path, out: Path) -> None:
    orders = _newest(pd.json_normalize(list(records(folder, "orders"))))
    customers = _newest(pd.json_normalize(list(records(folder, "customers"))))
    made = {"sales_order": _orders(orders), "order_line": _lines(orders), "customer": _customers(customers)}
    load(out, {name: _arrow(name, frame) for name, frame in made.items()})
