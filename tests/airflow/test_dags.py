"""The DAGs: built from crossdock.yaml, run in one process by dag.test(), and driven once through a real Airflow."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, sandbox: Any) -> Iterator[Path]:
    """A project of its own beside the sandbox systems, and the environment in which Airflow and crossdock see it."""
    root = tmp_path_factory.mktemp("project")
    shutil.copy(ROOT / "crossdock.yaml", root)
    said = {
        "CROSSDOCK_PROJECT": str(root),
        "CROSSDOCK_CART": sandbox.cart,
        "CROSSDOCK_ERP": sandbox.erp,
        "CROSSDOCK_CRM": sandbox.crm,
        "CROSSDOCK_DROP": str(sandbox.drop),
        "AIRFLOW_HOME": str(root / "airflow_home"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    }
    before = {name: os.environ.get(name) for name in said}
    os.environ.update(said)
    yield root
    for name, value in before.items():
        os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"dag_{name}", ROOT / "dags" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["sync", "push", "reconcile"])
def test_a_dag_file_parses_in_under_a_second(project: Path, name: str) -> None:
    """CPU seconds of the file itself: Airflow's own import is there before any DAG file is read."""
    code = (
        "import airflow.sdk, airflow.timetables.assets, airflow.timetables.trigger, time, runpy\n"
        "import airflow.providers.standard.operators.hitl\n"
        f"t = time.process_time(); runpy.run_path({str(ROOT / 'dags' / f'{name}.py')!r}); print(time.process_time() - t)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout.split()[-1]) < 1.0


def test_there_is_a_dag_a_system_and_a_dag_a_target(project: Path) -> None:
    sync, push = load("sync"), load("push")
    assert {f"sync_{s}" for s in ("cart", "erp", "crm", "pricelist")} <= set(vars(sync))
    assert {f"push_{s}" for s in ("cart", "erp", "crm")} <= set(vars(push))
    assert not hasattr(push, "push_pricelist")


def test_a_broken_mapping_is_an_import_error_that_names_the_place(project: Path) -> None:
    from hub.errors import ConfigurationError

    folder = project / "mappings" / "cart"
    folder.mkdir(parents=True)
    (folder / "orders.yaml").write_text("extends: cart/orders\nfields:\n  emial: email\n")
    try:
        with pytest.raises(ConfigurationError, match=r"orders\.yaml:3:3 M\d+"):
            load("sync")
    finally:
        shutil.rmtree(project / "mappings")


@pytest.fixture(scope="module")
def airflow_db(project: Path) -> None:
    airflow = str(Path(sys.executable).parent / "airflow")
    subprocess.run([airflow, "db", "migrate"], check=True, capture_output=True)
    subprocess.run([airflow, "pools", "set", "warehouse_writer", "1", "one writer"], check=True, capture_output=True)


RUN = """
import importlib.util, sys
from pathlib import Path
root, name, dag_id, approve = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]
spec = importlib.util.spec_from_file_location("dag_" + name, root / "dags" / (name + ".py"))
module = importlib.util.module_from_spec(spec); sys.modules[spec.name] = module; spec.loader.exec_module(module)
ran = getattr(module, dag_id).test(mark_success_pattern="approve" if approve else None)
for ti in ran.get_task_instances():
    print("TASK", ti.task_id, ti.state)
print("RUN", ran.state)
"""


def run_dags(project: Path, *wanted: tuple[str, str]) -> dict[str, str]:
    """`dag.test()` of several DAGs in a process of their own. Returns the state of every task."""
    states = {}
    for name, dag_id in wanted:
        extra = ["approve"] if name == "push" else []
        done = subprocess.run(
            [sys.executable, "-c", RUN, str(ROOT), name, dag_id, *extra], capture_output=True, text=True, timeout=240
        )
        assert "RUN success" in done.stdout, (done.stdout + done.stderr)[-4000:]
        states |= {
            f"{dag_id}.{line.split()[1]}": line.split()[2].lower().removeprefix("taskinstancestate.")
            for line in done.stdout.splitlines()
            if line.startswith("TASK ")
        }
    return states


def test_dags_run_from_pull_to_push_in_one_process(project: Path, airflow_db: None, sandbox: Any) -> None:
    states = run_dags(
        project, ("sync", "sync_erp"), ("sync", "sync_cart"), ("push", "push_erp"), ("reconcile", "reconcile")
    )
    assert states["sync_cart.merge"] == "success"
    assert states["push_erp.apply"] == "success"
    assert states["reconcile.compare"] == "success"


def until(check: Callable[[], Any], seconds: float, what: str) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := check():
            return found
        time.sleep(1)
    raise AssertionError(f"not within {seconds} s: {what}")


def test_a_real_airflow_from_trigger_to_the_row_in_the_crm(
    tmp_path: Path, sandbox_fresh: Any, monkeypatch: Any
) -> None:
    """Sync and push as an operator would see them: triggered by REST, the first plan approved by REST, seen in the CRM."""
    import requests

    from flow.up import airflow
    from hub.config import load_project

    shutil.copy(ROOT / "crossdock.yaml", tmp_path)
    for name in ("cart", "erp", "crm", "drop"):
        monkeypatch.setenv(f"CROSSDOCK_{name.upper()}", str(getattr(sandbox_fresh, name)))
    monkeypatch.setenv("CROSSDOCK_PROJECT", str(tmp_path))
    project = load_project(tmp_path)

    def accounts() -> int:
        return int(
            requests.get(
                f"{sandbox_fresh.crm}/accounts?limit=1",
                headers={"Authorization": "Bearer sandbox-crm-token"},
                timeout=30,
            ).json()["totalSize"]
        )

    before = accounts()
    with airflow(project, home=tmp_path / "airflow_home") as server:

        def state(dag_id: str, run_id: str) -> str:
            return str(server.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}").json()["state"])

        def trigger(dag_id: str) -> str:
            until(lambda: server.call("GET", f"/dags/{dag_id}").status_code == 200, 90, f"{dag_id} is known")
            made = server.call("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None})
            assert made.status_code == 200, made.text
            return str(made.json()["dag_run_id"])

        assert server.call("GET", "/importErrors").json()["total_entries"] == 0
        for system in ("erp", "cart"):
            run_id = trigger(f"sync_{system}")
            done = until(
                lambda d=f"sync_{system}", r=run_id: state(d, r) in ("success", "failed") and state(d, r),
                240,
                f"sync_{system}",
            )
            assert done == "success"

        def waiting() -> Any:
            found = server.call("GET", "/dags/~/dagRuns/~/hitlDetails?response_received=false").json()["hitl_details"]
            return [f for f in found if f["task_instance"]["dag_id"] == "push_crm"]

        asked = until(waiting, 240, "push_crm, scheduled by what was merged, asks for approval")[0]["task_instance"]
        time.sleep(3)  # an answer within 0.2 s of the request has failed the task
        path = f"/dags/push_crm/dagRuns/{asked['dag_run_id']}/taskInstances/approve/{asked['map_index']}/hitlDetails"
        answered = server.call("PATCH", path, {"chosen_options": ["Approve"], "params_input": {}})
        assert answered.status_code == 200, answered.text
        assert until(lambda: state("push_crm", asked["dag_run_id"]) in ("success", "failed"), 240, "push_crm")
        assert state("push_crm", asked["dag_run_id"]) == "success"
    assert accounts() > before
