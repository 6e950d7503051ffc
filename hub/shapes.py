"""Shapes of settings in `crossdock.yaml`: what is a table, a list of names, a yes or no, a number, a time zone, a currency.

A text where a list belongs would be taken for its letters, and a word where true belongs for no: neither may pass silently.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from hub import yaml
from hub.findings import Finding, did_you_mean


def table(node: yaml.Node, name: str, findings: list[Finding], example: str) -> yaml.Node | None:
    """The table that stands at `name`; None where there is none, with F217 where something else stands there."""
    said = node.get(name)
    if said is None or isinstance(said, yaml.Node):
        return said
    findings.append(_wrong(node, name, "is no table", example))
    return None


def names(node: yaml.Node, name: str, findings: list[Finding], example: str) -> tuple[str, ...]:
    """The names that are listed at `name`; none, and F217, where it holds no list of names."""
    said = node.get(name)
    if said is None:
        return ()
    if isinstance(said, list) and all(isinstance(one, str) for one in said):
        return tuple(said)
    findings.append(_wrong(node, name, "is no list of names", example))
    return ()


def yes(node: yaml.Node, name: str, findings: list[Finding]) -> bool:
    """True only where it says so; F217 for anything but true and false."""
    said = node.get(name)
    if said is not None and not isinstance(said, bool):
        findings.append(_wrong(node, name, "is neither true nor false", f"{name}: true"))
    return said is True


def seconds(node: yaml.Node | None, name: str, findings: list[Finding]) -> int:
    """A whole number from 0 on, 0 where nothing is said; else F217."""
    said = node.get(name) if node is not None else None
    if node is None or said is None:
        return 0
    if isinstance(said, int) and not isinstance(said, bool) and said >= 0:
        return said
    findings.append(_wrong(node, name, "is no number of seconds", f"{name}: 60"))
    return 0


def above_zero(node: yaml.Node, names: Iterable[str], findings: list[Finding]) -> None:
    """F217 for each of the settings that is there and no number above 0; what the environment will say is not known here."""
    for name in names:
        said = node.get(name)
        if said is not None and not (isinstance(said, str) and "${env:" in said) and not _above_zero(said):
            findings.append(_wrong(node, name, "is no number above 0", f"{name}: 2"))


def _above_zero(said: Any) -> bool:
    try:
        return said is not True and 0 < float(said) < float("inf")
    except (TypeError, ValueError):
        return False


def timezone(node: yaml.Node, findings: list[Finding]) -> str:
    """The name of a time zone, UTC where nothing is said; F218 for one that there is not."""
    said = node.get("timezone")
    if said is None:
        return "UTC"
    try:
        return ZoneInfo(said).key
    except (LookupError, OSError, TypeError, ValueError):  # as zoneinfo refuses: unknown, a folder, no text, ../
        from zoneinfo import available_timezones

        fix = did_you_mean(str(said), sorted(available_timezones())) or "write one such as Europe/Berlin, or UTC"
        findings.append(Finding("F218", f"there is no time zone '{said}'", node.value_places["timezone"], fix))
        return "UTC"


def currency(node: yaml.Node, findings: list[Finding]) -> str | None:
    """Three capital letters, as ISO 4217 writes them; F221 for anything else."""
    said = node.get("currency")
    if said is None or (isinstance(said, str) and re.fullmatch("[A-Z]{3}", said)):
        return said
    capital = str(said).upper()
    fix = f"did you mean '{capital}'?" if re.fullmatch("[A-Z]{3}", capital) else "write its code: EUR"
    findings.append(Finding("F221", f"'{said}' is no currency", node.value_places["currency"], fix))
    return None


def survivorship(node: yaml.Node, findings: list[Finding]) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """Entity → column or `default` → systems, the first of which counts. Whether there are such is `flow/declared.py`'s question."""
    example = "customer: {default: [erp, cart]}"
    top = table(node, "survivorship", findings, f"survivorship: {{{example}}}")
    found: dict[str, Mapping[str, tuple[str, ...]]] = {}
    for entity in top or ():
        assert top is not None
        if top[entity] is None:
            findings.append(_wrong(top, entity, "is no table", example))
        elif fields := table(top, entity, findings, example):
            found[entity] = {name: names(fields, name, findings, f"{name}: [erp, cart]") for name in fields}
    return found


def _wrong(node: yaml.Node, name: str, what: str, example: str) -> Finding:
    return Finding("F217", f"{name}: {what}", node.value_places.get(name, node.key_places[name]), f"write {example}")
