"""What the codes mean. Each package explains its own; this joins them. And what a mapping has from the one that it extends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.config import Project
from hub.errors import UsageError
from hub.findings import did_you_mean

if TYPE_CHECKING:
    from mappings.inherited import Inheritance


def inheritance(project: Project, name: str) -> Inheritance:
    """What the mapping `name` overrides, adds, leaves out and inherits. Raises ConfigurationError M130."""
    from mappings.inherited import inheritance as compare

    return compare(project.folders("mappings"), name)


def codes() -> dict[str, str]:
    from flow.codes import CODES as FLOW
    from hub.codes import CODES as HUB
    from mappings.codes import CODES as MAPPINGS
    from quality.codes import CODES as QUALITY
    from warehouse.codes import CODES as WAREHOUSE

    return {**HUB, **MAPPINGS, **QUALITY, **WAREHOUSE, **FLOW}


def explain(code: str, project: Project | None = None) -> str:
    """What a code means; M121 lists the functions, those of the project with them."""
    known = codes()
    found = known.get(code.upper())
    if found is None:
        raise UsageError(
            "P502", f"there is no code '{code}'", fix=did_you_mean(code.upper(), known) or "codes look like M104"
        )
    return f"{code.upper()}\n\n{found}" + (_own(project) if project and code.upper() == "M121" else "")


def _own(project: Project) -> str:
    from flow.language import own_functions

    listed = "".join(f"\n  {one.signature}: {one.doc or one.body.text} ({one.place})" for one in own_functions(project))
    return f"\nOf this project:{listed}" if listed else ""
