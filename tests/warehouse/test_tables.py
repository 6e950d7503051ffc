"""The tables follow the model, and what is stored survives that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hub.entity import Column, Entity
from hub.errors import ConfigurationError
from warehouse import tables
from warehouse.duck import connect
from warehouse.merge import _open
from warehouse.model import entities


def test_every_layer_has_every_entity(world):
    w = world
    for layer in ("source", "previous", "canonical", "history"):
        found = {n for (n,) in w.rows("SELECT table_name FROM duckdb_tables() WHERE schema_name = $1", layer)}
        assert found == set(w.model)
    assert w.rows("SELECT count(*) FROM duckdb_indexes()") == [(0,)]


def test_migrating_again_does_nothing(world):
    con = connect(world.path)
    assert tables.migrate(con, world.model) == []
    con.close()


def test_a_project_can_add_entities_and_columns_and_nothing_else_changes(world):
    w = world
    w.merge("cart", {"customer": [w.customer("c1")], "sales_order": [w.order("1", "c1", [("a", None, 1)])]})
    before = w.content("canonical.customer", "canonical.sales_order", "canonical.order_line")
    order = w.model["sales_order"]
    line = w.model["order_line"]
    w.model = {
        **w.model,
        "sales_order": replace(order, columns=(*order.columns, Column("gift", "boolean"))),
        "order_line": replace(line, columns=(*line.columns, Column("colour", "text"))),
        "loyalty_card": Entity(
            "loyalty_card", (Column("points", "integer"), Column("customer", "ref", ref="customer"))
        ),
    }
    report = w.merge(
        "cart",
        {
            "sales_order": [w.order("1", "c1", [("a", None, 1)])],
            "loyalty_card": [w.rec("l", points=7, customer_ref="c1")],
        },
    )
    assert report.touched == {"loyalty_card": 1}
    assert w.rows("SELECT points, customer FROM loyalty_card") == [(7, 1)]
    assert w.rows("SELECT gift FROM sales_order") == [(None,)]
    strip = lambda rows: {name: len(found) for name, found in rows.items()}  # noqa: E731
    assert strip(w.content(*before)) == strip(before)
    assert w.rows("FROM history.sales_order") == w.rows("FROM history.order_line") == []
    w.merge("cart", {"sales_order": [w.order("1", "c1", [("a", None, 1)], gift=True)]})
    assert w.rows("SELECT gift FROM sales_order") == [(True,)]


def test_another_hash_function_changes_no_row(world, monkeypatch):
    """As if DuckDB's hash() had become another one: what is stored is hashed anew, and a repeated run writes nothing."""
    w = world
    records = {"customer": [w.customer("c1")], "sales_order": [w.order("1", "c1", [("a", None, 1)])]}
    w.merge("cart", records, sequence=1)
    before = w.content()
    con = connect(w.path)
    for table in (
        "source.customer",
        "source.sales_order",
        "canonical.customer",
        "canonical.sales_order",
        "canonical.order_line",
    ):
        con.execute(f"UPDATE {table} SET row_hash = 1")
    con.execute("UPDATE source.sales_order SET source_key = 2, children_hash = 3, match_1 = 4")
    con.execute("UPDATE source.order_line SET parent_key = 2")
    con.execute("UPDATE ops.bindings SET key = 5")
    con.execute("UPDATE ops.positions SET value = split_part(value, ' ', 1) || ' 123' WHERE name = 'schema'")
    con.close()
    assert w.merge("cart", records, sequence=1).touched == {}
    assert w.content() == before


def test_a_newer_warehouse_is_refused(world):
    con = connect(world.path)
    tables.set_position(con, "schema_version", "99")
    con.close()
    with pytest.raises(ConfigurationError, match="W134"):
        _open(world.path, world.model)


def test_a_column_of_another_type_is_refused(world):
    con = connect(world.path)
    con.execute("ALTER TABLE canonical.customer ALTER COLUMN phone TYPE BIGINT")
    tables.set_position(con, "schema", "old 1")
    with pytest.raises(ConfigurationError, match="W135"):
        tables.migrate(con, world.model)
    con.close()


@pytest.mark.parametrize(
    ("entity", "code"),
    [
        (Entity("thing", (Column("waiting", "text"),)), "W130"),
        (Entity("thing", (Column("_x", "text"),)), "W130"),
        (Entity("thing", (Column("line", "ref", ref="order_line"),)), "W130"),
        (Entity("thing", (Column("its_line", "ref", ref="order_line"),)), "W131"),
        (Entity("thing", (Column("other", "ref", ref="nothing"),)), "W131"),
        (Entity("thing", (Column("x", "text"),), parent="order_line"), "W132"),
        (Entity("thing", (Column("x", "text"),), parent="nothing"), "W132"),
    ],
)
def test_a_model_that_cannot_be_held_is_refused(tmp_path, entity, code):
    con = connect(tmp_path / "w.duckdb")
    with pytest.raises(ConfigurationError, match=code):
        tables.migrate(con, {**entities(), "thing": entity})
    con.close()
