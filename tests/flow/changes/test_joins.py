"""Lookups, children from a second stream and flat exports, over several runs: what arrives later changes what used it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from changes_harness import Shop

from flow.diff import diff
from flow.preview import Wanted, preview
from flow.rebuild import rebuild
from flow.run import Run
from flow.stage import stage
from hub.config import load_project

PROJECT = 'name: joins\nsystems: {shop: {connector: joined, connection: {url: "http://127.0.0.1:9"}}}\n'
CONNECTOR = """\
from hub.connector import Connector, Stream


class Joined(Connector):
    name = "joined"
    streams = (
        Stream("customers", primary_key="id"),
        Stream("groups", primary_key="id"),
        Stream("orders", primary_key="id"),
        Stream("order_items", primary_key="id"),
        Stream("articles", primary_key="sku"),
        Stream("export", primary_key="Key"),
    )
"""
CUSTOMERS = """\
stream: customers
entity: customer
key: id
fields:
  name: name
  family_name: {lookup: groups, key: group_id, by: id, at: title}
"""
ORDERS = """\
stream: orders
entity: sales_order
key: id
fields: {number: id, ordered_at: "'2026-11-18T09:00:00Z'", customer: {ref: customer, at: customer}, currency: "'EUR'", total: total,
         lifecycle_status: "'open'"}
children: {order_line: {stream: order_items, parent: order_id, key: id, fields: {quantity: quantity, sku: sku,
           description: {lookup: articles, key: sku, by: sku, at: name, missing: pass}}}}
"""
EXPORT = """\
stream: export
entity: sales_order
key: "'X' || OrderNo"
fields: {number: OrderNo, ordered_at: "'2026-11-18T09:00:00Z'", customer: {ref: customer, at: Customer}, currency: "'EUR'", total: Total,
         lifecycle_status: "'open'"}
