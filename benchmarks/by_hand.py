"""The merges that a person would write by hand, over a copy of the benchmark's warehouse: what a run's merge is measured by.

Their connection stays open, so that what was read once is in memory; nothing is decided in them: every order is known, and
one system speaks for it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable

import duckdb
from changes_world import World

Spent = tuple[float, float]  # wall, CPU in milliseconds

_NEW = """CREATE OR REPLACE TEMP TABLE new AS SELECT * REPLACE (row_hash + 1 AS row_hash, concat(note, '!') AS note)
          FROM source.sales_order WHERE system = 'shop' AND hub_id IN ({some})"""
_NEW_LINES = """CREATE OR REPLACE TEMP TABLE new_lines AS SELECT * REPLACE (quantity + 1 AS quantity)
                FROM source.order_line WHERE parent_key IN (SELECT source_key FROM new)"""
_DIFFERING = """CREATE OR REPLACE TEMP TABLE differing AS SELECT n.source_key, o.rowid AS old, o.hub_id FROM new n
                LEFT JOIN source.sales_order o ON o.source_key = n.source_key WHERE o.row_hash IS DISTINCT FROM n.row_hash"""
_DELETE = (
    "DELETE FROM source.order_line WHERE parent_key IN (SELECT source_key FROM differing)",
    "DELETE FROM source.sales_order WHERE rowid IN (SELECT old FROM differing)",
)
_INSERT = (
    "INSERT INTO source.sales_order SELECT * FROM new SEMI JOIN differing USING (source_key)",
    "INSERT INTO source.order_line FROM new_lines WHERE parent_key IN (SELECT source_key FROM differing)",
)


class ByHand:
    """Merges of some orders of a shop and of all their lines, each changed. They do not stay: the copy goes with the world."""

    def __init__(self, world: World) -> None:
        file = world.folder / "by_hand.duckdb"
        shutil.copyfile(world.project.warehouse, file)
        self._con = duckdb.connect(str(file), config={"max_vacuum_tasks": 0})
        self._kept = self._keeping()

    def bare(self, some: str) -> Spent:
        """The difference-merge of one layer: keys compared, DELETE and INSERT, a commit and its checkpoint. `some` selects hub ids."""
        return self._spent(some, [_DIFFERING, *_DELETE, *_INSERT], ["CHECKPOINT"])

    def kept(self, some: str, checkpoint: bool = True) -> Spent:
        """As `bare`, of all that a run leaves behind: what the system says, what holds, and in history what held before."""
        return self._spent(some, self._kept, ["CHECKPOINT"] if checkpoint else [])

    def _keeping(self) -> list[str]:
        held, ended, written = [], [], []
        for table, new, source_of in (
            ("sales_order", "new", {}),
            ("order_line", "new_lines", {"parent": "parent_hub_id"}),
        ):
            key = "parent" if source_of else "hub_id"
            held.append(
                f"CREATE OR REPLACE TEMP TABLE held_{table} AS SELECT rowid AS old, * FROM canonical.{table}"
                f" WHERE {key} IN (SELECT hub_id FROM differing)"
            )
            ended.append(
                f"INSERT INTO history.{table} BY NAME SELECT * EXCLUDE (old), now() AS valid_to FROM held_{table}"
            )
            ended.append(f"DELETE FROM canonical.{table} WHERE rowid IN (SELECT old FROM held_{table})")
            there = self._columns(f"source.{table}")
            values = {name: source_of.get(name, name) for name in self._columns(f"canonical.{table}")}
            listed = ", ".join(f"{value if value in there else 'NULL'} AS {name}" for name, value in values.items())
            written.append(f"INSERT INTO canonical.{table} SELECT {listed} FROM {new}")
        return [_DIFFERING, *held, *ended, *_DELETE, *_INSERT, *written]

    def _columns(self, table: str) -> list[str]:
        return [row[0] for row in self._con.execute(f"DESCRIBE {table}").fetchall()]

    def _spent(self, some: str, statements: Iterable[str], after: Iterable[str]) -> Spent:
        for sql in (_NEW.format(some=some), _NEW_LINES, "CHECKPOINT"):
            self._con.execute(sql)
        began = clock()
        for sql in ("BEGIN", *statements, "COMMIT", *after):
            self._con.execute(sql)
        return since(began)


def clock() -> Spent:
    return time.perf_counter(), time.process_time()


def since(began: Spent) -> Spent:
    return (time.perf_counter() - began[0]) * 1000, (time.process_time() - began[1]) * 1000
