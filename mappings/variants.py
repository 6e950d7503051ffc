"""Small changes of an expression, one at a time: what a mistake in it could look like."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from mappings.shown import text as text_of
from mappings.tree import Binary, Call, Case, Filter, In, Index, IsNull, Literal, Node, Path, Unary

Variant = tuple[str, int, Node]  # what was changed, where in the expression, and the whole expression then
_FLIPPED = {"=": "<>", "<>": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">", "and": "or", "or": "and"}
_FLIPPED |= {"+": "-", "-": "+", "*": "/", "/": "*"}
_EDGES = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
MISSING = Literal("missing", "", 0)


def variants(node: Any, choices: Sequence[str] = ()) -> Iterator[Variant]:
    """Each change of the node, and of each part of it. `choices` are texts that the column may hold."""
    yield from _own(node, choices)
    for one in dataclasses.fields(node):
        for part, rebuilt in _parts(getattr(node, one.name)):
            for what, at, made in variants(part, choices):
                yield what, at, replace(node, **{one.name: rebuilt(made)})


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
    """The nodes in a value, each with the function that puts another one in its place."""
    if dataclasses.is_dataclass(value):
        yield value, lambda made: made
    elif isinstance(value, tuple):
        for number, one in enumerate(value):
            for part, rebuilt in _parts(one):
                yield part, lambda made, n=number, r=rebuilt: (*value[:n], r(made), *value[n + 1 :])


def _own(node: Any, choices: Sequence[str]) -> Iterator[Variant]:
    match node:
        case Binary():
            for op in dict.fromkeys(op for op in (_FLIPPED.get(node.op), _EDGES.get(node.op)) if op):
                yield f"{node.op} → {op}", node.at, replace(node, op=op)
            if node.op == "||":
                yield "the right side of || left out", node.at, node.left
        case Unary():
            yield f"{node.op} left out", node.at, node.operand
        case IsNull():
            yield (
                f"is {'not ' if node.negated else ''}null turned round",
                node.at,
                replace(node, negated=not node.negated),
            )
        case In():
            yield "in turned round", node.at, replace(node, negated=not node.negated)
            for n, option in enumerate(node.options if len(node.options) > 1 else ()):
                rest = (*node.options[:n], *node.options[n + 1 :])
                yield f"{text_of(option)} left out of in", option.at, replace(node, options=rest)
        case Case():
            yield from _case(node)
        case Call():
            yield from _call(node)
        case Literal():
            yield from _literal(node, choices)
        case Path():
            pass
        case Index():
            yield f"[{node.number}] → [{node.number + 1}]", node.at, replace(node, number=node.number + 1)  # type: ignore[misc]
        case Filter():
            pass


def _case(node: Case) -> Iterator[Variant]:
    for n, (when, _) in enumerate(node.branches):
        rest = (*node.branches[:n], *node.branches[n + 1 :])
        made: Node = replace(node, branches=rest) if rest else node.default or MISSING
        yield f"when {text_of(when)} left out", when.at, made
    if node.default is not None:
        yield "else left out", node.default.at, replace(node, default=None)


def _call(node: Call) -> Iterator[Variant]:
    if node.function == "coalesce":
        for n, arm in enumerate(node.args):
            rest = (*node.args[:n], *node.args[n + 1 :])
            yield f"{text_of(arm)} left out of coalesce", arm.at, replace(node, args=rest) if len(rest) > 1 else rest[0]
    elif node.function == "if" and len(node.args) == 3:
        condition, yes, no = node.args
        yield "the two ways of if changed", node.at, replace(node, args=(condition, no, yes))
    elif node.args:
        yield f"{node.function}() left out", node.at, node.args[0]


def _literal(node: Literal, choices: Sequence[str]) -> Iterator[Variant]:
    if node.kind == "boolean":
        other = "false" if node.value == "true" else "true"
        yield f"{node.value} → {other}", node.at, replace(node, value=other)
    elif node.kind == "number":
        other = f"1{node.value}"
        yield f"{node.value} → {other}", node.at, replace(node, value=other)
    elif node.kind == "text":
        others = [one for one in choices if one != node.value] if node.value in choices else []
        other = others[0] if others else f"{node.value}~"
        yield f"'{node.value}' → '{other}'", node.at, replace(node, value=other)
