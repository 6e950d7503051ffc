"""What `crossdock.yaml` says of writing to a system: who decides a conflict, and which plans wait for a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from hub import yaml
from hub.findings import Finding, did_you_mean, nearest

POLICIES = ("ours", "theirs", "newest", "owner", "manual")


@dataclass(frozen=True, slots=True)
class Guards:
    """Above these numbers a plan waits for a person; None: never.

    `records` are calls, `share` those about records that the target knows (0 to 1), `cancels` calls that cancel or archive
    a record, `keys` changes of a key field, `backwards` records whose status would fall back (shipped → processing).
    """

    records: float | None = 1000
    share: float | None = 0.5
    cancels: float | None = 0
    keys: float | None = 0
    backwards: float | None = 0


def conflicts(node: yaml.Node, findings: list[Finding]) -> Mapping[str, str]:
    """`conflicts: {default: owner, customer.tier: manual}`."""
    said = node.get("conflicts")
    if said is None:
        return {}
    if not isinstance(said, yaml.Node):
        findings.append(_no_table(node, "conflicts", "conflicts: {default: owner, customer.tier: manual}", "F213"))
        return {}
    for name, policy in said.items():
        if policy not in POLICIES:
            fix = nearest(str(policy), POLICIES)
            findings.append(Finding("F213", f"'{policy}' decides no conflict", said.value_places[name], fix))
    return {name: str(policy) for name, policy in said.items()}


def guards(node: yaml.Node, findings: list[Finding]) -> Guards:
    """`guards: {records: 5000, share: 0.2, cancels: false}`."""
    said = node.get("guards")
    if said is None:
        return Guards()
    known = [one.name for one in fields(Guards)]
    if not isinstance(said, yaml.Node):
        findings.append(_no_table(node, "guards", "guards: {records: 5000}", "F214"))
        return Guards()
    found: dict[str, float | None] = {}
    for name, value in said.items():
        if name not in known:
            fix = did_you_mean(name, known) or f"known: {', '.join(known)}"
            findings.append(Finding("F204", f"unknown setting '{name}'", said.key_places[name], fix))
        elif name == "share" and _limit(value) not in (None, False) and float(value) > 1:
            what = f"a share of {value} is more than all"
            findings.append(Finding("F214", what, said.value_places[name], "write a number from 0 to 1: 0.5 is 50 %"))
        elif (limit := _limit(value)) is False:
            findings.append(Finding("F214", f"'{value}' is no limit", said.value_places[name], "a number, or false"))
        else:
            found[name] = limit
    return Guards(**found)


def _limit(value: Any) -> float | bool | None:
    """The number; None for `false`; False where it is neither."""
    if value is False:
        return None
    try:
        made = float(str(value))
    except ValueError:
        return False
    return made if 0 <= made < float("inf") and value is not True else False


def _no_table(node: yaml.Node, name: str, example: str, code: str) -> Finding:
    return Finding(code, f"{name}: is no table", node.value_places[name], f"write {example}")
