"""A run: one pass of one system from pull to merge, in a file of its own."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import connectors
from hub import config
from hub.config import Project
from hub.connector import Connector
from hub.entity import Model
from hub.errors import CrossdockError, UsageError

if TYPE_CHECKING:
    from mappings.inbound import Inbound
    from warehouse.duck import Connection
    from warehouse.instance import Instance
    from warehouse.runfile import Step

_STEPS: tuple[Step, ...] = ("stage", "map", "gate")
_STAMP = "%Y%m%dT%H%M%S%f"


def run_id(what: str, now: datetime | None = None) -> str:
    """A new one: the instant it started, the system or step that it is about, and a few letters that nobody else has."""
    return f"{(now or datetime.now(UTC)).strftime(_STAMP)}-{what}-{secrets.token_hex(3)}"


def about(run_id: str) -> str:
    """The system or step that a run's id names."""
    return run_id.partition("-")[2].rpartition("-")[0]


@dataclass
class _Held:
    """What several steps share: how many blocks of `together` are open, and the instance if one was made.

    While nobody else can have it, what was seen of it holds: from which step on it is `empty`, of which entities mappings have
    been `mapped` (None: nobody knows), and whether its rows are `judged`; the verdict may be `open` then: it does not name its rows yet.
    """

    depth: int = 0
    instance: Instance | None = None
    empty: int = len(_STEPS)
    judged: bool = False
    open: bool = False
    mapped: frozenset[str] | None = None


@dataclass(frozen=True)
class Run:
    """Identified by its run_id, which holds the instant it started: any task can open the same run again.

    With `lasting`, an instance that outlives it, its tables are in memory, and only the process that holds them knows it
    (`flow/session.py`).
    """

    project: Project
    system: str
    run_id: str
    max_pages: int | None = None
    checkpoint_records: int | None = None
    lasting: Instance | None = field(default=None, repr=False, compare=False)
    _held: _Held = field(default_factory=_Held, repr=False, compare=False)

    @classmethod
    def start(cls, project: Project, system: str, now: datetime | None = None, **options: Any) -> Run:
        project.system(system)
        return cls(project, system, run_id(system, now), **options)

    @property
    def started(self) -> datetime:
        try:
            return datetime.strptime(self.run_id.split("-")[0], _STAMP).replace(tzinfo=UTC)
        except ValueError:
            raise UsageError("P501", f"'{self.run_id}' is no run id", fix="run ids begin with their start") from None

    @property
    def file(self) -> Path:
        return self.project.runs / f"{self.run_id}.duckdb"

    @contextmanager
    def database(self, *, make: bool = False) -> Iterator[Connection]:
        """The run's tables, open for this block, or for all the blocks within `together`. `make` makes the file where there is none."""
        with self.instance() as instance, instance.run(make=make) as con:
            yield con

    @contextmanager
    def instance(self) -> Iterator[Instance]:
        """The instance that has the run's tables, for this block, or for all the blocks within `together`."""
        from warehouse.instance import Instance

        held = self._held
        found = self.lasting or held.instance
        if found is None:
            project = self.project
            found = Instance(project.warehouse, self.file, project.lake, self.model, published=project.published)
            if held.depth:
                held.instance = found
        try:
            yield found
        finally:
            if found not in (self.lasting, held.instance):
                found.close()

    def begin(self, con: Connection, step: Step, *, fresh: bool = False) -> None:
        """Empty what an earlier `step`, and those after it, wrote. `fresh`: the run's tables were just made."""
        from warehouse import runfile

        held, number = self._held, _STEPS.index(step)
        if not fresh and number < held.empty:
            runfile.reset(con, self.model, step)
        held.empty = number + 1 if self._kept else len(_STEPS)
        held.judged = held.open = False
        if step != "gate":
            held.mapped = None

    @property
    def _kept(self) -> bool:
        """Nobody else can write the run's tables between two steps."""
        return bool(self._held.depth) or self.lasting is not None

    def mapped(self, entities: Collection[str]) -> None:
        """The mappings of these entities have made rows, and no others."""
        self._held.mapped = frozenset(entities) if self._kept else None

    @property
    def may_have_rows(self) -> Collection[str]:
        """The entities of which the run may have mapped rows: those just mapped, or all that the system's mappings make."""
        known = self._held.mapped
        return {inbound.entity for inbound in self.inbound} if known is None else known

    @property
    def goes_on(self) -> bool:
        """Another step follows in this process, with the rows as this one leaves them."""
        return self._kept

    def judged(self, *, named: bool) -> None:
        """The gate has decided on the rows as they are. `named`: its verdict says which they are."""
        self._held.judged, self._held.open = self._kept, not named and self.lasting is None

    def merged(self) -> None:
        """Nobody asks any more which rows the verdict was of."""
        self._held.open = False

    @property
    def is_judged(self) -> bool:
        """Nobody can have changed a row since the gate decided. If not, the merge looks at the rows again."""
        return self._held.judged

    @contextmanager
    def together(self) -> Iterator[None]:
        """Steps that follow each other in one process share one instance: opening one costs as much as a small step."""
        self._held.depth += 1
        try:
            yield
        finally:
            if self._held.depth == 1:
                self._forget()
            self._held.depth -= 1
            if not self._held.depth and self._held.instance is not None:
                self._held.instance.close()
                self._held.instance = None

    def release(self) -> None:
        """Let go of the run file, so that others can open it. The next block takes it again."""
        self._forget()
        if self._held.instance is not None:
            self._held.instance.release()

    def written(self) -> tuple[int, int, int]:
        """Tells the run file as it is on the disk from any that was written since. It has no log: it was let go of."""
        now = self.file.stat()
        return now.st_ino, now.st_mtime_ns, now.st_size

    def _forget(self) -> None:
        """From now on others may write the run file; what is in memory nobody has."""
        if self._held.open:
            self._name()
        if self.lasting is None:
            self._held.empty, self._held.judged, self._held.mapped = len(_STEPS), False, None

    def _name(self) -> None:
        """Have the verdict say which rows it is of: the merge may be another process. One that does not opens nothing (Q310)."""
        import duckdb

        from quality.gate import name_batch

        self._held.open = False
        with suppress(CrossdockError, duckdb.Error), self.database() as con:
            name_batch(con)

    def merged_segments(self) -> set[str]:
        """The paths of the system's segments that are merged."""
        with self.instance() as instance:
            return instance.merged_segments(self.system)

    @cached_property
    def connector(self) -> Connector:
        return make_connector(self.project, self.system)

    @cached_property
    def inbound(self) -> list[Inbound]:
        """The system's mappings, compiled once: every step of the run works with the same."""
        from flow.language import mappings_of

        return mappings_of(self)

    @cached_property
    def model(self) -> Model:
        from warehouse.model import entities

        return entities()


def make_connector(project: Project, system: str) -> Connector:
    kind = connectors.load(project.system(system).connector, project.folders("connectors"))
    return kind(config.connection(project, system))
