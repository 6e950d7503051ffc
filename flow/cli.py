"""The command line. Human output by default, `--json` where a program would read it.

Exit codes: 0 done, 1 findings or rejects, 2 wrong use, 3 a system was not available.
Every command imports what it needs when it runs: `crossdock --help` and `crossdock lint` answer at once.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from flow.cli_base import AsJson, Unmask, may_see, print_json, the_project
from flow.cli_quarantine import app as quarantine_app
from hub.errors import CrossdockError

app = typer.Typer(
    name="crossdock",
    help="Joins the cart, the ERP and the CRM: pull → stage → map → gate → merge → reconcile → push.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(quarantine_app, name="quarantine")
new_app = typer.Typer(help="Drafts of files that you then edit.", no_args_is_help=True)
app.add_typer(new_app, name="new")

Format = Literal["text", "json", "github", "sarif"]


def main() -> None:
    """Entry point: every error a user can cause ends as one sentence, a code and an exit code."""
    try:
        app()
    except CrossdockError as error:
        if "--json" in sys.argv:
            print(
                json.dumps(
                    {
                        "error": {
                            "code": error.code,
                            "what": error.what,
                            "fix": error.fix,
                            "place": str(error.place or ""),
                        }
                    }
                )
            )
        else:
            from flow import show

            show.error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)


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

    findings = make_connector(the_project(), system).check()
    print_json([f.as_dict() for f in findings]) if as_json else show.findings(findings, f"{system} answers as expected")
    raise typer.Exit(3 if any(f.code.startswith("C") for f in findings) else int(bool(findings)))


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
    as_json: AsJson = False,
) -> None:
    """Run the flow: pull, stage, map, gate, merge, reconcile, push."""
    from flow import show
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


@app.command()
def lint(
    path: Annotated[
        list[Path] | None, typer.Argument(help="Mapping files or folders; the whole project if none.")
    ] = None,
    format: Annotated[
        Format, typer.Option("--format", help="text, or json, github (annotations), sarif (2.1.0)")
    ] = "text",
) -> None:
    """Check mappings, quality rules and crossdock.yaml; every finding at once."""
    from flow import show
    from flow.lint import lint as run_lint
    from flow.lint_report import REPORTS, refused
    from hub.errors import ConfigurationError

    try:
        findings, checked = run_lint(the_project(), path or [])
    except ConfigurationError as error:
        if format == "text":
            raise
        findings, checked = [refused(error)], 0
    if format == "text":
        show.findings(findings, f"{checked} files are clean")
    else:
        print(REPORTS[format](findings), end="")
    raise typer.Exit(int(any(f.severity == "error" for f in findings)))


@new_app.command("mapping")
def new_mapping(
    name: Annotated[str, typer.Argument(help="system/stream, e.g. shop/customers")],
    sample: Annotated[Path, typer.Option("--from", help="Recorded records: JSON, or one a line.")],
    entity: Annotated[str, typer.Option("--to", help="The canonical entity, e.g. customer.")],
) -> None:
    """Write a draft: which field is which column, with a score each, and what was left open."""
    from flow.new import mapping as draft

    made = draft(the_project(), name, sample, entity)
    print(f"  made {made.path}: {made.found} columns found")
    for column in made.missing:
        print(f"  open {column}: required, and no field fits")
    print(f"\nnext:  crossdock lint {made.path}")


@app.command()
def schema(
    kind: Annotated[
        str | None, typer.Argument(help="mapping, tests, values, functions, quality, reconcile or crossdock: print it.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write all into this folder; default: .schema.")] = None,
) -> None:
    """JSON Schemas of what is written as YAML: editors then complete and check it."""
    from flow import schema as schemas

    project = the_project()
    if kind is None or out is not None:
        for path in schemas.write(out or project.root / schemas.FOLDER, project, kind):
            print(f"  made {path}")
    else:
        print(schemas.as_text(schemas.schema(kind, project)), end="")


@app.command()
def docs(out: Annotated[Path, typer.Option("--out", help="A folder.")] = Path("docs")) -> None:
    """Write the mapping sheet, field by field (HTML and CSV), and the reference of the functions."""
    from flow.docs import write

    for path in write(the_project(), out):
        print(f"  made {path}")


@app.command("compile")
def compile_(mapping: Annotated[str, typer.Argument(help="system/stream, e.g. cart/orders")]) -> None:
    """Print the SQL that a mapping compiles to, in both directions."""
    from flow.lint import compiled

    print(compiled(the_project(), mapping))


@app.command("test")
def examples(
    mapping: Annotated[list[str] | None, typer.Argument(help="system/stream; all if none.")] = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML to this file too.")] = None,
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Which fields, branches and value-map rows does no example exercise?")
    ] = False,
    laws: Annotated[
        bool, typer.Option("--laws", help="Does what is sent come back as it was? And what is lost, and why?")
    ] = False,
    mutate: Annotated[
        bool, typer.Option("--mutate", help="Which small mistakes in the mapping would no example notice?")
    ] = False,
    capture: Annotated[
        str | None,
        typer.Option("--capture", metavar="KEY", help="Make an example of a real record, masked, by its id."),
    ] = None,
    of: Annotated[str | None, typer.Option("--mapping", help="Of which mapping the captured record is.")] = None,
    keep: Annotated[
        list[str] | None, typer.Option("--keep", metavar="PART", help="Leave this personal part as it is.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the examples in the mappings and in the *_test.yaml beside them."""
    from flow import examples, show_examples

    if capture is not None:
        from flow.capture import capture as make

        made = make(the_project(), capture, of, keep or ())
        print_json(made.as_dict()) if as_json else show_examples.captured(made)
        return
    if coverage:
        covered = examples.run_coverage(the_project(), mapping or [])
        print_json([one.as_dict() for one in covered]) if as_json else show_examples.coverage(covered)
        return
    if laws:
        told = list(examples.run_laws(the_project(), mapping or []))
        print_json([one.as_dict() for one in told]) if as_json else show_examples.laws(told)
        raise typer.Exit(int(any(one.findings for one in told)))
    if mutate:
        reports = examples.run_mutants(the_project(), mapping or [])
        print_json([one.as_dict() for one in reports]) if as_json else show_examples.mutants(reports)
        return
    outcomes = examples.run_examples(the_project(), mapping or [])
    if junit:
        examples.write_junit(outcomes, junit)
    print_json([one.as_dict() for one in outcomes]) if as_json else show_examples.outcomes(outcomes)
    raise typer.Exit(int(any(not one.holds for one in outcomes)))


