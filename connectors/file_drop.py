"""Customers and orders as files for a system that takes no calls: CSV for people and their spreadsheets, NDJSON for programs.

systems:
  warehouse_drop:
    connector: file_drop
    write: true
    from: "2026-11-01"
    connection: {url: data/out}
"""

from __future__ import annotations

from hub.connector import Operation, Stream, TargetField
from hub.drops import Drops

_FREE, _NEEDED = TargetField(), TargetField(required=True)
_CUSTOMER = ("name", "email", "phone", "tax_id", "status", "tier", "country_code")
_WRITES: tuple[Operation, ...] = ("create", "change", "cancel")
_ORDER = {
    "number": _NEEDED,
    **dict.fromkeys(["customer", "ordered_at", "currency", "total", "status"], _FREE),
    **dict.fromkeys(["lines.sku", "lines.quantity", "lines.unit_price"], _FREE),
}


class FileDrop(Drops):
    name = "file_drop"
    streams = (
        Stream(
            "customers",
            primary_key="_key",
            writes=("upsert",),
            idempotency="key",
            batch_size=1000,
            options={"columns": ("_key", *_CUSTOMER)},
            target_fields={"upsert": {**dict.fromkeys(_CUSTOMER, _FREE), "name": _NEEDED}},
        ),
        Stream(
            "orders",
            primary_key="_key",
            writes=_WRITES,
            idempotency="key",
            batch_size=1000,
            options={"format": "ndjson"},
            target_fields=dict.fromkeys(_WRITES, _ORDER),
        ),
    )
