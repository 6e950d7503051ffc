"""What the parts of a merge share: the connection, the run, and the names of the tables they hand to each other.

Temporary tables of one merge, in the order in which they come to be:

    _touched(entity, hub_id, fresh, written, other_children, settled)  hub ids whose canonical row has to be computed again; fresh:
                                      a new one with one source; written: a row of it was written, and it was not joined;
                                      other_children: they may be other ones than before; settled: who won them was asked since
                                      survivorship is as it is
    _moved(entity, hub_id, into_hub_id)      hub ids that turned out to be another one's
    _incoming                         rows of one entity in the run file, and what the warehouse knows of their keys
    _again, _again_<child>            source rows that wait for a reference, fed in once more
    _decided                          rows that have to be written; once they are bound, with their hub_id, or what they wait for
    _refs                             their references, resolved or not
    _new, _others, _several           the hubs of _touched: new ones with one source, all others, those of several sources
    _won, _held                       their canonical rows as they should be, and as they are
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from hub.entity import Entity, Model, children
from warehouse.duck import Connection, filled, literal, quote, run
from warehouse.tables import positions

RUN = "run_file"
Survivorship = Mapping[str, Mapping[str, Sequence[str]]]
Count = tuple[str | None, str | None, str | None, str, int]  # stream, mapping, entity, state, records
Touch = Literal["fresh", "known", "kept", "moved"]


@dataclass(slots=True)
class Work:
    """One merge transaction. `started` is the instant that everything written in it carries.

    `touched` says of what kinds the rows of _touched are, by entity, so that nobody has to ask: fresh hubs; known ones of which
    a row was written; among them some whose row kept its children; ones that were moved, by a join or with a reference, without one. `written`
    are the children of which this merge wrote rows, and `set_aside` the entities of which it moved rows to `previous`. `counts` are what ops.counts will say
    of the run: see `law`. `declared` is the instant, as SQL, since when survivorship is as it is: see `survivorship.note_declared`.
    """

    con: Connection
    model: Model
    run_id: str
    started: datetime
    survivorship: Survivorship = field(default_factory=dict)
    touched: dict[str, set[Touch]] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    set_aside: set[str] = field(default_factory=set)
    counts: list[Count] = field(default_factory=list)
    declared: str = "'infinity'::TIMESTAMPTZ"
    _filled: set[str] | None = None
    _positions: dict[str, str] | None = None

    def __post_init__(self) -> None:
        # As variables, so that the statements of every merge read the same and are parsed once a process.
        instant = literal(self.started.astimezone(UTC).isoformat())
        run(self.con, "SET VARIABLE merge_run = $1::VARCHAR", [self.run_id])
        run(self.con, f"SET VARIABLE merge_instant = TIMESTAMP WITH TIME ZONE {instant}")

    def had_rows(self, table: str) -> bool:
        """Had a table rows when the merge began, `source.x` of the warehouse or `run_file.mapped.x` of the run? See `filled`."""
        if self._filled is None:
            self._filled = filled(self.con, RUN)
        return table in self._filled

    def has_previous(self, entity: Entity) -> bool:
        """May `previous` hold rows of the entity? Nearly always it is empty, and planning to read it costs as much as the rest."""
        return entity.name in self.set_aside or self.had_rows(f"previous.{entity.name}")

    @property
    def positions(self) -> dict[str, str]:
        """ops.positions as they were when the merge began."""
        if self._positions is None:
            self._positions = positions(self.con)
        return self._positions

    def do(self, name: str, sql: str, parameters: Any = None) -> int:
        """Execute a statement; how many rows it changed, where it says so."""
        cursor = run(self.con, sql, parameters, name=name)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row and isinstance(row[0], int) else 0

    def rows(self, name: str, sql: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        return run(self.con, sql, parameters, name=name).fetchall()

    def number(self, name: str, sql: str, parameters: Any = None) -> int:
        rows = self.rows(name, sql, parameters)
        return int(rows[0][0] or 0) if rows else 0

    def touch(self, entity: str, kind: Touch, rows: int) -> None:
        """`rows` of _touched are of this kind."""
        if rows:
            self.touched.setdefault(entity, set()).add(kind)

    @property
    def at(self) -> str:
        """The run's instant as SQL."""
        return "getvariable('merge_instant')"

    @property
    def run(self) -> str:
        """The run's id as SQL."""
        return "getvariable('merge_run')"

    def children(self, entity: Entity) -> list[Entity]:
        return children(self.model, entity.name)

    def family(self, entity: Entity) -> list[Entity]:
        return [entity, *self.children(entity)]


def source(entity: Entity) -> str:
    return f"source.{quote(entity.name)}"


def previous(entity: Entity) -> str:
    return f"previous.{quote(entity.name)}"


def canonical(entity: Entity) -> str:
    return f"canonical.{quote(entity.name)}"


def history(entity: Entity) -> str:
    return f"history.{quote(entity.name)}"


def mapped(entity: Entity) -> str:
    return f"{RUN}.mapped.{quote(entity.name)}"


def again(entity: Entity) -> str:
    return quote(f"_again_{entity.name}")
