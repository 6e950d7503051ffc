"""Are the functions of a project's own well written, and are their examples true? Tried in an engine that reaches nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from hub.findings import Finding
from mappings import once, sql
from mappings.expressions import SQL_TYPES, Compiler, Value, compile_expression, literal, within
from mappings.function import Function
from mappings.outcomes import Outcome
from mappings.parse import ExpressionError
from mappings.syntax import Named, NamedExample
from mappings.tree import Call
from mappings.tree import Path as Parts


def check(functions: Iterable[Named]) -> list[Finding]:
    """What is wrong with the functions: their expressions, and examples that are not true."""
    findings: list[Finding] = []
    sound = []
    for one in functions:
        before = len(findings)
        if not one.broken:
            arguments = {name: Value("NULL", kind or "text", meaning=wanted) for name, kind, wanted in one.arguments}
            compile_expression(one.body, within(arguments, _Alone(None)), findings)
            sound += [one] if len(findings) == before else []
    return findings + [finding for outcome in outcomes(sound) for finding in outcome.findings]


def outcomes(functions: Sequence[Named]) -> list[Outcome]:
    """What became of each example."""
    tried = [(one, example) for one in functions if not one.broken for example in one.examples]
    if not tried:
        return []
    import duckdb

    from mappings.examples import hardened

    with tempfile.TemporaryDirectory(prefix="crossdock-functions-") as folder:
        try:
            con = hardened(Path(folder))
        except duckdb.Error as error:  # there is too little memory even for that
            return [_outcome(one, example, [_untried(example, error)]) for one, example in tried]
        try:
            return [_outcome(one, example, _tried(one, example, con)) for one, example in tried]
        finally:
            con.close()


def _tried(one: Named, example: NamedExample, con: Any) -> list[Finding]:
    import duckdb

    try:
        return _judged(one, example, con, _call(one, example))
    except duckdb.Error as error:
        return [_untried(example, error)]


def _untried(example: NamedExample, error: Exception) -> Finding:
    what = f"the example cannot be tried: {str(error).splitlines()[0]}"
    return Finding("M172", what, example.place, "say it with less, or give it more memory")


def _call(one: Named, example: NamedExample) -> str:
    return f"{one.name}({', '.join(_text(value) for value in example.given)})"


def _outcome(one: Named, example: NamedExample, findings: Sequence[Finding]) -> Outcome:
    owner = f"{one.system}/functions" if one.system else "functions"
    return Outcome(owner, _call(one, example), example.place, findings=tuple(findings))


def _judged(one: Named, example: NamedExample, con: Any, shown: str) -> list[Finding]:
    findings: list[Finding] = []
    if len(example.given) != len(one.arguments):
        return [Finding("M172", f"{shown}: not as many values as arguments", example.place, one.signature)]
    arguments: dict[str, Value] = {}
    compiler = Compiler(_Alone(con), one.body, findings)
    try:
        for (name, kind, _), value in zip(one.arguments, example.given, strict=True):
            given = _value(value)
            arguments[name] = compiler.read_as(given, kind, 0) if kind else given
    except ExpressionError as error:
        return [Finding("M172", f"{shown}: {error.what}", example.place, error.fix)]
    made = compile_expression(one.body, within(arguments, _Alone(con)), findings)
    if made is None:
        return [Finding("M172", f"{shown}: {finding.what}", example.place, finding.fix) for finding in findings[:1]]
    text = f"strftime(timezone('UTC', {made.sql}), '%Y-%m-%dT%H:%M:%S.%gZ')" if made.type == "instant" else made.sql
    came, failed = con.execute(f"SELECT {text}, {made.failed or 'false'}").fetchone()
    if failed != example.fails or (not failed and not _equal(example.expect, came)):
        told = "cannot be computed" if failed else f"is {_text(came)}"
        wanted = "that it fails" if example.fails else _text(example.expect)
        return [
            Finding("M172", f"{shown} {told}, expected {wanted}", example.place, "correct the function, or the example")
        ]
    return []


def _value(value: Any) -> Value:
    """A value of an example: a text is what a system sends, a number is one."""
    if value is None:
        return Value("NULL", "missing", choices=frozenset())
    if isinstance(value, bool):
        return literal("true" if value else "false", "boolean")
    if isinstance(value, int | Decimal):
        return literal(str(value), "integer" if isinstance(value, int) else "number")
    return literal(str(value)) if value != "" else _value(None)


def _equal(expected: Any, came: Any) -> bool:
    if expected is None or came is None:
        return expected is None and came is None
    if isinstance(came, bool) or isinstance(expected, bool):
        return expected is came
    if isinstance(came, int | Decimal):
        return isinstance(expected, int | Decimal) and Decimal(expected) == Decimal(came)
    shown = str(came)
    return str(expected) in (shown, shown.removesuffix(".000Z") + "Z")


def _text(value: Any) -> str:
    if value is None:
        return "null"
    return f"'{value}'" if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


class _Alone:
    """Where there is no record: nothing has a name, and what Python looks up is found at once."""

    def __init__(self, con: Any) -> None:
        self.con = con
        self.units: dict[str, str] = {}

    def path(self, path: Parts, compiler: Compiler) -> Value:
        raise ExpressionError(f"'{path}' is no argument", path.at, "", "M170")

    def call(self, call: Call, compiler: Compiler) -> Value | None:
        return None

    def lookup(self, function: Function, arguments: Sequence[Value], at: int) -> str:
        names = once.asked_columns(len(arguments))
        asked = ", ".join(f"{one.sql} AS {name}" for one, name in zip(arguments, names, strict=True))
        kind = SQL_TYPES[function.returns]
        if self.con is None:
            return f"CAST(NULL AS {kind})"
        known = " AND ".join(f"{name} IS NOT NULL" for name in names)
        lookup = once.Lookup(function.name, len(names), kind, f"SELECT * FROM (SELECT {asked}) WHERE {known}")
        self.con.execute(f"DROP TABLE IF EXISTS {lookup.table}")
        once.fill([lookup], self.con.execute)
        found = self.con.execute(f"SELECT _made FROM {lookup.table}").fetchone()
        return f"CAST({sql.text(str(found[0])) if found and found[0] is not None else 'NULL'} AS {kind})"
