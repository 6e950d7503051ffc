"""The compiled SQL, for reading: `golden/<system>.<mapping>.<operation>.sql`. CROSSDOCK_GOLDEN=write makes them anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import mappings
from mappings import load, outbound
from mappings.syntax import Mapping, Push
from warehouse.model import entities

GOLDEN = Path(__file__).parent / "golden"
MODEL = entities()
ALL = load.load([Path(mappings.__file__).parent], MODEL)
PUSHES = [
    pytest.param(mapping, push, id=f"{mapping.name} {push.operation}")
    for mapping in ALL
    if mapping.system in ("cart", "erp", "crm")
    for push in mapping.push
]


@pytest.mark.parametrize(("mapping", "push"), PUSHES)
def test_golden(mapping: Mapping, push: Push) -> None:
    made = outbound.compile(mapping, push, MODEL, ALL.of(mapping.system)).sql + "\n"
    file = GOLDEN / f"{mapping.name.replace('/', '.')}.{push.operation}.sql"
    if os.environ.get("CROSSDOCK_GOLDEN") == "write":
        GOLDEN.mkdir(exist_ok=True)
        file.write_text(made)
    assert made == file.read_text(), f"the SQL of {mapping.name} changed: read it, then CROSSDOCK_GOLDEN=write"


def test_no_golden_file_is_left_over() -> None:
    names = {f"{case.values[0].name.replace('/', '.')}.{case.values[1].operation}.sql" for case in PUSHES}
    assert {file.name for file in GOLDEN.glob("*.sql")} == names


def test_compiling_twice_gives_the_same_text() -> None:
    for case in PUSHES:
        mapping, push = case.values
        texts = {outbound.compile(mapping, push, MODEL, ALL.of(mapping.system)).sql for _ in range(2)}
        assert len(texts) == 1
