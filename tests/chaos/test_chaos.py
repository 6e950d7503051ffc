"""Every failpoint once and 15 seeded kills over 2,000 records; and the planted mistakes, which the same books must show."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hub.failpoints import FAILPOINTS

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]


def chaos(out: Path, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "support" / "chaos.py"), "--out", str(out), *arguments],
        capture_output=True,
        text=True,
    )
    assert out.exists(), done.stdout[-2000:] + done.stderr[-4000:]
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def test_nothing_is_lost_and_nothing_twice(tmp_path: Path) -> None:
    found = chaos(tmp_path / "chaos.json", "--records", "2000", "--kills", "15")
    assert {name.split(":")[0] for name, ended in found["failpoints"].items() if ended == "killed"} == set(FAILPOINTS)
    assert found["kills"]["killed"] == 15
    assert found["due_in_erp"] > 20
    assert found["clean"], found


@pytest.mark.parametrize(("mutant", "shows"), [("position_apart", "lost"), ("intent_after_call", "twice_in_erp")])
def test_the_same_books_show_a_planted_mistake(tmp_path: Path, mutant: str, shows: str) -> None:
    found = chaos(tmp_path / "chaos.json", "--records", "200", "--mutant", mutant)
    assert not found["clean"]
    assert found[shows], found
