"""One instance of DuckDB for the steps of a run, or for those of many: from stage to merge nothing is opened anew.

Opening an instance costs 15 ms and what it does first is slow; attaching a file to one that is there costs 3. So the run's
tables are attached as `run_file`, and the warehouse as `warehouse`, with its writer lock, while a step needs it: DuckDB
keeps a file locked while it is attached, and others have to get their turn (docs/adr/0032).

The run's tables stand in the run file, so that another process can take the next step. A session (`flow/session.py`) has
them in memory: what has to be kept of a run is in the lake, the warehouse and the ledger. It holds the warehouse for HOLD
seconds at most where somebody waits for it, else for ALONE.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import duckdb

from hub.entity import Model
from hub.errors import ConfigurationError
from warehouse import runfile, tables
from warehouse.duck import Connection, attach, connect, literal, one, with_beside
from warehouse.lock import wanted, writer
from warehouse.work import RUN
from warehouse.writing import BLOCK, NO_TIDYING

HOLD = 1.5  # seconds: nobody waits longer than two for the warehouse
# Seconds after which a session lets go of it although nobody waits: the file is then complete without its log, and free for those who do not ask.
ALONE = 15.0
_TURN = 0.03  # seconds between two holds: who waits for the lock looks every 10 ms
# Records after which the run's tables are made anew: emptied tables in memory only grow. A batch counts as _LEAST of them and
# more: what is counted and judged of it are rows, too.
_FRESH, _LEAST = 6_400, 100
_SHORT_LOG = 4_000_000  # bytes: reading a log costs 7 ms a megabyte, once or twice; a checkpoint twice that, and 10 ms
# The run file lives for a day: compressing it costs half as much again as reading the records.
_RUN_FILE = ("SET force_compression = 'uncompressed'", "SET checkpoint_threshold = '16MB'")
# A merge is one commit, after which the file is let go of, which needs a checkpoint: all would be written twice, to the log before.
_WAREHOUSE_FILE = ("SET force_compression = 'auto'", "SET checkpoint_threshold = '1 byte'")
# Of CROSSDOCK_MEMORY. A merge fills what it is given with blocks that it does not need again, and takes as long with half of it. Reading
# records needs half of it, but DuckDB grants a second thread by the bound: 4 MB a column, of a quarter.
_OF_A_MERGE = 2 / 3
_WAREHOUSE = "warehouse"
_PUBLISHED = "published"


class Instance:
    """`run_file` holds the run's tables; with `in_memory` it is only what its caches are named after. `published` is the snapshot.

    `merged` are the segments of each system that are merged, as far as they were asked for under this hold; `views` the texts of
    the mappings' views, which last as long as the connection.
    """

    def __init__(
        self,
        warehouse: Path,
        run_file: Path,
        lake: str,
        model: Model,
        *,
        published: Path | None = None,
        in_memory: bool = False,
    ) -> None:
        self.warehouse, self.run_file = warehouse.resolve(), run_file.resolve()
        self.published = published.resolve() if published else None
        self.lake, self.model, self.in_memory = lake, model, in_memory
        self._con: Connection | None = None
        self._lock = ExitStack()
        self._since = self._left = 0.0
        self._records = 0  # that the run's tables in memory have held
        self._there = False  # the run's tables are attached
        self._used = "memory"  # the current database
        self.merged: dict[str, set[str]] = {}
        self.views: set[str] = set()

    @property
    def held(self) -> bool:
        return bool(self._since)

    def give_a_turn(self) -> None:
        """Wait until others could have taken the warehouse since it was let go."""
        time.sleep(max(0.0, self._left + _TURN - time.monotonic()))

    def hold(self) -> None:
        """Take the writer lock and attach the warehouse, unless that is so. Raises TransientError while another has it."""
        if self.held:
            return
        self._lock.enter_context(writer(self.warehouse))
        try:
            con = self._instance()
            self._write_as(_WAREHOUSE_FILE)
            self._bound(_OF_A_MERGE)
            attach(con, self.warehouse, _WAREHOUSE, block=BLOCK)
            self._use(_WAREHOUSE)
            tables.migrate(con, self.model)
        except BaseException:
            self.close()
            raise
        self._since = time.monotonic()

    @property
    def wanted(self) -> bool:
        """Is the warehouse held while somebody waits for it?"""
        return self.held and wanted(self.warehouse)

    def let_go_if_due(self) -> None:
        """After a batch. What is read of the warehouse is kept only as long as it is attached, which halves what the next batch costs."""
        since = time.monotonic() - self._since
        if self.held and since > HOLD / 2 and (since > ALONE or self.wanted):
            self.let_go()

    def let_go(self) -> None:
        """Detach the warehouse, which writes its checkpoint, and release the lock; the instance stays."""
        if not self.held:
            return
        try:
            self._detach(_WAREHOUSE)
            self._write_as(_RUN_FILE)
            self._bound()
        except BaseException:
            self.close()
            raise
        self._released()

    def close(self) -> None:
        """Close everything: the next step begins anew. After a commit of which nobody knows, and at the end."""
        if self._con is not None:
            if self._there and not (self.in_memory or self.held):
                self._leave_log()
            self._con.close()
            self._con, self._there, self._used = None, False, "memory"
            self.views = set()
        self._released()

    def _leave_log(self) -> None:
        """Let go of the run file without a checkpoint where its log is short: every commit wrote it, and who opens the file reads it."""
        log = self.run_file.with_name(f"{self.run_file.name}.wal")
        if not log.is_file() or log.stat().st_size > _SHORT_LOG:
            return
        with suppress(duckdb.Error):  # of a transaction that failed: closing ends it
            self._instance().execute("SET checkpoint_on_detach = 'DISABLED'")
            self._detach(RUN)

    def _released(self) -> None:
        self._lock.close()
        self._since, self._left = 0.0, time.monotonic()
        self.merged = {}

    def _instance(self) -> Connection:
        if self._con is None:
            lake = runfile.local_folder(self.lake) if self.lake else None
            folders = [one for one in (lake, runfile.cache_folder(self.run_file)) if one]
            opened = [one for one in (self.warehouse, self.run_file, self.published) if one]
            beside = [file for one in opened for file in with_beside(one)]
            spilled = self.run_file.with_name(self.run_file.name + ".tmp")
            settings = (
                NO_TIDYING,
                f"SET VARIABLE run_file = {literal(str(self.run_file))}",
                f"SET temp_directory = {literal(str(spilled))}",
                # The run file's are not the warehouse's, and it may be left with a log.
                "SET allowed_configs = ['force_compression', 'checkpoint_threshold', 'checkpoint_on_detach', 'memory_limit']",
                "SET auto_checkpoint_skip_wal_threshold = 0",  # whatever checkpoints at its commit writes no log
            )
            self._con = connect(":memory:", allowed=folders, files=beside, settings=settings)
            self._write_as(_RUN_FILE)
            self._records = 0
        return self._con

    def _write_as(self, settings: Sequence[str]) -> None:
        """What stands in one of the two files is written otherwise than in the other. In a session there is only one."""
        if not self.in_memory:
            for setting in settings:
                self._instance().execute(setting)

    def _bound(self, share: float = 1.0) -> None:
        """What DuckDB may hold from here on: so much of CROSSDOCK_MEMORY. A session's batches are small, and it holds the warehouse."""
        bound = os.environ.get("CROSSDOCK_MEMORY")
        if bound and not self.in_memory:
            con = self._instance()
            con.execute(f"SET memory_limit = {literal(bound)}")
            if share < 1:
                amount, unit = one(con, "SELECT current_setting('memory_limit')").split()
                con.execute(f"SET memory_limit = '{float(amount) * share:.1f} {unit}'")

    def _use(self, name: str) -> Connection:
        con = self._instance()
        if self._used != name:
            con.execute(f"USE {name}")
            self._used = name
        return con

    def _detach(self, name: str) -> None:
        self._use("memory").execute(f"DETACH {name}")

    def begin(self, records: int) -> None:
        """The run's tables in memory, empty, for a batch of so many records."""
        con = self._instance()
        if not self._records or self._records >= _FRESH:
            self._records = 0
            self._use("memory")
            con.execute(f"DETACH DATABASE IF EXISTS {RUN}")
            con.execute(f"ATTACH ':memory:' AS {RUN}")
            runfile.create_tables(self._use(RUN), self.model)
        else:
            runfile.reset(self._use(RUN), self.model, "stage")
        self._there = True
        self._records += max(_LEAST, records)

    @contextmanager
    def run(self, *, make: bool = False) -> Iterator[Connection]:
        """The connection as stage, map and gate know it: in the run's database. `make` makes the file where there is none."""
        yield self._with_run(make=make)

    def _with_run(self, *, make: bool = False) -> Connection:
        con = self._instance()
        if self._there:
            return self._use(RUN)
        if not (make or self.run_file.is_file()):
            what = f"there is no run file {self.run_file.name}"
            raise ConfigurationError("W140", what, fix="run the step stage first")
        self.run_file.parent.mkdir(parents=True, exist_ok=True)
        attach(con, self.run_file, RUN, block=runfile.ROWS_OF_A_GROUP)
        self._there = True
        self._use(RUN)
        if make:
            runfile.create_tables(con, self.model)
        return con

    def release(self) -> None:
        """Detach the run file, so that others can open it. The next step attaches it again."""
        if self._there and not self.in_memory:
            self._detach(RUN)
            self._there = False

    @contextmanager
    def merging(self) -> Iterator[Connection]:
        """The connection as a merge knows it: in the warehouse, with the run beside it."""
        self._with_run()
        with self.writing() as con:
            yield con

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """The connection in the warehouse; what was not held before is let go of afterwards."""
        held = self.held
        self.hold()
        con = self._use(_WAREHOUSE)
        try:
            yield con
        finally:
            if not held:
                self.let_go()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """The connection with the warehouse attached, to be read, under the writer lock. There has to be one."""
        con = self._instance()
        if self.held:
            yield con
            return
        with writer(self.warehouse):
            attach(con, self.warehouse, _WAREHOUSE, read_only=True)
            try:
                yield con
            finally:
                con.execute(f"DETACH {_WAREHOUSE}")

    @contextmanager
    def reading_published(self) -> Iterator[Connection | None]:
        """The connection in the published snapshot, which needs no lock; None where nothing was published yet."""
        if self.published is None or not self.published.is_file():
            yield None
            return
        con = self._instance()
        attach(con, self.published, _PUBLISHED, read_only=True)
        try:
            self._use(_PUBLISHED)
            yield con
        finally:
            self._detach(_PUBLISHED)

    def merged_segments(self, system: str) -> set[str]:
        """The paths of the system's segments that are merged, asked for once a hold; empty where there is no warehouse yet."""
        if system in self.merged:
            return self.merged[system]
        if not self.warehouse.is_file():
            return set()
        with self.reading() as con:
            try:
                sql = f"SELECT segment FROM {_WAREHOUSE}.ops.segments WHERE system = $1"
                found = {path for (path,) in con.execute(sql, [system]).fetchall()}
            except duckdb.CatalogException:  # a file that nobody has merged into
                return set()
        if self.held:
            self.merged[system] = found
        return found