@app.command()
def preview(
    mapping: Annotated[str, typer.Argument(help="system/stream, e.g. cart/orders")],
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many records.")] = 5,
    source: Annotated[
        str | None, typer.Option("--from", metavar="FILE", help="Records of a file, - for stdin; default: the lake.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="The record with this id in its system.")] = None,
    rejected: Annotated[bool, typer.Option("--rejected", help="Only records that are refused.")] = False,
    field: Annotated[str | None, typer.Option(help="Explain one value: total, order_line.quantity.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show again whenever the mapping is saved.")] = False,
    as_json: AsJson = False,
) -> None:
    """What a mapping makes of a few records, input beside output. No store is touched."""
    from flow import preview_command as command
    from flow import show, show_preview
    from flow.preview import Preview, Wanted

    def shown(made: command.Made) -> None:
        if as_json:
            print_json(command.as_dict(made))
        elif isinstance(made, Preview):
            show_preview.preview(made)
        else:
            show_preview.explained(made)

    wanted = Wanted(limit, key, rejected)
    if watch:
        command.watch(the_project(), mapping, source, shown, show.error, wanted=wanted, field=field)
    made = command.make(the_project(), mapping, command.given(source), wanted, field)
    shown(made)
    raise typer.Exit(command.exit_code(made))


@app.command()
def diff(
    mapping: Annotated[str, typer.Argument(help="system/stream, a system for all of its streams, or quality/entity")],
    against: Annotated[str, typer.Option(metavar="REV", help="A git revision, or a folder as it was.")] = "HEAD",
    examples: Annotated[int, typer.Option(min=0, help="How many of each kind are shown.")] = 3,
    unmask: Unmask = False,
    as_json: AsJson = False,
) -> None:
    """Which rows, waiting records and calls a change of mappings or rules would change. Exit code 1 where there are any. No store is touched."""
    from dataclasses import asdict

    from flow import show_diff
    from flow.diff import diff as compare
    from flow.diff import masked
    from warehouse.model import entities

    project = the_project()
    may_see(project, unmask, f"diff {mapping}")
    made = compare(project, mapping, against, examples)
    if not unmask:
        made = masked(made, entities())
    print_json(asdict(made)) if as_json else show_diff.diff(made)
    raise typer.Exit(int(made.any))


@app.command()
def replay(
    mapping: Annotated[str, typer.Argument(help="system/stream, or a system for all of its streams")],
    since: Annotated[
        str | None, typer.Option(metavar="DAY", help="Only what was pulled since then (UTC): 2026-11-01.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Map kept raw data again with the mappings as they are now, and merge what comes out otherwise."""
    from flow import show
    from flow.replay import moment
    from flow.replay import replay as run_replay
    from flow.report import exit_code

    reports = run_replay(the_project(), mapping, moment(since), on_report=None if as_json else show.step)
    if as_json:
        print_json([report.as_dict() for report in reports])
    else:
        show.total(reports)
    raise typer.Exit(exit_code(reports))


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
    as_json: AsJson = False,
) -> None:
    """Is everything here that SYSTEM has? A full pass names what is lost, late, gone or not merged."""
    from decimal import Decimal

    from flow import show
    from flow.completeness import complete as run_complete

    report = run_complete(the_project(), system, Decimal(str(most_gone)))
    print_json(report.as_dict()) if as_json else show.step(report)
    raise typer.Exit(max(report.detail.get("exit_codes", [int(report.status != "ok")])))


@app.command()
def trace(
    entity: Annotated[str, typer.Argument(help="A canonical entity: sales_order, customer.")],
    key: Annotated[str, typer.Argument(help="Its number, any system's id of it, or '#12': its id in the hub.")],
    field: Annotated[str | None, typer.Option(help="Explain one value: total.")] = None,
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
def rebuild() -> None:
    """Make the warehouse anew from the lake and the ledger, with the same hub ids."""
    from flow.rebuild import rebuild as run_rebuild

    print(run_rebuild(the_project()))


@app.command()
def explain(
    what: Annotated[str, typer.Argument(metavar="CODE|MAPPING", help="M104, or a mapping that extends another.")],
    as_json: AsJson = False,
) -> None:
    """What a code means and what to do; or what a mapping has from the one it extends, and what it changed."""
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
