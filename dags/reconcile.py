"""Do the systems agree? Once an hour, and the answer stands in the warehouse."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task
from airflow.timetables.trigger import CronTriggerTimetable

from hub.config import load_project

PROJECT = load_project()


@task(pool="warehouse_writer")
def compare() -> dict[str, int]:
    """Every reconciliation of the project. What they differ in stands in recon.breaks, and here in the log."""
    from airflow.sdk.exceptions import AirflowSkipException

    from flow.reconcile import reconcile

    if not PROJECT.warehouse.exists():
        raise AirflowSkipException("nothing was merged yet")
    counts: dict[str, int] = {}
    for report in reconcile(PROJECT):
        print(report.system, report.detail["summary"])
        for line in report.or_raise().detail["lines"]:
            print(" ", line)
        counts = {name: counts.get(name, 0) + n for name, n in report.counts.items()}
    return counts


@task(pool="warehouse_writer")
def publish() -> str:
    """The snapshot that analysts, pages and plans read; and what `retention:` lets go of the lake."""
    from flow.publish import fold_and_publish
    from flow.retention import retain

    if PROJECT.retention_days is not None:
        print(retain(PROJECT).or_raise().detail["summary"])
    return str(fold_and_publish(PROJECT))


with DAG(
    dag_id="reconcile",
    description="Compares the systems' views and publishes the snapshot",
    schedule=CronTriggerTimetable("30 * * * *", timezone="UTC", run_immediately=False),
    catchup=False,
    max_active_runs=1,
    default_args={"owner": "crossdock", "retries": 1, "retry_delay": timedelta(seconds=30)},
    tags=["crossdock", "reconcile"],
) as dag:
    compare() >> publish()
