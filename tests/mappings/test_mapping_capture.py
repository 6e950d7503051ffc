"""A real record becomes an example that nobody can be found in, and that is read or refused as the record was."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.eu import vat

from hub import yaml
from hub.entity import Model
from hub.errors import UsageError
from mappings import capture, mask
from mappings.load import Mappings
from mappings.outcomes import outcomes
from mappings.reads import personal, reads

SECRET = b"a secret of the test"
ORDERS = """\
stream: orders
entity: sales_order
key: id
fields:
  number: number
  ordered_at: created_at
  customer: {ref: customer, at: "coalesce(customer.id, 'order-' || id)"}
  currency: currency
  total: total
  lifecycle_status: "case when state = 'x' then 'cancelled' else 'open' end"
  ship_to_name: "addresses[kind = 'shipping'].name"
  ship_to_country_code: upper(country)
  customer_po: reference
children: {order_line: {each: lines, key: id, fields: {quantity: quantity, currency: record.currency, sku: sku}}}
"""
PEOPLE = """\
stream: orders
entity: customer
each: people
key: id
fields: {name: record.contact || ' ' || name, email: lower(email), phone: phone, tax_id: tax}
"""
RECORD: dict[str, Any] = {
    "id": 501, "number": "1001", "created_at": "2026-11-18T09:00:00+01:00", "customer": {"id": 8, "email": "ann.lee@corp.example"},
    "currency": "EUR", "total": Decimal("12.50"), "state": "y", "country": "de", "reference": "for Ann Lee, floor 2",
    "addresses": [{"kind": "billing", "name": "Bo Berg", "city": "Ulm"}, {"kind": "shipping", "name": "Ann Lee", "city": "Ulm"}],
    "lines": [{"id": 1, "sku": "A", "quantity": 2, "engraving": "for Mia"}], "browser_ip": "192.0.2.7",
}  # fmt: skip
Write = Callable[[str, str], Path]
Loaded = Callable[[], Mappings]


@pytest.fixture
def shop(write: Write, loaded: Loaded) -> Mappings:
    write("shop/orders.yaml", ORDERS)
    write("shop/orders.people.yaml", PEOPLE)
    assert loaded().findings == []
    return loaded()


def captured(shop: Mappings, model: Model, record: dict[str, Any], keep: tuple[str, ...] = ()) -> capture.Fixture:
    return capture.capture(shop["shop/orders"], list(shop), model, record, SECRET, "abc", keep)


def holds(write: Write, loaded: Loaded, model: Model, text: str) -> bool:
    write("shop/orders_test.yaml", text)
    assert loaded().findings == []
    (told,) = outcomes(loaded()["shop/orders"], model)
    return told.holds


def test_what_a_mapping_reads_and_what_of_it_is_personal(shop: Mappings, model: Model) -> None:
    assert reads(shop["shop/orders.people"], model) == {
        ("people",): False,
        ("people", "[]", "id"): False,
        ("contact",): True,
        ("people", "[]", "name"): True,
        ("people", "[]", "email"): True,
        ("people", "[]", "phone"): True,
        ("people", "[]", "tax"): True,
    }
    assert personal([shop["shop/orders"]], model) == {("addresses", "[]", "name")}
    own = reads(shop["shop/orders"], model)
    assert {("addresses", "[]", "kind"), ("lines", "[]", "sku"), ("currency",), ("state",)} <= set(own)


def test_a_record_that_maps(shop: Mappings, model: Model, write: Write, loaded: Loaded) -> None:
    fixture = captured(shop, model, RECORD)
    assert (fixture.outcome, fixture.masked, fixture.kept) == ("mapped", ("addresses[].name",), ())
    (example,) = yaml.loads(fixture.text)[0]
    assert "browser_ip" not in example["given"]
    assert set(example["given"]["lines"][0]) == {"id", "sku", "quantity"}
    assert [set(one) for one in example["given"]["addresses"]] == [{"kind", "name"}] * 2
    # What is not personal is as it was, but for what it quotes.
    assert example["given"]["total"] == Decimal("12.50")
    assert example["given"]["number"] == "1001"
    assert example["given"]["reference"].endswith(", floor 2")
    for word in ("Ann Lee", "Bo Berg", "corp.example", "Mia"):
        assert word not in fixture.text
    assert example["expect"]["ship_to_name"] == example["given"]["addresses"][1]["name"]
    assert example["expect"]["order_line"] == [{"sku": "A", "quantity": 2, "currency": "EUR"}]
    assert holds(write, loaded, model, fixture.text)


@pytest.mark.parametrize(
    ("wrong", "rejects"),
    [
        ({"total": "twelve"}, [{"field": "total", "rule": "cast"}]),
        ({"currency": None, "total": "1.23456"}, [{"field": "currency", "rule": "required"}, {"field": "order_line.currency", "rule": "required"}, {"field": "total", "rule": "precision"}]),
        ({"lines": [{"id": 1, "quantity": "two"}]}, [{"field": "order_line.quantity", "rule": "cast"}]),
    ],
)  # fmt: skip
def test_a_record_that_is_refused_is_refused_in_the_same_way(
    shop: Mappings, model: Model, write: Write, loaded: Loaded, wrong: dict[str, Any], rejects: list[dict[str, str]]
) -> None:
    fixture = captured(shop, model, RECORD | wrong)
    (example,) = yaml.loads(fixture.text)[0]
    found = [one for one in example["rejects"] if one in rejects]
    assert found == [one for one in rejects if one in example["rejects"]] != []
    assert holds(write, loaded, model, fixture.text)


def test_a_personal_value_that_matters_is_not_kept_in_silence(
    write: Write, loaded: Loaded, model: Model, shop: Mappings
) -> None:
    special = ORDERS.replace("state = 'x'", "addresses[0].name = 'Bo Berg'")
    write("shop/orders.yaml", special)
    mappings = loaded()
    with pytest.raises(UsageError, match="no look-alike of its personal values is") as refused:
        captured(mappings, model, RECORD)
    assert (refused.value.code, "--keep 'addresses[].name'" in refused.value.fix) == ("M407", True)
    fixture = captured(mappings, model, RECORD, ("addresses[].name",))
    assert fixture.kept == ("addresses[].name",)
    assert "Bo Berg" in fixture.text


def test_a_record_of_another_shape_says_so(shop: Mappings, model: Model) -> None:
    with pytest.raises(UsageError, match="not of the shape") as refused:
        captured(shop, model, RECORD | {"lines": "none"})
    assert refused.value.code == "M408"


def test_what_would_still_be_told_is_not_written() -> None:
    """The broken twin of masking: a personal text that got through."""
    with pytest.raises(UsageError) as refused:
        capture._nothing_personal("- {note: for ANN LEE}", ["Ann Lee"])
    assert refused.value.code == "M409"


@pytest.mark.parametrize(
    "text",
    ["Ann Lee", "ÄÖ Müller-Lüdenscheidt", "山田", "89073", "Gasse 12b", "2026-11-18", "12.50", " a ", "x", "007", "ANN", "O'Neil",
     "ann.lee@corp.example", " Ann@Corp.Example ", "not@valid", "@", "+49 731 1234567", "+49 1", "DE136695976", "DE136695977", "ATU12345675"],
)  # fmt: skip
def test_a_look_alike_is_of_the_same_kind(text: str) -> None:
    made = mask.look_alike(text, SECRET)
    assert made == mask.look_alike(text, SECRET)
    assert made != mask.look_alike(text, b"another") or len(text) < 3
    assert (made != text) == any(character.isalnum() for character in text)
    assert mask._kinds(made) == mask._kinds(text)
    if "@" not in text:
        assert [c.isalpha() for c in made] == [c.isalpha() for c in text]
        assert [c.isdecimal() for c in made] == [c.isdecimal() for c in text]
    if text.startswith("+49 7"):
        assert made.startswith("+49")
        assert phonenumbers.is_valid_number(phonenumbers.parse(made))
    if text.startswith("DE"):
        assert vat.is_valid(made) == vat.is_valid(text)


@settings(max_examples=50, deadline=None)
@given(
    st.recursive(
        st.one_of(st.text(max_size=12), st.integers(), st.booleans(), st.none()),
        lambda s: st.lists(s, max_size=3),
        max_leaves=5,
    )
)
def test_every_value_can_be_masked(value: Any) -> None:
    assert type(mask.masked(value, SECRET)) is type(value)
