"""One DAG a target: plan, wait for a person where the plan asks for one, apply. Scheduled by what was merged."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Asset, AssetAny, ExceptionRetryPolicy, RetryAction, RetryRule, task

from hub.config import load_project

PROJECT = load_project()


@task(pool="warehouse_writer")
def plan(target: str) -> dict[str, str]:
    """Exactly which calls would be made; skips the rest where there is nothing to send."""
    from airflow.sdk.exceptions import AirflowSkipException

    from flow.apply import recover
    from flow.pause import paused
    from flow.plan import plan
    from flow.plan_text import markdown
    from flow.publish import fold_and_publish

    if alone := paused(PROJECT, target):
        raise AirflowSkipException(str(alone))
    recover(PROJECT, target)
    fold_and_publish(PROJECT)
    made = plan(PROJECT, target)
    print(text := markdown(made))
    if not made.calls:
        raise AirflowSkipException(f"{target} knows what it should")
    return {"id": made.id, "approval": made.approval, "text": text}


@task.branch
def who_decides(made: dict[str, str]) -> str:
    """A person, where the plan is the target's first or goes beyond a guard."""
    return "approve" if made["approval"] == "required" else "apply"


@task(trigger_rule="none_failed_min_one_success")
def apply(made: dict[str, str], target: str, ti: Any = None) -> int:
    """Makes the calls of the plan, and only those. Returns how many the target took."""
    from airflow.sdk.exceptions import AirflowFailException

    from flow.apply import apply

    by = None
    if made["approval"] == "required":
        answer = ti.xcom_pull(task_ids="approve") or {}
        by = (answer.get("responded_by_user") or {}).get("name") or "airflow"
    report = apply(PROJECT, made["id"], approved_by=by).as_step()
    for line in report.detail["lines"]:
        print(line)
    if report.status == "held":
        raise AirflowFailException(f"nothing was sent: {report.findings[0]}")
    return report.or_raise().counts.get("applied", 0)


@task(pool="warehouse_writer")
def fold(applied: int) -> None:
    """What the target answered, into the warehouse; wakes the target's sync, but only if something was applied."""
    from airflow.sdk.exceptions import AirflowSkipException

    from flow.publish import fold_and_publish

    fold_and_publish(PROJECT)
    if not applied:
        raise AirflowSkipException("nothing was applied")


def build(target: str) -> DAG:
    with DAG(
        dag_id=f"push_{target}",
        description=f"What {target} should know: plan, approve, apply",
        schedule=AssetAny(*(Asset(f"crossdock://merged/{name}") for name in PROJECT.systems)),
        catchup=False,
        max_active_runs=1,
        default_args={
            "owner": "crossdock",
            "retries": 2,
            "retry_delay": timedelta(seconds=30),
            # What a person has to change first does not get better by waiting.
            "retry_policy": ExceptionRetryPolicy(
                [
                    RetryRule(
                        "hub.errors.ConfigurationError", RetryAction.FAIL, reason="a person has to change something"
                    ),
                    RetryRule(
                        "airflow.providers.standard.exceptions.HITLTimeoutError",
                        RetryAction.FAIL,
                        reason="nobody answered while the plan held",
                    ),
                ]
            ),
        },
        tags=["crossdock", "push"],
    ) as dag:
        made = plan(target)
        approve = ApprovalOperator(
            task_id="approve",
            subject=f"A push to {target}",
            body="{{ ti.xcom_pull(task_ids='plan')['text'] }}",
            response_timeout=timedelta(hours=24),  # as long as a plan holds; unanswered is refused
            # An answer in the seconds in which Airflow still takes leave of the task that asked may fail it (apache/airflow#67287):
            # it is asked for again.
            retry_delay=timedelta(seconds=5),
        )
        done = apply(made, target)
        who_decides(made) >> [approve, done]
        approve >> done
        fold.override(outlets=[Asset(f"crossdock://pushed/{target}")])(done)
    return dag


for _system in PROJECT.systems.values():
    if _system.write:
        globals()[f"push_{_system.name}"] = build(_system.name)
