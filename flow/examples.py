"""`crossdock test`: the examples of the project's mappings, those in the mapping and those in `<name>_test.yaml` beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flow.language import load_mappings
from hub.config import Project
from hub.entity import Model
from hub.errors import UsageError

FUNCTIONS = "functions"  # a file of functions is named like a mapping: shop/functions

if TYPE_CHECKING:
    from mappings.coverage import Coverage
    from mappings.laws import Law
    from mappings.load import Mappings
    from mappings.mutants import Report
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
    from warehouse.model import entities

    loaded = load_mappings(project, entities())
    made = _of_functions(loaded, names)
    chosen = [loaded[name] for name in names if name.rpartition("/")[2] != FUNCTIONS] if names else list(loaded)
    return made + [outcome for mapping in chosen for outcome in outcomes(mapping, entities())]


def _of_functions(loaded: Mappings, names: Sequence[str]) -> list[Outcome]:
    """Of the project's own functions: all of them, or those of the files that are named (`functions`, `shop/functions`)."""
    from mappings.named_examples import outcomes

    found = {one.place: one for functions in loaded.functions.values() for one in functions.values()}
    wanted = [one for one in found.values() if not names or f"{one.system}/{FUNCTIONS}".lstrip("/") in names]
    return outcomes(wanted)


def run_coverage(project: Project, names: Sequence[str]) -> Iterator[Coverage]:
    """For each named mapping (all if none): which of its fields, branches, policies and rows no example exercises."""
    from mappings.coverage import cover

    mappings, model = chosen(project, names)
    for mapping in mappings:
        yield cover(mapping, model)


def run_laws(project: Project, names: Sequence[str]) -> Iterator[Law]:
    """For each push of the named mappings (all if none): which columns come back as they were sent, and which do not."""
    from mappings.laws import laws

    mappings, model = chosen(project, names)
    for mapping in mappings:
        yield from laws(mapping, model)


def run_mutants(project: Project, names: Sequence[str]) -> Iterator[Report]:
    """For each named mapping (all if none): the small mistakes in it that none of its examples would notice.

    Raises UsageError P513 where an example does not hold as it is: then nothing can be said of mistakes.
    """
    from mappings.mutants import mutate
    from mappings.outcomes import outcomes

    mappings, model = chosen(project, names)
    for mapping in mappings:
        if wrong := [one for one in outcomes(mapping, model) if not one.holds]:
            what = f"example '{wrong[0].example}' of {mapping.name} does not hold"
            raise UsageError("P513", what, place=wrong[0].place, fix=f"crossdock test {mapping.name} says why")
        yield mutate(mapping, model)


def write_junit(listed: Sequence[Outcome], file: Path) -> None:
    """The outcomes as JUnit XML. Raises UsageError P510 where the file cannot be written."""
    from mappings.outcomes import junit

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(junit(listed), encoding="utf-8")
    except OSError as error:
        what = f"{file} cannot be written: {error.strerror}"
        raise UsageError("P510", what, fix="name a file in a folder that you may write") from None
