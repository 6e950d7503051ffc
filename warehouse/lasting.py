"""An instance of DuckDB that lasts: batch after batch goes from stage to merge, and nothing is opened anew for each.

Opening an instance costs 15 ms and what it does first is slow; attaching the warehouse to one that is there costs 4. So the
instance stays for as long as the process likes, and holds the warehouse with its writer lock for at most HOLD seconds at a
time: DuckDB keeps a file locked while it is attached, and others have to get their turn (docs/adr/0032).

The run's tables live in memory, as the database that a merge calls `run_file`. What has to be kept of a run is in the lake,
the warehouse and the ledger; a run that has anything to show takes the long way, with a run file (`flow/session.py`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hub.entity import Model
from warehouse import runfile, tables
from warehouse.duck import Connection, attach_sql, connect, literal, with_beside
from warehouse.lock import writer
from warehouse.work import RUN
from warehouse.writing import BLOCK, NO_TIDYING

HOLD = 1.5  # seconds: nobody waits longer than two for the warehouse
_TURN = 0.03  # seconds between two holds: who waits for the lock looks every 10 ms
_FRESH = 64  # batches, after which the run's tables are made anew: emptied tables in memory only grow
_WAREHOUSE = "warehouse"


class Lasting:
    """`merged` are the segments of each system that are merged, as far as they were asked for under this hold."""

    def __init__(self, warehouse: Path, lake: str, cache: Path, model: Model) -> None:
        self.warehouse = warehouse.resolve()
        self.lake, self.cache, self.model = lake, cache, model
        self._con: Connection | None = None
        self._lock = ExitStack()
        self._since = self._left = 0.0
        self._batches = 0
        self.merged: dict[str, set[str]] = {}

    @property
    def held(self) -> bool:
        return bool(self._since)

    def hold(self) -> None:
        """Take the writer lock and attach the warehouse, unless that is so. Raises TransientError while another has it."""
        if self.held:
            return
        time.sleep(max(0.0, self._left + _TURN - time.monotonic()))
        self._lock.enter_context(writer(self.warehouse))
        try:
            con = self._instance()
            con.execute(attach_sql(self.warehouse, _WAREHOUSE, BLOCK))
            con.execute(f"USE {_WAREHOUSE}")
            tables.migrate(con, self.model)
        except BaseException:
            self.discard()
            raise
        self._since = time.monotonic()

    def let_go_if_due(self) -> None:
        if self.held and time.monotonic() - self._since > HOLD / 2:
            self.let_go()

    def let_go(self) -> None:
        """Detach the warehouse, which writes its checkpoint, and release the lock; the instance stays."""
        if not self.held:
            return
        try:
            self._instance().execute("USE memory")
            self._instance().execute(f"DETACH {_WAREHOUSE}")
        except BaseException:
            self.discard()
            raise
        self._released()

    def discard(self) -> None:
        """Close everything: the next hold begins anew. After a commit of which nobody knows, and at the end."""
        if self._con is not None:
            self._con.close()
            self._con = None
        self._released()

    def _released(self) -> None:
        self._lock.close()
        self._since, self._left = 0.0, time.monotonic()
        self.merged = {}

    def _instance(self) -> Connection:
        if self._con is None:
            folder = runfile.local_folder(self.lake)
            named = f"SET VARIABLE run_file = {literal(str(self.cache.with_suffix('.duckdb')))}"
            allowed = [one for one in (folder, self.cache) if one]
            self._con = connect(
                ":memory:", allowed=allowed, files=with_beside(self.warehouse), settings=(NO_TIDYING, named)
            )
            self._batches = 0
        return self._con

    def begin(self) -> None:
        """The run's tables, empty."""
        con = self._instance()
        if self._batches % _FRESH == 0:
            con.execute("USE memory")
            con.execute(f"DETACH DATABASE IF EXISTS {RUN}")
            con.execute(f"ATTACH ':memory:' AS {RUN}")
            con.execute(f"USE {RUN}")
            runfile.create_tables(con, self.model)
        else:
            con.execute(f"USE {RUN}")
            runfile.reset(con, self.model, "stage")
        self._batches += 1

    @contextmanager
    def run(self) -> Iterator[Connection]:
        """The connection as stage, map and gate know it: in the run's database."""
        con = self._instance()
        con.execute(f"USE {RUN}")
        yield con

    @contextmanager
    def merging(self) -> Iterator[Connection]:
        """The connection as a merge knows it: in the warehouse, with the run beside it."""
        self.hold()
        con = self._instance()
        con.execute(f"USE {_WAREHOUSE}")
        yield con

    def merged_segments(self, system: str) -> set[str]:
        """The paths of the system's segments that are merged, asked for once a hold."""
        if system not in self.merged:
            with self.merging() as con:
                sql = "SELECT segment FROM ops.segments WHERE system = $1"
                self.merged[system] = {path for (path,) in con.execute(sql, [system]).fetchall()}
        return self.merged[system]
