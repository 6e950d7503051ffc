"""A storm of faults over real SOAP: a tenth of the calls is done and not answered, and the ERP's own books are counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from push_harness import ORDER, PARTNER, Push, World, patched

from connectors.sandbox_erp import SandboxErp
from flow.send import Settings
from hub.connector import Connection
from hub.secrets import Secret

ORDERS = 60
QUICK = Settings(attempts=4, backoff=0.01, longest=0.05, patience=0.05, breaker=50)

PARTNERS = replace(
    PARTNER,
    stream="business_partners",
    sql=PARTNER.sql.replace(
        "json_object('name', c.name)",
        "json_object('name', c.name, 'category', '1', 'external_id', c.hub_id::VARCHAR, 'country', 'DE')",
    ),
)
_ITEM = "json_object('material', 'CD-00001', 'quantity', '2', 'net_price', '5.00', 'net_amount', '10.00', 'tax_amount', '0.00')"
ORDERS_PUSH = Push(
    "create",
    "sales_orders",
    "sales_order",
    ORDER.sql.replace("'po', o.number", "'purchase_order', o.number").replace(
        "'total', o.total", f"'currency', 'EUR', 'items', [{_ITEM}]"
    ),
)
FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("reset_after", {"probability": 0.10}),
    ("reset_before", {"probability": 0.08}),
    ("truncate", {"probability": 0.05}),
    ("502", {"probability": 0.05, "effect": True}),
    ("500", {"probability": 0.05}),
    ("html", {"probability": 0.03}),
    ("429", {"probability": 0.05, "retry_after": 0.01}),
)


@pytest.mark.slow
def test_through_a_storm_every_order_is_in_the_books_once(tmp_path: Path, sandbox_fresh: Any) -> None:
    connection = Connection("erp", sandbox_fresh.erp, login="crossdock", password=Secret("sandbox-erp-password"))
    erp = SandboxErp(connection)
    world = World(tmp_path / "project")
    world.customers = {n: f"Storm Customer {n}" for n in range(90001, 90011)}
    for n in range(1, ORDERS + 1):
        world.order(n, customer=90001 + n % 10, number=f"STORM-{n}")
    world.publish()
    for seed, (fault, options) in enumerate(FAULTS):
        sandbox_fresh.control.fault("erp", fault, path="Create|Find", seed=seed, **options)
    with patched((PARTNERS, ORDERS_PUSH), SandboxErp.streams):
        for _ in range(6):
            world.push(erp, settings=QUICK)
        sandbox_fresh.control.clear()
        world.push(erp, settings=QUICK)
        assert world.push(erp, settings=QUICK).counts == {}
        assert world.plan().calls == ()
    assert sum("fault" in call for call in sandbox_fresh.control.calls("erp")) > 20, "there was a storm"
    held = Counter(o["purchase_order"] for o in sandbox_fresh.control.books()["orders"])
    storm = {key: n for key, n in held.items() if key.startswith("STORM-")}
    assert storm == {f"STORM-{n}": 1 for n in range(1, ORDERS + 1)}
    with world.ledger() as ledger:
        assert ledger.open_intents("erp") == []
        given = {
            o.key: o.external_id
            for o in ledger.outcomes_after(0)
            if o.status == "applied" and o.entity == "sales_order"
        }
    numbers = {o["purchase_order"]: o["number"] for o in sandbox_fresh.control.books()["orders"]}
    assert given == {key: numbers[key] for key in storm}, "every id that is remembered is the right one"
    found = [erp.find("business_partners", str(n)) for n in world.customers]
    assert [len(one) for one in found] == [1] * 10
