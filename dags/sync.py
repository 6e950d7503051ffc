"""One DAG a system: pull, prepare (stage and map), gate, merge. By the clock, and when a push changed the system."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Asset, ExceptionRetryPolicy, RetryAction, RetryRule, task
from airflow.timetables.assets import AssetOrTimeSchedule
from airflow.timetables.trigger import CronTriggerTimetable

from flow.plainly import plainly
from flow.run import Run
from hub.config import load_project

PROJECT = load_project()
DOC = """
The records of **{system}** that changed, from the system to the warehouse; every quarter of an hour, and after a push to it.

| task | does | if it fails |
|---|---|---|
| pull | fetches what changed, byte for byte, into the lake | is the system up, are its credentials right? `crossdock check {system}` asks it |
| prepare | stages and maps what was fetched | a mapping is wrong: `crossdock lint` names the line |
| gate | keeps bad rows back, with reasons | a rule is wrong, or too much is: `crossdock explain` and the code say more |
| merge | writes what passed into the warehouse | `crossdock explain` and the code say more |
| announce | wakes the pushes; skipped where nothing changed | |
| verdict | fails where the gate is closed: the rows that it holds are not in the warehouse | the log of gate names the rule, and how often it failed; they come again until it is mended |

Rejected and quarantined records fail no task: `crossdock quarantine list` has them. A failed run may be left alone: the next one goes on
from where the last good one ended; nothing is lost and nothing comes twice. It may also be cleared from any task on; an old one
from `prepare` on, for what that makes is kept for the newest runs only.
"""


@task(retries=2, retry_delay=timedelta(seconds=30), retry_exponential_backoff=True)
@plainly
def pull(system: str) -> str:
    """The records that changed, as untouched bytes, into the lake. Returns the run's id."""
    from airflow.sdk.exceptions import AirflowSkipException

    from flow.pull import pull

    started = Run.start(PROJECT, system)
    report = pull(started)
    if report.status == "held":
        raise AirflowSkipException(str(report.findings[0]))
    report.or_raise()
    return started.run_id


@task
@plainly
def prepare(run: str, system: str) -> str:
    """Stages what was pulled in a file of this run's own and maps it to the canonical model."""
    from flow.map import map
    from flow.stage import stage

    started = Run(PROJECT, system, run)
    with started.together():
        stage(started).or_raise()
        map(started).or_raise()
    return run


@task
@plainly
def gate(run: str, system: str) -> str:
    """Good rows go on, bad ones are quarantined with reasons; Great Expectations has the last word."""
    from flow.gate import gate

    gate(Run(PROJECT, system, run)).or_raise()
    return run


@task(pool="warehouse_writer")
@plainly
def merge(run: str, system: str) -> dict[str, int]:
    """What passed the gate into the warehouse, in one transaction with its position."""
    from flow.merge import merge

    report = merge(Run(PROJECT, system, run)).or_raise()
    return {**report.counts, "closed": int(report.status == "held")}


@task
def announce(counts: dict[str, int]) -> None:
    """Wakes the pushes, but only if something changed: a quiet system stays quiet."""
    from airflow.sdk.exceptions import AirflowSkipException

    if not counts.get("changed"):
        raise AirflowSkipException("nothing changed")


@task
@plainly
def verdict(counts: dict[str, int], system: str) -> None:
    """Fails where the gate is closed: a run in which something was held must not look like one in which all is well."""
    from flow.verdict import verdict

    verdict(system, counts.get("held", 0), closed=bool(counts["closed"]))


def build(system: str) -> DAG:
    with DAG(
        dag_id=f"sync_{system}",
        description=f"{system}: pull, stage, map, gate, merge",
        doc_md=DOC.format(system=system),
        schedule=AssetOrTimeSchedule(
            timetable=CronTriggerTimetable("*/15 * * * *", timezone="UTC", run_immediately=False),
            assets=Asset(f"crossdock://pushed/{system}"),
        ),
        catchup=False,
        max_active_runs=1,
        default_args={
            "owner": "crossdock",
            "retries": 1,
            "retry_delay": timedelta(seconds=10),
            # What a person has to change first does not get better by waiting.
            "retry_policy": ExceptionRetryPolicy(
                [
                    RetryRule(
                        "hub.errors.ConfigurationError", RetryAction.FAIL, reason="a person has to change something"
                    )
                ]
            ),
        },
        tags=["crossdock", "sync"],
    ) as dag:
        merged = merge(gate(prepare(pull(system), system), system), system)
        announce.override(outlets=[Asset(f"crossdock://merged/{system}")])(merged)
        verdict(merged, system)
    return dag


for _system in PROJECT.systems:
    globals()[f"sync_{_system}"] = build(_system)
