"""What all parts of the command line share: the project, JSON, and the options that mean the same everywhere."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]
Unmask = Annotated[bool, typer.Option("--unmask", help="Show personal values, if you may; that you asked is kept.")]


def the_project() -> Any:
    from hub.config import load_project

    return load_project()


def print_json(value: Any) -> None:
    # Where the terminal or the log takes ASCII only, JSON has its own way of writing the rest.
    utf = (sys.stdout.encoding or "").lower().startswith("utf")
    print(json.dumps(value, default=str, ensure_ascii=not utf, indent=1))


def may_see(project: Any, unmask: bool, what: str) -> None:
    """Before personal values are shown. Raises UsageError P402."""
    if unmask:
        from flow.personal import ask

        ask(project, what)
