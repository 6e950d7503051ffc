"""What a mapping file says under `push:`, as values of `syntax`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast, get_args

from hub import yaml
from hub.connector import Operation
from hub.errors import Place
from hub.findings import did_you_mean
from mappings.settings import Settings, parts
from mappings.syntax import Hold, Match, Push, PushChild, PushField

_SAYS = ("operation", "stream", "entity", "key", "when", "since", "hold", "match", "null", "doc")
PUSH = (*_SAYS, "fields", "children", "archive")
FIELD = ("at", "value", "values", "ref", "null", "doc")
CHILD = ("each", "when", "fields")
_CHILD_FIELD = ("at", "value", "values", "ref", "doc")  # a list is sent whole, so nothing in it is cleared
MIRROR = "mirror"  # two operations under one name: upsert, and archive what is not wanted any more
OPERATIONS: tuple[str, ...] = (*get_args(Operation), MIRROR)
MATCHES: tuple[str, ...] = get_args(Match)
NULLS = ("keep", "clear")


def pushes(settings: Settings, node: yaml.Node, stream: str, entity: str) -> tuple[Push, ...]:
    """One push or a list of them. `stream` and `entity` are the mapping's own, which a push need not repeat."""
    made = []
    for part, place in settings.few(node.get("push"), node.key_places.get("push", node.place)):
        if not isinstance(part, yaml.Node):
            if part is not None:
                settings.wrong("M101", "a push holds operation and fields", place, "write push: {operation: create, …}")
            continue
        settings.only(part, PUSH)
        operation = part.get("operation")
        if operation not in OPERATIONS:
            fix = did_you_mean(str(operation), OPERATIONS) or f"one of {', '.join(OPERATIONS)}"
            settings.wrong("M119", f"'{operation}' is no operation", part.value_places.get("operation", place), fix)
            continue
        if part.get("stream") is not None and not settings.is_stream(str(part["stream"]), part):
            continue
        made.append(
            Push(
                operation=cast(Operation, "upsert" if operation == MIRROR else operation),
                place=place,
                stream=str(part.get("stream") or stream),
                entity=str(part.get("entity") or entity),
                fields=_fields(settings, part),
                key=settings.expr(part, "key"),
                when=settings.expr(part, "when"),
                since=settings.expr(part, "since"),
                hold=_holds(settings, part),
                children=_children(settings, part),
                match=cast(Match, settings.one_of(part, "match", MATCHES)),
            )
        )
        if operation == MIRROR:
            made.append(_archive(settings, part, made[-1]))
        elif part.get("archive") is not None:
            settings.wrong("M101", "only a mirror says what archives", part.key_places["archive"], "operation: mirror")
    return tuple(made)


def _archive(settings: Settings, node: yaml.Node, mirror: Push) -> Push:
    """The other half of a mirror."""
    if mirror.when is None:
        fix = "say when: which records the target should have"
        settings.wrong("M103", "a mirror without when: would never archive anything", mirror.place, fix)
    fields = _fields(settings, node, "archive") if node.get("archive") is not None else ()
    return replace(mirror, operation="archive", fields=fields, children=(), hold=(), match="bound", gone=True)


def _fields(
    settings: Settings, node: yaml.Node, name: str = "fields", known: Sequence[str] = FIELD
) -> tuple[PushField, ...]:
    items = node.get(name)
    if not isinstance(items, yaml.Items):
        place = node.value_places.get(name, node.place)
        settings.wrong("M101", "the fields of a push are a list", place, "write fields: [name, {note: {at: path}}]")
        return ()
    clear = "null" in known and settings.one_of(node, "null", NULLS) == "clear"
    made = [_field(settings, item, place, clear, known) for item, place in zip(items, items.item_places, strict=True)]
    return tuple(field for field in made if field is not None)


def _field(settings: Settings, item: Any, place: Place, clear: bool, known: Sequence[str]) -> PushField | None:
    if isinstance(item, str):
        return PushField(item, place, bare=True, clear=clear)
    if not isinstance(item, yaml.Node) or len(item) != 1:
        settings.wrong("M101", "one name in each item of the list", place, "write - name, or - name: {at: path}")
        return None
    name, value = next(iter(item.items()))
    if not isinstance(value, yaml.Node):
        settings.wrong("M101", f"'{name}' says not how", item.value_places[name], "write - name: {at: path}")
        return None
    settings.only(value, known)
    at = settings.expr(value, "at")
    if at is None:
        settings.wrong(
            "M103", f"'{name}' says not where it goes", item.key_places[name], "write at: <place in the payload>"
        )
        return None
    ref = value.get("ref")
    return PushField(
        name,
        item.key_places[name],
        at,
        settings.expr(value, "value"),
        settings.values(value),
        None if ref is None else str(ref),
        clear=clear if value.get("null") is None else settings.one_of(value, "null", NULLS) == "clear",
    )


def _children(settings: Settings, node: yaml.Node) -> tuple[PushChild, ...]:
    children = settings.node(node, "children", "write children: {entity: {each: path, fields: […]}}")
    made = []
    for entity, value in (children or {}).items():
        for part, place in settings.few(value, cast(yaml.Node, children).key_places[entity]):
            if not isinstance(part, yaml.Node):
                settings.wrong("M101", f"'{entity}' holds each and fields", place)
                continue
            settings.only(part, CHILD)
            each = settings.expr(part, "each")
            if each is None:
                settings.wrong(
                    "M103", f"nothing says where the {entity} rows go", place, "write each: <list in the payload>"
                )
                continue
            fields = _fields(settings, part, known=_CHILD_FIELD)
            made.append(PushChild(entity, place, each, fields, settings.expr(part, "when")))
    return tuple(made)


def _holds(settings: Settings, node: yaml.Node) -> tuple[Hold, ...]:
    made = []
    for part, place in parts(node.get("hold"), node.value_places.get("hold", node.place)):
        if part is None:
            continue
        if not isinstance(part, yaml.Node) or not isinstance(part.get("reason"), str) or part.get("when") is None:
            settings.wrong("M103", "a hold needs when and reason", place, "write - {when: condition, reason: text}")
            continue
        settings.only(part, ("when", "reason"))
        when = settings.expr(part, "when")
        if when is not None:
            made.append(Hold(when, part["reason"], place))
    return tuple(made)
