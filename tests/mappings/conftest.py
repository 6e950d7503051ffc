"""Mappings written in a test, compiled, and run over records as a run does it: lake, run file, staging, statements."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import duckdb
import pytest

from hub.connector import Stream
from hub.entity import Model
from hub.findings import Finding
from hub.segments import SegmentWriter, list_segments
from mappings import inbound
from mappings.inbound import Inbound
from mappings.lint import lint
from mappings.load import Mappings, load
from warehouse import runfile
from warehouse.known import know
from warehouse.model import entities
from warehouse.stage import stage


@dataclass
class Mapped:
    """What a mapping made of records."""

    con: duckdb.DuckDBPyConnection
    made: Inbound

    def rows(self, entity: str, *columns: str) -> list[tuple[Any, ...]]:
        listed = ", ".join(f'"{column}"' for column in columns)
        return self.con.execute(f"SELECT {listed} FROM mapped.{entity} ORDER BY _row").fetchall()

    def rejects(self) -> list[tuple[str, str, str | None]]:
        """(field, rule, raw) in the order of the records."""
        return self.con.execute("SELECT field, rule, raw FROM run.rejects ORDER BY line, field, rule").fetchall()

    def counts(self) -> dict[str, int]:
        sql = "SELECT state, n FROM run.counts WHERE mapping = ?"
        return dict(self.con.execute(sql, [self.made.mapping]).fetchall())


Write = Callable[[str, str], Path]
Run = Callable[..., Mapped]


@pytest.fixture(scope="session")
def model() -> Model:
    return entities()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "mappings"
    made.mkdir()
    return made


@pytest.fixture
def write(folder: Path) -> Write:
    """Write a file below mappings/."""

    def make(name: str, text: str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
        return path

    return make


@pytest.fixture
def loaded(folder: Path, model: Model) -> Callable[[], Mappings]:
    return lambda: load([folder], model)


@pytest.fixture
def found(folder: Path, model: Model) -> Callable[..., list[Finding]]:
    """All findings about the files written so far."""

    def check(streams: dict[str, Sequence[Stream]] | None = None) -> list[Finding]:
        mappings = load([folder], model)
        return list(dict.fromkeys([*mappings.findings, *lint(mappings, model, streams or {})]))

    return check


@pytest.fixture
def run(tmp_path: Path, write: Write, folder: Path, model: Model) -> Iterator[Run]:
    """Compile one mapping, stage the records (objects or raw lines) and execute its statements."""
    open_files: list[duckdb.DuckDBPyConnection] = []

    def execute(text: str, records: Sequence[Any], *, values: str = "", stream: Stream | None = None) -> Mapped:
        write("shop/things.yaml", text)
        if values:
            write("shop/values.yaml", values)
        mappings = load([folder], model)
        assert not mappings.findings, mappings.findings
        made = inbound.compile(mappings["shop/things"], model, stream)
        lake = tmp_path / "lake"
        _segment(lake, made.stream, records)
        con = runfile.create(tmp_path / "run_file.duckdb", str(lake), model)
        open_files.append(con)
        known = stream or Stream(made.stream, "id")
        stage(con, str(lake), "shop", known, list_segments(str(lake), "shop"), inbound.declared([made]))
        for of in made.known:
            other = known if of == made.stream else Stream(of, "id")
            own, columns = list_segments(str(lake), "shop", of), inbound.known_columns([made], other)
            know(con, str(lake), "shop", other, own, (), columns, tmp_path / "cache")
        made.prepare(con.execute)
        runfile.execute(con, made.statements)
        return Mapped(con, made)

    yield execute
    for con in open_files:
        con.close()


def _segment(lake: Path, stream: str, records: Sequence[Any]) -> None:
    path = lake / "shop" / stream / "1.a.jsonl"
    path.parent.mkdir(parents=True)
    writer = SegmentWriter(path)
    writer.write([r if isinstance(r, bytes) else json.dumps(r).encode() for r in records])
    writer.close({"system": "shop", "stream": stream, "sequence": 1, "pulled_at": "2026-11-20T12:00:00Z"})
