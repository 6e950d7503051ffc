"""Hostile mappings: each is refused with a finding or becomes harmless text, quickly and in little memory; and where the
language let everything through, the engine would still refuse every file and the network.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from hub import yaml
from hub.entity import Model
from hub.errors import CrossdockError
from hub.findings import Finding
from mappings import columns, examples, inbound, sql
from mappings.expressions import Scope, Value
from mappings.load import load
from mappings.syntax import Expr
from warehouse import duck, runfile

ROOT = Path(__file__).resolve().parents[2]
SECRET = "canary-7f3a"
CASES = 10_000 if os.environ.get("CROSSDOCK_HOSTILE_SHARE") == "7" else 2_000  # `make hostile`, or the suite


class Judged:
    """What the two workers said of all mappings, and the folder with the canary."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "lake").mkdir()
        (folder / "secret.txt").write_text(SECRET)
        self.memory = int(self.worker("judge").stdout)
        self.cases = [json.loads(line) for line in (folder / "lake" / "judged.jsonl").read_text().splitlines()]
        self.executed: dict[str, Any] = json.loads(self.worker("execute").stdout)

    def worker(self, what: str, name: str = "judged.jsonl", check: bool = True) -> subprocess.CompletedProcess[str]:
        script, out = ROOT / "tests" / "support" / "hostile.py", self.folder / "lake" / name
        environment = os.environ | {"PYTHONPATH": str(ROOT), "CROSSDOCK_HOSTILE": str(self.folder)}
        command = [sys.executable, str(script), what, str(out)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=check)

    def form(self, name: str) -> list[dict[str, Any]]:
        return [case for case in self.cases if case["name"].startswith(f"form: {name}")]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    return Judged(tmp_path_factory.mktemp("hostile"))


@pytest.mark.slow
def test_all_are_judged_quickly_and_in_little_memory(judged: Judged) -> None:
    assert len(judged.cases) >= CASES
    slowest = max(judged.cases, key=lambda case: float(case["seconds"]))
    assert slowest["seconds"] < 1, slowest["name"]
    assert judged.memory < 256 * 1024 * 1024


@pytest.mark.slow
def test_more_memory_is_not_there(judged: Judged) -> None:
    died = judged.worker("judge", "greedy", check=False)
    assert died.returncode == 1
    assert "MemoryError" in died.stderr


@pytest.mark.slow
def test_each_is_refused_with_a_place_or_compiled(judged: Judged) -> None:
    refused = [case for case in judged.cases if case["codes"]]
    assert [
        case["name"]
        for case in refused
        if not any(name in case["shown"] for name in ("people.yaml", "values.yaml", "functions.yaml"))
    ] == []
    assert [case["name"] for case in judged.cases if not case["codes"] and not case["sql"]] == []
    # Both ways are taken often: neither is a way of saying nothing.
    assert len(refused) > CASES / 2
    assert len(judged.cases) - len(refused) > CASES / 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "codes"),
    [
        ("bomb of", {"F105"}),
        ("merge bomb of", {"F105"}),
        ("!!python", {"F106"}),
        ("!x in", {"F106"}),
        ("stream twice", {"F109"}),
        ("twice in depth", {"F109"}),
        ("lists in depth 1000", {"F107"}),
        ("objects in depth 1000", {"F107"}),
        ("'(' 1000 times", {"M120"}),
        ("comment of 5000000", {"F102"}),
        ("keys, 5000000", {"F102"}),
        ("fields, 900000", {"F112"}),
        ("pushes, 100000", {"M118"}),
        ("NUL of", {"F102", "F104"}),
        ("functions that double, 20", {"M173"}),
        ("functions that double, 400", {"M173"}),
        ("functions in a circle", {"M173"}),
        ("many functions", {"F112"}),
        ("arguments that double, 30", {"M120"}),
        ("calls, 100000", {"F112"}),
    ],
)
def test_forms_are_refused_for_what_they_are(judged: Judged, form: str, codes: set[str]) -> None:
    found = judged.form(form)
    assert found
    assert all(case["codes"] and codes & set(case["codes"]) for case in found), found


