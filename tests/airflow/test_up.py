"""`crossdock up`: a real Airflow, driven by its REST API as an operator would by its pages, until ctrl-C."""

from __future__ import annotations

import json
import signal
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from airflow_harness import Up, said_of, until

from flow.up import Airflow
from warehouse.ledger import Ledger

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]

BROKEN = "extends: pricelist/prices\nfields:\n  emial: email\n"
ENDED = ("success", "failed")


@dataclass
class Operator:
    """Somebody who looks at Airflow, and at the systems."""

    server: Airflow
    addresses: dict[str, str]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Tried again, as a person would, while Airflow's database is busy."""

        def answered() -> requests.Response | None:
            try:
                answer = self.server.call(method, path, body)
            except (requests.ConnectionError, requests.Timeout):
                return None
            return answer if answer.status_code < 500 else None

        answer = until(answered, 180, f"an answer to {method} {path}")
        assert answer.ok, answer.text
        return answer.json()

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def trigger(self, dag: str) -> str:
        return str(self.call("POST", f"/dags/{dag}/dagRuns", {"logical_date": None})["dag_run_id"])

    def ended(self, dag: str, run: str | None = None, seconds: float = 420) -> str:
        """The state of a run (the oldest, if none is named) when it has ended."""

        def state() -> str:
            runs = self.get(f"/dags/{dag}/dagRuns?order_by=run_after")["dag_runs"]
            found = [r["state"] for r in runs if run in (None, r["dag_run_id"])]
            return found[0] if found and found[0] in ENDED else ""

        return str(until(state, seconds, f"a run of {dag} ends"))

    def states(self, dag: str, run: str) -> dict[str, str]:
        tasks = self.get(f"/dags/{dag}/dagRuns/{run}/taskInstances")["task_instances"]
        return {task["task_id"]: task["state"] for task in tasks}

    def asked(self, dag: str) -> str:
        """The run of `dag` in which a person is asked."""

        return str(until(lambda: self.asks(dag), 420, f"{dag} asks for approval"))

    def asks(self, dag: str) -> str:
        """The run of `dag` in which a person is asked now; empty where nobody is."""
        details = self.get("/dags/~/dagRuns/~/hitlDetails?response_received=false")["hitl_details"]
        tasks = [detail["task_instance"] for detail in details]
        return next((task["dag_run_id"] for task in tasks if task["dag_id"] == dag), "")

    def answer(self, dag: str, run: str, choice: str) -> None:
        time.sleep(3)  # an answer within 0.2 s of the request has failed the task, and a later one now and then
        path = f"/dags/{dag}/dagRuns/{run}/taskInstances/approve/-1/hitlDetails"
        self.call("PATCH", path, {"chosen_options": [choice], "params_input": {}})

    def decided(self, dag: str, choice: str) -> tuple[str, str]:
        """The run in which a person is asked, and its state when it has ended; who is asked again answers again."""
        run = self.asked(dag)

        def state() -> str:
            if self.asks(dag) == run:
                self.answer(dag, run, choice)
            (found,) = (r["state"] for r in self.get(f"/dags/{dag}/dagRuns")["dag_runs"] if r["dag_run_id"] == run)
            return found if found in ENDED else ""

        return run, str(until(state, 420, f"a run of {dag} ends"))

    def accounts(self, **filters: str) -> int:
        answer = requests.get(
            f"{self.addresses['CRM']}/accounts",
            params={"limit": "1", **filters},
            headers={"Authorization": "Bearer sandbox-crm-token"},
            timeout=30,
        )
        return int(answer.json()["totalSize"])

    def register(self, email: str) -> None:
        """A new customer of the cart."""
        requests.post(
            f"{self.addresses['cart']}/customers",
            json={"email": email, "first_name": "Nora", "last_name": "Neumann"},
            headers={"Authorization": "Bearer sandbox-cart-token"},
            timeout=30,
        ).raise_for_status()


def operator(started: Up) -> Operator:
    """Logged in with what `crossdock up` prints."""
    address, password = started.wait_for(
        r"Airflow +(http://127\.0\.0\.1:\d+) +login admin, password (\S+)", 180
    ).groups()
    systems = started.wait_for(r"cart (\S+) +ERP (\S+) +CRM (\S+)", 10).groups()
    return Operator(
        Airflow(address, password, started.process), dict(zip(("cart", "ERP", "CRM"), systems, strict=True))
    )


def test_from_a_trigger_to_the_row_in_the_crm_and_then_ctrl_c(project: Path, up: Callable[[], Up]) -> None:
    broken = project / "mappings" / "pricelist" / "prices.yaml"
    broken.parent.mkdir(parents=True)
    broken.write_text(BROKEN)
    started = up()
    person = operator(started)
    before = person.accounts()

    everything_is_pulled_and_the_broken_mapping_is_seen(person)
    a_rejected_plan_is_not_sent(person, project)
    a_plan_made_again_is_not_asked_for_in_the_words_of_the_first(person)
    an_approved_plan_is_sent(person, project, before)
    what_comes_later_needs_nobody(person)
    it_listens_on_loopback_only(started)
    secrets_are_the_owners(project)

    assert started.stop(signal.SIGINT) == 0
    assert "stopping" in started.said
    assert started.left() == []
    log = (project / "airflow_home" / "standalone.log").read_text()
    assert "InsecureKeyLength" not in log


