"""`crossdock new mapping`: a draft of a mapping from records of a file or of the lake, that lint finds no error in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flow.language import streams_of
from flow.schema import modeline
from hub.config import Project
from hub.entity import Entity, Model
from hub.errors import UsageError
from hub.findings import nearest
from hub.records import ADDED

if TYPE_CHECKING:
    from mappings.suggest import Draft

MAX_BYTES = 20_000_000
_LOOKED_AT = 200  # records of the lake


@dataclass(frozen=True, slots=True)
class Made:
    """The file that was written, how many columns were found, and the required ones that were not."""

    path: Path
    found: int
    missing: tuple[str, ...]


def mapping(project: Project, name: str, sample: Path | None, entity_name: str) -> Made:
    """Write `mappings/<name>.yaml` of the project, from the records of a file; from the newest of the lake where none is given.

    Raises UsageError: M117 (no name for a mapping), M106 (no such entity), P541 (the records cannot be read), P542 (it is
    there already), P520 (the lake has none).
    """
    from mappings.draft import as_yaml
    from mappings.load import _STEM, _SYSTEM
    from mappings.suggest import suggest
    from warehouse.model import entities

    system, _, stem = name.partition("/")
    if (
        not _SYSTEM.fullmatch(system)
        or not _STEM.fullmatch(stem)
        or stem in ("values", "functions")
        or stem.endswith("_test")
    ):
        raise UsageError("M117", f"'{name}' is no name for a mapping", fix="write system/stream: shop/customers")
    model = entities()
    entity = _entity(model, entity_name)
    path = project.root / "mappings" / system / f"{stem}.yaml"
    if path.exists():
        raise UsageError("P542", f"{path} is there already", fix="choose another name, or edit it")
    stream = stem.partition(".")[0]
    zone = project.systems[system].timezone if system in project.systems else "UTC"
    records = read(sample, stream) if sample else _of_lake(project, system, stream)
    draft = suggest(records, entity, model, zone)
    if key := _declared_key(project, system, stream):
        draft = replace(draft, key=key, unused=tuple(path for path in draft.unused if path != key))
    source = sample.name if sample else "records of the lake"

    def text(made: Draft) -> str:
        return as_yaml(made, stream, model, source, modeline("mapping", 2))

    draft = _without_errors(draft, system, stem, model, text)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(text(draft))
    missing = tuple(column for column in draft.open if entity[column].required)
    return Made(path, len(draft.found) + sum(len(part.found) for part in draft.lists), missing)


def _entity(model: Model, name: str) -> Entity:
    if name in model and not model[name].parent:
        return model[name]
    headers = [entity.name for entity in model.values() if not entity.parent]
    fix = nearest(name, headers)
    raise UsageError("M106", f"there is no entity '{name}' that a stream could be", fix=fix)


def _of_lake(project: Project, system: str, stream: str) -> list[Any]:
    """The newest records, as they are staged: whatever the system sends, CSV and SOAP too, they are JSON here."""
    from flow import samples

    decoded = (
        samples.decoded(line.record) for line in samples.some(samples.of_lake(project, system, stream), _LOOKED_AT)
    )
    return [
        {name: value for name, value in record.items() if name not in ADDED}
        for record in decoded
        if isinstance(record, Mapping)
    ]


def _declared_key(project: Project, system: str, stream: str) -> str:
    """What the connector says of the stream; empty where nobody says it yet, and the records have to show it."""
    declared = streams_of(project, [system]).get(system, ())
    return next((one.primary_key for one in declared if one.name == stream), "")


def read(path: Path, stream: str) -> list[Any]:
    """The records of a JSON file (one, a list, an envelope around them) or of a file with one record a line."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError("P541", f"{path} is too large", fix="take some records out of it")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError("P541", f"{path} cannot be read: {error}", fix="name a JSON file") from None
    try:
        records = _records(_decoded(text), stream)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            "P541",
            f"{path} is not JSON: {error}",
            fix="one record, a list of them, or one a line; of CSV or XML pull first, and leave --from out",
        ) from None
    if not records:
        raise UsageError("P541", f"{path} holds no record", fix="one record, a list of them, or one a line")
    return records


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return [json.loads(line) for line in text.splitlines() if line.strip()]


def _records(said: Any, stream: str) -> list[Any]:
    """Without what is around them: {"orders": […], "count": 3}, {"order": {…}}, {"d": {"results": […]}}."""
    for _ in range(3):
        if not isinstance(said, Mapping):
            break
        inner = said[stream] if stream in said else next(iter(said.values())) if len(said) == 1 else None
        if not isinstance(inner, Mapping) and not (isinstance(inner, list) and inner and isinstance(inner[0], Mapping)):
            break
        said = inner
    records = said if isinstance(said, list) else [said]
    return [record for record in records if isinstance(record, Mapping)]


def _without_errors(draft: Draft, system: str, stem: str, model: Model, text: Any) -> Draft:
    """The draft without the lines that lint refuses: their columns are left open."""
    for _ in range(3):
        wrong = _wrong_lines(text(draft), system, stem, model)
        if not wrong:
            break
        lines = text(draft).splitlines()
        named = {lines[number - 1].split(":")[0].strip(" -") for number in wrong if number <= len(lines)}
        bad = [one.column for one in draft.found if one.column in named]
        draft = replace(
            draft,
            found=tuple(one for one in draft.found if one.column not in named),
            lists=tuple(
                replace(part, found=tuple(o for o in part.found if o.column not in named)) for part in draft.lists
            ),
            open=(*draft.open, *bad),
        )
    return draft


def _wrong_lines(text: str, system: str, stem: str, model: Model) -> Sequence[int]:
    """The lines with an error, that a required column is missing left aside."""
    import tempfile

    from mappings.lint import lint
    from mappings.load import load

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / system / f"{stem}.yaml"
        path.parent.mkdir()
        path.write_text(text, encoding="utf-8")
        loaded = load([Path(folder)], model)
        findings = [*loaded.findings, *lint(loaded, model, {})]
    return [f.place.line or 0 for f in findings if f.severity == "error" and f.code not in ("M110", "M103")]
