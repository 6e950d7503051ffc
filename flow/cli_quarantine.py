"""`crossdock quarantine …`: what waits, why, and what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flow.cli_base import AsJson, Unmask, may_see, print_json, the_project

app = typer.Typer(help="Records that wait, each with its reason.", no_args_is_help=True)

System = Annotated[str | None, typer.Argument(help="Of one system; all if none is named.")]
Names = Annotated[list[str], typer.Argument(metavar="NAME…", help="Ids of records, segment:line, or causes.")]


@app.command("list")
def list_(
    system: System = None,
    all: Annotated[bool, typer.Option("--all", help="Every case instead of groups of one cause.")] = False,
    dismissed: Annotated[bool, typer.Option("--dismissed", help="Also what a person dismissed.")] = False,
    unmask: Unmask = False,
    as_json: AsJson = False,
) -> None:
    """What waits, grouped by cause."""
    from flow import quarantine, show_quarantine

    project = the_project()
    may_see(project, unmask, "quarantine list")
    if all:
        rows = quarantine.cases(project, system, dismissed=dismissed, unmask=unmask)
        print_json(rows) if as_json else show_quarantine.cases(rows)
    else:
        rows = quarantine.causes(project, system, dismissed=dismissed)
        print_json(rows) if as_json else show_quarantine.causes(rows)
    if not as_json:
        show_quarantine.awaiting(quarantine.awaiting(project, system))


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A record's id in its system, segment:line, or a cause.")],
    unmask: Unmask = False,
    limit: Annotated[int, typer.Option(min=1, help="How many records of a cause.")] = 3,
    as_json: AsJson = False,
) -> None:
    """The record as it came, with every reason against it."""
    from dataclasses import asdict

    from flow import quarantine, show_quarantine

    project = the_project()
    may_see(project, unmask, "quarantine show")
    found = quarantine.show(project, name, unmask=unmask, limit=limit)
    print_json([asdict(one) for one in found]) if as_json else show_quarantine.shown(found)


@app.command()
def replay(names: Names, as_json: AsJson = False) -> None:
    """Judge these records again, and only them: map, gate, merge, with mappings and rules as they are now."""
    from flow import show as terminal
    from flow.quarantine import replay as run_replay
    from flow.report import exit_code

    reports = run_replay(the_project(), names, on_report=None if as_json else terminal.step)
    print_json([report.as_dict() for report in reports]) if as_json else terminal.total(reports)
    raise typer.Exit(exit_code(reports))


@app.command()
def dismiss(
    names: Names,
    reason: Annotated[str, typer.Option("--reason", help="Why they may stay as they are.")],
    by: Annotated[str | None, typer.Option("--by", help="Who says so; the user if it is not said.")] = None,
) -> None:
    """Say that these may stay as they are. It is kept, and undone when the record's content changes."""
    import getpass

    from flow.quarantine import dismiss as keep

    print(f"{keep(the_project(), names, reason, by or getpass.getuser()):,} dismissed")


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="A .csv, .ndjson or .jsonl file.")],
    system: Annotated[str | None, typer.Option("--system", help="Of one system.")] = None,
    unmask: Unmask = False,
) -> None:
    """Write every waiting case to a file, for people without a terminal."""
    from flow.quarantine import export as write

    project = the_project()
    may_see(project, unmask, "quarantine export")
    print(f"{write(project, file, system, unmask=unmask):,} cases in {file}")
