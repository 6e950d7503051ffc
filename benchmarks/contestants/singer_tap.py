"""The tap: `python singer_tap.py INPUT IMPORTS` writes SCHEMA and RECORD messages of two streams."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import imports

_TEXT: dict[str, Any] = {"type": ["null", "string"]}
_INSTANT: dict[str, Any] = {"type": ["null", "string"], "format": "date-time"}
_BOOLEAN: dict[str, Any] = {"type": ["null", "boolean"]}
_INSTANTS, _BOOLEANS = {"created_at", "cancelled_at"}, {"taxes_included", "guest"}
_OBJECTS = {
    "customer": ("id",),
    "shipping_address": ("name", "address1", "city", "zip", "country_code"),
    "default_address": ("country_code",),
}
_NUMBERS = {"id", "number"}  # integers in the record, texts in the tables
FIELDS = {
    "orders": (
        "id", "updated_at", "number", "erp_order_number", "po_number", "created_at", "requested_date", "customer", "currency",
        "subtotal_price", "total_discounts", "total_shipping", "total_tax", "total_price", "total_refunded", "taxes_included",
        "cancelled_at", "financial_status", "fulfillment_status", "shipping_address", "note", "line_items",
    ),
    "customers": (
        "id", "updated_at", "first_name", "last_name", "company", "email", "phone", "vat_number", "state", "customer_group",
        "default_address", "guest",
    ),
}  # fmt: skip


def _schema(name: str) -> dict[str, Any]:
    if name in _OBJECTS:
        return {"type": ["null", "object"], "properties": dict.fromkeys(_OBJECTS[name], _TEXT)}
    if name == "line_items":
        return {"type": ["null", "array"]}
    return _INSTANT if name in _INSTANTS else _BOOLEAN if name in _BOOLEANS else _TEXT


def _field(record: dict[str, Any], name: str) -> Any:
    value = record[name]
    if name in _OBJECTS:
        return {part: None if value[part] is None else str(value[part]) for part in _OBJECTS[name]}
    return str(value) if name in _NUMBERS else value


def main() -> None:
    folder, told = Path(sys.argv[1]), Path(sys.argv[2])
    first = time.process_time()
    imports.watch()
    out = sys.stdout.buffer
    for stream, fields in FIELDS.items():
        schema = {"type": "object", "properties": {name: _schema(name) for name in fields}}
        said = {"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": ["id"]}
        out.write(orjson.dumps(said) + b"\n")
        for path in sorted((folder / stream).glob("*.jsonl")):
            for line in path.read_bytes().splitlines():
                record = orjson.loads(line)
                kept = {name: _field(record, name) for name in fields}
                out.write(orjson.dumps({"type": "RECORD", "stream": stream, "record": kept}) + b"\n")
    told.write_text(json.dumps(first + imports.spent.cpu))


if __name__ == "__main__":
    main()
