"""The commands of those who write mappings and rules: check, draft, try, compare, map again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from flow.cli_base import AsJson, Unmask, may_see, print_json, the_project
from hub.errors import shown

app = typer.Typer()
new_app = typer.Typer(help="Drafts of files that you then edit.", no_args_is_help=True)

Format = Literal["text", "json", "github", "sarif"]


def _clean(root: Path, checked: Sequence[Path]) -> str:
    """How many files, and how many of them are not the project's own: who wrote two did not write fifty."""
    own = sum(file.is_relative_to(root) for file in checked)
    if own == len(checked):
        return "1 file is clean" if own == 1 else f"{own:,} files are clean"
    return f"{own:,} own and {len(checked) - own:,} built-in files are clean"


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
        project = the_project()
        findings, checked = run_lint(project, path or [])
    except ConfigurationError as error:
        if format == "text":
            raise
        findings, checked = [refused(error)], []
    if format == "text":
        show.findings(findings, _clean(project.root, checked))
    else:
        print(REPORTS[format](findings), end="")
    raise typer.Exit(int(any(f.severity == "error" for f in findings)))


@new_app.command("mapping")
def new_mapping(
    name: Annotated[str, typer.Argument(help="system/stream, e.g. shop/customers")],
    entity: Annotated[str, typer.Option("--to", help="The canonical entity, e.g. customer.")],
    sample: Annotated[
        Path | None, typer.Option("--from", help="Recorded records: JSON, or one a line; those of the lake if none.")
    ] = None,
) -> None:
    """Write a draft: which field is which column, with a score each, and what was left open."""
    from flow.new import mapping as draft

    made = draft(the_project(), name, sample, entity)
    path = shown(made.path)
    print(f"  made {path}: {made.found} columns found")
    for column in made.missing:
        print(f"  open {column}: required, and no field fits")
    looking = f"crossdock preview {name}" + (f" --from {sample}" if sample else "")
    print(f"\nnext:  crossdock lint {path}, then {looking}")


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
