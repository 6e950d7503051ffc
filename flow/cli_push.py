"""The commands that write to systems: plan, apply, take back, say what became of a call."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flow.cli_base import AsJson, Unmask, may_see, print_json, the_project

app = typer.Typer()


@app.command()
def plan(
    target: str,
    as_json: AsJson = False,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write it as a page.")] = None,
    key: Annotated[str | None, typer.Option(help="Only this record: its key, its hub id, or the target's id.")] = None,
    limit: Annotated[int | None, typer.Option(min=0, help="How many calls are shown.")] = None,
    against: Annotated[
        str | None, typer.Option(metavar="REV", help="Only what differs from the mappings of a git revision or folder.")
    ] = None,
    retry: Annotated[
        list[str] | None, typer.Option("--retry", help="Plan this key again although it was refused.")
    ] = None,
    unmask: Unmask = False,
) -> None:
    """Show exactly which calls a push to TARGET would make. Nothing is sent, no store is touched."""
    from flow import show_plan
    from flow.plan import plan as make_plan
    from flow.plan_view import view
    from warehouse.model import entities

    project = the_project()
    may_see(project, unmask, f"plan {target}")
    if against is not None:
        _plan_against(target, against, as_json, unmask)
        return
    made = make_plan(project, target, retry=retry or ())
    if html is not None:
        from flow.plan_page import as_html

        html.write_text(as_html(view(made, entities(), key=key, limit=limit, unmask=unmask)), encoding="utf-8")
        print(f"  made {html}")
    elif as_json:
        print_json(view(made, entities(), key=key, limit=limit, unmask=unmask).as_dict())
    else:
        most = show_plan.CALLS if limit is None else limit
        show_plan.plan(view(made, entities(), key=key, limit=most, unmask=unmask))


def _plan_against(target: str, revision: str, as_json: bool, unmask: bool) -> None:
    from dataclasses import asdict

    from flow import show_diff
    from flow.diff import masked
    from flow.plan_view import against
    from warehouse.model import entities

    made = against(the_project(), target, revision)
    if not unmask:
        made = masked(made, entities())
    print_json(asdict(made)) if as_json else show_diff.calls(made)
    raise typer.Exit(int(made.any))


@app.command()
def apply(plan_id: Annotated[str, typer.Argument(metavar="PLAN")], as_json: AsJson = False) -> None:
    """Make the calls of a plan, and only those. Applying a plan by hand is approving it."""
    import getpass

    from flow import show
    from flow.apply import apply as run_apply
    from flow.publish import fold_and_publish
    from flow.report import exit_code

    project = the_project()
    report = run_apply(project, plan_id, approved_by=getpass.getuser())
    fold_and_publish(project)
    step_report = report.as_step()
    print_json(report.as_dict()) if as_json else show.step(step_report)
    raise typer.Exit(exit_code([step_report]))


@app.command()
def revert(
    plan_or_run: Annotated[
        str, typer.Argument(metavar="PLAN|RUN", help="The id of a plan, or of a run: push.log has both.")
    ],
    as_json: AsJson = False,
    unmask: Unmask = False,
) -> None:
    """Plan the opposite of what was applied, one plan a target; crossdock apply then makes it. Nothing is sent."""
    from flow import show_plan
    from flow.plan_view import view
    from flow.revert import revert as take_back
    from warehouse.model import entities

    project = the_project()
    may_see(project, unmask, f"revert {plan_or_run}")
    plans = take_back(project, plan_or_run)
    if as_json:
        said = [view(made, entities(), unmask=unmask).as_dict() for made in plans]
        print_json(said if len(said) > 1 else said[0])
        return
    for made in plans:
        show_plan.plan(view(made, entities(), limit=show_plan.CALLS, unmask=unmask))


@app.command()
def resume(system: str) -> None:
    """Use the connection of SYSTEM again, whose credentials were refused."""
    from flow.pause import resume as run_resume

    project = the_project()
    project.system(system)
    print(f"{system} is used again" if run_resume(project, system) else f"{system} was not left alone")


@app.command()
def settle(
    call: Annotated[int, typer.Argument(help="Its number, as crossdock plan shows it.")],
    happened: Annotated[str | None, typer.Option("--happened", metavar="ID", help="It did; the target's id.")] = None,
    never: Annotated[bool, typer.Option("--never", help="It did not, and may be planned again.")] = False,
) -> None:
    """Say what became of a call that got no answer and that nothing else can find out."""
    import getpass

    from flow.settle import say
    from hub.errors import UsageError

    if never == bool(happened):
        raise UsageError("P208", "say one of the two", fix="--happened ID, or --never")
    say(the_project(), call, happened=not never, external_id=happened, by=getpass.getuser())
