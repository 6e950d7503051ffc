"""Which records are one: bindings first, then exact keys across systems, with what speaks against it."""

from __future__ import annotations


def hubs(w, entity="customer"):
    return dict(w.rows(f"SELECT system || ':' || source_id, hub_id FROM source.{entity}"))


def test_customers_match_by_normalised_email_and_tax_id(world):
    w = world
    w.merge("cart", {"customer": [w.customer("c1", email="Ann@Example.com"), w.customer("c2", tax_id="DE 123.456")]})
    w.merge("erp", {"customer": [w.customer("k1", email=" ann@example.COM "), w.customer("k2", tax_id="de123456")]})
    assert hubs(w) == {"cart:c1": 1, "cart:c2": 2, "erp:k1": 1, "erp:k2": 2}
    assert w.rows("SELECT system, origin FROM ops.bindings ORDER BY ALL") == [
        ("cart", "source"), ("cart", "source"), ("erp", "match"), ("erp", "match"),
    ]  # fmt: skip


def test_an_email_does_not_join_two_tax_ids(world):
    w = world
    w.merge("cart", {"customer": [w.customer("c1", email="office@example.com", tax_id="1")]})
    w.merge("erp", {"customer": [w.customer("k1", email="office@example.com", tax_id="2")]})
    w.merge("crm", {"customer": [w.customer("a1", email="office@example.com", tax_id="2")]})
    assert hubs(w) == {"cart:c1": 1, "erp:k1": 2, "crm:a1": 2}


def test_missing_and_empty_keys_match_nothing(world):
    w = world
    w.merge("cart", {"customer": [w.customer("c1", email=None), w.customer("c2", email="  ")]})
    w.merge("erp", {"customer": [w.customer("k1", email=None), w.customer("k2", email="")]})
    assert len(set(hubs(w).values())) == 4


def test_two_accounts_of_one_system_are_two_customers(world):
    w = world
    w.merge("cart", {"customer": [w.customer("c1", email="x@example.com"), w.customer("c2", email="x@example.com")]})
    w.merge("erp", {"customer": [w.customer("k1", email="x@example.com")]})
    assert hubs(w) == {"cart:c1": 1, "cart:c2": 2, "erp:k1": 1}


def test_two_accounts_do_not_take_the_same_hub(world):
    w = world
    w.merge("erp", {"customer": [w.customer("k1", email="x@example.com")]})
    w.merge("cart", {"customer": [w.customer("c2", email="x@example.com"), w.customer("c1", email="x@example.com")]})
    assert hubs(w) == {"erp:k1": 1, "cart:c1": 1, "cart:c2": 2}


def test_guests_join_each_other_and_the_account(world):
    w = world
    guest = {"email": "g@example.com", "guest": True}
    w.merge("cart", {"customer": [w.customer("g1", **guest), w.customer("g2", **guest), w.customer("g3", guest=True)]})
    assert hubs(w) == {"cart:g1": 1, "cart:g2": 1, "cart:g3": 2}
    w.merge("cart", {"customer": [w.customer("c1", email="G@example.com"), w.customer("g4", **guest)]})
    assert hubs(w) == {"cart:g1": 1, "cart:g2": 1, "cart:g3": 2, "cart:c1": 1, "cart:g4": 1}


def test_a_guest_and_an_account_in_one_batch(world):
    w = world
    w.merge(
        "cart",
        {
            "customer": [
                w.customer("a-guest", email="g@example.com", guest=True),
                w.customer("c1", email="g@example.com"),
            ]
        },
    )
    assert hubs(w) == {"cart:a-guest": 1, "cart:c1": 1}


def test_a_binding_stays_when_the_key_changes(world):
    w = world
    w.merge("cart", {"customer": [w.customer("c1", email="a@example.com")]})
    w.merge("erp", {"customer": [w.customer("k1", email="a@example.com")]})
    w.merge("cart", {"customer": [w.customer("c1", email="new@example.com")]})
    assert hubs(w) == {"cart:c1": 1, "erp:k1": 1}


def test_a_changed_key_is_what_later_rows_match(world):
    w = world
    w.merge("cart", {"customer": [w.customer("c1", email="a@example.com")]})
    w.merge(
        "cart",
        {"customer": [w.customer("c1", email="b@example.com"), w.customer("g", email="b@example.com", guest=True)]},
    )
    w.merge("erp", {"customer": [w.customer("k1", email="a@example.com"), w.customer("k2", email="b@example.com")]})
    assert hubs(w) == {"cart:c1": 1, "cart:g": 1, "erp:k1": 2, "erp:k2": 1}


def test_products_match_by_sku_and_by_gtin_with_or_without_zeros(world):
    w = world
    w.merge("cart", {"product": [w.product("A-1", gtin="4006381333931"), w.product("B-1")]})
    w.merge("erp", {"product": [w.product("900", sku="x", gtin="04006381333931"), w.product("901", sku=" b-1")]})
    assert hubs(w, "product") == {"cart:A-1": 1, "cart:B-1": 2, "erp:900": 1, "erp:901": 2}


