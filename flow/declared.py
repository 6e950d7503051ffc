"""What crossdock.yaml names and there is not: connectors, streams, and who survivorship would ask; and files that it names nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import connectors
from hub import yaml
from hub.config import BUILT_IN, Project, System
from hub.declaration import judged, unread_extra
from hub.entity import Entity, Model
from hub.errors import CrossdockError, Place, shown
from hub.findings import Finding, did_you_mean, nearest

SIDES = ("left", "middle", "right")


def findings(project: Project) -> list[Finding]:
    """F301 to F304 for each connector that cannot be loaded, C311 and C312 for what one says of itself, F204 for a word under extra
    that nearly is one, F219 for each name under streams: that there is not, and F220 for files that no run reads.
    """
    return [*_connectors(project), *_unread(project)]


def _connectors(project: Project) -> list[Finding]:
    found = []
    for system in project.systems.values():
        try:
            kind = connectors.load(system.connector, project.folders("connectors"))
            found += judged(kind)
            found += _extra(system)
            found += unknown_streams(project, system, [stream.name for stream in kind.streams])
        except CrossdockError as error:
            # One that is not there is misspelt in crossdock.yaml; one that is there is wrong in its own file.
            place = system.place if error.code == "F301" or error.place is None else error.place
            found.append(Finding(error.code, error.what, place, error.fix))
    return found


def _extra(system: System) -> Iterator[Finding]:
    """A word under `extra` that is misspelt silently does nothing: F204, a warning, because connectors have words of their own."""
    for word, near in unread_extra(system.connection.get("extra") or {}):
        yield Finding("F204", f"nothing reads '{word}' under extra", system.place, f"did you mean '{near}'?", "warning")


def no_mapping(project: Project, system: str) -> Finding | None:
    """F223 where there is no mapping of the system at all: what is pulled of it goes no further than the lake, and nobody would notice.

    Its name is that of the folder, so a system that is renamed has none.
    """
    folders = [folder for folder in project.folders("mappings") if folder.is_dir()]
    if any(file.name != "values.yaml" for folder in folders for file in (folder / system).glob("*.yaml")):
        return None
    near = did_you_mean(system, (one.name for folder in folders for one in folder.iterdir() if one.is_dir()))
    fix = near or f"write mappings/{system}/*.yaml; if it was renamed, give it back its name: records are known by it"
    what = f"no mapping reads anything of '{system}': what it brings stays in the lake"
    return Finding("F223", what, project.system(system).place, fix, "warning")


def undecided(project: Project, read: Mapping[str, Sequence[str]]) -> list[Finding]:
    """F224 for each entity that mappings of several systems `read`, and of which nobody has said whose word counts: that is then the
    system whose name comes first, which nobody would guess.
    """
    speakers: dict[str, list[str]] = {}
    for system in sorted(project.systems):
        for entity in read.get(system, ()):
            speakers.setdefault(entity, []).append(system)
    found = []
    for entity, systems in sorted(speakers.items()):
        if len(systems) > 1 and "default" not in project.survivorship.get(entity, {}):
            asked = f"nothing says whose word counts: {systems[0]} is asked first, by its name"
            what = f"{' and '.join(systems)} speak for {entity}, and {asked}"
            fix = f"write survivorship: {{{entity}: {{default: [{', '.join(systems)}]}}}}, in the order that is right"
            found.append(Finding("F224", what, project.system(systems[0]).place, fix, "warning"))
    return found


def unknown_streams(project: Project, system: System, known: Sequence[str]) -> list[Finding]:
    """A stream that is misspelt is one that is never pulled: F219 for each."""
    if not (unknown := [name for name in system.streams if name not in known]):
        return []
    content, _ = yaml.load(project.root / "crossdock.yaml", project.shown)
    node = content["systems"][system.name]
    places = dict(zip(node["streams"], node["streams"].item_places, strict=True))
    return [_unknown(f"{system.name} has no stream '{name}'", places[name], name, known) for name in unknown]


def of_the_model(project: Project, model: Model) -> list[Finding]:
    """What crossdock.yaml says of columns of the model: whose word counts, and who decides a conflict."""
    return [*_survivorship(project, model), *_conflicts(project, model), *_reconciled(project)]


def _reconciled(project: Project) -> list[Finding]:
    """F219 for each side of the project's own reconciliations whose system is misspelt: they would be left out of every run.

    One may wait for its system, as those do that crossdock brings along, so only what is nearly a system's name is.
    """
    found = []
    for file in reconciliations(project) if project.root != BUILT_IN else ():
        content, _ = yaml.load(file, shown(file))
        for side in SIDES if isinstance(content, yaml.Node) else ():
            node = content.get(side)
            name = node.get("system") if isinstance(node, yaml.Node) else None
            if isinstance(name, str) and name not in project.systems and did_you_mean(name, project.systems):
                found.append(_system(name, node.value_places["system"], project))
    return found


def reconciliations(project: Project) -> list[Path]:
    """The files of the project's own."""
    return sorted((project.root / "quality" / "reconcile").glob("*.yaml"))


