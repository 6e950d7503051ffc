"""A small warehouse filled by hand: what the cart and the ERP say of a few orders, and the pushes of the built-in mappings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

import mappings
from mappings import load, outbound, trial
from warehouse.model import entities

ORDERED = "2026-11-18T08:00:00Z"
ORDER = {
    "number": "1001",
    "ordered_at": ORDERED,
    "customer": 12,
    "currency": "EUR",
    "line_total": "25.00",
    "discount_total": "0.00",
    "charge_total": "4.90",
    "tax_total": "5.68",
    "total": "35.58",
    "lifecycle_status": "open",
    "payment_status": "paid",
    "fulfilment_status": "unfulfilled",
}
LINE = {
    "sku": "A-100",
    "quantity": "2",
    "unit_price": "12.50",
    "discount": "0",
    "line_total": "25",
    "tax_amount": "4.75",
}
THEIR_STATUS = {
    "open": ("open", "unfulfilled"),
    "partially_delivered": ("open", "partial"),
    "delivered": ("completed", "fulfilled"),
    "cancelled": ("cancelled", "unfulfilled"),
}


class World:
    """`put` fills tables, the other methods tell a story in them; `push` runs a push of the built-in mappings."""

    def __init__(self) -> None:
        self.model = entities()
        self.mappings = load.load([Path(mappings.__file__).parent], self.model)
        self.con = duckdb.connect()
        self.con.execute("SET TimeZone = 'UTC'")
        trial.create(self.con, self.model)

    def put(self, table: str, **row: Any) -> None:
        trial.insert(self.con, table, [row])

    def customer(self, hub_id: int = 12, **values: Any) -> None:
        self.put("canonical.customer", hub_id=hub_id, **{"name": "Ann Lee", "email": "ann@example.com"} | values)

    def order(self, hub_id: int = 55, lines: tuple[dict[str, Any], ...] = ({},), **values: Any) -> None:
        """What the hub holds, and the cart's view with it."""
        self.put("canonical.sales_order", hub_id=hub_id, **ORDER | values)
        for number, line in enumerate(lines, 1):
            made = {"hub_id": hub_id * 100 + number, "parent": hub_id, "line_number": number, "currency": "EUR"}
            self.put("canonical.order_line", **made | LINE | line)
        self.bind("sales_order", "cart", f"c{hub_id}", hub_id)

    def bind(self, entity: str, system: str, source_id: str, hub_id: int, bound_at: str = ORDERED) -> None:
        row = {"entity": entity, "system": system, "source_id": source_id, "hub_id": hub_id, "bound_at": bound_at}
        self.put("ops.bindings", **row, origin="source")

    def in_erp(
        self, hub_id: int = 55, status: str = "open", lines: tuple[dict[str, Any], ...] = ({},), **values: Any
    ) -> None:
        """The ERP knows the order; `values` and `lines` are where it says something else than the hub."""
        number = f"00045{hub_id:05}"
        lifecycle, fulfilment = THEIR_STATUS[status]
        said = ORDER | {"lifecycle_status": lifecycle, "fulfilment_status": fulfilment, "payment_status": None} | values
        self.put("source.sales_order", system="erp", source_id=number, hub_id=hub_id, seen_at=ORDERED, **said)
        for n, line in enumerate(lines, 1):
            place = {"source_id": f"{number}/{n:05}0", "parent_source_id": number, "parent_hub_id": hub_id}
            self.put("source.order_line", system="erp", **place, **LINE | {"unit": "C62"} | line)
        self.bind("sales_order", "erp", number, hub_id)

    def push(self, name: str, operation: str) -> list[dict[str, Any]]:
        mapping = self.mappings[name]
        push = next(one for one in mapping.push if one.operation == operation)
        made = outbound.compile(mapping, push, self.model, self.mappings.of(mapping.system))
        cursor = self.con.execute(made.sql, {"target": mapping.system})
        names = [column[0] for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        return [row | {"payload": json.loads(row["payload"])} for row in rows]

    def one(self, name: str, operation: str) -> dict[str, Any]:
        (row,) = self.push(name, operation)
        return row


@pytest.fixture(scope="session")
def warehouse() -> Iterator[World]:
    made = World()
    yield made
    made.con.close()


@pytest.fixture
def world(warehouse: World) -> Iterator[World]:
    """The empty warehouse; what a test writes is rolled back."""
    warehouse.con.begin()
    yield warehouse
    warehouse.con.rollback()
