"""One instance, several files: each is open while it is needed, and written as its kind is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from hub.errors import ConfigurationError, TransientError
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