def _conflicts(project: Project, model: Model) -> list[Finding]:
    """F219 for each name under conflicts: that is no column: its policy would never be asked for, and `default` would decide."""
    if not any(system.conflicts for system in project.systems.values()):
        return []
    known = ["default", *(f"{entity.name}.{column.name}" for entity in model.values() for column in entity)]
    content, _ = yaml.load(project.root / "crossdock.yaml", project.shown)
    found = []
    for system in project.systems.values():
        for name in system.conflicts:
            if name not in known:
                place = content["systems"][system.name]["conflicts"].key_places[name]
                fix = did_you_mean(name, known) or "write <entity>.<column>, as in customer.tier, or default"
                found.append(Finding("F219", f"there is no column '{name}'", place, fix))
    return found


def _survivorship(project: Project, model: Model) -> list[Finding]:
    """F219 for each entity, column and system under survivorship: that there is not, F222 for a column that is not asked for by itself."""
    said = project.survivorship
    if not said:
        return []
    content, _ = yaml.load(project.root / "crossdock.yaml", project.shown)
    top = content["survivorship"]  # it was read before, or there would be no project
    found = []
    for name, fields in said.items():
        if name not in model:
            found.append(_unknown(f"there is no entity '{name}'", top.key_places[name], name, model))
            continue
        for field, order in fields.items():
            found += _field(model[name], field, top[name].key_places[field])
            places = top[name][field].item_places
            found += [_system(one, places[at], project) for at, one in enumerate(order) if one not in project.systems]
            found += [_again(one, places[at]) for at, one in enumerate(order) if one in order[:at]]
    return found


def _field(entity: Entity, field: str, place: Place) -> list[Finding]:
    known = ["default", *(column.name for column in entity)]
    if field not in known:
        return [_unknown(f"{entity.name} has no column '{field}'", place, field, known)]
    if not entity.parent or entity.match or field == "default":
        return []
    what = f"'{field}' is not asked for by itself: rows of {entity.name} hold as a set, as they are not recognised among systems"
    return [Finding("F222", what, place, "declare default: for all of its columns, or remove it", "warning")]


def _system(name: str, place: Place, project: Project) -> Finding:
    # A system that was taken out may still have records here, and its place among the others then counts.
    fix = did_you_mean(name, project.systems) or "remove it, unless records of it are still here"
    return Finding("F219", f"there is no system '{name}'", place, fix, "warning")


def _again(name: str, place: Place) -> Finding:
    what = f"'{name}' was asked already"
    return Finding("F219", what, place, "remove it, or write the system that was meant", "warning")


def _unread(project: Project) -> list[Finding]:
    """The project's own files of mappings and rules that no run looks at. crossdock brings mappings of more systems along."""
    if project.root == BUILT_IN:
        return []
    found = []
    for file in sorted(file for kind in ("mappings", "quality") for file in (project.root / kind).rglob("*.yml")):
        place = Place(str(file.relative_to(project.root)))
        found.append(
            Finding("F220", "no run reads a file that ends in .yml", place, f"name it {file.stem}.yaml", "warning")
        )
    for folder in sorted({file.parent for file in (project.root / "mappings").glob("*/*.yaml")}):
        # A folder may wait for its system, or be there to be extended; one that is nearly a system's is misspelt.
        if folder.name not in project.systems and (fix := did_you_mean(folder.name, project.systems)):
            what = f"no system is called '{folder.name}', so no run reads these mappings"
            found.append(Finding("F220", what, Place(str(folder.relative_to(project.root))), fix, "warning"))
    return found


def _unknown(what: str, place: Place, name: str, known: Iterable[str]) -> Finding:
    names = list(known)
    return Finding("F219", what, place, nearest(name, names))
