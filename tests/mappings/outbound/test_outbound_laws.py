"""pull(push(x)) = x for the columns that go both ways: the payload, read by the mapping's own way in, is the canonical row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mappings
from hub.errors import Place
from mappings import examples, load, outbound, trial
from mappings.syntax import Example, ValueMap
from warehouse.model import entities

MODEL = entities()
ALL = load.load([Path(mappings.__file__).parent], MODEL)

texts = st.text(st.characters(categories=("L", "N", "P", "S"), max_codepoint=0x2FFFF), min_size=1, max_size=20)
emails = st.from_regex(r"[a-z0-9.]{1,10}@example\.(com|org)", fullmatch=True)
money = st.decimals(0, Decimal("99999999.9999"), places=4)
quantities = st.decimals(Decimal("0.000001"), 999_999, places=6)
currencies = st.sampled_from(["EUR", "USD", "JPY", "KWD"])
quick = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


accounts = st.fixed_dictionaries(
    {
        "name": texts,
        "email": maybe(emails),
        "phone": maybe(texts),
        "tax_id": maybe(texts),
        "tier": maybe(st.sampled_from(["standard", "silver", "gold"])),
        "country_code": maybe(st.sampled_from(["DE", "AT"])),
    }
)
lines = st.fixed_dictionaries(
    {
        "sku": texts,
        "quantity": quantities,
        "unit": st.sampled_from(["C62", "KGM"]),
        "unit_price": money,
        "discount": money,
        "line_total": money,
        "tax_amount": money,
    }
)


@st.composite
def orders(draw: st.DrawFn) -> dict[str, Any]:
    currency = draw(currencies)
    totals = {name: draw(money) for name in ("line_total", "discount_total", "charge_total", "tax_total", "total")}
    made = [{**line, "currency": currency} for line in draw(st.lists(lines, min_size=1, max_size=3))]
    return {"number": draw(texts), "currency": currency, **totals, "order_line": made}


def pulled_again(
    name: str, operation: str, rows: Sequence[dict[str, Any]], own: dict[str, Any], extra: dict[str, Any]
) -> list[str]:
    """What differs when the payloads of `rows` (with `own` columns added) are read with the `extra` the target adds."""
    mapping = ALL[name]
    push = next(one for one in mapping.push if one.operation == operation)
    made = outbound.compile(mapping, push, MODEL)
    tried = []
    for row in rows:
        payload = trial.push(made, MODEL, {**row, **own})
        assert payload is not None
        for number, item in enumerate(payload.get("items", ()), 1):
            item["item"] = f"{number:05}0"  # the ERP numbers the lines
        tried.append(Example("law", Place("law"), {**payload, **extra}, expect=(row,)))
    return [str(finding) for finding in examples.run(replace(mapping, examples=tuple(tried)), MODEL)]


@quick
@given(st.lists(accounts, min_size=1, max_size=4))
def test_accounts(rows: list[dict[str, Any]]) -> None:
    assert pulled_again("crm/accounts", "upsert", rows, {}, {"Id": "001", "IsDeleted": False}) == []


@quick
@given(st.lists(orders(), min_size=1, max_size=2))
def test_erp_orders(rows: list[dict[str, Any]]) -> None:
    own = {
        "lifecycle_status": "open",
        "payment_status": "paid",
        "ordered_at": "2026-11-18T08:00:00Z",
        "customer": "0000100012",
    }
    assert pulled_again("erp/sales_orders", "create", rows, own, {"number": "1", "status": "open"}) == []


BOTH_WAYS = sorted(
    {
        field.values.name: field.values
        for mapping in ALL
        if mapping.system in ("cart", "erp", "crm")
        for push in mapping.push
        for field in mapping.fields
        if field.values and any(one.name == field.name and one.bare for one in push.fields)
    }.items()
)


@pytest.mark.parametrize("values", [one for _, one in BOTH_WAYS], ids=[name for name, _ in BOTH_WAYS])
def test_value_maps_that_go_both_ways_lose_nothing(values: ValueMap) -> None:
    for canonical in set(values.inward.values()):
        assert values.inward[values.outward.get(canonical, "")] == canonical


def test_a_map_that_loses_something_is_caught() -> None:
    """The broken twin: `tier` with two words for gold."""
    mapping = ALL["crm/accounts"]
    broken = {"Standard": "standard", "Gold": "gold", "Vip": "gold"}
    fields = tuple(
        replace(field, values=replace(field.values, inward=broken, outward={"standard": "Gold", "gold": "Gold"}))
        if field.name == "tier" and field.values
        else field
        for field in mapping.fields
    )
    made = outbound.compile(replace(mapping, fields=fields), mapping.push[0], MODEL)
    payload = trial.push(made, MODEL, {"name": "Ann", "tier": "standard"})
    law = Example("law", Place("law"), {**(payload or {}), "Id": "001"}, expect=({"tier": "standard"},))
    assert examples.run(replace(mapping, fields=fields, examples=(law,)), MODEL)
