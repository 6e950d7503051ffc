"""A draft of a mapping as YAML, with the score of each line and a list of what was left open."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from hub.entity import Entity, Model
from mappings.suggest import Draft, ListDraft, Suggestion

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*(\[0\][A-Za-z0-9_.\[\]]*)?|[a-z_]+\([^:#\"{}]*\)")
_SPECIAL = frozenset("y n yes no on off true false null".split())  # noqa: SIM905


def as_yaml(draft: Draft, stream: str, model: Model, source: str, head: str = "") -> str:
    """The whole file. `head` is written before it, `source` names where the records came from."""
    entity = model[draft.entity]
    lines = [
        f"# A draft from {''.join(filter(str.isprintable, source))}. The figure behind a line says how well it fits (1.00 at best);",
        "# remove the figures when you have looked, and add examples.",
        f"stream: {stream}",
        f"entity: {draft.entity}",
        f"key: {scalar(draft.key)}" if draft.key else "# key: which field is the record's id?",
        "fields:" if draft.found else "fields: {}",
        *_fields(draft.found, entity, "  "),
        *_children(draft.lists, model),
        "",
        *_open(draft, entity),
    ]
    return head + "\n".join(lines) + "\n"


def scalar(text: str, flow: bool = False) -> str:
    """An expression as a YAML scalar: plain where that is read as it stands, else in quotes."""
    if _PLAIN.fullmatch(text) and text.lower() not in _SPECIAL and not (flow and set(text) & set("[],'")):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _fields(found: Sequence[Suggestion], entity: Entity, indent: str) -> list[str]:
    said = [(f"{indent}{one.column}: {_value(one, entity)}", one) for one in found]
    width = max((len(text) for text, _ in said), default=0)
    return [f"{text:<{width}}  # {one.score:.2f}" + (f"  {one.note}" if one.note else "") for text, one in said]


def _value(one: Suggestion, entity: Entity) -> str:
    ref = entity[one.column].ref
    return f"{{ref: {ref}, at: {scalar(one.text, flow=True)}}}" if ref else scalar(one.text)


def _children(lists: Sequence[ListDraft], model: Model) -> Iterator[str]:
    if lists:
        yield "children:"
    for name in dict.fromkeys(one.entity for one in lists):
        parts = [one for one in lists if one.entity == name]
        yield f"  {name}:"
        for one in parts:
            first, rest = ("    - ", "      ") if len(parts) > 1 else ("    ", "    ")
            yield f"{first}each: {scalar(one.each)}  # {one.score:.2f}"
            yield f"{rest}key: {scalar(one.key)}"
            yield f"{rest}fields:"
            yield from (f"{rest}  {column}: {text}" for column, text in one.constants.items())
            yield from _fields(one.found, model[name], f"{rest}  ")


def _open(draft: Draft, entity: Entity) -> Iterator[str]:
    yield "# Left open:"
    for name in draft.open:
        if entity[name].required:
            yield f"# * {name} is required and was not found: {entity[name].doc}"
    optional = [name for name in draft.open if not entity[name].required]
    yield from _wrapped("columns that no field fits", optional)
    yield from _wrapped("fields that nothing reads", draft.unused)
    for one in draft.found:
        if one.note:
            yield f"# * {one.column}: {one.note}"
    yield from (f"# * {hint}" for hint in draft.hints)


def _wrapped(title: str, names: Iterable[str]) -> Iterator[str]:
    line = f"# * {title}:"
    some = list(names)
    for number, name in enumerate(some):
        part = f" {name}" + ("," if number < len(some) - 1 else "")
        if len(line) + len(part) > 118:
            yield line
            line = "#  "
        line += part
    if some:
        yield line
