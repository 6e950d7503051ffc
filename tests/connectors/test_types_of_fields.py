"""What the connectors say of their fields in trade finds the mistakes that a mapping of theirs could have, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.sandbox_cart import SandboxCart
from connectors.sandbox_crm import SandboxCrm
from connectors.sandbox_erp import SandboxErp
from connectors.tryton import Tryton
from connectors.vendure import Vendure
from hub.config import BUILT_IN
from hub.findings import Finding
from mappings.lint import lint
from mappings.load import load
from warehouse.model import entities

STREAMS = {
    "cart": SandboxCart.streams,
    "crm": SandboxCrm.streams,
    "erp": SandboxErp.streams,
    "tryton": Tryton.streams,
    "vendure": Vendure.streams,
}
MISTAKES = [
    ("cart/orders", "  total: total_price", "  total: subtotal", "M152", "net money in currency is not gross"),
    ("cart/orders", "  total: total_price", "  total: total_price + total_tax", "M152", "is neither net nor gross"),
    ("cart/orders", "      line_total: total\n", "      line_total: record.total_price\n", "M152", "gross"),
    ("cart/orders", "  payment_status: {at: financial_status, values: payment_status}", "  payment_status: fulfillment_status", "M154", "a word of cart.fulfilment_status"),
    ("cart/orders", "lifecycle_status <> 'cancelled'", "lifecycle_status <> 'canceled'", "M154", "did you mean 'cancelled'?"),
    ("cart/orders", "\"coalesce(customer.id, 'order-' || id)\"", "created_at", "M156", "an instant is not an id"),
    ("cart/orders.payment", "  currency: currency", "  currency: record.currency", "M151", "gross money in payments.currency"),
    ("vendure/orders", "minor_units(totalWithTax)", "minor_units(total)", "M152", "total: net money"),
    ("vendure/orders", "totalWithTax - total", "total - totalWithTax", "M152", "neither"),
    ("vendure/orders", "{ref: product, at: productVariant.id}", "{ref: product, at: record.customer.id}", "M155", "an id of a customer"),
    ("erp/sales_orders", "      - total\n    children", "      - total: {at: total, value: line_total}\n    children", "M152", "total to total: net money"),
    ("erp/sales_orders", "local_date(ordered_at, 'Europe/Berlin')", "ordered_at", "M124", "an instant is not a day"),
    ("erp/sales_orders", "          - tax_amount\n  #", "          - line_tax: {at: tax_amount, value: unit_price}\n  #", "M152", "tax money"),
    ("erp/invoices", "{ref: customer, at: payer}", "{ref: customer, at: sales_order}", "M155", "sales_order"),
    ("crm/orders", "    - total\n", "    - total: {at: TotalAmount, value: line_total}\n", "M152", "total to TotalAmount"),
    ("crm/orders", "    - currency\n", "    - currency: {at: CurrencyIsoCode, value: \"'EUR'\"}\n", "M151", "write when: currency = 'EUR'"),
    ("tryton/sales", "  total: total_amount", "  total: untaxed_amount", "M152", "total: net money in currency.code"),
]  # fmt: skip


def found(system: str, *before: Path) -> list[Finding]:
    loaded = load([*before, BUILT_IN / "mappings"], entities(), [system])
    return [*loaded.findings, *lint(loaded, entities(), {system: STREAMS[system]})]


@pytest.mark.parametrize("system", STREAMS)
def test_there_is_no_false_alarm(system: str) -> None:
    assert found(system) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "code", "says"), MISTAKES, ids=[f"{m[0]}-{m[3]}-{n}" for n, m in enumerate(MISTAKES)]
)
def test_a_mistake_is_found(tmp_path: Path, name: str, old: str, new: str, code: str, says: str) -> None:
    text = (BUILT_IN / "mappings" / f"{name}.yaml").read_text()
    assert text.count(old) >= 1
    file = tmp_path / f"{name}.yaml"
    file.parent.mkdir()
    file.write_text(text.replace(old, new, 1))
    told = found(name.partition("/")[0], tmp_path)
    assert {one.code for one in told} == {code}, told
    assert any(says in str(one) for one in told), told
