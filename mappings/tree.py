"""The tree of an expression: what `parse` makes of its text, and what everything that asks an expression about itself walks.

`at` is the place in the text, an offset counted from 0; two trees are equal only where their places are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal as OneOf

Type = OneOf["text", "number", "integer", "boolean", "date", "instant", "missing"]


@dataclass(frozen=True, slots=True)
class Name:
    """`.name` of a path. `quoted` names never mean a special word such as `record`."""

    text: str
    at: int
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Index:
    """`[0]`: counted from 0."""

    number: int
    at: int


@dataclass(frozen=True, slots=True)
class Filter:
    """`[condition]`: the first item for which it is true; paths in it mean the item."""

    condition: Node
    at: int


@dataclass(frozen=True, slots=True)
class Path:
    steps: tuple[Name | Index | Filter, ...]
    at: int

    def __str__(self) -> str:
        shown = "".join(
            f".{s.text}" if isinstance(s, Name) else f"[{s.number}]" if isinstance(s, Index) else "[…]"
            for s in self.steps
        )
        return shown.removeprefix(".")


@dataclass(frozen=True, slots=True)
class Literal:
    """`kind` is text, number, boolean or missing; `value` its text."""

    kind: str
    value: str
    at: int


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    args: tuple[Node, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Binary:
    """`op` is one of and or || + - * / and the comparisons (`!=` reads `<>`)."""

    op: str
    left: Node
    right: Node
    at: int


@dataclass(frozen=True, slots=True)
class Unary:
    """`op` is not or -."""

    op: str
    operand: Node
    at: int


@dataclass(frozen=True, slots=True)
class IsNull:
    operand: Node
    negated: bool
    at: int


@dataclass(frozen=True, slots=True)
class In:
    operand: Node
    options: tuple[Node, ...]
    negated: bool
    at: int


@dataclass(frozen=True, slots=True)
class Case:
    """`subject` is None for `case when condition …`."""

    subject: Node | None
    branches: tuple[tuple[Node, Node], ...]
    default: Node | None
    at: int


@dataclass(frozen=True, slots=True)
class Cast:
    operand: Node
    type: Type
    at: int


Node = Path | Literal | Call | Binary | Unary | IsNull | In | Case | Cast


def walk(node: Node) -> Iterator[Node]:
    """The node and everything in it, conditions of filters included."""
    yield node
    for part in _parts(node):
        yield from walk(part)


def _parts(node: Node) -> tuple[Node, ...]:
    match node:
        case Path():
            return tuple(step.condition for step in node.steps if isinstance(step, Filter))
        case Call():
            return node.args
        case Binary():
            return (node.left, node.right)
        case Unary() | IsNull() | Cast():
            return (node.operand,)
        case In():
            return (node.operand, *node.options)
        case Case():
            subject = () if node.subject is None else (node.subject,)
            default = () if node.default is None else (node.default,)
            return (*subject, *(part for branch in node.branches for part in branch), *default)
        case Literal():
            return ()
