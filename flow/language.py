"""The project's mappings, loaded and compiled for a run; and the findings that stop one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from flow.run import Run
from hub.config import Project
from hub.connector import Stream
from hub.entity import Model
from hub.errors import CrossdockError, shown
from hub.findings import Finding, errors_in, refusal

if TYPE_CHECKING:
    from mappings.inbound import Inbound
    from mappings.load import Mappings
    from mappings.syntax import Mapping, Named


def load_mappings(project: Project, model: Model, only: Sequence[str] | None = None) -> Mappings:
    """All mappings of the project (or of the systems in `only`). Raises ConfigurationError with every finding."""
    from mappings.load import load

    loaded = load(project.folders("mappings"), model, only)
    refuse(loaded.findings)
    return loaded


def refuse(findings: Sequence[Finding]) -> None:
    if wrong := errors_in(findings):
        raise refusal(wrong)


def own_functions(project: Project) -> list[Named]:
    """The functions that the project's own files add to the language."""
    from mappings.named import all_of

    return all_of(project.folders("mappings"), shown)


def mappings_of(run: Run) -> list[Inbound]:
    """The run's system's mappings, compiled for reading."""
    loaded = load_mappings(run.project, run.model, [run.system])
    return compiled_for(loaded.of(run.system), run.model, run.connector.streams)


def compiled_for(mappings: Iterable[Mapping], model: Model, streams: Iterable[Stream]) -> list[Inbound]:
    """Those of the mappings of one system that read, compiled with what its connector says of their streams."""
    from mappings.inbound import compile as compile_inbound

    known = {stream.name: stream for stream in streams}
    return [compile_inbound(one, model, known.get(one.stream)) for one in mappings if one.key is not None]


def declared_columns(inbound: Sequence[Inbound], stream: str) -> dict[str, str]:
    """What the mappings of a stream read of it, as DuckDB types; empty where none reads it."""
    from mappings.inbound import declared

    wanted = [one for one in inbound if one.stream == stream]
    return declared(wanted) if wanted else {}


def streams_of(project: Project, only: Sequence[str] | None = None) -> dict[str, Sequence[Stream]]:
    """Each system's streams (of those in `only`); a system whose connector cannot be loaded is left out (`systems` says why)."""
    found: dict[str, Sequence[Stream]] = {}
    import connectors

    for name, system in project.systems.items():
        if only is not None and name not in only:
            continue
        try:
            found[name] = connectors.load(system.connector, project.folders("connectors")).streams
        except CrossdockError:
            continue
    return found
