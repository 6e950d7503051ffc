"""Queries over the snapshot: one SELECT, read-only, bounded. And the snapshot itself."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time

import duckdb
import pytest

from hub.errors import ConfigurationError, UsageError
from warehouse.query import query
from warehouse.snapshot import age, publish


@pytest.fixture
def published(world):
    world.merge("cart", {"customer": [world.customer(f"c{n}", email=f"c{n}@example.com") for n in range(20)]})
    path = world.folder / "published" / "warehouse.duckdb"
    publish(world.path, world.model, path)
    return path


def test_canonical_tables_are_on_the_search_path(published):
    answer = query(published, "SELECT hub_id, email FROM customer ORDER BY 1 LIMIT 1")
    assert (answer.columns, answer.rows) == (("hub_id", "email"), [(1, "c0@example.com")])


def test_parameters_and_the_limit(published):
    answer = query(published, "SELECT * FROM customer WHERE hub_id > $least", {"least": 5}, limit=3)
    assert (len(answer.rows), answer.truncated) == (3, True)
    assert not query(published, "SELECT 1 WHERE $1 = 2", [2]).truncated


@pytest.mark.parametrize(
    "sql", ["show tables", "describe customer", "explain select 1", "summarize customer", "from customer"]
)
def test_what_only_reads_is_allowed(published, sql):
    assert query(published, sql).rows


@pytest.mark.parametrize(
    "sql",
    ["DELETE FROM customer", "SELECT 1; SELECT 2", "", "SET threads = 1", "COPY customer TO 'x.csv'", "ATTACH 'x'", "PRAGMA version",
     "CREATE TABLE canonical.x (a INT)", "CALL pragma_version()"],
)  # fmt: skip
def test_what_is_not_one_select_is_refused(published, sql):
    with pytest.raises(UsageError, match="W401"):
        query(published, sql)


@pytest.mark.parametrize("sql", ["SELECT * FROM nothing", "SELECT", "SELECT * FROM read_text('/etc/passwd')",
                                 "WITH x AS (DELETE FROM canonical.customer RETURNING *) FROM x"])  # fmt: skip
def test_what_duckdb_refuses_is_said(published, sql):
    with pytest.raises(UsageError, match="W402"):
        query(published, sql)
    assert len(query(published, "FROM customer").rows) == 20


@pytest.mark.parametrize(("sql", "near"), [("FROM custmer", '"customer"'), ("SELECT emial FROM customer", '"email"')])
def test_what_is_near_a_wrong_name_is_what_to_do(published, sql, near):
    with pytest.raises(UsageError) as refused:
        query(published, sql)
    assert near in refused.value.fix


def test_a_query_that_takes_too_long_is_stopped(published):
    began = time.monotonic()
    with pytest.raises(UsageError, match="W403"):
        query(published, "SELECT count(*) FROM range(10_000_000_000) a, range(10_000_000_000) b", timeout=0.3)
    assert time.monotonic() - began < 20


def test_before_anything_is_published(tmp_path):
    with pytest.raises(ConfigurationError, match="W142"):
        query(tmp_path / "none.duckdb", "SELECT 1")
    with pytest.raises(ConfigurationError, match="W141"):
        publish(tmp_path / "none.duckdb", {}, tmp_path / "p.duckdb")
    assert age(tmp_path / "none.duckdb") is None


def test_a_reader_keeps_the_old_snapshot_and_blocks_nobody(world, published):
    reader = duckdb.connect(str(published), read_only=True)
    world.merge("cart", {"customer": [world.customer("new")]})
    assert publish(world.path, world.model, published).replaced
    assert reader.execute("SELECT count(*) FROM canonical.customer").fetchone() == (20,)
    reader.close()
    assert query(published, "SELECT count(*) FROM customer").rows == [(21,)]
    assert os.listdir(published.parent) == [published.name]


def test_a_young_snapshot_is_kept(world, published):
    world.merge("cart", {"customer": [world.customer("new")]})
    kept = publish(world.path, world.model, published, min_interval=3600)
    assert not kept.replaced
    assert 0 <= kept.age < 3600
    assert query(published, "SELECT count(*) FROM customer").rows == [(20,)]
    os.utime(published, (0, time.time() - 7200))
    assert publish(world.path, world.model, published, min_interval=3600).replaced


def test_a_copy_that_fails_leaves_the_old_one(world, published, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("shutil.copyfile", fail)
    with pytest.raises(OSError, match="disk full"):
        publish(world.path, world.model, published)
    assert len(query(published, "FROM customer").rows) == 20
    assert os.listdir(published.parent) == [published.name]


def test_what_somebody_wrote_into_the_copy_is_not_in_the_next(world, published):
    """Who may do anything opens it for writing all the same; DuckDB keeps that in a log beside it, and reads it with any file."""
    assert stat.S_IMODE(published.stat().st_mode) == 0o444
    published.chmod(0o644)
    script = "import duckdb, os, sys; con = duckdb.connect(sys.argv[1]); con.execute('DELETE FROM canonical.customer'); os._exit(0)"
    subprocess.run([sys.executable, "-c", script, str(published)], check=True)
    assert query(published, "SELECT count(*) FROM customer").rows == [(0,)]
    publish(world.path, world.model, published)
    assert query(published, "SELECT count(*) FROM customer").rows == [(20,)]
    assert os.listdir(published.parent) == [published.name]


def test_the_copy_says_when_it_was_made_and_what_it_holds(world, published):
    made = query(published, "SELECT max(published_at) FROM freshness").rows[0][0]
    assert abs(time.time() - made.timestamp()) < 60
    assert query(published, "SELECT comment FROM duckdb_views() WHERE view_name = 'order_facts'").rows[0][0]
