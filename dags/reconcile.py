"""Do the systems agree? Once an hour, and the answer stands in the warehouse."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from airflow.sdk import DAG, task
from airflow.timetables.trigger import CronTriggerTimetable

from flow.plainly import plainly
from hub.config import load_project

PROJECT = load_project()
DOC = """
Compares what the systems say of the same orders, payments, stock and customers, once an hour, and publishes the snapshot that
analysts, pages and plans read.

A break fails no task. The log of `compare` has a line for each, with its code, its money and its age; `crossdock reconcile --html FILE`
makes a page of them, and `crossdock query "select * from recon.breaks"` lists them.
"""


@task(pool="warehouse_writer")
@plainly
def compare() -> dict[str, int]:
    """Every reconciliation of the project. What they differ in stands in recon.breaks, and here in the log."""
    from airflow.sdk.exceptions import AirflowSkipException

    from flow.reconcile import reconcile

    if not PROJECT.warehouse.exists():
        raise AirflowSkipException("nothing was merged yet")
    counts: Counter[str] = Counter()
    for report in reconcile(PROJECT):
        counts.update(report.or_raise().counts)
    return dict(counts)


@task(pool="warehouse_writer")
@plainly
def publish() -> str:
    """The snapshot that analysts, pages and plans read; and what `retention:` lets go of the lake."""
    from flow.publish import fold_and_publish
    from flow.retention import retain

    if PROJECT.retention_days is not None:
        retain(PROJECT).or_raise()
    return str(fold_and_publish(PROJECT))


with DAG(
    dag_id="reconcile",
    description="Compares the systems' views and publishes the snapshot",
    doc_md=DOC,
    schedule=CronTriggerTimetable("30 * * * *", timezone="UTC", run_immediately=False),
    catchup=False,
    max_active_runs=1,
    default_args={"owner": "crossdock", "retries": 1, "retry_delay": timedelta(seconds=30)},
    tags=["crossdock", "reconcile"],
) as dag:
    compare() >> publish()
