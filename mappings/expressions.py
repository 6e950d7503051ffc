"""Expressions become SQL: every part is typed, every text is quoted, and nothing that fails becomes NULL in silence.

`compile_expression(expr, scope, findings)` is all that the compilers call. The scope says what a path means (a field of the raw
record, or a canonical column), so the same language serves both directions.

Types: text, number (17 digits and 10 decimals), integer, boolean, date, instant; and `missing`, the type of `null`. A text that
meets another type is read as that type, strictly: `quantity > 5` reads the raw text of `quantity` as a number.

No SQL made here can raise an error on a row: DuckDB's optimizer moves casts out of TRY and CASE (docs/adr/0007), and one bad
record would stop all others. What cannot be read gives NULL, and `Value.failed` is a condition that says on which rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol, cast

from hub.errors import Place
from hub.findings import Finding, did_you_mean
from mappings import meaning as means
from mappings.functions import FUNCTIONS, OF_PUSHES, Function, Parameter
from mappings.meaning import Meaning
from mappings.parse import ExpressionError, parse
from mappings.render import divided
from mappings.syntax import Expr, Named
from mappings.tree import Binary, Call, Case, Cast, In, IsNull, Literal, Node, Path, Type, Unary
from mappings.value import (
    MAX_PRODUCT,
    NUMBER,
    SQL_TYPES,
    Value,
    any_of,
    as_number,
    as_text,
    chained,
    choices_of,
    computed,
    computed_of,
    converted,
    has_offset,
    literal,
    made_of,
    reached_in,
    strict,
    where,
    wide,
    wrapped,
)

__all__ = [
    "NUMBER",
    "SQL_TYPES",
    "Compiler",
    "Scope",
    "Value",
    "compile_expression",
    "computed",
    "has_offset",
    "literal",
    "within",
]


class Scope(Protocol):
    """What names mean where an expression stands."""

    @property
    def units(self) -> Mapping[str, str]:
        """What is known of currencies and units here: `in currency` → EUR."""
        ...

    def path(self, path: Path, compiler: Compiler) -> Value:
        """The SQL of a path and its type. Raises ExpressionError where there is no such thing."""
        ...

    def call(self, call: Call, compiler: Compiler) -> Value | None:
        """The SQL of a function that only this scope knows (`ordinal()`); None where it is none of its own."""
        ...

    def lookup(self, function: Function, arguments: Sequence[Value], at: int) -> str:
        """The SQL of what Python finds for these arguments. Raises ExpressionError where nothing can be looked up."""
        ...


def compile_expression(expr: Expr, scope: Scope, findings: list[Finding], want: Type | None = None) -> Value | None:
    """The SQL of an expression, read as `want` where that is given; None (and findings) where it is wrong."""
    compiler = Compiler(scope, expr, findings)
    before = len(findings)
    try:
        value = compiler.value(parse(expr.text))
        if want is not None:
            value = compiler.read_as(value, want, 0)
    except ExpressionError as error:
        compiler.report(error)
        return None
    return value if len(findings) == before else None


def within(arguments: Mapping[str, Value], around: Scope) -> Scope:
    """The scope of a function of the project's own: names mean its arguments."""
    return _Arguments(arguments, around)


_UNKNOWN = Value("NULL", "missing", choices=frozenset())