@pytest.mark.slow
def test_what_compiles_is_harmless(judged: Judged) -> None:
    done = judged.executed
    assert done["parsed"] > 0.15 * CASES
    assert done["ran"] > 0.1 * CASES
    assert (done["refused"], done["odd"], done["told"]) == ([], [], 0)
    assert done["tables are the same"]
    assert sorted(path.name for path in judged.folder.iterdir()) == ["lake", "secret.txt"]
    assert [
        path.name for path in (judged.folder / "lake").iterdir() if path.name not in ("judged.jsonl", "greedy")
    ] == []


# -- with the validator switched off

PEOPLE = "{stream: people, entity: customer, key: id, fields: {name: "
# Ends the view that it stands in, says a statement of its own, and begins another one that the rest of the view completes.
ESCAPE = "'a' AS x FROM read) SELECT * FROM raw; {}; WITH raw AS (SELECT *, 'a'"
ATTACKS = [
    "(SELECT content FROM read_text('$FOLDER/secret.txt'))",
    "(SELECT CAST(content AS VARCHAR) FROM read_blob('$FOLDER/secret.txt'))",
    "(SELECT max(column0) FROM read_csv('$FOLDER/secret.txt', header = false))",
    "(SELECT any_value(x) FROM read_csv('$FOLDER/lake/../secret.txt', header = false) AS t(x))",
    "(SELECT max(column0) FROM '$FOLDER/secret.csv')",
    "(SELECT max(json) FROM read_json_objects('$FOLDER/secret.txt'))",
    "(SELECT max(x) FROM read_parquet('$FOLDER/secret.parquet') AS t(x))",
    "(SELECT CAST(count(*) AS VARCHAR) FROM glob('$FOLDER/*'))",
    "(SELECT content FROM read_text('/etc/passwd'))",
    "(SELECT max(x) FROM read_csv('https://example.com/x.csv') AS t(x))",
    "(SELECT max(x) FROM read_csv('http://127.0.0.1:9/x.csv') AS t(x))",
    "(SELECT max(x) FROM read_text('s3://bucket/x') AS t(x))",
    "(SELECT max(x) FROM postgres_scan('host=127.0.0.1', 'public', 't') AS t(x))",
    "(SELECT max(x) FROM sqlite_scan('$FOLDER/x.sqlite', 't') AS t(x))",
    ESCAPE.format("COPY (SELECT 1 AS a) TO '$FOLDER/out.csv'"),
    ESCAPE.format("ATTACH '$FOLDER/out.duckdb' AS x"),
    ESCAPE.format("EXPORT DATABASE '$FOLDER/out'"),
    ESCAPE.format("INSTALL httpfs"),
    ESCAPE.format("LOAD httpfs"),
    ESCAPE.format("SET enable_external_access = true"),
    ESCAPE.format("SET allowed_directories = ['/']"),
    ESCAPE.format("CREATE TABLE y AS SELECT * FROM read_text('$FOLDER/secret.txt')"),
]


def as_it_is(expr: Expr, scope: Scope, findings: list[Finding], want: object = None) -> Value:
    """No grammar, no functions, no quoting: whatever was written becomes SQL."""
    return Value(expr.text, "text")


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    (tmp_path / "lake").mkdir()
    for name in ("secret.txt", "secret.csv", "secret.parquet"):
        (tmp_path / name).write_text(f"{SECRET}\n")
    return tmp_path


