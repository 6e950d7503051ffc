"""What a mapping that extends another has from it, and what it says itself: for `crossdock explain shop2/orders`.

What is compared is what the loader merges, setting by setting: `total`, `order_line.quantity`, `push create: name`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hub import yaml
from hub.errors import Place
from mappings.load import Lineage, lineage
from mappings.settings import scalar

Kind = Literal["overridden", "added", "left out", "repeated", "inherited"]
KINDS: tuple[Kind, ...] = ("overridden", "added", "left out", "repeated", "inherited")
_NOT_SHOWN = ("extends", "examples", "doc")


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting before and after. `before` and `was` (its place) are None where it is added, `after` where it is left out.

    `at` is where this mapping says so; None where it is inherited.
    """

    name: str
    kind: Kind
    before: str | None
    after: str | None
    was: Place | None
    at: Place | None


@dataclass(frozen=True, slots=True)
class Inheritance:
    """A mapping and what it extends (`base` is None where it extends nothing), and all settings in the order of the file."""

    mapping: str
    base: str | None
    place: Place
    settings: tuple[Setting, ...]

    def as_dict(self) -> dict[str, Any]:
        told = [
            {
                "name": one.name,
                "kind": one.kind,
                "before": one.before,
                "after": one.after,
                "was": None if one.was is None else str(one.was),
                "at": None if one.at is None else str(one.at),
            }
            for one in self.settings
        ]
        return {"mapping": self.mapping, "extends": self.base, "settings": told}


def inheritance(folders: Sequence[Path], name: str) -> Inheritance:
    """Raises ConfigurationError where there is no such mapping (M130), or its files cannot be read."""
    found = lineage(folders, name)
    base = None if found.base is None else str(found.own["extends"])
    return Inheritance(name, base, found.own.place, tuple(_compared(found)))


def _compared(found: Lineage) -> Iterator[Setting]:
    before = dict(_flat(found.base)) if found.base is not None else {}
    after = dict(_flat(found.made))
    said = dict(_places(found.own))
    for name in dict.fromkeys([*after, *before]):
        old, new = before.get(name), after.get(name)
        was, at = old and old[1], new and new[1]
        if new is None:
            at = said.get(name) or said.get(name.partition(":")[0]) or said.get(name.partition(" ")[0])
            at = at or said.get(name.partition(".")[0].partition("[")[0])
            kind: Kind = "left out"
        elif old is None:
            kind = "added"
        elif old[0] != new[0]:
            kind = "overridden"
        elif was == at:
            kind, at = "inherited", None
        else:
            kind = "repeated"
        yield Setting(name, kind, old and old[0], new and new[0], was, at)


def _flat(node: yaml.Node) -> Iterator[tuple[str, tuple[str, Place]]]:
    """Every setting by name, with its text and place. What is null is not there."""
    for key, value in node.items():
        if key in _NOT_SHOWN or value is None:
            continue
        if key == "push":
            yield from _pushes(value)
        elif key == "children" and isinstance(value, yaml.Node):
            for entity, part in value.items():
                yield from _part(entity, part, value.value_places[entity])
        elif key == "fields" and isinstance(value, yaml.Node):
            yield from _fields("", value)
        else:
            yield key, (text_of(value), node.key_places[key])


def _fields(prefix: str, node: yaml.Node) -> Iterator[tuple[str, tuple[str, Place]]]:
    for name, value in node.items():
        if value is not None:
            yield f"{prefix}{name}", (text_of(value), node.key_places[name])


def _part(name: str, value: Any, place: Place) -> Iterator[tuple[str, tuple[str, Place]]]:
    """A child or a push: its settings, and what is under `fields`; of a list each with its number from 1."""
    if isinstance(value, yaml.Items):
        for number, (one, at) in enumerate(zip(value, value.item_places, strict=True), 1):
            yield from _part(f"{name}[{number}]" if len(value) > 1 else name, one, at)
    elif isinstance(value, yaml.Node):
        for key, one in value.items():
            if key == "fields":
                yield from _listed(name, one)
            elif key == "children" and isinstance(one, yaml.Node):
                for entity, part in one.items():
                    yield from _part(f"{name}.{entity}", part, one.value_places[entity])
            elif one is not None:
                yield f"{name}.{key}", (text_of(one), value.key_places[key])
    elif value is not None:
        yield name, (text_of(value), place)


def _listed(name: str, fields: Any) -> Iterator[tuple[str, tuple[str, Place]]]:
    """`fields` of a child are names with values, those of a push a list of names."""
    if isinstance(fields, yaml.Node):
        yield from _fields(f"{name}.", fields)
    elif isinstance(fields, yaml.Items):
        for one, place in zip(fields, fields.item_places, strict=True):
            if isinstance(one, yaml.Node):
                for label, value in one.items():
                    yield f"{name}.{label}", (text_of(value), one.key_places[label])
            else:
                yield f"{name}.{one}", (text_of(one), place)


def _pushes(value: Any) -> Iterator[tuple[str, tuple[str, Place]]]:
    """Each push by its operation; several of one operation by their number, too."""
    parts = list(zip(value, value.item_places, strict=True)) if isinstance(value, yaml.Items) else [(value, None)]
    seen: dict[str, int] = {}
    for part, place in parts:
        if not isinstance(part, yaml.Node):
            continue
        operation = str(part.get("operation"))
        seen[operation] = seen.get(operation, 0) + 1
        number = f"[{seen[operation]}]" if seen[operation] > 1 else ""
        yield from _part(f"push {operation}{number}", part, place or part.place)


def _places(node: yaml.Node) -> Iterator[tuple[str, Place]]:
    """Where this file names a setting, also one that it leaves out."""
    for key, value in node.items():
        yield key, node.key_places[key]
        if key in ("fields", "children") and isinstance(value, yaml.Node):
            for name, part in value.items():
                yield name, value.key_places[name]
                if key == "children" and isinstance(part, yaml.Node):
                    for setting, below in part.items():
                        yield f"{name}.{setting}", part.key_places[setting]
                        if setting == "fields" and isinstance(below, yaml.Node):
                            yield from ((f"{name}.{one}", below.key_places[one]) for one in below)


def text_of(value: Any) -> str:
    """A value as YAML in one line."""
    if isinstance(value, yaml.Node):
        return "{" + ", ".join(f"{key}: {text_of(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(text_of, value)) + "]"
    return "~" if value is None else scalar(value) or str(value)
