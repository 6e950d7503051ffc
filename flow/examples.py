"""`crossdock test`: the examples of the project's mappings, those in the mapping and those in `<name>_test.yaml` beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flow.language import load_mappings
from hub.config import Project
from hub.entity import Model
from hub.errors import UsageError

if TYPE_CHECKING:
    from mappings.outcomes import Outcome
    from mappings.syntax import Mapping


def chosen(project: Project, names: Sequence[str]) -> tuple[list[Mapping], Model]:
    """The named mappings (all if none is named), and the model. Raises ConfigurationError with every finding."""
    from warehouse.model import entities

    model = entities()
    loaded = load_mappings(project, model)
    return [loaded[name] for name in names] or list(loaded), model


def run_examples(project: Project, names: Sequence[str]) -> list[Outcome]:
    """What became of each example of the named mappings (all if none)."""
    from mappings.outcomes import outcomes

    mappings, model = chosen(project, names)
    return [outcome for mapping in mappings for outcome in outcomes(mapping, model)]


def write_junit(listed: Sequence[Outcome], file: Path) -> None:
    """The outcomes as JUnit XML. Raises UsageError P510 where the file cannot be written."""
    from mappings.outcomes import junit

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(junit(listed), encoding="utf-8")
    except OSError as error:
        what = f"{file} cannot be written: {error.strerror}"
        raise UsageError("P510", what, fix="name a file in a folder that you may write") from None
