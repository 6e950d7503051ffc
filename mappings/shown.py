"""The tree of an expression as text again: what a part of it was, for people.

`parse(text(node))` is the same tree, places aside. `between` shows as the two comparisons that it stands for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from mappings.tree import Binary, Call, Case, Cast, Filter, In, Index, IsNull, Literal, Name, Node, Path, Unary

_LEAVES = (Literal, Path)


def text(node: Node) -> str:
    """The expression that a tree was read from."""
    match node:
        case Path():
            return _path(node)
        case Literal(kind="text"):
            return "'" + node.value.replace("'", "''") + "'"
        case Literal():
            return "null" if node.kind == "missing" else node.value
        case Call(function="like") if len(node.args) == 2:
            return f"{_term(node.args[0])} like {_term(node.args[1])}"
        case Call():
            return f"{node.function}({_listed(node.args)})"
        case Binary():
            return f"{_left(node)} {node.op} {_term(node.right)}"
        case Unary():
            return f"not {_term(node.operand)}" if node.op == "not" else f"-{_term(node.operand)}"
        case IsNull():
            return f"{_term(node.operand)} is {'not ' if node.negated else ''}null"
        case In():
            return f"{_term(node.operand)} {'not ' if node.negated else ''}in ({_listed(node.options)})"
        case Case():
            return _case(node)
        case Cast():
            return f"cast({text(node.operand)} as {node.type})"


def parts(node: Node) -> Iterator[Node]:
    """The tree's nodes from the inside out, the whole last. Literals are left out; a path is one, whatever it filters."""
    if not isinstance(node, _LEAVES):
        for inner in _inner(node):
            yield from parts(inner)
    if not isinstance(node, Literal):
        yield node


def _inner(node: Any) -> Iterator[Node]:
    """What a node is made of, also where it stands in pairs or lists."""
    for value in (getattr(node, field.name) for field in dataclasses.fields(node)):
        yield from _nodes(value)


def _nodes(value: Any) -> Iterator[Node]:
    if isinstance(value, tuple):
        for one in value:
            yield from _nodes(one)
    elif isinstance(value, Node):
        yield value


def _term(node: Node) -> str:
    """In parentheses unless it reads as one thing."""
    return text(node) if isinstance(node, (*_LEAVES, Cast)) or _is_call(node) else f"({text(node)})"


def _is_call(node: Node) -> bool:
    return isinstance(node, Call) and node.function != "like"


def _left(node: Binary) -> str:
    """`a + b + c` leans to the left and needs no parentheses."""
    same = isinstance(node.left, Binary) and node.left.op == node.op and node.op in ("and", "or", "||", "+", "*")
    return text(node.left) if same else _term(node.left)


def _listed(nodes: Sequence[Node]) -> str:
    return ", ".join(text(one) for one in nodes)


def _case(node: Case) -> str:
    subject = "" if node.subject is None else f" {text(node.subject)}"
    branches = "".join(f" when {text(condition)} then {text(result)}" for condition, result in node.branches)
    default = "" if node.default is None else f" else {text(node.default)}"
    return f"case{subject}{branches}{default} end"


def _path(path: Path) -> str:
    made = ""
    for step in path.steps:
        if isinstance(step, Name):
            shown = '"' + step.text.replace('"', '""') + '"' if step.quoted else step.text
            made += f".{shown}" if made else shown
        elif isinstance(step, Index):
            made += f"[{step.number}]"
        elif isinstance(step, Filter):
            made += f"[{text(step.condition)}]"
    return made
