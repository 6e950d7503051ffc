"""The functions of the mapping language: a closed table. A function without a true example cannot be added (a test runs them)."""

from __future__ import annotations

from mappings import functions_codes, functions_numbers, functions_text, functions_time
from mappings.function import Function, OfPush, Parameter

__all__ = ["FUNCTIONS", "OF_PUSHES", "Function", "OfPush", "Parameter"]

_TABLES = (functions_text.TABLE, functions_numbers.TABLE, functions_time.TABLE, functions_codes.TABLE)
# What only a push can ask; `reach.py` says what records they are about.
OF_PUSHES = {
    one.name: one
    for one in (
        OfPush(
            "total",
            "total(order_line.quantity)",
            "The sum over all records that refer to this one, or are its children; missing without any.",
            "sales_order",
            {"order_line": [{"quantity": 2}, {"quantity": 3}]},
            5,
        ),
        OfPush(
            "any",
            "any(sales_order.total > 100)",
            "Is it true for at least one of them?",
            "customer",
            {"sales_order": [{"total": 99}, {"total": 101}]},
            True,
        ),
        OfPush(
            "latest",
            "latest(invoice.issued_on)",
            "The greatest of them.",
            "sales_order",
            {"invoice": [{"issued_on": "2026-11-18"}, {"issued_on": "2026-11-17"}]},
            "2026-11-18",
        ),
        OfPush(
            "first",
            "first(customer_address.city)",
            "That of the first, in the order of hub_id.",
            "customer",
            {"customer_address": [{"city": "Ulm"}, {"city": "Bonn"}]},
            "Ulm",
        ),
        OfPush(
            "bound",
            "bound(customer)",
            "Does the target know the record that this reference means?",
            "sales_order",
            {"customer": {"id": "0000100012"}},
            True,
        ),
    )
}
FUNCTIONS: dict[str, Function] = {function.name: function for table in _TABLES for function in table}
