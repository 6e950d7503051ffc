"""The text of a parsed expression: `parse(text_of(node))` is the same tree, whatever places its parts had."""

from __future__ import annotations

from mappings.parse import Binary, Call, Case, Cast, Filter, In, Index, IsNull, Literal, Name, Node, Path, Unary


def text_of(node: Node) -> str:
    """An expression as somebody could have written it, with a parenthesis around every part that has an operator."""
    match node:
        case Path():
            return _path(node)
        case Literal():
            return _literal(node)
        case Call():
            return f"{node.function}({', '.join(map(text_of, node.args))})"
        case Binary():
            return f"({text_of(node.left)} {node.op} {text_of(node.right)})"
        case Unary():
            return f"({node.op} {text_of(node.operand)})"
        case IsNull():
            return f"({text_of(node.operand)} is {'not ' if node.negated else ''}null)"
        case In():
            options = ", ".join(map(text_of, node.options))
            return f"({text_of(node.operand)} {'not ' if node.negated else ''}in ({options}))"
        case Cast():
            return f"cast({text_of(node.operand)} as {node.type})"
        case Case():
            subject = "" if node.subject is None else f" {text_of(node.subject)}"
            whens = "".join(f" when {text_of(when)} then {text_of(then)}" for when, then in node.branches)
            tail = "" if node.default is None else f" else {text_of(node.default)}"
            return f"case{subject}{whens}{tail} end"


def _literal(node: Literal) -> str:
    if node.kind == "text":
        return "'" + node.value.replace("'", "''") + "'"
    return "null" if node.kind == "missing" else node.value


def _path(path: Path) -> str:
    shown = ""
    for number, step in enumerate(path.steps):
        match step:
            case Name():
                own = number == 0 and not step.quoted and step.text in ("record", "parent", "target")
                name = step.text if own else '"' + step.text.replace('"', '""') + '"'
                shown += f".{name}" if shown else name
            case Index():
                shown += f"[{step.number}]"
            case Filter():
                shown += f"[{text_of(step.condition)}]"
    return shown
