"""What a trace is read from: the stores, and the record in them with every pull that it was in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, cached_property, partial
from typing import Any

from flow.personal import Hider, hidden
from flow.samples import decoded, pulled
from hub.config import Project
from hub.entity import Entity, Model
from hub.secrets import MASK
from warehouse.duck import Connection
from warehouse.ledger import Ledger

Event = dict[str, Any]
Row = dict[str, Any]


def event(at: datetime | None, step: str, system: str, what: str, detail: Mapping[str, Any]) -> Event:
    return {"at": aware(at), "step": step, "system": system, "what": what, "detail": dict(detail)}


def aware(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC) if at else None


def short(value: Any) -> str:
    return "nothing" if value is None else str(value)


class Stores:
    """The snapshot (with the ledger's news), the ledger and the lake, and what of them may be shown."""

    def __init__(
        self, project: Project, con: Connection, ledger: Ledger, model: Model, entity: Entity, unmask: bool
    ) -> None:
        self.project, self.con, self.ledger, self.model, self.entity = project, con, ledger, model, entity
        self.unmask = unmask
        self.masked = frozenset() if unmask else frozenset(c.name for c in entity if c.pii)
        self._mappings: dict[str, Any] = {}

    def of(self, entity: Entity) -> Stores:
        """The same stores, asked about another entity."""
        found = Stores(self.project, self.con, self.ledger, self.model, entity, self.unmask)
        found._mappings = self._mappings
        return found

    def mappings(self, system: str) -> Any:
        """The system's mappings (`mappings.load.Mappings`), read once. Raises ConfigurationError where they are not right."""
        from flow.language import load_mappings

        if system not in self._mappings:
            self._mappings[system] = load_mappings(self.project, self.model, [system])
        return self._mappings[system]

    @cached_property
    def hider(self) -> Hider:
        return Hider(self.model, lambda system: self.mappings(system).of(system))

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
        cursor = self.con.execute(sql, {name: value for name, value in parameters.items() if f"${name}" in sql})
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def exists(self, schema: str, table: str) -> bool:
        sql = "SELECT 1 FROM duckdb_views() WHERE schema_name = $schema AND view_name = $table AND NOT internal"
        return bool(self.rows(sql, {"schema": schema, "table": table}))

    def value(self, column: str, value: Any) -> Any:
        """As it may be shown: masked where personal, JSON else."""
        if value is None:
            return None
        if column.removesuffix("_ref") in self.masked:
            return MASK
        if hasattr(value, "isoformat"):
            return value.isoformat()
        return value if isinstance(value, (bool, int)) else str(value)


@dataclass(slots=True)
class Pull:
    """One version of the record as a system said it. `record` is the line of the lake, None once the lake lost it.

    With `deleted_at` it is a tombstone: a full pass did not find the record any more.
    `run_at` is when the run that merged it started, `row` the source row where it is the newest version. `values` are what
    the mapping made of it, where that is known.
    """

    system: str
    source_id: str
    mapping: str
    version: int | None
    segment: str
    line: int
    run_id: str
    run_at: datetime
    at: datetime
    record: bytes | None = None
    deleted_at: datetime | None = None
    row: Row | None = None
    values: Row | None = None

    @property
    def stream(self) -> str:
        return self.segment.split("/")[1] if self.segment.count("/") >= 2 else self.mapping.partition("/")[2]

    @property
    def place(self) -> str:
        return f"{self.segment}:{self.line}"

    def raw(self, stores: Stores) -> Any:
        """The record as it came, without what may not be shown; None where it is gone."""
        if self.record is None:
            return None
        value = decoded(self.record)
        return value if stores.unmask else hidden(value, stores.hider.parts(self.system, self.stream))


@dataclass(slots=True)
class Record:
    """The record: its ties, the systems' newest rows, every pull of it (oldest first), and when each run was done."""

    hub_id: int
    bindings: list[Row]
    views: list[Row]
    pulls: list[Pull]
    runs: dict[str, Row]
    _done: dict[str, datetime] = field(default_factory=dict)

    @property
    def ids(self) -> list[str]:
        return [row["source_id"] for row in self.bindings]

    @property
    def known(self) -> set[tuple[str, str]]:
        return {(row["system"], row["source_id"]) for row in self.bindings}

    def done(self, run_id: str | None, started: datetime) -> datetime:
        """When the run had merged. A warehouse that was rebuilt knows only when it started: what it pulled came later."""
        if not self._done:
            self._done = {name: one["finished_at"] for name, one in self.runs.items() if one["finished_at"]}
            for pull in self.pulls:
                self._done[pull.run_id] = max(pull.at, self._done.get(pull.run_id, pull.run_at))
        return max(started, self._done.get(run_id or "", started))

    @classmethod
    def of(cls, stores: Stores, hub_id: int) -> Record:
        name = stores.entity.name
        bindings = stores.rows(
            "SELECT * FROM ops.bindings WHERE entity = $entity AND hub_id = $hub ORDER BY bound_at, system",
            {"entity": name, "hub": hub_id},
        )
        views = stores.rows(
            f"SELECT * FROM source.{name} WHERE hub_id = $hub ORDER BY seen_at, system", {"hub": hub_id}
        )
        earlier = _earlier(stores, [(row["system"], row["source_id"]) for row in bindings])
        pulls = pulls_of(stores, earlier, views)
        pulls.sort(key=lambda one: (one.at, one.run_at))
        runs = stores.rows(
            "SELECT run_id, system, started_at, finished_at FROM ops.runs WHERE run_id IN (SELECT unnest($runs))",
            {"runs": list({one.run_id for one in pulls if one.run_id})},
        )
        return cls(hub_id, bindings, views, pulls, {row["run_id"]: row for row in runs})


def _earlier(stores: Stores, known: list[tuple[str, str]]) -> list[Row]:
    if not stores.exists("ops", "earlier_pulls"):  # a snapshot of before there was this table
        return []
    found = stores.rows(
        "SELECT * FROM ops.earlier_pulls WHERE entity = $entity AND source_id IN (SELECT unnest($ids)) ORDER BY seen_at",
        {"entity": stores.entity.name, "ids": [source_id for _, source_id in known]},
    )
    return [row for row in found if (row["system"], row["source_id"]) in known]


def pulls_of(stores: Stores, earlier: Sequence[Row], newest: Sequence[Row]) -> list[Pull]:
    """The pulls behind rows of `ops.earlier_pulls` and of a source table, each with its record, where the lake keeps it."""
    pulls = [_pull(row, None) for row in earlier] + [_pull(row, row) for row in newest]
    _number(stores, pulls)
    fetched = cache(partial(pulled, stores.project.lake))  # lines of one record stand in the same place
    for pull in pulls:
        _fetch(pull, fetched(pull.segment, pull.line) if pull.segment and pull.line else None)
    return pulls


def _pull(row: Row, newest: Row | None) -> Pull:
    seen = aware(row["seen_at"]) or datetime.min.replace(tzinfo=UTC)
    return Pull(
        row["system"],
        row["source_id"],
        row["mapping"] or "",
        None,
        row["segment"] or "",
        row["line"] or 0,
        row["run_id"] or "",
        seen,
        seen,
        row=newest,
        values=newest,
    )


def _number(stores: Stores, pulls: list[Pull]) -> None:
    """Which version of its mapping read each pull: the newest at the start of its run."""
    versions = stores.rows(
        "SELECT mapping, version, since FROM ops.mappings WHERE mapping IN (SELECT unnest($names)) ORDER BY version",
        {"names": list({one.mapping for one in pulls})},
    )
    for pull in pulls:
        known = [v["version"] for v in versions if v["mapping"] == pull.mapping and v["since"] <= pull.run_at]
        pull.version = max(known, default=None)


def _fetch(pull: Pull, found: tuple[Mapping[str, Any], bytes] | None) -> None:
    if found is None:
        pull.at = aware(pull.row.get("pulled_at") if pull.row else None) or pull.at
        return
    header, pull.record = found
    try:
        pull.at = aware(datetime.fromisoformat(header.get("pulled_at") or "")) or pull.at
    except ValueError:
        pass
    pull.deleted_at = aware(datetime.fromisoformat(header["deleted_at"])) if header.get("deleted_at") else None
