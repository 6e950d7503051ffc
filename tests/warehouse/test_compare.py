"""Comparing two warehouses finds what differs, and nothing where nothing does."""

from __future__ import annotations

import shutil

from warehouse.duck import connect
from warehouse.rebuild import compare


def test_equal_and_different_warehouses(world, tmp_path):
    world.merge("cart", {"customer": [world.customer("c1"), world.customer("c2")]})
    other = tmp_path / "other.duckdb"
    shutil.copyfile(world.path, other)
    assert compare(world.path, other, world.model) == []
    con = connect(other)
    con.execute("UPDATE canonical.customer SET hub_id = 9 WHERE hub_id = 2")
    con.execute("DELETE FROM source.customer WHERE source_id = 'c1'")
    con.close()
    found = {d.table: (d.only_in_first, d.only_in_second) for d in compare(world.path, other, world.model)}
    assert found == {"canonical.customer": (1, 1), "source.customer": (1, 0)}


def test_the_order_of_the_columns_is_no_difference(world, tmp_path):
    """What an older warehouse gained stands at its end."""
    world.merge("cart", {"customer": [world.customer("c1")]})
    other = tmp_path / "other.duckdb"
    shutil.copyfile(world.path, other)
    con = connect(other)
    con.execute("ALTER TABLE source.customer DROP COLUMN deleted_at")
    con.execute("ALTER TABLE source.customer ADD COLUMN deleted_at TIMESTAMPTZ")
    con.close()
    assert compare(other, world.path, world.model) == []
