"""Value maps: how a picklist of one system corresponds to the canonical one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hub import yaml
from hub.errors import Place
from hub.findings import Finding
from mappings.settings import scalar
from mappings.syntax import ValueMap


class ValueMaps:
    """The value maps that a system may use: its own before those of all systems, the project's before the built-in."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings
        self.by_name: dict[str, ValueMap] = {}

    def add(self, path: Path, shown: Callable[[Path], str]) -> None:
        """Read a `values.yaml`, over what was read before."""
        if not path.is_file():
            return
        content, findings = yaml.load(path, shown(path))
        known = {str(finding) for finding in self.findings}  # a file of all systems is read once for each
        self.findings += [finding for finding in findings if str(finding) not in known]
        if content is not None and not isinstance(content, yaml.Node):
            wrong = Finding(
                "M101", "the file holds no value maps", Place(shown(path), 1, 1), "write <name>: {theirs: ours}"
            )
            self.findings += [wrong] if str(wrong) not in known else []
        if isinstance(content, yaml.Node):
            for name, node in content.items():
                self.by_name[name] = self._map(name, node, content.key_places[name], known)

    def _map(self, name: str, node: Any, place: Place, known: set[str]) -> ValueMap:
        """The map, as far as it can be read: one that is wrong in part is not also told as one that there is not."""
        wrong: list[Finding] = []
        long = isinstance(node, yaml.Node) and isinstance(node.get("in"), yaml.Node)
        inward = self._pairs(node["in"] if long else node, name, place, wrong)
        outward = self._pairs(node["out"], name, place, wrong) if long and "out" in node else None
        if long:
            wrong += node.unknown(("in", "out"), "M102")
        self.findings += [finding for finding in wrong if str(finding) not in known]
        if outward is not None:
            return ValueMap(name, place, inward, outward)
        backwards: dict[str, list[str]] = {}
        for theirs, ours in inward.items():
            backwards.setdefault(ours, []).append(theirs)
        ambiguous = tuple(ours for ours, theirs in backwards.items() if len(theirs) > 1)
        return ValueMap(name, place, inward, {ours: theirs[0] for ours, theirs in backwards.items()}, ambiguous)

    def _pairs(self, node: Any, name: str, place: Place, wrong: list[Finding]) -> dict[str, str]:
        if not isinstance(node, yaml.Node) or not node:
            wrong.append(Finding("M101", f"the value map '{name}' holds no pairs", place, "write {theirs: ours}"))
            return {}
        made = {}
        for theirs, ours in node.items():
            text = scalar(ours)
            if text is None or not text:
                wrong.append(Finding("M101", f"'{theirs}' has no value", node.key_places[theirs], "write theirs: ours"))
            else:
                made[theirs] = text
        return made
