"""What `crossdock preview` does with its options: where the records come from, once or whenever a file is saved."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flow.preview import Preview, Wanted, preview
from flow.preview_field import Explained, explain
from hub.config import Project
from hub.errors import CrossdockError, UsageError

Made = Preview | list[Explained]


def given(source: str | None) -> tuple[bytes | None, str]:
    """The records of a file, or of stdin for `-`; None where the lake is meant. Raises UsageError P521."""
    if source is None:
        return None, ""
    if source == "-":
        return sys.stdin.buffer.read(), "stdin"
    try:
        return Path(source).read_bytes(), source
    except OSError as error:
        raise UsageError(
            "P521", f"cannot be read: {error.strerror}", place=source, fix="give a file of records"
        ) from None


def make(project: Project, name: str, source: tuple[bytes | None, str], wanted: Wanted, field: str | None) -> Made:
    if field is not None:
        return explain(project, name, field, *source, wanted)
    return preview(project, name, *source, wanted)


def as_dict(made: Made) -> Any:
    return [asdict(one) for one in made] if isinstance(made, list) else asdict(made)


def exit_code(made: Made) -> int:
    """1 where a record or row shown is refused."""
    if isinstance(made, list):
        return int(any(one.reason for one in made))
    states = {row.state for record in made.records for row in record.rows}
    return int(bool(states & {"rejected", "quarantined"}) or any(record.reasons for record in made.records))


def watched(project: Project, name: str) -> Iterator[Path]:
    """The files on which what a mapping makes depends, in every folder that may hold them."""
    system = name.partition("/")[0]
    for folder in project.folders("mappings"):
        yield folder / "values.yaml"
        yield folder / "functions.yaml"
        yield from sorted((folder / system).glob("*.yaml"))
        yield from sorted((folder / system).glob("*.sample.json"))


def watch(
    project: Project,
    name: str,
    source: str | None,
    show: Callable[[Made], None],
    error: Callable[[CrossdockError], None],
    **options: Any,
) -> None:
    """Show again whenever a mapping file is saved (or the file of records); what is wrong is shown, and the watch goes on."""
    from flow.watch import watch as follow

    taken = given(source) if source == "-" else None

    def files() -> list[Path]:
        return [*watched(project, name), *([Path(source)] if source and source != "-" else [])]

    def work() -> None:
        try:
            show(make(project, name, taken or given(source), **options))
        except CrossdockError as problem:
            error(problem)

    follow(files, work)
