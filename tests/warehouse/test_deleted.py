"""A record that its system deleted: who decides, what it still says, whom it matches, and that it comes back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from warehouse import columns, survivorship, tables
from warehouse.duck import connect

AT = datetime(2026, 11, 20, 15, tzinfo=UTC)
CUSTOMERS = "SELECT hub_id, name, phone, deleted_at FROM customer ORDER BY hub_id"


@pytest.fixture
def w(world):
    """A customer of the books, which are asked first, and of the shop."""
    world.survivorship = {"customer": {"default": ("erp", "cart")}}
    world.merge("cart", {"customer": [world.customer("c1", "Ann", email="a@example.com", phone="1")]})
    world.merge("erp", {"customer": [world.customer("k1", "Ann Lee", email="a@example.com")]})
    return world


def gone(w, system: str, id: str, *fields: str, **more) -> None:
    name = {"c1": "Ann", "k1": "Ann Lee"}.get(id, "Ann")
    said = {"email": "a@example.com", **({"phone": "1"} if id == "c1" else {}), **more}
    w.merge(system, {"customer": [w.customer(id, name, deleted_at=AT, **said)]})


def test_the_owner_deletes_and_restores_and_history_keeps_both(w):
    gone(w, "erp", "k1")
    assert w.rows(CUSTOMERS) == [(1, "Ann Lee", "1", AT)], "what was known of it stays known"
    w.merge("erp", {"customer": [w.customer("k1", "Ann Lee", email="a@example.com")]})
    assert w.rows(CUSTOMERS) == [(1, "Ann Lee", "1", None)]
    closed = w.rows("SELECT deleted_at FROM history.customer ORDER BY valid_from")
    assert closed == [(None,), (None,), (AT,)]


def test_another_system_alone_does_not_delete_what_the_owner_still_has(w):
    before = w.content("canonical.customer", "history.customer")
    gone(w, "cart", "c1")
    assert w.content(*before) == before
    assert w.rows("SELECT system, deleted_at FROM source.customer ORDER BY 1") == [("cart", AT), ("erp", None)]


def test_who_owns_the_existence_can_be_declared_for_itself(w):
    w.survivorship = {"customer": {"default": ("erp", "cart"), "deleted_at": ("cart", "erp")}}
    gone(w, "cart", "c1")
    assert w.rows(CUSTOMERS) == [(1, "Ann Lee", "1", AT)]


def test_the_broken_twin_lets_whoever_deletes_win(w, monkeypatch):
    own = survivorship._winner
    monkeypatch.setattr(
        survivorship, "_winner", lambda entity, name, *more: own(entity, name, *more).replace("arg_min_null", "arg_min")
    )
    gone(w, "cart", "c1")
    assert w.rows(CUSTOMERS) == [(1, "Ann Lee", "1", AT)]


def test_one_of_two_records_of_the_owner_is_not_the_customer(w):
    """Two accounts of one person were merged over there: the one that is left speaks."""
    w.merge("erp", {"customer": [w.customer("k2", "Ann Two", hub="1")]})
    gone(w, "erp", "k1")
    assert w.rows(CUSTOMERS) == [(1, "Ann Two", "1", None)]


def test_who_comes_later_is_somebody_new(w):
    gone(w, "erp", "k1")
    w.merge("crm", {"customer": [w.customer("x", "Ann Again", email="a@example.com")]})
    assert w.rows("SELECT hub_id, name FROM customer WHERE deleted_at IS NULL") == [(2, "Ann Again")]
    w.merge("erp", {"customer": [w.customer("k1", "Ann Lee", email="a@example.com")]})
    assert w.rows("SELECT hub_id FROM source.customer ORDER BY system") == [(1,), (2,), (1,)], "the same id is the same"


def test_who_is_made_anew_where_another_was_deleted_is_the_same_customer(w):
    """The shop deleted the account, the books have the customer still: the next account is hers, also in the same run."""
    gone(w, "cart", "c1")
    w.merge("cart", {"customer": [w.customer("c2", "Ann", email="a@example.com")]})
    dead = w.customer("c2", "Ann", email="a@example.com", deleted_at=AT)
    w.merge("cart", {"customer": [dead, w.customer("c3", "Ann", email="a@example.com")]})
    assert w.rows("SELECT source_id, hub_id FROM source.customer WHERE system = 'cart' ORDER BY 1") == [
        ("c1", 1),
        ("c2", 1),
        ("c3", 1),
    ]
    w.merge("cart", {"customer": [w.customer("c4", "Ann", email="a@example.com")]})
    assert w.rows("SELECT hub_id FROM source.customer WHERE source_id = 'c4'") == [(2,)], "two living accounts are two"


def test_what_was_never_known_alive_matches_nobody_whoever_comes_first(world):
    for first, second in (("erp", "cart"), ("cart", "erp")):
        for system in (first, second):
            dead = {"deleted_at": AT} if system == "erp" else {}
            record = world.customer(f"{first}{system}", email=f"{first}@example.com", **dead)
            world.merge(system, {"customer": [record]})
    assert world.rows("SELECT count(*), count(deleted_at) FROM customer") == [(4, 2)]


def test_its_orders_keep_their_customer_and_new_ones_wait_for_nothing(w):
    w.merge("cart", {"sales_order": [w.order("1", "c1")]})
    gone(w, "erp", "k1")
    w.merge("cart", {"sales_order": [w.order("2", "c1")]})
    assert w.rows("SELECT customer FROM sales_order") == [(1,), (1,)]
    assert w.rows("FROM ops.waiting") == []


def test_merging_a_delete_twice_is_merging_it_once(w):
    gone(w, "erp", "k1")
    before = w.content(*(f"{layer}.customer" for layer in ("canonical", "history")))
    gone(w, "erp", "k1")
    assert w.content(*before) == before


def test_the_lines_of_a_deleted_order_stay_as_they_are(w):
    order = [w.order("1", "c1", [("a", None, 2)])]
    w.merge("cart", {"sales_order": order})
    lines = w.content("canonical.order_line", "history.order_line")
    w.merge("cart", {"sales_order": [w.order("1", "c1", [("a", None, 2)], deleted_at=AT)]})
    assert w.one("SELECT deleted_at FROM sales_order") == AT
    assert w.content(*lines) == lines
    assert "deleted_at" not in {name for (name,) in w.rows("SELECT column_name FROM (DESCRIBE canonical.order_line)")}


def _older(w) -> None:
    """As a warehouse was before records could be deleted in `source`."""
    con = connect(w.path)
    for entity in (one for one in w.model.values() if not one.parent):
        for schema in ("source", "previous"):
            con.execute(f"ALTER TABLE {schema}.{entity.name} DROP COLUMN deleted_at")
    con.execute("UPDATE ops.positions SET value = 'older ' || split_part(value, ' ', 2) WHERE name = 'schema'")
    con.close()


def test_an_older_warehouse_gets_the_column_and_no_hash_anew(w):
    again = {"customer": [w.customer("k1", "Ann Lee", email="a@example.com")]}
    hashes = "SELECT source_key, row_hash, match_1, children_hash FROM source.customer ORDER BY ALL"
    before = w.rows(hashes)
    _older(w)
    con = connect(w.path)
    done = tables.migrate(con, w.model)
    con.close()
    assert 'added source."customer".deleted_at' in done
    assert not [one for one in done if one.startswith("hashed")]
    assert w.rows(hashes) == before
    assert w.merge("erp", again).touched == {}
    gone(w, "erp", "k1")
    assert w.one("SELECT deleted_at FROM customer") == AT


def test_the_broken_twin_hashes_the_column_of_what_is_not_deleted(w, monkeypatch):
    _older(w)
    monkeypatch.setattr(columns, "_header_hash_sql", columns.hash_sql)
    report = w.merge("erp", {"customer": [w.customer("k1", "Ann Lee", email="a@example.com")]})
    assert report.touched == {"customer": 1}, "a row that says the same counts as another one"
