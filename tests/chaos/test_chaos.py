"""Every failpoint once and 20 seeded kills over a small world; and the planted mistakes, which the same books must show."""

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
SMALL = ("--records=400", "--kills=20", "--rounds=1", "--pushes=0", "--longest=4")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `make chaos` finds, in small: one process, because its imports are half of the cost."""
    out = tmp_path_factory.mktemp("chaos") / "chaos.json"
    script = str(ROOT / "tests" / "support" / "chaos.py")
    done = subprocess.run([sys.executable, script, *SMALL, "--out", str(out)], capture_output=True, text=True)
    assert out.exists(), done.stdout[-2000:] + done.stderr[-4000:]
    read: dict[str, Any] = json.loads(out.read_text())
    return read


def test_nothing_is_lost_and_nothing_twice(found: dict[str, Any]) -> None:
    assert {name for name, ended in found["failpoints"].items() if ended == {"killed": 1}} == set(FAILPOINTS)
    assert found["kills"]["killed"] == 20
    assert found["due_in_erp"] > 150
    assert found["clean"], found


def test_the_same_books_show_planted_mistakes(found: dict[str, Any]) -> None:
    assert len(found["mutants"]) == 3
    assert [name for name, shown in found["mutants"].items() if not shown] == []
