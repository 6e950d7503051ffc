"""The commands that ask what is there and keep it: status, reconcile, trace, query, publish, rebuild, explain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flow.cli_base import AsJson, Unmask, print_json, the_project
from hub.errors import CrossdockError

app = typer.Typer()


@app.command()
def status(
    max_age: Annotated[
        float | None,
        typer.Option("--max-age", min=0, metavar="MINUTES", help="A last run older than this needs a person."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """How the project stands: how fresh each system is, what is kept back, what waits. Exit code 1 where something needs a person."""
    from datetime import timedelta

    from flow.status import status as look

    found = look(the_project(), None if max_age is None else timedelta(minutes=max_age))
    if as_json:
        print_json(found.as_dict())
    else:
        from flow import show_status

        show_status.status(found)
    raise typer.Exit(int(bool(found.findings)))


@app.command()
def reconcile(
    name: Annotated[str | None, typer.Argument(help="One reconciliation; all if none is named.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write one page with plots.")] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Plan the calls that heal breaks; nothing is sent.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the systems' views: how many agree, what does not, how much money that is, and what to do."""
    from flow import show_reconcile
    from flow.reconcile import reconcile as run_reconcile

    project = the_project()
    reports = run_reconcile(project, name)
    said: dict[str, Any] = {"reconciliations": [r.as_dict() for r in reports]}
    if not as_json:
        for report in reports:
            show_reconcile.reconciliation(report)
    if html:
        from flow.reconcile_page import write

        write(project, html, name)
        said["html"] = str(html)
        if not as_json:
            print(f"\n  made {html}")
    if fix:
        from flow.fix import fix as make_fix

        made = make_fix(project, name)
        said["fix"] = made.as_dict()
        if not as_json:
            print()
            show_reconcile.fix(made)
    elif not as_json:
        show_reconcile.closing(reports)
    if as_json:
        print_json(said if html or fix else said["reconciliations"])
    raise typer.Exit(int(any(r.counts.get("breaks_open") for r in reports)))


@app.command()
def complete(
    system: str,
    most_gone: Annotated[
        float, typer.Option("--most-gone", min=0, max=1, help="Above this share no delete is inferred.")
    ] = 0.1,
    apply: Annotated[bool, typer.Option("--apply", help="What is gone there is deleted here, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Is everything here that SYSTEM has? A full pass names what is lost, late, gone or not merged."""
    from decimal import Decimal

    from flow import show
    from flow.completeness import complete as run_complete

    report = run_complete(the_project(), system, Decimal(str(most_gone)), apply=apply)
    print_json(report.as_dict()) if as_json else show.step(report)
    raise typer.Exit(max(report.detail.get("exit_codes", [int(report.status != "ok")])))


@app.command()
def trace(
    entity: Annotated[str, typer.Argument(help="A canonical entity: sales_order, customer.")],
    key: Annotated[str, typer.Argument(help="Its number, any system's id of it, or '#12': its id in the hub.")],
    field: Annotated[str | None, typer.Option(help="Explain one value: total, order_line.sku.")] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write it as a page.")] = None,
    as_json: AsJson = False,
    unmask: Unmask = False,
) -> None:
    """The whole way of one record: pulled, mapped, gated, merged, compared, sent. Exit code 1 where nothing is known of it."""
    from flow import show_trace
    from flow.trace import trace as run_trace

    project = the_project()
    found = run_trace(project, entity, key, field=field, unmask=unmask)
    if html is not None and found:
        from flow.trace_page import as_html

        html.write_text(as_html(project.name, found), encoding="utf-8")
        print(f"  made {html}")
    elif as_json:
        print_json(found)
    else:
        show_trace.trace(found)
    raise typer.Exit(int(not found))


@app.command()
def query(sql: str, as_json: AsJson = False, limit: Annotated[int, typer.Option(min=1)] = 50) -> None:
    """One SELECT over the published snapshot."""
    from flow import show
    from flow.publish import query_snapshot

    answer = query_snapshot(the_project(), sql)
    if as_json:
        print_json([dict(zip(answer.columns, row, strict=True)) for row in answer.rows])
    else:
        show.rows(answer.columns, answer.rows, limit)


@app.command()
def publish() -> None:
    """Copy the warehouse to the snapshot that analysts read."""
    from flow.publish import fold_and_publish

    print(f"published {fold_and_publish(the_project())}")


@app.command()
def retain(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed; remove nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove old versions of records from the lake, as `retention:` says; never what something still needs."""
    from flow import show
    from flow.retention import retain as run_retain

    report = run_retain(the_project(), dry_run=dry_run)
    print_json(report.as_dict()) if as_json else show.step(report)


@app.command()
def rebuild(
    forward: Annotated[
        bool, typer.Option("--forward", help="Only add what an older warehouse lacks, as a restored backup.")
    ] = False,
) -> None:
    """Make the warehouse anew from the lake and the ledger, with the same hub ids."""
    from flow.rebuild import rebuild as run_rebuild

    print(run_rebuild(the_project(), forward=forward))


@app.command()
def explain(
    what: Annotated[
        str, typer.Argument(metavar="CODE|FUNCTION|MAPPING", help="M104, or phone, or a mapping that extends another.")
    ],
    as_json: AsJson = False,
) -> None:
    """What a code means and what to do; what a function does; or what a mapping has from the one it extends, and what it changed."""
    from flow import explain as explains

    if "/" in what:
        from flow.show_inherited import inheritance

        made = explains.inheritance(the_project(), what)
        print_json(made.as_dict()) if as_json else inheritance(made)
        return
    try:
        project = the_project()
    except CrossdockError:  # the codes mean the same anywhere
        project = None
    told = explains.explain(what, project)
    print_json({"code": what.upper(), "text": told}) if as_json else print(told)
