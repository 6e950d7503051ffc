"""A small warehouse to merge into: run files made from a few words instead of segments and mappings."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from hub.entity import Entity, Model
from warehouse import runfile, tables
from warehouse.duck import connect, quote
from warehouse.instance import Instance
from warehouse.merge import MergeReport, MergeRequest, merge
from warehouse.model import entities

START = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Rec:
    """A mapped record: canonical fields (references by `<name>_ref`), children as lists of fields with `id`."""

    id: str
    fields: Mapping[str, Any]
    children: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    version: str | None = None
    hub: str | None = None


@dataclass
class World:
    """A warehouse in a folder, and runs that can be merged into it."""

    folder: Path
    survivorship: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    model: Model = field(default_factory=entities)
    runs: int = 0
    sequences: dict[tuple[str, str], int] = field(default_factory=dict)

    def merged_segments(self, system: str) -> set[str]:
        """What the world's warehouse says; a process that has nothing open asks."""
        instance = Instance(self.path, self.folder / "asked.duckdb", "", self.model)
        try:
            return instance.merged_segments(system)
        finally:
            instance.close()

    @property
    def path(self) -> Path:
        return self.folder / "warehouse.duckdb"

    def run_file(
        self,
        system: str,
        records: Mapping[str, Iterable[Rec]],
        *,
        sequence: int | None = None,
        quarantined: Mapping[str, Iterable[str]] | None = None,
        warned: Mapping[str, Iterable[str]] | None = None,
        held: Sequence[str] = (),
        rejects: Sequence[Mapping[str, Any]] = (),
    ) -> Path:
        """A run file in which each entity's records are one segment of a stream of the entity's name."""
        self.runs += 1
        path = self.folder / "runs" / f"{self.runs:04d}-{system}.duckdb"
        con = runfile.create(path, str(self.folder / "lake"), self.model)
        try:
            for name, recs in records.items():
                self._fill(con, system, self.model[name], list(recs), sequence, rejects)
            runfile.supersede(con, self.model)
            for severity, marked in (("quarantine", quarantined), ("warn", warned)):
                for name, ids in (marked or {}).items():
                    for id in ids:
                        con.execute(
                            f"INSERT INTO gate.findings SELECT $1, _row, source_id, 'rule', 'Q101', $2, 'f', 'bad', 'x'"
                            f" FROM mapped.{quote(name)} WHERE source_id = $3",
                            [name, severity, id],
                        )
            for name, entity in self.model.items():
                if not entity.parent:
                    con.execute("INSERT INTO gate.state VALUES ($1, $2, '')", [name, name in held])
        finally:
            con.close()
        return path

    def _fill(
        self,
        con: duckdb.DuckDBPyConnection,
        system: str,
        entity: Entity,
        recs: list[Rec],
        sequence: int | None,
        rejects: Sequence[Mapping[str, Any]],
    ) -> None:
        stream = mapping = entity.name
        known = self.sequences.get((system, stream), 0)
        number = sequence if sequence is not None else known + 1
        self.sequences[system, stream] = max(known, number)
        segment = f"{system}/{stream}/{number}.jsonl"
        mapping = f"{system}/{stream}"
        pulled = START + timedelta(minutes=number)
        mine = [reject for reject in rejects if reject["entity"] == entity.name]
        con.execute(
            "INSERT INTO run.segments VALUES ($1, $2, $3, $4, $5, $6, 1, NULL)",
            [system, stream, segment, number, len(recs) + len(mine), pulled],
        )
        batch: dict[str, list[dict[str, Any]]] = {entity.name: []}
        for line, rec in enumerate(recs, 1):
            head = {
                "_row": line,
                "system": system,
                "source_id": rec.id,
                "mapping": mapping,
                "_segment": segment,
                "_line": line,
                "_seq": line,
                "version": rec.version,
                "_hub": rec.hub,
                **rec.fields,
            }
            batch[entity.name].append(head)
            for child, rows in rec.children.items():
                for place, row in enumerate(rows, 1):
                    fields = {key: value for key, value in row.items() if key != "id"}
                    common = {key: head[key] for key in ("system", "mapping", "_segment", "_line", "_seq", "version")}
                    own = {
                        "_row": line * 100 + place,
                        "_parent_row": line,
                        "parent_source_id": rec.id,
                        "source_id": f"{rec.id}/{row.get('id', place)}",
                    }
                    batch.setdefault(child, []).append({**common, **own, **fields})
        for table, rows in batch.items():
            _insert(con, table, rows)
        for place, reject in enumerate(mine, 1):
            con.execute(
                "INSERT INTO run.rejects VALUES ($1, $2, $3, $4, $5, $6, 'M201', $7, 'cast', 'no number', 'abc')",
                [stream, mapping, entity.name, reject["id"], segment, len(recs) + place, reject.get("field", "total")],
            )
        counts = {"read": len(recs) + len(mine), "duplicates": 0, "staged": len(recs) + len(mine), "rejected": 0}
        for state, n in counts.items():
            con.execute("INSERT INTO run.counts VALUES ($1, NULL, NULL, $2, $3)", [stream, state, n])
        for state, n in {"rejected": len(mine), "excluded": 0, "mapped": len(recs)}.items():
            con.execute("INSERT INTO run.counts VALUES ($1, $2, $3, $4, $5)", [stream, mapping, entity.name, state, n])

    def merge(
        self, system: str, records: Mapping[str, Iterable[Rec]], *, outcomes: Any = (), **options: Any
    ) -> MergeReport:
        return self.merge_file(self.run_file(system, records, **options), system, outcomes=outcomes)

    def merge_file(
        self, path: Path, system: str, *, run_id: str | None = None, outcomes: Any = (), **options: Any
    ) -> MergeReport:
        request = MergeRequest(
            warehouse=self.path,
            run_file=path,
            model=self.model,
            run_id=run_id or path.stem,
            system=system,
            started=START + timedelta(hours=self.runs),
            survivorship=self.survivorship,
            outcomes=outcomes,
            **options,
        )
        return merge(request)

    @staticmethod
    def customer(
        id: str, name: str = "Ann Lee", version: str | None = None, hub: str | None = None, **fields: Any
    ) -> Rec:
        return Rec(id, {"name": name, **fields}, version=version, hub=hub)

    @staticmethod
    def product(id: str, **fields: Any) -> Rec:
        return Rec(id, {"sku": id, "name": f"Product {id}", **fields})

    @staticmethod
    def order(
        id: str,
        customer_ref: str | None = "c1",
        lines: Sequence[tuple[str, str | None, int]] = (),
        version: str | None = None,
        **fields: Any,
    ) -> Rec:
        """`lines`: (line id, product of the system or None, quantity)."""
        total = fields.pop("total", 10 * sum(quantity for _, _, quantity in lines))
        children = {
            "order_line": [
                {"id": line, "product_ref": ref, "sku": ref, "quantity": quantity, "line_total": 10 * quantity}
                for line, ref, quantity in lines
            ]
        }
        head = {
            "number": fields.pop("number", id),
            "ordered_at": START,
            "customer_ref": customer_ref,
            "currency": "EUR",
            "total": total,
            "lifecycle_status": "open",
            **fields,
        }
        return Rec(id, head, children, version)

    @staticmethod
    def rec(id: str, **fields: Any) -> Rec:
        return Rec(id, fields)

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        con = connect(self.path, search_path="canonical,marts")
        try:
            return con.execute(sql, list(parameters)).fetchall()
        finally:
            con.close()

    def content(self, *names: str) -> dict[str, list[str]]:
        """Every row of the tables (by default all that a merge writes), by which two states are compared."""
        layers = [f"{layer}.{quote(name)}" for layer in ("canonical", "source", "history") for name in self.model]
        names = names or (
            *layers,
            "ops.bindings",
            "ops.hub_ids",
            "ops.segments",
            "quality.quarantine",
            "quality.findings",
        )
        con = connect(self.path)
        try:
            return {name: sorted(map(repr, con.execute(f"FROM {name}").fetchall())) for name in names}
        finally:
            con.close()

    def one(self, sql: str, *parameters: Any) -> Any:
        return self.rows(sql, *parameters)[0][0]


def _insert(con: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    names = list(dict.fromkeys(name for row in rows for name in row))
    values = ", ".join(f"({', '.join(_literal(row.get(name)) for name in names)})" for row in rows)
    con.execute(f"INSERT INTO mapped.{quote(table)} ({', '.join(map(quote, names))}) VALUES {values}")


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool | int | float):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"


@pytest.fixture(scope="session")
def empty_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse with its tables and nothing in them: copying it is quicker than making one for each test."""
    path = tmp_path_factory.mktemp("empty") / "warehouse.duckdb"
    con = connect(path)
    tables.migrate(con, entities())
    con.close()
    return path


@pytest.fixture
def world(tmp_path: Path, empty_warehouse: Path) -> World:
    shutil.copyfile(empty_warehouse, tmp_path / "warehouse.duckdb")
    return World(tmp_path)
