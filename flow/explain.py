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
    """What a code means, or what a function of the language or of the project does; M121 lists all of these."""
    known = codes()
    found = known.get(code.upper())
    if found is None and (function := _function(code.lower(), project)):
        return function
    if found is None:
        raise UsageError(
            "P502",
            f"there is no code '{code}'",
            fix=did_you_mean(code.upper(), known) or "codes look like M104, functions like phone; M121 lists those",
        )
    return f"{code.upper()}\n\n{found}" + (_own(project) if project and code.upper() == "M121" else "")


def _function(name: str, project: Project | None) -> str:
    """Signature, doc and examples; empty where there is no such function."""
    from flow.language import own_functions
    from mappings.functions import FUNCTIONS, OF_PUSHES

    for one in own_functions(project) if project else ():
        if one.name == name:
            return f"{one.signature}\n\n{one.doc or one.body.text}\n{one.place}"
    if asked := OF_PUSHES.get(name):
        return f"{asked.form}\n\nIn a push only. {asked.doc}"
    if (known := FUNCTIONS.get(name)) is None:
        return ""
    examples = "".join(f"\nExample: {text} → {value!r}" for text, value in known.examples)
    return f"{known.signature}\n\n{known.doc}{examples}"


def _own(project: Project) -> str:
    from flow.language import own_functions

    listed = "".join(f"\n  {one.signature}: {one.doc or one.body.text} ({one.place})" for one in own_functions(project))
    return f"\nOf this project:{listed}" if listed else ""
