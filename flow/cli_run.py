"""The commands that make a project, start things and run the flow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flow.cli_base import AsJson, print_json, the_project

app = typer.Typer()

# What `check` finds where a system did not answer, or did not let us in; anything else is for a person to correct.
_UNAVAILABLE = frozenset({"C101", "C102", "C103", "C104", "C105", "D101", "D102"})


@app.command()
def demo(
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew: forget the data of earlier demos.")] = False,
) -> None:
    """Start the sandbox systems, run one full cycle and show what happened."""
    from flow.demo import demo as run_demo

    raise typer.Exit(run_demo(the_project(), fresh=fresh))


@app.command()
def up() -> None:
    """Start the sandbox and Airflow on 127.0.0.1; ctrl-C stops both."""
    from flow.up import up as run_up

    raise typer.Exit(run_up(the_project()))


@app.command()
def init(directory: Annotated[Path, typer.Argument(help="A new folder.")]) -> None:
    """Make a project of your own: crossdock.yaml, connectors/, mappings/, quality/."""
    from flow.init import init as make

    for path in make(directory):
        print(f"  made {path}")
    print(f"\nnext:  cd {directory} && crossdock systems")


@app.command()
def systems(as_json: AsJson = False) -> None:
    """List the systems of this project and what may be written to them."""
    from flow import show
    from flow.systems import describe

    rows = describe(the_project())
    print_json(rows) if as_json else show.systems(rows)


@app.command()
def check(system: str, as_json: AsJson = False) -> None:
    """Can I log in to SYSTEM, and is its schema what the connector expects?"""
    from flow import show
    from flow.run import make_connector
    from hub.boundary import blame
    from hub.declaration import judged
    from hub.findings import errors_in

    connector = make_connector(the_project(), system)
    findings = judged(type(connector))
    if not errors_in(findings):
        with blame(connector.name, system):
            findings += connector.check()
    print_json([f.as_dict() for f in findings]) if as_json else show.findings(findings, f"{system} answers as expected")
    raise typer.Exit(3 if any(f.code in _UNAVAILABLE for f in findings) else int(bool(errors_in(findings))))


@app.command()
def run(
    system: Annotated[list[str] | None, typer.Argument(help="Which systems; all if none is named.")] = None,
    step: Annotated[
        str | None,
        typer.Option("--step", help="Stop after pull, stage, map, gate or merge; or only reconcile, only push."),
    ] = None,
    max_pages: Annotated[
        int | None, typer.Option(min=1, help="Stop each stream after so many pages (partial).")
    ] = None,
    every: Annotated[
        float | None, typer.Option(min=0.1, help="Pull and merge one system every so many seconds, until ctrl-C.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the flow: pull, stage, map, gate, merge, reconcile, push."""
    from flow import show

    if every is not None:
        from flow.follow import follow, only

        return follow(the_project(), only(system or [], step, max_pages), every, show.step)
    from flow.cycle import cycle
    from flow.report import exit_code

    reports = cycle(
        the_project(), system or None, step=step, max_pages=max_pages, on_report=None if as_json else show.step
    )
    if as_json:
        print_json([report.as_dict() for report in reports])
    else:
        show.total(reports)
    raise typer.Exit(exit_code(reports))
