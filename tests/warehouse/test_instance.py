"""One instance, several files: each is open while it is needed, and written as its kind is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from hub.errors import ConfigurationError, TransientError
from warehouse import runfile
from warehouse.instance import Instance
from warehouse.lock import writer
from warehouse.model import entities

COMPRESSED = (
    "SELECT DISTINCT compression FROM pragma_storage_info('{}') WHERE compression NOT IN ('Constant', 'Empty Validity')"
)


@pytest.fixture
def instance(tmp_path: Path) -> Any:
    made = Instance(
        tmp_path / "hub.duckdb",
        tmp_path / "runs" / "r.duckdb",
        str(tmp_path / "lake"),
        entities(),
        published=tmp_path / "published.duckdb",
    )
    yield made
    made.close()


def kinds(path: Path, table: str) -> set[str]:
    with duckdb.connect(str(path), read_only=True) as con:
        return {kind for (kind,) in con.execute(COMPRESSED.format(table)).fetchall()}


def test_the_run_file_is_not_compressed_and_the_warehouse_is(instance: Instance) -> None:
    for _ in range(2):
        with instance.run(make=True) as con:
            con.execute("CREATE OR REPLACE TABLE run.t AS SELECT 'text ' || range % 7 AS a FROM range(300000)")
        with instance.merging() as con:
            con.execute("CREATE OR REPLACE TABLE ops.t AS SELECT * FROM run_file.run.t")
    assert not instance.warehouse.with_name("hub.duckdb.wal").exists(), "a rebuild and a snapshot move the file alone"
    instance.close()
    assert kinds(instance.run_file, "run.t") == {"Uncompressed"}
    assert "Uncompressed" not in kinds(instance.warehouse, "ops.t")


def test_a_short_log_is_left_to_who_reads_the_run_file_and_deleted_with_it(instance: Instance) -> None:
    log = instance.run_file.with_name("r.duckdb.wal")
    for count in (1, 2):  # what was left is read, and goes on
        with instance.run(make=True) as con:
            con.execute("INSERT INTO raw._gone VALUES ('orders', 1)")
        instance.close()
        assert log.exists(), "nothing was written twice"
        assert instance.run_file.stat().st_size < 100_000
        with duckdb.connect(str(instance.run_file), read_only=True) as con:
            assert con.execute("SELECT count(*) FROM raw._gone").fetchone() == (count,)
    with instance.run() as con:
        for _ in range(6):  # of a group of rows and more, only the place is logged
            con.execute("INSERT INTO raw._gone SELECT uuid()::VARCHAR, range FROM range(20000)")
    assert log.stat().st_size > 4_000_000
    instance.close()
    assert not log.exists(), "a long one would be dear to read"
    with instance.run() as con:
        con.execute("DELETE FROM raw._gone")
    instance.close()
    assert log.exists()
    runfile.remove(instance.run_file)
    assert not list(instance.run_file.parent.iterdir())


def test_a_session_that_is_closed_leaves_no_log_of_the_warehouse(tmp_path: Path) -> None:
    instance = Instance(tmp_path / "hub.duckdb", tmp_path / "r.duckdb", "", entities(), in_memory=True)
    log = tmp_path / "hub.duckdb.wal"
    instance.hold()
    with instance.writing() as con:
        con.execute("INSERT INTO ops.segments (system, segment) VALUES ('cart', 'a')")
    assert log.exists()
    instance.close()
    assert not log.exists()


@pytest.mark.parametrize("in_memory", [False, True])
def test_the_merge_of_a_run_is_in_the_file_with_its_commit_and_that_of_a_session_in_the_log(
    tmp_path: Path, in_memory: bool
) -> None:
    instance = Instance(tmp_path / "hub.duckdb", tmp_path / "r.duckdb", "", entities(), in_memory=in_memory)
    log = tmp_path / "hub.duckdb.wal"
    with instance.writing() as con:
        con.execute("CHECKPOINT")
        con.execute("INSERT INTO ops.hub_ids VALUES ('customer', 7)")
        assert (log.exists() and log.stat().st_size > 0) == in_memory
    assert not log.exists()
    instance.close()
    with duckdb.connect(str(tmp_path / "hub.duckdb"), read_only=True) as con:
        assert con.execute("FROM ops.hub_ids").fetchall() == [("customer", 7)]


def test_a_merge_holds_two_thirds_of_what_the_other_steps_may(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = "SELECT current_setting('memory_limit')"
    monkeypatch.setenv("CROSSDOCK_MEMORY", "90MiB")
    for _ in range(2):
        with instance.run(make=True) as con:
            assert con.execute(held).fetchall() == [("90.0 MiB",)]
        with instance.merging() as con:
            assert con.execute(held).fetchall() == [("60.0 MiB",)]


def test_nothing_else_can_be_set_or_read(instance: Instance, tmp_path: Path) -> None:
    duckdb.connect(str(tmp_path / "other.duckdb")).close()
    with instance.run(make=True) as con:
        for sql in (
            "SET enable_external_access = true",
            "SET allowed_paths = ['/']",
            "SET max_vacuum_tasks = 9",
            f"ATTACH '{tmp_path / 'other.duckdb'}' AS o",
            f"FROM read_text('{tmp_path / 'hub.duckdb.lock'}')",
            "FROM read_text('/etc/passwd')",
        ):
            with pytest.raises(duckdb.Error):
                con.execute(sql).fetchall()


def test_a_file_is_free_when_nobody_needs_it(instance: Instance) -> None:
    with pytest.raises(ConfigurationError, match="W140"), instance.run():
        pass
    assert instance.merged_segments("cart") == set(), "and no warehouse comes to be by the question"
    assert not instance.warehouse.exists()
    with instance.run(make=True):
        pass
    instance.release()
    with duckdb.connect(str(instance.run_file)) as con:
        con.execute("FROM run.counts").fetchall()
    with instance.writing():
        with pytest.raises(TransientError), writer(instance.warehouse, timeout=0):
            pass
        assert instance.held
    with writer(instance.warehouse, timeout=0), duckdb.connect(str(instance.warehouse)) as con:
        con.execute("INSERT INTO ops.segments (system, segment) VALUES ('cart', 'a')")
    assert instance.merged_segments("cart") == {"a"}
    with instance.reading_published() as con:
        assert con is None


def test_a_file_that_is_none_is_named(instance: Instance) -> None:
    instance.warehouse.write_text("no database")
    with pytest.raises(ConfigurationError, match="W102"), instance.writing():
        pass
    assert not instance.held
    with writer(instance.warehouse, timeout=0):
        pass
