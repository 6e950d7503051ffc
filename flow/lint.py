"""What `crossdock lint` and `compile` do: the mappings and rules of a project, read and judged, nothing run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flow import declared, owners
from flow.language import load_mappings, streams_of
from flow.lint_cache import Kept, Streams
from hub.config import Project
from hub.errors import UsageError, shown
from hub.findings import Finding, telling


def lint(
    project: Project, paths: Sequence[Path], systems: Sequence[str] | None = None
) -> tuple[list[Finding], list[Path]]:
    """All findings about mappings (of `systems`, or all) and quality rules below `paths` (all if none), and the files
    that were read. What was judged before, and nothing of it has changed since, is not judged again (`lint_cache.py`).
    """
    files = _files(project)
    kept = Kept(project, streams_of(project))
    names = {path.parent.name for folder in project.folders("mappings") for path in folder.glob("*/*.yaml")}
    findings: list[Finding] = []
    for system in sorted(names if systems is None else names & set(systems)):
        findings += kept.mappings(system, _judge_mappings)
    if systems is None:
        findings += _unused_functions(project)
        findings += declared.undecided(project, kept.read)
    findings += kept.quality(_judge_quality)
    findings += [*owners.findings(project), *declared.findings(project), *kept.declared(_judge_declared)]
    kept.save()
    if paths:
        wanted = {file.resolve() for path in paths for file in (path.rglob("*.yaml") if path.is_dir() else [path])}
        if missing := [path for path in paths if not path.exists()]:
            raise UsageError("P507", f"there is no {missing[0]}", fix="give a file or a folder")
        findings = [f for f in findings if Path(f.place.where).resolve() in wanted]
        files = [file for file in files if file.resolve() in wanted]
    unique = telling(dict.fromkeys(findings))
    return sorted(unique, key=lambda f: (f.place.where, f.place.line or 0, f.place.column or 0, f.code)), files


def _judge_mappings(
    project: Project, system: str, streams: Streams
) -> tuple[list[Finding], Sequence[str], Sequence[str]]:
    """The findings about a system's mappings, the systems whose mappings they extend, and the entities that they read."""
    from mappings.lint import lint as lint_mappings
    from mappings.load import load
    from warehouse.model import entities

    loaded = load(project.folders("mappings"), entities(), [system])
    read = sorted({mapping.entity for mapping in loaded.of(system) if mapping.key is not None})
    return [*loaded.findings, *lint_mappings(loaded, entities(), streams)], loaded.extended, read


def _unused_functions(project: Project) -> list[Finding]:
    """Of those for all systems; each system's own are judged with its mappings."""
    from mappings.named import unused_by_all

    return unused_by_all(project.folders("mappings"), shown)


def _judge_quality(project: Project) -> list[Finding]:
    from quality import reconcile_read, rules
    from warehouse.model import entities

    folders = project.folders("quality")
    return [*rules.load(folders, entities()).findings, *reconcile_read.load(folders, entities()).findings]


def _judge_declared(project: Project) -> list[Finding]:
    from warehouse.model import entities

    return declared.of_the_model(project, entities())


def _files(project: Project) -> list[Path]:
    return [
        file for kind in ("mappings", "quality") for folder in project.folders(kind) for file in folder.rglob("*.yaml")
    ]


def compiled(project: Project, name: str) -> str:
    """The SQL of a mapping in both directions, as text for people."""
    from mappings import inbound, outbound
    from warehouse.model import entities

    model = entities()
    loaded = load_mappings(project, model)
    mapping = loaded[name]
    streams = {stream.name: stream for stream in streams_of(project).get(mapping.system, ())}
    parts = []
    if mapping.key is not None:
        made = inbound.compile(mapping, model, streams.get(mapping.stream))
        parts.append(f"-- {name}: {mapping.stream} → {mapping.entity}\n{made.sql}")
    for push in mapping.push:
        out = outbound.compile(mapping, push, model, loaded.of(mapping.system))
        parts.append(f"-- {name}: {out.entity} → {out.stream}, {out.operation}\n{out.sql}")
    return "\n\n".join(parts)
