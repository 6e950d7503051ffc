"""What analysts read says what it holds, in every snapshot, and costs nothing where it does so already."""

from __future__ import annotations

from dataclasses import replace

from hub.entity import Column, Entity
from warehouse import tables
from warehouse.describe import describe
from warehouse.duck import connect


def described(world):
    con = connect(world.path)
    try:
        return describe(con, world.model)
    finally:
        con.close()


def comment(world, schema, table, column):
    sql = "SELECT comment FROM duckdb_columns() WHERE schema_name = $1 AND table_name = $2 AND column_name = $3"
    return world.one(sql, schema, table, column)


def test_a_column_says_its_values_whose_id_it_is_and_that_it_is_personal(world):
    described(world)
    assert comment(world, "canonical", "customer", "email") == "E-mail, lower case [pii]"
    assert comment(world, "canonical", "customer", "status") == "May the customer buy: active, blocked or archived"
    assert comment(world, "canonical", "sales_order", "customer") == "Who buys: hub_id of the customer"
    assert comment(world, "quality", "open_cases", "hub_id").startswith("the hub's id of the record; NULL")
    assert comment(world, "quality", "causes", "rule") == comment(world, "quality", "quarantine", "rule")


def test_everything_that_people_look_at_says_what_it_holds(world):
    described(world)
    views = world.rows("SELECT schema_name || '.' || view_name, comment FROM duckdb_views() WHERE NOT internal")
    assert {"ops.count_law", "ops.waiting", "quality.causes", "quality.open_cases"} <= {name for name, _ in views}
    assert [name for name, said in views if not said] == []
    assert world.rows("SELECT table_name FROM duckdb_tables() WHERE comment IS NULL") == []
    columns = """SELECT schema_name, table_name, column_name FROM duckdb_columns() WHERE comment IS NULL AND NOT internal
                 AND (schema_name IN ('canonical', 'quality', 'push', 'marts') OR table_name IN ('bindings', 'runs', 'waiting'))
                 AND table_name NOT IN ('verdicts', 'results')"""
    assert world.rows(columns) == []


def test_what_is_up_to_date_is_left_alone(world):
    assert described(world) > 100
    assert described(world) == 0


def test_a_model_that_says_something_else_is_described_anew_and_no_more(world):
    described(world)
    place = world.model["location"]
    said = tuple(replace(column, doc="Its name") if column.name == "name" else column for column in place.columns)
    world.model = {**world.model, "location": replace(place, columns=said)}
    views = world.one("SELECT count(*) FROM duckdb_views() WHERE schema_name IN ('marts', 'versions') AND NOT internal")
    columns = world.one("SELECT count(*) FROM duckdb_columns() WHERE schema_name = 'marts' AND comment IS NOT NULL")
    assert described(world) == 2 + 2 * views + columns + 1  # the schemas; views are made anew, with their comments
    assert comment(world, "canonical", "location", "name") == "Its name"


def test_what_migrating_replaced_is_described_again(world):
    """Its views are new ones, whatever the reason was, and new ones say nothing."""
    described(world)
    con = connect(world.path)
    con.execute("UPDATE ops.positions SET value = split_part(value, ' ', 1) || ' 123' WHERE name = 'schema'")
    tables.migrate(con, world.model)
    con.close()
    assert comment(world, "quality", "causes", "records") is None
    described(world)
    assert comment(world, "quality", "causes", "records") == "how many cases are open"


def test_an_entity_that_a_project_adds_has_its_versions_and_one_that_is_gone_has_none(world):
    had = world.model
    world.model = {**had, "loyalty_card": Entity("loyalty_card", (Column("points", "integer"),), doc="A card.")}
    world.merge("cart", {"loyalty_card": [world.rec("l", points=7)]})
    described(world)
    assert world.rows("SELECT points, valid_to FROM versions.loyalty_card") == [(7, None)]
    assert comment(world, "canonical", "loyalty_card", "points") == ""
    world.model = had
    described(world)
    views = world.rows("SELECT view_name FROM duckdb_views() WHERE schema_name = 'versions'")
    assert ("loyalty_card",) not in views
    assert ("sales_order",) in views
