"""What the mappings of the repository promise: lint is clean and quick, imports are light, the run file fits."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import duckdb

import mappings
from hub.entity import Model
from mappings import examples
from mappings.lint import lint
from mappings.load import load
from warehouse.runfile import mapped_table_sql

FOLDER = Path(mappings.__file__).parent


def test_lint_finds_nothing_in_the_built_in_mappings(model: Model) -> None:
    loaded = load([FOLDER], model)
    assert [str(finding) for finding in [*loaded.findings, *lint(loaded, model, {})]] == []
    assert {"cart", "crm", "erp", "pricelist"} <= {mapping.system for mapping in loaded}


def test_lint_needs_no_engine_and_no_parser_of_sql() -> None:
    """Imports cost most of lint's second."""
    heavy = ["duckdb", "sqlglot", "sqlalchemy", "airflow", "dlt", "requests", "great_expectations", "zeep", "zoneinfo"]
    code = (
        "import sys, mappings.lint, mappings.load, mappings.inbound\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == "[]"


def test_lint_of_many_mappings_costs_in_proportion(tmp_path: Path, model: Model) -> None:
    text = (FOLDER / "cart" / "orders.yaml").read_text().partition("push:")[0]

    def cost(mappings: int) -> float:
        folder = tmp_path / str(mappings)
        (folder / "shop").mkdir(parents=True)
        (folder / "shop" / "values.yaml").write_text((FOLDER / "cart" / "values.yaml").read_text())
        for number in range(mappings):
            (folder / "shop" / f"m{number}.yaml").write_text(text.replace("stream: orders", f"stream: orders{number}"))
        began = time.process_time()
        loaded = load([folder], model)
        assert loaded.findings == []
        assert lint(loaded, model, {}) == []
        return time.process_time() - began

    cost(1)  # imports
    few, many = cost(40), cost(160)
    assert many < 8 * few  # four times as many


def test_examples_know_the_tables_of_a_run_file(model: Model) -> None:
    con = duckdb.connect()
    con.execute("CREATE SCHEMA mapped")
    for entity in model.values():
        con.execute(mapped_table_sql(entity))
        con.execute(f"CREATE TABLE {entity.name} ({', '.join(examples.mapped_columns(entity))})")
        columns = "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ? AND schema_name = ?"
        real = set(con.execute(columns, [entity.name, "mapped"]).fetchall())
        assert set(con.execute(columns, [entity.name, "main"]).fetchall()) == real
    con.close()