@pytest.fixture
def unguarded(canary: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Compiles an attack as if it were an expression: the statements."""
    monkeypatch.setattr(columns, "compile_expression", as_it_is)

    def compile_attack(attack: str) -> list[str]:
        text = json.dumps(attack.replace("$FOLDER", str(canary)))
        (canary / "mappings" / "shop").mkdir(parents=True, exist_ok=True)
        (canary / "mappings" / "shop" / "people.yaml").write_text(f"{PEOPLE}{text}}}}}")
        loaded = load([canary / "mappings"], model)
        return [statement.sql for statement in inbound.compile(loaded["shop/people"], model).statements]

    return compile_attack


def staged(con: Any, model: Model) -> Any:
    for schema in ("stage", "mapped", "run"):
        con.execute(f"CREATE SCHEMA {schema}")
    for name, listed in examples.RUN_TABLES.items():
        con.execute(f"CREATE TABLE {name} ({listed})")
    con.execute(runfile.mapped_table_sql(model["customer"]))
    con.execute("CREATE TABLE stage.people AS SELECT 'x' AS _segment, 1 AS _line, 1 AS _seq, '1' AS id")
    return con


def told(con: Any) -> str:
    tables = con.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
    return str([con.execute(f'SELECT * FROM "{schema}"."{table}"').fetchall() for schema, table in tables])


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("engine", ["of a run", "of the examples"])
def test_without_the_validator_the_engine_refuses(
    unguarded: Any, canary: Path, model: Model, attack: str, engine: str
) -> None:
    """One statement a call as a run does it; and several a call, as DuckDB itself would take them."""
    of_a_run = engine == "of a run"
    hardened = duck.connect(":memory:", allowed=[canary / "lake"]) if of_a_run else examples.hardened(canary / "lake")
    con = staged(hardened, model)
    before = sorted(path.name for path in canary.iterdir())
    statements = unguarded(attack)

    def execute() -> None:
        for text in statements:
            duck.run(con, text) if of_a_run else con.execute(text)

    with pytest.raises((CrossdockError, duckdb.Error)) as refused:
        execute()
    assert "read does not exist" not in str(refused.value)  # that is what comes after the attack
    assert SECRET not in told(con)
    assert sorted(path.name for path in canary.iterdir()) in (before, sorted([*before, "mappings"]))
    con.close()


def test_an_engine_that_is_not_hardened_tells_it(unguarded: Any, canary: Path, model: Model) -> None:
    """The broken twin: the same attacks, the same statements, in DuckDB as it comes."""
    con = staged(duckdb.connect(), model)
    for text in unguarded(ATTACKS[0]):
        con.execute(text)
    assert SECRET in told(con)
    (view, *_) = unguarded(next(one for one in ATTACKS if "COPY" in one))
    with pytest.raises(
        duckdb.CatalogException, match="read does not exist"
    ):  # what completes it; by then it has happened
        con.execute(view)
    assert (canary / "out.csv").exists()
    con.close()


def test_with_the_validator_none_of_them_compiles(canary: Path, model: Model) -> None:
    for attack in ATTACKS:
        folder = canary / "mappings" / "shop"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "people.yaml").write_text(f"{PEOPLE}{json.dumps(attack)}}}}}")
        made, found = inbound.build(load([folder.parent], model)["shop/people"], model)
        assert made is None
        assert found[0].code == "M120"


def test_a_character_that_nobody_sees_is_refused() -> None:
    content, found = yaml.loads('a: "x\\0y"\n"b\\x01": 1\nc: "x\\ty"\n')
    assert [(f.code, f.place.line, f.place.column) for f in found] == [("F111", 1, 4), ("F111", 2, 1)]
    assert dict(content) == {"a": None, "c": "x\ty"}


def test_a_number_that_no_number_is_that_long_stays_text() -> None:
    assert yaml.loads("a: " + "1" * 5_000)[0] == {"a": "1" * 5_000}


def test_a_line_break_in_a_text_stays_that_text() -> None:
    """SQL is indented after its texts are in it."""
    said = "it's\n b\r\nc"
    assert duckdb.sql(sql.indent(f"SELECT {sql.text(said)}")).fetchall() == [(said,)]