def everything_is_pulled_and_the_broken_mapping_is_seen(person: Operator) -> None:
    (error,) = until(lambda: person.get("/importErrors")["import_errors"], 120, "the import error")
    assert "pricelist/prices.yaml:3:3 M107 there is no column 'emial'" in error["stack_trace"]
    assert {dag: person.ended(f"sync_{dag}") for dag in ("erp", "cart", "crm", "pricelist")} == {
        "erp": "success",
        "cart": "success",
        "crm": "success",
        "pricelist": "failed",
    }
    run = person.get("/dags/sync_pricelist/dagRuns")["dag_runs"][0]["dag_run_id"]
    assert person.states("sync_pricelist", run)["pull"] == "success"
    log = person.get(f"/dags/sync_pricelist/dagRuns/{run}/taskInstances/prepare/logs/1")
    assert "prices.yaml:3:3 M107" in json.dumps(log)


def a_rejected_plan_is_not_sent(person: Operator, project: Path) -> None:
    run, state = person.decided("push_cart", "Reject")
    assert state == "success"
    states = person.states("push_cart", run)
    assert (states["approve"], states["apply"], states["fold"]) == ("success", "skipped", "skipped")
    with Ledger(f"sqlite:///{project}/data/ledger.sqlite", read_only=True) as ledger:
        assert not ledger.is_approved("cart")


def a_plan_made_again_is_not_asked_for_in_the_words_of_the_first(person: Operator) -> None:
    """Airflow keeps what it showed when a task is cleared: approved would be a plan that nobody saw."""
    run = person.asked("push_erp")
    cleared = {
        "dag_run_id": run,
        "task_ids": ["plan"],
        "include_downstream": True,
        "only_failed": False,
        "dry_run": False,
    }
    person.call("POST", "/dags/push_erp/clearTaskInstances", cleared)
    assert person.ended("push_erp", run) == "failed"
    states = person.states("push_erp", run)
    assert (states["plan"], states["approve"], states["apply"]) == ("success", "failed", "upstream_failed")
    log = person.get(f"/dags/push_erp/dagRuns/{run}/taskInstances/approve/logs/2")
    assert "trigger push_erp for a new run" in json.dumps(log)

    # Nor does it help to mark as done what failed.
    person.call("PATCH", f"/dags/push_erp/dagRuns/{run}/taskInstances/approve", {"new_state": "success"})
    person.call("POST", "/dags/push_erp/clearTaskInstances", cleared | {"task_ids": ["apply"]})
    until(lambda: person.states("push_erp", run)["apply"] == "failed", 180, lambda: person.states("push_erp", run))
    assert "nobody has seen this plan" in json.dumps(
        person.get(f"/dags/push_erp/dagRuns/{run}/taskInstances/apply/logs/1")
    )


def an_approved_plan_is_sent(person: Operator, project: Path, before: int) -> None:
    assert person.decided("push_crm", "Approve")[1] == "success"

    def arrived() -> bool:
        """The plan may be from when only some systems had been merged. What came later is in the next, which asks only where it
        changes more than half of what the CRM knows by then.
        """
        if again := person.asks("push_crm"):
            person.answer("push_crm", again, "Approve")
        return person.accounts() > before

    until(arrived, 420, "customers of the other systems are in the CRM")
    with Ledger(f"sqlite:///{project}/data/ledger.sqlite", read_only=True) as ledger:
        assert ledger.is_approved("crm")


def what_comes_later_needs_nobody(person: Operator) -> None:
    person.register("nora.neumann@example.com")
    assert person.ended("sync_cart", person.trigger("sync_cart")) == "success"
    until(lambda: person.accounts(Email="nora.neumann@example.com") == 1, 420, "the new customer is in the CRM")


def it_listens_on_loopback_only(started: Up) -> None:
    """Not even the log servers of the scheduler and the triggerer listen on another interface."""
    inodes = started.sockets()
    listening = [
        fields
        for table in ("tcp", "tcp6")
        for fields in (line.split() for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:])
        if fields[3] == "0A" and fields[9] in inodes
    ]
    assert len(listening) >= 4  # Airflow and three sandbox systems
    assert {fields[1].split(":")[0] for fields in listening} == {"0100007F"}


def secrets_are_the_owners(project: Path) -> None:
    for name in ("passwords.json", "jwt_secret"):
        assert stat.S_IMODE((project / "airflow_home" / name).stat().st_mode) == 0o600
    assert len((project / "airflow_home" / "jwt_secret").read_text()) >= 64


def test_a_term_while_it_starts_leaves_nothing_behind(project: Path, up: Callable[[], Up]) -> None:
    started = up()
    until(lambda: any(b"--skip-serve-logs" in said_of(pid) for pid in started.left()), 120, lambda: started.said)
    assert started.stop(signal.SIGTERM) == 0
    assert started.left() == []
