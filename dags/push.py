"""One DAG a target: plan, wait for a person where the plan asks for one, apply. Scheduled by what was merged."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Asset, AssetAny, ExceptionRetryPolicy, RetryAction, RetryRule, task

from flow.plainly import plainly
from hub.config import load_project

PROJECT = load_project()
log = logging.getLogger("crossdock.step")
DOC = """
What **{target}** should know and does not know yet; planned whenever something was merged that may concern it.

| task | does |
|---|---|
| plan | works out the exact calls, and sends none; the rest is skipped where there are none |
| approve | asks a person, under Required Actions: for the first plan, and for one beyond a guard of crossdock.yaml |
| apply | makes the calls of the plan, and only those |
| fold | writes what {target} answered into the warehouse, and wakes its sync |

*Reject* sends nothing; the same is planned, and asked for, when something is merged next. So does no answer within a day. `crossdock plan {target}` shows every value.

A call that {target} refuses fails no task: the log of `apply` says why, and `crossdock plan {target}` lists it. A task may be cleared at
any time: a call that was made is not made again.
"""


def cleared(ti: Any) -> bool:
    """Whether somebody cleared a task that had begun: only then may it have more tries than it is built with."""
    return bool(ti.max_tries > ti.task.retries)


class Approval(ApprovalOperator):
    """Asks about the plan, and never with the words of another.

    What Airflow shows to the person who is asked stays as it was first written, also when the task is cleared (`upsert_hitl_detail`
    of its execution API); the plan that would then be applied is the one that was made since.
    """

    def execute(self, context: Any) -> Any:
        from airflow.sdk.exceptions import AirflowFailException

        ti = context["ti"]
        if cleared(ti) and ti.xcom_pull(task_ids="plan").get("again"):
            raise AirflowFailException(
                f"nothing was sent: Airflow would still show the plan that this run made before it was cleared; "
                f"trigger {ti.dag_id} for a new run"
            )
        return super().execute(context)


@task(pool="warehouse_writer", show_return_value_in_logs=False)
@plainly
def plan(target: str, ti: Any = None) -> dict[str, Any]:
    """Exactly which calls would be made; skips the rest where there is nothing to send."""
    from airflow.sdk.exceptions import AirflowSkipException

    from flow.apply import recover
    from flow.pause import paused
    from flow.plan import plan
    from flow.plan_text import markdown, subject
    from flow.publish import fold_and_publish

    if alone := paused(PROJECT, target):
        raise AirflowSkipException(str(alone))
    recover(PROJECT, target)
    fold_and_publish(PROJECT)
    made = plan(PROJECT, target)
    text = markdown(made)
    for line in filter(None, text.splitlines()):
        log.info("%s", line)
    if not made.calls:
        raise AirflowSkipException(f"{target} knows what it should")
    said = {"id": made.id, "approval": made.approval, "subject": subject(made), "text": text}
    return said | {"again": cleared(ti)}


@task.branch
def who_decides(made: dict[str, Any]) -> str:
    """A person, where the plan is the target's first or goes beyond a guard."""
    return "approve" if made["approval"] == "required" else "apply"


@task(trigger_rule="none_failed_min_one_success")
@plainly
def apply(made: dict[str, Any], target: str, ti: Any = None) -> int:
    """Makes the calls of the plan, and only those. Returns how many the target took."""
    from airflow.sdk.exceptions import AirflowFailException

    from flow.apply import apply

    by = None
    if made["approval"] == "required":
        answer = ti.xcom_pull(task_ids="approve") or {}
        # Without an answer `approve` was marked as done, which says yes to what is shown there; and that is another plan.
        if not answer and made.get("again"):
            raise AirflowFailException(
                f"nothing was sent: nobody has seen this plan; trigger push_{target} for a new run"
            )
        by = (answer.get("responded_by_user") or {}).get("name") or "airflow"
    report = apply(PROJECT, made["id"], approved_by=by).as_step()
    if report.status == "held":
        raise AirflowFailException(f"nothing was sent: {report.findings[0]}")
    return report.or_raise().counts.get("applied", 0)


@task(pool="warehouse_writer")
@plainly
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
        doc_md=DOC.format(target=target),
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
        approve = Approval(
            task_id="approve",
            # A plan that waits since before there were subjects has none.
            subject=f"{{{{ ti.xcom_pull(task_ids='plan').get('subject', 'A push to {target}') }}}}",
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
