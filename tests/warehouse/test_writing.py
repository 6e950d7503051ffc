"""Whoever opens the warehouse for writing writes the same blocks, and none writes the others' anew."""

from __future__ import annotations

import pytest

from warehouse.duck import connect, one, run
from warehouse.snapshot import publish
from warehouse.writing import BLOCK, open_to_write

BLOCKS = "SELECT count(DISTINCT row_group_id) FROM pragma_storage_info('ops.bindings')"


@pytest.fixture
def loaded(world):
    """A warehouse with three blocks of bindings, the last of them a small one."""
    con = open_to_write(world.path)
    sql = f"INSERT INTO ops.bindings SELECT range, 'x', 'y', range::VARCHAR, range, 'source', now() FROM range({2 * BLOCK} + 10)"
    run(con, sql)
    con.close()
    return world


def test_blocks_are_of_the_size_that_was_asked_for(loaded):
    con = connect(loaded.path, read_only=True)
    assert one(con, BLOCKS) == 3
    con.close()


def test_publishing_closes_gaps_and_leaves_full_blocks_alone(loaded, tmp_path):
    publish(loaded.path, loaded.model, tmp_path / "published.duckdb")
    con = connect(tmp_path / "published.duckdb", read_only=True)
    assert one(con, BLOCKS) == 3
    con.close()


def test_the_broken_twin_that_tidies_with_the_default_writes_them_all_anew(loaded):
    con = connect(loaded.path)
    run(con, "COMMENT ON TABLE ops.bindings IS 'something to write'")
    run(con, "DELETE FROM ops.bindings WHERE hub_id < 10")
    run(con, "CHECKPOINT")
    assert one(con, BLOCKS) == 1
    con.close()


def test_what_does_not_fit_is_written_beside_the_file(world, monkeypatch):
    monkeypatch.setenv("CROSSDOCK_MEMORY", "48MB")
    con = open_to_write(world.path)
    assert one(con, "SELECT current_setting('temp_directory')") == f"{world.path}.tmp"
    sort = "SELECT max(x) FROM (SELECT md5(range::VARCHAR) AS x FROM range(1_000_000) ORDER BY x LIMIT 900_000)"
    assert len(one(con, sort)) == 32
    con.close()