class Compiler:
    """Walks one expression. Errors in its parts are reported one by one, and the walk goes on."""

    def __init__(self, scope: Scope, expr: Expr, findings: list[Finding]) -> None:
        self.scope, self.expr, self.findings = scope, expr, findings

    def report(self, error: ExpressionError) -> None:
        at = self.expr.place
        if at.line is not None and at.column is not None and "\n" not in self.expr.text:
            at = Place(at.where, at.line, at.column + error.at)
        self.findings.append(Finding(error.code, error.what, at, error.fix))

    def inside(self, scope: Scope) -> Compiler:
        """The same expression, where names mean something else (the items of a list)."""
        return Compiler(scope, self.expr, self.findings)

    def value(self, node: Node) -> Value:
        try:
            return self._value(node)
        except ExpressionError as error:
            self.report(error)
            return _UNKNOWN

    def _value(self, node: Node) -> Value:
        match node:
            case Path():
                return self.scope.path(node, self)
            case Literal():
                return self._literal(node)
            case Call():
                return self._call(node)
            case Binary():
                return self._binary(node)
            case Unary():
                return self._unary(node)
            case IsNull():
                inner = self.value(node.operand)
                return made_of(f"{wrapped(inner)} IS {'NOT ' if node.negated else ''}NULL", "boolean", inner)
            case In():
                return self._in(node)
            case Case():
                return self._case(node)
            case Cast():
                made = self.read_as(self.value(node.operand), node.type, node.at)
                return made if made.meaning is None else replace(made, meaning=None)  # as number(x) does

    # -- types

    def read_as(self, value: Value, want: Type, at: int) -> Value:
        """The value as another type. Raises ExpressionError where that makes no sense."""
        if value.type == want:
            return value
        made = self._converted(value, want, at)
        return made if value.meaning is None else replace(made, meaning=value.meaning)

    def _converted(self, value: Value, want: Type, at: int) -> Value:
        have = value.type
        if have == "text" and value.meaning and value.meaning.kind in ("instant", "date"):
            have = cast(Type, value.meaning.kind)  # the field is declared to be one
            if have == want:
                return strict(value, want)
        if have == "missing":
            return replace(value, sql=f"CAST(NULL AS {SQL_TYPES[want]})", type=want)
        if have == "text":
            if want == "boolean" and value.meaning and value.meaning.kind == "picklist":
                fix = "compare it: status = 'active'"
                raise ExpressionError("a word of a picklist is neither true nor false", at, fix, "M124")
            return strict(value, want)
        if want == "text":
            return as_text(value, at)
        if want == "number" and have == "integer":
            if value.constant is not None:
                return as_number(value)
            return converted(value, f"TRY_CAST({value.sql} AS {NUMBER})", "number")
        if want == "integer" and have == "number":
            raise ExpressionError(
                "a number is no integer by itself", at, "write round(x, 0), floor(x) or ceil(x)", "M124"
            )
        raise ExpressionError(f"{_a(have)} is no {want}", at, _CONVERSIONS.get((have, want), ""), "M124")

    def unify(self, values: Sequence[Value], at: int) -> tuple[list[Value], Type]:
        """All values as one type: the one that is not text, where there is one."""
        types = {value.type for value in values} - {"missing"}
        if types == {"integer", "number"} or types == {"integer", "number", "text"}:
            types = {"number"}
        others = types - {"text"}
        if len(others) > 1:
            raise ExpressionError(
                f"{' and '.join(map(_a, sorted(others)))} do not go together", at, "convert one", "M124"
            )
        want: Type = next(iter(others or types or {"missing"}))
        return [self.read_as(value, want, at) for value in values], want

    # -- forms

    def _literal(self, node: Literal) -> Value:
        if node.kind == "text":
            return literal(node.value)
        if node.kind == "boolean":
            return Value(node.value, "boolean", constant=node.value)
        if node.kind == "missing":
            return _UNKNOWN
        whole, _, decimals = node.value.partition(".")
        if len(decimals) > 10 or len(whole) > 17:
            raise ExpressionError(f"the number {node.value} is too long", node.at, "17 digits and 10 decimals", "M124")
        return Value(node.value, "number" if decimals else "integer", constant=node.value)

    def _unary(self, node: Unary) -> Value:
        inner = self.value(node.operand)
        if node.op == "not":
            inner = self.read_as(inner, "boolean", node.at)
            return made_of(f"NOT {wrapped(inner)}", "boolean", inner)
        if inner.constant is not None and inner.type in ("integer", "number"):
            turned = [text[1:] if text.startswith("-") else f"-{text}" for text in (inner.sql, inner.constant)]
            return replace(inner, sql=turned[0], constant=turned[1])  # two signs would begin a comment
        return self._calculated(Binary("-", node.operand, node.operand, node.at), literal("0", "integer"), inner)

    def _binary(self, node: Binary) -> Value:
        left, right = self.value(node.left), self.value(node.right)
        if node.op in ("and", "or"):
            left, right = self.read_as(left, "boolean", node.at), self.read_as(right, "boolean", node.at)
            # What comes after `and` does not matter where the first part is false, so it cannot fail there.
            decided = "FALSE" if node.op == "and" else "TRUE"
            guarded = replace(right, failed=where(f"{wrapped(left)} IS NOT {decided}", right.failed))
            return made_of(f"{chained(node, left)} {node.op.upper()} {wrapped(right)}", "boolean", left, guarded)
        if node.op == "||":
            left, right = self.read_as(left, "text", node.at), self.read_as(right, "text", node.at)
            return made_of(f"{chained(node, left)} || {wrapped(right)}", "text", left, right)
        if node.op in ("+", "-", "*", "/"):
            return self._calculated(node, left, right)
        self._never_empty(left, right, at=node.at, negated=node.op in ("<>", "!="))
        means.compared((left, right), node.at)
        (left, right), _ = self.unify((left, right), node.at)
        return made_of(f"{wrapped(left)} {node.op} {wrapped(right)}", "boolean", left, right)

    def _calculated(self, node: Binary, left: Value, right: Value) -> Value:
        meaning = means.calculated(node.op, left, right, node.at)
        made = self._arithmetic(node, left, right)
        return made if meaning is None else replace(made, meaning=meaning)

    def _arithmetic(self, node: Binary, left: Value, right: Value) -> Value:
        if left.type == right.type == "integer" and node.op != "/":
            made = f"TRY_CAST(CAST({left.sql} AS HUGEINT) {node.op} {wrapped(right)} AS BIGINT)"
            return computed_of(made, "integer", left, right)
        left, right = self.read_as(left, "number", node.at), self.read_as(right, "number", node.at)
        if node.op == "/":
            return computed_of(divided(left.sql, right.sql), "number", left, right)
        if node.op != "*":
            return made_of(f"{wrapped(left)} {node.op} {wrapped(right)}", "number", left, right)
        product = f"TRY_CAST({wide(left.sql)} * {wrapped(right)} AS {NUMBER})"
        if all(value.constant is None or len(value.constant) > 9 for value in (left, right)):
            size = f"abs(CAST({left.sql} AS DOUBLE) * CAST({right.sql} AS DOUBLE))"
            product = f"CASE WHEN {size} < {MAX_PRODUCT} THEN {product} END"
        return computed_of(product, "number", left, right)

    def _in(self, node: In) -> Value:
        subject, *options = (self.value(part) for part in (node.operand, *node.options))
        if not options:
            raise ExpressionError("an empty list", node.at, "write in ('a', 'b')")
        self._never_empty(*options, at=node.at, negated=node.negated)
        means.compared((subject, *options), node.at)
        (subject, *options), _ = self.unify((subject, *options), node.at)
        shown = ", ".join(option.sql for option in options)
        return made_of(f"{wrapped(subject)} {'NOT ' if node.negated else ''}IN ({shown})", "boolean", subject, *options)

    def _case(self, node: Case) -> Value:
        subject = None if node.subject is None else self.value(node.subject)
        conditions = [self.value(condition) for condition, _ in node.branches]
        if subject is None:
            conditions = [self.read_as(condition, "boolean", node.at) for condition in conditions]
        else:
            self._never_empty(*conditions, at=node.at)
            means.compared((subject, *conditions), node.at)
            (subject, *conditions), _ = self.unify((subject, *conditions), node.at)
        results = [self.value(result) for _, result in node.branches]
        if node.default is not None:
            results.append(self.value(node.default))
        meaning = means.joined(results, node.at)
        results, kind = self.unify(results, node.at)
        tested = [c.sql if subject is None else f"{wrapped(subject)} = {wrapped(c)}" for c in conditions]
        whens = " ".join(f"WHEN {c.sql} THEN {r.sql}" for c, r in zip(conditions, results, strict=False))
        tail = "" if node.default is None else f" ELSE {results[-1].sql}"
        head = "CASE" if subject is None else f"CASE {subject.sql}"
        parts = (*conditions, *results) if subject is None else (subject, *conditions, *results)
        made = made_of(f"{head} {whens}{tail} END", kind, *parts)
        reached = reached_in(tested, conditions, results)
        failed = any_of(subject.failed if subject else None, reached)
        return replace(made, choices=choices_of(results), failed=failed, meaning=meaning)

    def _never_empty(self, *values: Value, at: int, negated: bool = False) -> None:
        if any(value.constant == "" for value in values):
            meant = "x is not null" if negated else "x is null"
            fix = f"an empty text is a missing value: write {meant}"
            raise ExpressionError("nothing ever equals ''", at, fix, "M125")

    # -- functions

    def _call(self, node: Call) -> Value:
        own = self.scope.call(node, self)
        if own is not None:
            return own
        function = FUNCTIONS.get(node.function)
        if function is None and (named := self.expr.functions.get(node.function)):
            return self._expanded(node, named)
        if function is None:
            if node.function in OF_PUSHES:
                what = f"{node.function}() has no meaning here"
                raise ExpressionError(what, node.at, f"only a push asks it: {OF_PUSHES[node.function]}", "M121")
            fix = did_you_mean(node.function, [*FUNCTIONS, *OF_PUSHES, *self.expr.functions]) or _INSTEAD.get(
                node.function, "crossdock explain M121 lists them"
            )
            for argument in node.args:
                self.value(argument)
            raise ExpressionError(f"there is no function '{node.function}'", node.at, fix, "M121")
        if function.only_here:
            raise ExpressionError(f"{node.function}() has no meaning here", node.at, function.doc, "M121")
        return self._known_call(node, function)

    def _expanded(self, node: Call, named: Named) -> Value:
        """A function of the project's own: its expression, where its arguments mean the values of the call."""
        values = [self.value(argument) for argument in node.args]
        if len(values) != len(named.arguments):
            raise ExpressionError(f"{named.name} is called with {len(values)} values", node.at, named.signature, "M122")
        if named.broken:
            return _UNKNOWN  # that was told where it is said
        arguments: dict[str, Value] = {}
        for (name, kind, wanted), value, argument in zip(named.arguments, values, node.args, strict=True):
            if wanted and value.meaning and (found := means.differ(value.meaning, wanted)):
                code, what, fix = found
                raise ExpressionError(f"{name} of {named.name}: {what}", argument.at, fix, code)
            given = self.read_as(value, kind, argument.at) if kind else value
            arguments[name] = replace(given, meaning=value.meaning or (None if value.constant else wanted))
        findings: list[Finding] = []
        made = compile_expression(named.body, within(arguments, self.scope), findings)
        for one in findings:
            what = f"{one.what} (within {named.name}, {one.place})"
            self.report(ExpressionError(what, node.at, one.fix, one.code))
        return made or _UNKNOWN

    def _known_call(self, node: Call, function: Function) -> Value:
        parameters = function.parameters_for(len(node.args))
        if parameters is None:
            raise ExpressionError(
                f"{node.function} is called with {len(node.args)} values", node.at, function.signature, "M122"
            )
        values = [self.value(argument) for argument in node.args]
        made = self._rendered(node, function, parameters, values)
        meaning = self._meaning(node, function, values)
        return made if meaning is None else replace(made, meaning=meaning)

    def _meaning(self, node: Call, function: Function, values: Sequence[Value]) -> Meaning | None:
        """What a function's result is in trade."""
        match function.keeps:
            case "first":
                return values[0].meaning
            case "one of them":
                return means.joined(values[1:] if function.name == "if" else values, node.at)
            case "quotient":
                return means.calculated("/", values[0], values[1], node.at)
            case "currency":
                return means.narrowed(means.in_currency(values[0], values[1], node.at), self.scope.units)
        return None

    def _rendered(
        self, node: Call, function: Function, parameters: Sequence[Parameter], values: Sequence[Value]
    ) -> Value:
        made = [self._argument(node, p, v) for p, v in zip(parameters, values, strict=True)]
        shared = [i for i, p in enumerate(parameters) if p.type == "same"]
        kind: Type = "missing"
        if shared:
            unified, kind = self.unify([made[i] for i in shared], node.at)
            for i, value in zip(shared, unified, strict=True):
                made[i] = value
        if function.returns == "numeric":
            kind = "integer" if all(value.type == "integer" for value in made) else "number"
        elif function.returns != "same":
            kind = cast(Type, function.returns)
        if function.missing:
            made[0] = replace(made[0], sql=function.missing.format(made[0].sql), constant=None, choices=None)
        try:
            found = self.scope.lookup(function, made, node.at) if function.looked_up else ""
            text = function.render(made, found)
        except ValueError as error:
            raise ExpressionError(str(error), node.at, function.signature, "M123") from None
        choices = choices_of(made[1:]) if function.name == "if" else None
        if function.name == "coalesce":  # what comes after a value cannot fail
            for i in range(1, len(made)):
                before = " AND ".join(f"{wrapped(value)} IS NULL" for value in made[:i])
                made[i] = replace(made[i], failed=where(before, made[i].failed))
        if function.name == "if":
            failed = reached_in([made[0].sql], made[:1], made[1:])
            return replace(made_of(text, kind, *made), choices=choices, failed=failed)
        return computed_of(text, kind, *made) if function.raises else made_of(text, kind, *made)

    def _argument(self, node: Call, parameter: Parameter, value: Value) -> Value:
        if parameter.constant and value.constant is None:
            raise ExpressionError(
                f"{parameter.name} of {node.function} has to be written out", node.at, "a constant", "M123"
            )
        if parameter.type == "same":
            return value
        if parameter.type == "numeric":
            return value if value.type == "integer" else self.read_as(value, "number", node.at)
        return self.read_as(value, cast(Type, parameter.type), node.at)


