"""One DAG a target: plan, wait for a person where the plan asks for one, apply. Scheduled by what was merged."""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Asset, AssetAny, task

from hub.config import load_project

PROJECT = load_project()


@task
def plan(target: str) -> dict[str, object]:
    """Shows what would be sent; skips the rest where there is nothing to send."""
    from airflow.sdk.exceptions import AirflowSkipException

    from flow.plan import plan
    from flow.publish import publish

    publish(PROJECT)
    made = plan(PROJECT, target)
    print(made.summary())
    if not made.calls:
        raise AirflowSkipException(f"{target} holds what it should")
    return {"id": made.id, "approval": made.approval, "summary": made.summary()}


@task.branch
def who_decides(made: dict[str, object]) -> str:
    return "approve" if made["approval"] == "required" else "apply"


@task(trigger_rule="none_failed_min_one_success")
def apply(made: dict[str, object], target: str) -> int:
    from flow.apply import apply

    report = apply(PROJECT, str(made["id"]), approved_by="airflow" if made["approval"] == "required" else None)
    print(report.summary())
    return report.as_step().or_raise().counts.get("applied", 0)


@task(pool="warehouse_writer")
def fold(applied: int) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    from flow.publish import fold_and_publish

    fold_and_publish(PROJECT)
    if not applied:
        raise AirflowSkipException("nothing was applied")


def build(target: str) -> DAG:
    others = [Asset(f"crossdock://merged/{name}") for name in PROJECT.systems]
    with DAG(
        dag_id=f"push_{target}",
        description=f"What {target} should know: plan, approve, apply",
        schedule=AssetAny(*others),
        catchup=False,
        max_active_runs=1,
        default_args={"retries": 1, "retry_delay": timedelta(seconds=30)},
        tags=["crossdock", "push"],
    ) as dag:
        made = plan(target)
        approve = ApprovalOperator(
            task_id="approve",
            subject=f"Push to {target}",
            body="{{ ti.xcom_pull(task_ids='plan')['summary'] }}",
            execution_timeout=timedelta(hours=24),
            retries=0,
        )
        done = apply(made, target)
        who_decides(made) >> [approve, done]
        approve >> done
        fold.override(outlets=[Asset(f"crossdock://pushed/{target}")])(done)
    return dag


for _system in PROJECT.systems.values():
    if _system.write:
        globals()[f"push_{_system.name}"] = build(_system.name)
