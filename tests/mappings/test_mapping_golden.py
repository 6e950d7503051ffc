"""The compiled SQL, for reading: `golden/<system>.<mapping>.sql`. CROSSDOCK_GOLDEN=write makes them anew.

What they do is tried too: every one of these mappings has examples, and `test_mapping_examples.py` runs them.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import mappings
from mappings import inbound
from mappings.load import load
from mappings.syntax import Mapping
from warehouse.model import entities

GOLDEN = Path(__file__).parent / "golden"
MODEL = entities()
SANDBOX = ("cart", "erp", "crm", "pricelist")
READ = [m for m in load([Path(mappings.__file__).parent], MODEL) if m.system in SANDBOX and m.key is not None]


@pytest.mark.parametrize("mapping", READ, ids=[mapping.name for mapping in READ])
def test_golden(mapping: Mapping) -> None:
    made = inbound.compile(mapping, MODEL).sql
    file = GOLDEN / f"{mapping.name.replace('/', '.')}.sql"
    if os.environ.get("CROSSDOCK_GOLDEN") == "write":
        GOLDEN.mkdir(exist_ok=True)
        file.write_text(made)
    assert made == file.read_text(), f"the SQL of {mapping.name} changed: read it, then CROSSDOCK_GOLDEN=write"
    assert inbound.compile(mapping, MODEL).sql == made
    assert any(example.push is None for example in mapping.examples)


def test_no_golden_file_is_left_over() -> None:
    assert {file.stem for file in GOLDEN.glob("*.sql")} == {mapping.name.replace("/", ".") for mapping in READ}


def test_each_statement_is_one_and_only_writes_what_it_may() -> None:
    from sqlglot import exp, parse

    for mapping in READ:
        for statement in inbound.compile(mapping, MODEL).statements:
            parsed = parse(statement.sql, read="duckdb")
            assert len(parsed) == 1
            assert isinstance(parsed[0], exp.Create | exp.Insert | exp.Delete), statement.sql
            for table in parsed[0].find_all(exp.Table):
                assert not table.args.get("catalog")
                assert table.db in ("", "stage", "mapped", "run"), table
            assert not list(parsed[0].find_all(exp.ReadCSV, exp.Command))
