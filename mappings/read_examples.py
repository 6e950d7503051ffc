"""Examples: what stands under `examples:` of a mapping file, or in a file of tests beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hub import yaml
from hub.errors import Place
from mappings.settings import Settings, parts, plain
from mappings.syntax import Example, Rejection

EXAMPLE = ("name", "given", "known", "expect", "rejects", "excluded", "push")


def examples(settings: Settings, listed: Any, at: Place) -> tuple[Example, ...]:
    """One example or a list of them: what stands under `examples:`, or in a file of tests."""
    made = []
    for part, place in parts(listed, at):
        if part is None:
            continue
        if not isinstance(part, yaml.Node) or part.get("given") is None:
            settings.wrong("M128", "an example needs given", place, "write - {name: …, given: {…}, expect: {…}}")
            continue
        settings.only(part, EXAMPLE)
        outcomes = [key for key in ("expect", "rejects", "excluded") if part.get(key) not in (None, False)]
        if len(outcomes) != 1:
            settings.wrong("M128", "an example says one of expect, rejects, excluded", place)
            continue
        made.append(_example(settings, part, place))
    return tuple(made)


def _example(settings: Settings, part: yaml.Node, place: Place) -> Example:
    expect: tuple[Any, ...] | None = None
    places: tuple[dict[str, Place], ...] = ()
    if part.get("expect") is not None:
        rows = [row for row, _ in parts(part["expect"], place) if isinstance(row, yaml.Node)]
        expect, places = tuple(plain(row) for row in rows), tuple(dict(_places(row)) for row in rows)
    rejects = []
    for one, at in parts(part.get("rejects"), place):
        if isinstance(one, str):
            rejects.append(Rejection(one, place=at))
        elif isinstance(one, yaml.Node) and isinstance(one.get("field"), str):
            settings.only(one, ("field", "rule"))
            rejects.append(Rejection(one["field"], one.get("rule"), at))
        elif one is not None:
            settings.wrong("M128", "rejects names a field", at, "write rejects: {field: name, rule: cast}")
    return Example(
        name=str(part.get("name") or f"line {place.line}"),
        place=place,
        given=plain(part["given"]),
        expect=expect,
        rejects=tuple(rejects),
        excluded=part.get("excluded") is True,
        push=None if part.get("push") is None else str(part["push"]),
        places=places,
        known=_known(settings, part),
    )


def _known(settings: Settings, part: yaml.Node) -> dict[str, Any]:
    """Of each stream its records, a list even where one is written."""
    known = settings.node(part, "known", "write known: {stream: [{…}]}")
    return {name: [plain(row) for row, _ in parts(rows, part.place)] for name, rows in (known or {}).items()}


def _places(value: Any, shown: str = "") -> Iterator[tuple[str, Place]]:
    """Where each part of a value stands, by name: `total`, `order_line[0].sku`."""
    if isinstance(value, yaml.Node):
        for key, part in value.items():
            name = f"{shown}.{key}" if shown else key
            yield name, value.value_places[key]
            yield from _places(part, name)
    elif isinstance(value, yaml.Items):
        for number, (part, place) in enumerate(zip(value, value.item_places, strict=True)):
            yield f"{shown}[{number}]", place
            yield from _places(part, f"{shown}[{number}]")