def test_a_record_that_quotes_the_hub_is_bound_to_it(world):
    w = world
    w.merge("cart", {"customer": [w.customer("c1"), w.customer("c2")]})
    w.merge(
        "crm", {"customer": [w.customer("a1", hub="2"), w.customer("a2", hub="77"), w.customer("a3", hub="no number")]}
    )
    assert hubs(w) == {"cart:c1": 1, "cart:c2": 2, "crm:a1": 2, "crm:a2": 3, "crm:a3": 4}


def test_what_a_record_quotes_is_kept_and_is_no_new_version_of_the_customer(world):
    w = world
    w.merge("crm", {"customer": [w.customer("a1", email="a@example.com"), w.customer("a2", email="b@example.com")]})
    before = w.rows("SELECT * FROM canonical.customer ORDER BY hub_id")
    w.merge("crm", {"customer": [w.customer("a1", email="a@example.com", hub="1")]})
    assert w.rows("SELECT source_id, hub_ref, hub_id FROM source.customer ORDER BY 1") == [
        ("a1", "1", 1),
        ("a2", None, 2),
    ]
    assert w.rows("SELECT * FROM canonical.customer ORDER BY hub_id") == before
    assert w.one("SELECT count(*) FROM history.customer") == 0


def test_who_knows_both_keys_joins_two_hubs_and_everything_follows(world):
    w = world
    w.merge("cart", {"customer": [w.customer("c1", email="a@example.com")], "product": [w.product("P")],
                     "sales_order": [w.order("1", "c1", [("a", "P", 1)])]})  # fmt: skip
    w.merge("erp", {"customer": [w.customer("k1", "In the books", tax_id="DE1")],
                    "sales_order": [w.order("2", "k1")],
                    "account_credit": [w.rec("k1", customer_ref="k1", currency="EUR", hold=True)]})  # fmt: skip
    assert hubs(w) == {"cart:c1": 1, "erp:k1": 2}
    w.merge("crm", {"customer": [w.customer("a1", email="A@example.com", tax_id="de 1")]})
    assert hubs(w) == {"cart:c1": 1, "erp:k1": 1, "crm:a1": 1}
    assert w.rows("SELECT hub_id, email, tax_id FROM customer") == [(1, "a@example.com", "de 1")]
    assert w.rows("SELECT number, customer FROM sales_order ORDER BY 1") == [("1", 1), ("2", 1)]
    assert w.one("SELECT customer FROM account_credit") == 1
    assert w.rows("SELECT hub_id, name FROM history.customer WHERE hub_id = 2") == [(2, "In the books")]
    assert w.rows("SELECT entity, hub_id, into_hub_id FROM ops.merged_hubs") == [("customer", 2, 1)]
    assert w.rows("SELECT DISTINCT hub_id FROM ops.bindings WHERE entity = 'customer'") == [(1,)]


def test_what_belongs_to_joined_hubs_is_joined_too(world):
    w = world
    credit = {"currency": "EUR"}
    w.merge(
        "cart",
        {
            "customer": [w.customer("c1", email="a@example.com")],
            "account_credit": [w.rec("c1", customer_ref="c1", **credit)],
        },
    )
    w.merge(
        "erp",
        {"customer": [w.customer("k1", tax_id="DE1")], "account_credit": [w.rec("k1", customer_ref="k1", **credit)]},
    )
    assert len(w.rows("SELECT * FROM account_credit")) == 2
    w.merge("crm", {"customer": [w.customer("a1", email="a@example.com", tax_id="DE1")]})
    assert w.rows("SELECT hub_id, customer FROM account_credit") == [(1, 1)]


def test_hubs_that_speak_against_each_other_are_not_joined(world):
    w = world
    w.merge("cart", {"customer": [w.customer("c1", email="a@example.com", tax_id="1")]})
    w.merge("erp", {"customer": [w.customer("k1", email="a@example.com", tax_id="2")]})
    w.merge("crm", {"customer": [w.customer("a1", email="a@example.com")]})
    assert hubs(w) == {"cart:c1": 1, "erp:k1": 2, "crm:a1": 1}


def test_the_children_of_joined_hubs_come_from_one_system(world):
    w = world
    address = {"customer_address": [{"id": "1", "city": "Bonn"}]}
    w.merge("cart", {"customer": [_with(w.customer("c1", email="a@example.com"), address)]})
    w.merge(
        "erp", {"customer": [_with(w.customer("k1", tax_id="1"), {"customer_address": [{"id": "1", "city": "Ulm"}]})]}
    )
    w.merge("crm", {"customer": [w.customer("a1", email="a@example.com", tax_id="1")]})
    assert w.rows("SELECT parent, city FROM customer_address") == [(1, "Bonn")]


def _with(rec, children):
    return type(rec)(rec.id, rec.fields, children, rec.version, rec.hub)
