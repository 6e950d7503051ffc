"""A thousand pushes of which a tenth is done and not answered: none is lost, none made twice, and all are resolved."""

from __future__ import annotations

from pathlib import Path

import faulty_pushes
import pytest


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("kind", "pushes", "ledger_url"),
    [("read_back", 400, "sqlite"), ("key", 400, "postgresql"), ("none", 200, "sqlite")],
    indirect=["ledger_url"],
)
def test_nothing_is_lost_and_nothing_made_twice(tmp_path: Path, kind: str, pushes: int, ledger_url: str) -> None:
    found = faulty_pushes.storm(tmp_path / "project", kind, pushes, 7, ledger_url)
    assert found["clean"], found
    assert sum(n for what, n in found["struck"].items() if what.startswith("done")) > pushes * 0.07
    assert (found["persons_asked"] > 0) == (kind == "none")


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("mutant", "kind", "shows"),
    [("blind_retry", "read_back", "twice"), ("key_per_attempt", "key", "twice"), ("mark_before_send", "key", "lost")],
)
def test_planted_mistakes_are_caught(tmp_path: Path, mutant: str, kind: str, shows: str) -> None:
    found = faulty_pushes.storm(tmp_path / "project", kind, 60, 7, mutant=mutant)
    assert found[shows], found
