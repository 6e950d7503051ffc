"""One DAG a system: pull, prepare (stage and map), gate, merge. By the clock, and when a push changed the system."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Asset, task
from airflow.timetables.assets import AssetOrTimeSchedule
from airflow.timetables.trigger import CronTriggerTimetable

from flow.language import load_mappings
from flow.run import Run
from hub.config import load_project
from warehouse.model import entities

PROJECT = load_project()
load_mappings(
    PROJECT, entities()
)  # a broken mapping is an import error that everybody sees, never a DAG that is missing


def open_run(run_id: str, system: str) -> Run:
    return Run(PROJECT, system, run_id)


@task
def pull(system: str) -> str:
    from flow.pull import pull

    run = Run.start(PROJECT, system)
    pull(run).or_raise()
    return run.run_id


@task
def prepare(run_id: str, system: str) -> str:
    from flow.map import map
    from flow.stage import stage

    stage(open_run(run_id, system)).or_raise()
    map(open_run(run_id, system)).or_raise()
    return run_id


@task
def gate(run_id: str, system: str) -> str:
    from flow.gate import gate

    gate(open_run(run_id, system)).or_raise()
    return run_id


@task(pool="warehouse_writer")
def merge(run_id: str, system: str) -> dict[str, int]:
    from flow.merge import merge

    return merge(open_run(run_id, system)).or_raise().counts


@task
def announce(counts: dict[str, int]) -> None:
    """Wakes the pushes, but only if something changed: a quiet system stays quiet."""
    from airflow.sdk.exceptions import AirflowSkipException

    if not counts.get("changed"):
        raise AirflowSkipException("nothing changed")


def build(system: str) -> DAG:
    with DAG(
        dag_id=f"sync_{system}",
        description=f"{system}: pull, stage, map, gate, merge",
        schedule=AssetOrTimeSchedule(
            timetable=CronTriggerTimetable("*/15 * * * *", timezone="UTC"), assets=Asset(f"crossdock://pushed/{system}")
        ),
        catchup=False,
        max_active_runs=1,
        default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
        tags=["crossdock", "sync"],
    ) as dag:
        merged = merge(gate(prepare(pull(system), system), system), system)
        announce.override(outlets=[Asset(f"crossdock://merged/{system}")])(merged)
    return dag


for _system in PROJECT.systems:
    globals()[f"sync_{_system}"] = build(_system)
