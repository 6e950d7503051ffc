"""Killed at every named moment, and at random ones: the target's own books hold each order once, and nothing is missing."""

from __future__ import annotations

import os
import random
import signal
import time
import traceback
from collections import Counter
from pathlib import Path

import pytest
from push_harness import PUSHES, Keyed, World, fill, main, patched, streams

from hub import failpoints

ORDERS = 6
FAILPOINTS = ("push.intent_written", "push.after_call", "push.outcome_written")


def start(root: Path, failpoint: str = "", mutant: str = "", orders: int = ORDERS, kind: str = "read_back") -> int:
    """One automatic push in a fork of this process, which has everything imported. Returns its process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.environ["CROSSDOCK_FAILPOINT"] = failpoint
        failpoints._visits.clear()
        main(str(root), str(orders), mutant, kind)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def finish(pid: int) -> int:
    """How it ended: 0, or -9 where it was killed."""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, -9)
    return code


def documents(root: Path) -> Counter[str]:
    world = World(root)
    return Counter(d["key"] for d in world.books.documents("orders") + world.books.documents("partners"))


def expected(orders: int = ORDERS) -> Counter[str]:
    return Counter(["1", "2", *(str(1000 + n) for n in range(1, orders + 1))])


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("kind", "ledger_url"),
    [("read_back", "sqlite"), ("keyed", "sqlite"), ("read_back", "postgresql")],
    indirect=["ledger_url"],
)
@pytest.mark.parametrize(("failpoint", "visit"), [(name, n) for n, name in enumerate(FAILPOINTS, 2)])
def test_killed_at_a_failpoint_nothing_is_lost_and_nothing_made_twice(
    tmp_path: Path, failpoint: str, visit: int, kind: str, ledger_url: str
) -> None:
    World(tmp_path, ledger_url)
    assert finish(start(tmp_path, f"{failpoint}:{visit}", kind=kind)) == -9
    world = World(tmp_path)
    fill(world, ORDERS)
    kinds = streams("key" if kind == "keyed" else "read_back")
    with patched(PUSHES, kinds):
        erp = Keyed(world.books, kinds) if kind == "keyed" else world.erp()
        world.publish()
        world.push(erp)
        assert documents(tmp_path) == expected()
        calls = len(world.books.calls())
        assert world.push(erp).counts == {}
        world.publish()
        assert world.push(erp).counts == {}
    assert len(world.books.calls()) == calls, "once all is done, no further call is made"
    with World(tmp_path).ledger() as ledger:
        assert ledger.open_intents("erp") == []
        bound = {o.key for o in ledger.outcomes_after(0) if o.status == "applied"}
    assert bound == set(expected())


@pytest.mark.chaos
@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_a_plan_that_was_killed_can_be_applied_again(tmp_path: Path, failpoint: str) -> None:
    """The same plan, not a new one: what it showed is still what is sent."""
    assert finish(start(tmp_path, f"{failpoint}:3")) == -9
    world = World(tmp_path)
    fill(world, ORDERS)
    (plan,) = [path.stem for path in world.project.plans.glob("*.json")]
    with patched():
        world.apply(plan)
    assert documents(tmp_path) == expected()


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("mutant", "kind"), [("intent_after_call", "read_back"), ("blind_retry", "read_back"), ("key_per_attempt", "keyed")]
)
def test_planted_mistakes_are_caught(tmp_path: Path, mutant: str, kind: str) -> None:
    """Each mistake, killed between the call and its outcome, makes a second document: the tests above would fail on it."""
    assert finish(start(tmp_path, "push.after_call:4", mutant, kind=kind)) == -9
    assert finish(start(tmp_path, "", mutant, kind=kind)) == 0
    assert [key for key, n in documents(tmp_path).items() if n > 1]


@pytest.mark.chaos
@pytest.mark.slow
def test_killed_at_random_moments(tmp_path: Path) -> None:
    orders, seed = 80, random.Random(20261120)
    kills = 0
    for _ in range(8):
        pid = start(tmp_path, orders=orders)
        time.sleep(seed.uniform(0.1, 1.2))
        os.kill(pid, signal.SIGKILL)
        kills += finish(pid) == -9
        if documents(tmp_path) == expected(orders):
            break
    assert finish(start(tmp_path, orders=orders)) == 0
    assert documents(tmp_path) == expected(orders)
    assert kills
