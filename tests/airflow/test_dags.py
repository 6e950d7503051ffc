"""The DAGs: as Airflow reads them, and run in one process by dag.test()."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from airflow_harness import ROOT, script

from sandbox.servers import running

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

SYNC = {"pull", "prepare", "gate", "merge", "announce", "verdict"}
PUSH = {"plan", "who_decides", "approve", "apply", "fold"}
BROKEN = "extends: cart/orders\nfields:\n  emial: email\n"


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Airflow's own reader makes of dags/: CPU seconds a file, and the DAGs and errors, whole and with BROKEN."""
    root = tmp_path_factory.mktemp("read")
    shutil.copy(ROOT / "crossdock.yaml", root)
    said = script("read_dags.py", root, str(root / "mappings" / "cart" / "orders.yaml"), BROKEN)
    return dict(json.loads(said.splitlines()[-1]))


def test_a_dag_file_is_read_in_under_a_second(read: dict[str, Any]) -> None:
    assert set(read["seconds"]) == {"lint", "push", "reconcile", "sync"}
    assert all(seconds < 1 for seconds in read["seconds"].values()), read["seconds"]


def test_there_is_a_dag_a_system_and_a_dag_a_target(read: dict[str, Any]) -> None:
    tasks = {dag: set(pools) for dag, pools in read["whole"]["dags"].items()}
    syncs = {f"sync_{system}": SYNC for system in ("cart", "erp", "crm", "pricelist")}
    pushes = {f"push_{system}": PUSH for system in ("cart", "erp", "crm")}
    assert tasks == syncs | pushes | {"reconcile": {"compare", "publish"}}
    assert read["whole"]["errors"] == {}


def test_what_writes_the_warehouse_stands_in_the_writers_pool(read: dict[str, Any]) -> None:
    writers = {
        task for pools in read["whole"]["dags"].values() for task, pool in pools.items() if pool == "warehouse_writer"
    }
    assert writers == {"merge", "plan", "fold", "compare", "publish"}


def test_a_broken_mapping_is_an_import_error_that_names_the_place(read: dict[str, Any]) -> None:
    """And it is one of its own: every DAG is still there, so that the other systems go on."""
    (error,) = read["broken"]["errors"].values()
    assert "cart/orders.yaml:3:3 M107 there is no column 'emial'" in error
    assert read["broken"]["dags"] == read["whole"]["dags"]


def run_dags(root: Path, *wanted: str, **env: str) -> tuple[list[tuple[dict[str, str], list[str]]], str]:
    """`dag.test()` of several DAGs in one process. For each the states of its tasks, and the assets that were changed;
    and all that was printed.
    """
    states: dict[int, dict[str, str]] = defaultdict(dict)
    events: dict[int, list[str]] = defaultdict(list)
    said = script("run_dags.py", root, *wanted, **env)
    for line in said.splitlines():
        match line.split():
            case ["TASK", n, _, task, state]:
                states[int(n)][task] = state
            case ["EVENT", n, uri]:
                events[int(n)].append(uri)
    return [(states[n], events[n]) for n in sorted(states)], said


def all_of(tasks: set[str], state: str) -> dict[str, str]:
    return dict.fromkeys(tasks, state)


def test_dags_run_from_pull_to_push_and_then_they_are_quiet(project: Path) -> None:
    with running(project / "sandbox") as world:
        env = {name: str(getattr(world, name.removeprefix("CROSSDOCK_").lower())) for name in ADDRESSES}
        orders = len(world.control.books()["orders"])
        runs, said = run_dags(
            project,
            "sync:sync_erp",
            "sync:sync_cart",
            "push:push_erp",
            "sync:sync_erp",
            "sync:sync_cart",
            "push:push_erp",
            "reconcile:reconcile",
            "CROSSDOCK_CART_TOKEN=wrong",
            "sync:sync_cart",
            **env,
        )
        assert len(world.control.books()["orders"]) > orders
    sync_erp, sync_cart, push_erp, read_back, again, push_again, reconcile, refused = runs
    assert sync_erp == (all_of(SYNC, "success"), ["crossdock://merged/erp"])
    assert sync_cart == (all_of(SYNC, "success"), ["crossdock://merged/cart"])
    assert push_erp == (all_of(PUSH, "success"), ["crossdock://pushed/erp"])
    assert read_back == (all_of(SYNC, "success"), ["crossdock://merged/erp"])
    assert again == (all_of(SYNC, "success") | {"announce": "skipped"}, [])
    assert push_again == (all_of(PUSH, "skipped"), [])
    assert reconcile == (all_of({"compare", "publish"}, "success"), [])
    # Wrong credentials: the task fails at once, says why, and what a person has to change is not tried again.
    assert refused == (all_of(SYNC, "upstream_failed") | {"pull": "failed"}, [])
    assert "AuthenticationError: " in said
    assert "C105" in said
    assert "a person has to change something" in said


CLOSED = """entity: price
threshold: 0
rules:
  too_cheap:
    range: {column: amount, least: 100000}
    message: Nothing is that dear
"""


def test_a_closed_gate_is_no_green_run(project: Path) -> None:
    rules = project / "quality" / "price.yaml"
    rules.parent.mkdir()
    rules.write_text(CLOSED)
    with running(project / "sandbox") as world:
        (run,), said = run_dags(project, "sync:sync_pricelist", CROSSDOCK_DROP=str(world.drop))
    states, _ = run
    assert states == all_of(SYNC, "success") | {"verdict": "failed"}
    assert "Q311 pricelist: the gate is closed: " in said
    assert "price: closed, " in said


ADDRESSES = ("CROSSDOCK_CART", "CROSSDOCK_ERP", "CROSSDOCK_CRM", "CROSSDOCK_DROP")
