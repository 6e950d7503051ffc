"""`crossdock schema`: JSON Schemas of all that people write as YAML, for editors. Generated from what reads the files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub.config import Project
from hub.entity import Model
from hub.errors import UsageError
from hub.findings import did_you_mean

if TYPE_CHECKING:
    from mappings.shapes import Shape

FOLDER = ".schema"
Schema = dict[str, Any]


def modeline(kind: str, depth: int = 0) -> str:
    """The comment by which yaml-language-server finds the schema, for a file `depth` folders below the project's."""
    return f"# yaml-language-server: $schema={'../' * depth}{FOLDER}/{kind}.schema.json\n"


def schema(kind: str, project: Project | None) -> Schema:
    """The schema of a kind. Raises UsageError P540 where there is no such kind."""
    if kind not in KINDS:
        fix = did_you_mean(kind, KINDS) or f"one of {', '.join(KINDS)}"
        raise UsageError("P540", f"there is no kind of file '{kind}'", fix=fix)
    from warehouse.model import entities

    return KINDS[kind](entities(), project)


def write(folder: Path, project: Project | None, only: str | None = None) -> list[Path]:
    """The schemas (of one kind, or all) as `<kind>.schema.json` in the folder."""
    texts = {kind: as_text(schema(kind, project)) for kind in ([only] if only else KINDS)}
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for kind, text in texts.items():
        path = folder / f"{kind}.schema.json"
        path.write_text(text)
        made.append(path)
    return made


def as_text(made: Schema) -> str:
    return json.dumps(made, ensure_ascii=False, indent=1) + "\n"


def _mapping(model: Model, project: Project | None) -> Schema:
    from flow.language import own_functions
    from mappings.schema import mapping_schema

    return mapping_schema(model, _samples(project) if project else None, own_functions(project) if project else ())


def _samples(project: Project) -> dict[str, list[Shape]]:
    """The shapes of the streams that have a sample in the project or behind it."""
    from mappings.load import MAX_SAMPLE
    from mappings.shapes import of_sample

    found: dict[str, list[Shape]] = {}
    for folder in project.folders("mappings"):
        for path in sorted(folder.glob("*/*.sample.json")):
            try:
                if path.stat().st_size <= MAX_SAMPLE:
                    shape = of_sample(json.loads(path.read_bytes()))
                    found.setdefault(path.name.removesuffix(".sample.json"), []).append(shape)
            except (ValueError, RecursionError):
                continue  # lint says it: M131
    return found


def _tests(model: Model, project: Project | None) -> Schema:
    from mappings.schema import tests_schema

    return tests_schema()


def _values(model: Model, project: Project | None) -> Schema:
    from mappings.schema import values_schema

    return values_schema()


def _functions(model: Model, project: Project | None) -> Schema:
    from mappings.schema import functions_schema

    return functions_schema()


def _quality(model: Model, project: Project | None) -> Schema:
    from quality.schema import rules_schema

    return rules_schema(model)


def _reconcile(model: Model, project: Project | None) -> Schema:
    from quality.reconcile_schema import reconcile_schema

    return reconcile_schema(model)


def _project(model: Model, project: Project | None) -> Schema:
    import connectors
    from flow.project_schema import project_schema
    from hub.config import BUILT_IN

    folders = project.folders("connectors") if project else [BUILT_IN / "connectors"]
    return project_schema(model, connectors.names(folders))


KINDS: Mapping[str, Callable[[Model, Project | None], Schema]] = {
    "mapping": _mapping,
    "tests": _tests,
    "values": _values,
    "functions": _functions,
    "quality": _quality,
    "reconcile": _reconcile,
    "crossdock": _project,
}