class _Arguments:
    """Within a function of the project's own: names mean its arguments."""

    def __init__(self, arguments: Mapping[str, Value], around: Scope) -> None:
        self.arguments, self.around, self.units = arguments, around, around.units

    def path(self, path: Path, compiler: Compiler) -> Value:
        found = self.arguments.get(str(path))
        if found is None:  # where it is said this was told
            raise ExpressionError(f"'{path}' is no argument", path.at, "", "M170")
        return found

    def call(self, call: Call, compiler: Compiler) -> Value | None:
        return None

    def lookup(self, function: Function, arguments: Sequence[Value], at: int) -> str:
        return self.around.lookup(function, arguments, at)


_CONVERSIONS = {
    ("instant", "date"): "write local_date(x, 'Zone/City'): the day depends on the zone",
    ("date", "instant"): "write local_instant(date, time, 'Zone/City')",
}
_INSTEAD = {
    "now": "the same raw data always maps to the same rows, so there is no clock",
    "current_date": "the same raw data always maps to the same rows, so there is no clock",
    "random": "the same raw data always maps to the same rows, so there is no chance",
    "strptime": "write parse_date(x, 'DD.MM.YYYY') or instant(x, 'Zone/City')",
    "to_timestamp": "write epoch_seconds(x)",
    "position": "write contains(x, part)",
    "ifnull": "write coalesce(a, b)",
    "decimal": "write number(x)",
    "substring": "write substr(x, from, length)",
    "sum": "no function adds up a list of the record; in a push total(order_line.quantity) adds up rows",
    "isnull": "write x is null",
    "nvl": "write coalesce(a, b)",
    "iif": "write if(condition, a, b)",
    "to_date": "write parse_date(x, 'DD.MM.YYYY')",
    "to_char": "write text(x)",
    "datetime": "write instant(x, 'Zone/City')",
    "len": "write length(x)",
}


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
