"""Run files made by hand: the mapped tables of the contract, filled with the rows a test names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from hub.entity import Entity, Model
from quality import rules as rulebook
from quality.rules import Rules

Rows = Mapping[str, Sequence[Mapping[str, Any]]]


@pytest.fixture(scope="session")
def model() -> Model:
    from warehouse.model import entities

    return entities()


@pytest.fixture(scope="session")
def shipped(model: Model) -> Rules:
    """The rules that crossdock brings along."""
    return rulebook.load([Path(rulebook.__file__).parent], model)


@pytest.fixture
def write_rules(tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Rules]:
    """Rules of a project's own, from YAML by entity, read from the project's folder."""
    monkeypatch.chdir(tmp_path)

    def make(**texts: str) -> Rules:
        folder = tmp_path / "quality"
        folder.mkdir(exist_ok=True)
        for entity, text in texts.items():
            (folder / f"{entity}.yaml").write_text(text)
        return rulebook.load([folder], model)

    return make


def _columns(entity: Entity) -> list[str]:
    held = ["_row BIGINT", "system VARCHAR", "source_id VARCHAR", "mapping VARCHAR", "_segment VARCHAR"]
    held += ["_line BIGINT", "_seq BIGINT", "version VARCHAR", "row_hash UBIGINT"]
    held += ["_parent_row BIGINT", "parent_source_id VARCHAR"] if entity.parent else []
    return held + [f"{c.name}_ref VARCHAR" if c.kind == "ref" else f'"{c.name}" {c.sql_type}' for c in entity]


def fill(con: duckdb.DuckDBPyConnection, model: Model, rows: Rows) -> None:
    """Children name their header by `of`, its source_id."""
    con.execute("CREATE SCHEMA mapped")
    heads: dict[tuple[str, str], int] = {}
    for entity in sorted((model[name] for name in rows), key=lambda e: e.parent is not None):
        con.execute(f"CREATE TABLE mapped.{entity.name} ({', '.join(_columns(entity))})")
        for number, given in enumerate(rows[entity.name], 1):
            row = {"_row": number, "system": "cart", "source_id": str(number), **given}
            if entity.parent:
                of = row.pop("of")
                row |= {"parent_source_id": of, "source_id": f"{of}/{number}", "_parent_row": heads[entity.parent, of]}
            else:
                heads[entity.name, row["source_id"]] = row["_row"]
            names = ", ".join(f'"{name}"' for name in row)
            marks = ", ".join("?" * len(row))
            con.execute(f"INSERT INTO mapped.{entity.name} ({names}) VALUES ({marks})", list(row.values()))


@pytest.fixture
def run_file(tmp_path: Path, model: Model) -> Callable[[Rows], Path]:
    """Makes a closed run file and gives its path."""
    made = 0

    def make(rows: Rows) -> Path:
        nonlocal made
        made += 1
        path = tmp_path / f"run-{made}.duckdb"
        with duckdb.connect(str(path)) as con:
            con.execute("SET TimeZone = 'UTC'")
            fill(con, model, rows)
        return path

    return make


@pytest.fixture
def run_con(run_file: Callable[[Rows], Path]) -> Iterator[Callable[[Rows], duckdb.DuckDBPyConnection]]:
    """Makes a run file and gives an open connection, closed after the test."""
    opened: list[duckdb.DuckDBPyConnection] = []

    def make(rows: Rows) -> duckdb.DuckDBPyConnection:
        con = duckdb.connect(str(run_file(rows)))
        con.execute("SET TimeZone = 'UTC'")
        opened.append(con)
        return con

    yield make
    for con in opened:
        con.close()


@pytest.fixture(scope="session")
def order() -> Callable[..., dict[str, Any]]:
    """A good order of one line: 2 x 12.50, shipping 4.90, tax 5.68."""

    def make(number: str = "1001", **other: Any) -> dict[str, Any]:
        return {
            "source_id": number,
            "number": number,
            "customer_ref": "8",
            "ordered_at": "2026-11-18 08:00:00+00",
            "currency": "EUR",
            "line_total": "25.00",
            "discount_total": "0",
            "charge_total": "4.90",
            "tax_total": "5.68",
            "total": "35.58",
            "refunded_total": "0",
            "tax_included": False,
            "lifecycle_status": "open",
            "payment_status": "paid",
            **other,
        }

    return make


@pytest.fixture(scope="session")
def line() -> Callable[..., dict[str, Any]]:
    def make(of: str = "1001", **other: Any) -> dict[str, Any]:
        given = {
            "of": of,
            "line_number": 1,
            "sku": "A-100",
            "quantity": 2,
            "unit_price": "12.50",
            "line_total": "25.00",
        }
        return {**given, "discount": "0", "tax_amount": "4.75", **other}

    return make