children: {order_line: {stream: export, parent: "'X' || OrderNo", key: Line, fields: {quantity: Qty, sku: Sku}}}
"""


READ = """SELECT stream, n FROM ops.counts WHERE state = 'read' AND n > 0
    AND run_id = (SELECT max(run_id) FROM ops.runs) ORDER BY 1"""


def written(root: Path) -> Shop:
    (root / "crossdock.yaml").write_text(PROJECT)
    (root / "connectors").mkdir()
    (root / "connectors" / "joined.py").write_text(CONNECTOR)
    shop = Shop(load_project(root))
    shop.mapping("shop/customers", CUSTOMERS)
    shop.mapping("shop/orders", ORDERS)
    shop.mapping("shop/export", EXPORT)
    return Shop(load_project(root))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """One run: a customer whose group is known and one whose group is not; an order with a line; a flat order of two lines."""
    shop = written(tmp_path_factory.mktemp("joins"))
    shop.pulled([{"id": 1, "name": "A", "group_id": 3}, {"id": 2, "name": "B", "group_id": 4}], "shop/customers")
    shop.pulled([{"id": 3, "title": "Three"}], "shop/groups")
    shop.pulled([{"id": 7, "customer": 1, "total": 5}, {"id": 8, "customer": 1, "total": 6}], "shop/orders")
    shop.pulled([item(1, 7, "A"), item(2, 8, "B")], "shop/order_items")
    shop.pulled([line("N1", 1, "A"), line("N2", 1, "C"), line("N1", 2, "B", total=9)], "shop/export")
    shop.sync()
    return shop


@pytest.fixture
def shop(first: Shop, tmp_path: Path) -> Shop:
    root = tmp_path / "copy"
    shutil.copytree(first.project.root, root)
    return Shop(load_project(root), dict(first.sequences))


def item(number: int, order: int, sku: str, quantity: Any = 1) -> dict[str, Any]:
    return {"id": number, "order_id": order, "sku": sku, "quantity": quantity}


def line(order: str, number: int, sku: str, total: int = 8) -> dict[str, Any]:
    return {
        "Key": f"{order}/{number}",
        "OrderNo": order,
        "Line": number,
        "Sku": sku,
        "Qty": 1,
        "Total": total,
        "Customer": 1,
    }


def customers(shop: Shop) -> dict[str, str]:
    return dict(shop.rows("SELECT name, family_name FROM canonical.customer ORDER BY 1"))


def lines(shop: Shop) -> dict[str, list[str]]:
    """The articles of each order."""
    found = shop.rows(
        "SELECT o.number, list(l.sku ORDER BY l.sku) FROM canonical.sales_order o"
        " LEFT JOIN canonical.order_line l ON l.parent = o.hub_id GROUP BY 1 ORDER BY 1"
    )
    return dict(found)


def counts(shop: Shop, stream: str) -> dict[str, int]:
    """What the last run counted of a stream."""
    return dict(
        shop.rows(
            "SELECT state, n FROM ops.counts WHERE mapping IS NULL"
            f" AND run_id = (SELECT max(run_id) FROM ops.runs) AND stream = '{stream}'"
        )
    )


def test_one_run_finds_what_came_with_it(first: Shop) -> None:
    assert customers(first) == {"A": "Three"}
    assert first.rows("SELECT source_id, rule, raw FROM quality.quarantine") == [("2", "lookup", "4")]
    assert lines(first) == {"7": ["A"], "8": ["B"], "N1": ["A", "B"], "N2": ["C"]}
    assert first.rows("SELECT total FROM canonical.sales_order WHERE number = 'N1'")[0][0] == 9
    assert counts(first, "export") == {"read": 3, "duplicates": 0, "staged": 3, "rejected": 0}


def test_what_arrives_later_maps_those_again_that_asked_for_it(shop: Shop) -> None:
    shop.pulled([{"id": 4, "title": "Four"}, {"id": 5, "title": "Five"}], "shop/groups")
    shop.sync()
    assert customers(shop) == {"A": "Three", "B": "Four"}
    assert shop.rows("SELECT count(*) FROM quality.quarantine WHERE closed_at IS NULL") == [(0,)]
    assert counts(shop, "customers") == {"read": 1, "duplicates": 0, "staged": 1, "rejected": 0}


def test_a_change_of_what_was_looked_up(shop: Shop) -> None:
    shop.pulled([{"id": 3, "title": "Drei"}], "shop/groups")
    shop.sync()
    assert customers(shop) == {"A": "Drei"}
    shop.pulled([{"id": 3, "title": "Drei"}], "shop/groups")
    shop.sync()
    assert shop.rows(READ) == [("groups", 1)]


def test_a_new_record_sees_what_was_merged_before(shop: Shop) -> None:
    shop.pulled([{"id": 9, "name": "C", "group_id": 3}], "shop/customers")
    shop.pulled([{"id": 7, "customer": 1, "total": 55}], "shop/orders")
    shop.pulled([line("N1", 3, "D")], "shop/export")
    shop.sync()
    assert customers(shop) == {"A": "Three", "C": "Three"}
    assert lines(shop) == {"7": ["A"], "8": ["B"], "N1": ["A", "B", "D"], "N2": ["C"]}


def test_lines_that_come_after_their_header(shop: Shop) -> None:
    shop.pulled([item(3, 7, "C"), item(2, 7, "B")], "shop/order_items")
    shop.sync()
    assert lines(shop) == {"7": ["A", "B", "C"], "8": [None], "N1": ["A", "B"], "N2": ["C"]}
    assert counts(shop, "orders")["read"] == 2


def test_what_a_line_of_a_second_stream_looks_up(shop: Shop) -> None:
    shop.pulled([{"sku": "A", "name": "Ax"}], "shop/articles")
    shop.sync()
    told = shop.rows("SELECT sku, description FROM canonical.order_line WHERE description IS NOT NULL ORDER BY 1")
    assert told == [("A", "Ax"), ("B", "B")]
    assert counts(shop, "orders")["read"] == 1


def test_a_rebuild_gives_the_same(shop: Shop) -> None:
    shop.pulled([{"id": 4, "title": "Four"}, {"id": 3, "title": "Drei"}], "shop/groups")
    shop.pulled([item(3, 7, "C")], "shop/order_items")
    shop.sync()
    told = customers(shop), lines(shop), shop.rows("SELECT hub_id, name FROM canonical.customer")
    rebuild(shop.project)
    assert (customers(shop), lines(shop), shop.rows("SELECT hub_id, name FROM canonical.customer")) == told
    assert told[0] == {"A": "Drei", "B": "Four"}


def test_while_a_gate_is_closed_what_was_looked_up_comes_again(shop: Shop) -> None:
    """Else the customer would keep the old title: the next run would not see that the group had changed."""
    from flow.gate import gate
    from flow.map import map
    from flow.merge import merge
    from warehouse import runfile

    shop.pulled([{"id": 3, "title": "Drei"}], "shop/groups")
    run = Run.start(shop.project, "shop")
    stage(run)
    map(run)
    gate(run, expectations=False)
    con = runfile.open(run.file)
    con.execute("UPDATE gate.state SET closed = true WHERE entity = 'customer'")
    con.close()
    assert merge(run).status == "held"
    shop.sync()
    assert customers(shop) == {"A": "Drei"}


def test_the_hubs_own_rows_are_looked_up_as_they_were_published(shop: Shop, tmp_path: Path) -> None:
    shop.mapping(
        "shop/customers",
        CUSTOMERS + "  given_name: {lookup: canonical.sales_order, key: last, by: number, at: number}\n",
    )
    shop.pulled([{"id": 5, "name": "E", "last": "N1"}, {"id": 6, "name": "F", "last": "N9"}], "shop/customers")
    shop.sync()
    assert shop.rows("SELECT name, given_name FROM canonical.customer ORDER BY 1") == [("A", None), ("E", "N1")]
    assert shop.rows("SELECT source_id FROM quality.quarantine WHERE rule = 'lookup' AND raw = 'N9'") == [("6",)]
    shutil.copytree(shop.project.root / "mappings", tmp_path / "before")
    shop.mapping(
        "shop/customers",
        (tmp_path / "before" / "shop" / "customers.yaml").read_text().replace("at: number", "at: currency"),
    )
    made = diff(shop.project, "shop/customers", str(tmp_path / "before"))
    assert [(table.entity, table.changed, table.columns) for table in made.rows] == [("customer", 1, {"given_name": 1})]


def test_a_preview_sees_what_the_lake_knows(shop: Shop) -> None:
    made = preview(shop.project, "shop/customers", b'[{"id": 5, "name": "E", "group_id": 3}]', "given", Wanted())
    (row,) = made.records[0].rows
    found = next(value for value in row.values if value.name == "family_name")
    assert (found.value, found.reads) == ("Three", (("group_id", "3"), ("groups.title", "Three")))
    made = preview(shop.project, "shop/orders", b'[{"id": 8, "customer": 1, "total": 1}]', "given", Wanted())
    assert [child.source_id for child in made.records[0].rows[0].children] == ["2"]


def test_a_preview_of_a_flat_export_puts_the_given_records_together(shop: Shop) -> None:
    given = json.dumps([line("N7", number, "S") for number in (1, 2)]).encode()
    made = preview(shop.project, "shop/export", given, "given", Wanted())
    rows = [row for record in made.records for row in record.rows]
    assert [(row.source_id, len(row.children)) for row in rows] == [("XN7", 2)]


GONE = "2026-11-22T10:00:00+00:00"
BY_TITLE = CUSTOMERS.replace("key: group_id, by: id, at: title", "key: name, by: title, at: id")


def test_what_is_deleted_is_found_as_it_was(shop: Shop) -> None:
    """A customer keeps the name of a group that was taken out of use, also when he is mapped again."""
    shop.pulled([{"id": 3, "title": "Three"}], "shop/groups", deleted_at=GONE)
    shop.pulled([{"id": 1, "name": "A2", "group_id": 3}], "shop/customers")
    shop.sync()
    assert customers(shop)["A2"] == "Three"


def test_the_living_are_found_before_the_deleted(shop: Shop) -> None:
    """Of two groups with one title the deleted one is the newest record, for its tombstone came last."""
    shop.mapping("shop/customers", BY_TITLE)
    shop.pulled([{"id": 30, "title": "T"}, {"id": 31, "title": "T"}], "shop/groups")
    shop.pulled([{"id": 9, "name": "T"}], "shop/customers")
    shop.sync()
    assert customers(shop)["T"] == "31"
    shop.pulled([{"id": 31, "title": "T"}], "shop/groups", deleted_at=GONE)
    shop.sync()
    assert customers(shop)["T"] == "30", "who used it is mapped again"
    shop.pulled([{"id": 30, "title": "T"}], "shop/groups", deleted_at=GONE)
    shop.sync()
    assert customers(shop)["T"] in ("30", "31")


def test_the_hubs_own_rows_too(shop: Shop) -> None:
    """Of the customers called A one is deleted, and found where no other is."""
    looked = "{stream: groups, entity: location, key: id, fields: {code: id, name: {lookup: canonical.customer, key: title, by: name, at: hub_id}}}"
    shop.mapping("shop/groups", looked)
    shop.mapping("shop/customers", CUSTOMERS)
    shop.pulled([{"id": 5, "name": "A"}], "shop/customers")
    shop.sync()
    for gone, found in (({"id": 5, "name": "A"}, 1), ({"id": 1, "name": "A", "group_id": 3}, 3)):
        shop.pulled([gone], "shop/customers", deleted_at=GONE)
        shop.sync()
        shop.pulled([{"id": str(found), "title": "A"}], "shop/groups")
        shop.sync()
        (told,) = shop.rows("SELECT name FROM location WHERE code = $code", code=str(found))
        living = shop.rows(
            "SELECT hub_id::VARCHAR FROM customer WHERE name = 'A' ORDER BY deleted_at IS NULL DESC, hub_id DESC LIMIT 1"
        )
        assert [told] == living
