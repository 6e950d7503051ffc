"""Who owns a field: a static check of the project, before anything is sent.

A system that is written to owns a field where its policy for conflicts is `theirs`: what its own people write there is never
overwritten. Two such systems would each keep their own word for ever, in one and the same push, and no run could end it.
"""

from __future__ import annotations

from collections import defaultdict

from hub.config import Project, System
from hub.findings import Finding


def findings(project: Project) -> list[Finding]:
    """A finding for each field that several systems own."""
    claiming = [one for one in project.systems.values() if one.write and "theirs" in one.conflicts.values()]
    if len(claiming) < 2:
        return []
    owners: dict[str, list[System]] = defaultdict(list)
    for system in claiming:
        for field in sorted(_pushed(project, system)):
            if (system.conflicts.get(field) or system.conflicts.get("default")) == "theirs":
                owners[field].append(system)
    return [
        Finding(
            "F215",
            f"{field} has {len(some)} owners: {', '.join(one.name for one in some)} each keep their own",
            some[1].place,
            f"let one of them have another policy: conflicts: {{{field}: owner}}",
        )
        for field, some in owners.items()
        if len(some) > 1
    ]


def _pushed(project: Project, system: System) -> set[str]:
    """The fields ('customer.tier') that the system is told."""
    from mappings.load import load
    from warehouse.model import entities

    loaded = load(project.folders("mappings"), entities(), [system.name])
    return {
        f"{push.entity}.{field.name}" for one in loaded.of(system.name) for push in one.push for field in push.fields
    }
