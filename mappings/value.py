"""What an expression becomes: SQL of a type, with the condition on which it cannot be computed; and how values are put together.

Nothing made here can raise an error on a row (docs/adr/0007): what cannot be read gives NULL, and `Value.failed` says where.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mappings import sql
from mappings.meaning import Meaning
from mappings.parse import ExpressionError
from mappings.tree import Binary, Type

NUMBER = "DECIMAL(27,10)"  # two of them added, or multiplied below MAX_PRODUCT, fit into DuckDB's 38 digits
MAX_PRODUCT = "1e17"
MAX_SQL = 30_000  # products name their factors several times
SQL_TYPES = {
    "text": "VARCHAR",
    "number": NUMBER,
    "integer": "BIGINT",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "instant": "TIMESTAMP WITH TIME ZONE",
}


@dataclass(frozen=True, slots=True)
class Value:
    """A compiled expression: `sql` is NULL where it has no value, and where it cannot be computed.

    `failed` is a condition, never NULL, that is true where it cannot be computed; None where that cannot be. `inputs` are the
    paths it reads, (shown, SQL as text). `constant` is the literal's own text where the value is one; `choices` all texts
    it can be, where they can be told. `meaning` is what it is in trade, None where nobody said it (`meaning.py`); `place` names
    the field of the record where it is nothing else: `line_items.price`.
    """

    sql: str
    type: Type
    failed: str | None = None
    inputs: tuple[tuple[str, str], ...] = ()
    constant: str | None = None
    choices: frozenset[str] | None = None
    meaning: Meaning | None = None
    place: str = ""

    @property
    def raises(self) -> bool:
        """Can it be impossible to compute on some row?"""
        return self.failed is not None


def literal(text: str, kind: Type = "text") -> Value:
    """A constant of a mapping as a value."""
    return Value(sql.text(text) if kind == "text" else text, kind, constant=text, choices=frozenset([text]))


def any_of(*conditions: str | None) -> str | None:
    """Is one of them true?"""
    found = list(dict.fromkeys(condition for condition in conditions if condition is not None))
    return " OR ".join(sql.term(condition) for condition in found) if len(found) > 1 else next(iter(found), None)


def where(condition: str, failed: str | None) -> str | None:
    """It matters only where the condition (never NULL) is true."""
    return None if failed is None else f"{condition} AND {sql.term(failed)}"


def made_of(text: str, kind: Type, *parts: Value) -> Value:
    """A value that fails where one of its parts does."""
    inputs = tuple(dict.fromkeys(pair for part in parts for pair in part.inputs))
    failed = any_of(*(part.failed for part in parts))
    if len(text) + len(failed or "") > MAX_SQL:
        raise ExpressionError("the expression is too large", 0, "say it with fewer products and cases", "M120")
    return Value(text, kind, failed, inputs)


def computed(text: str, kind: Type, needed: Sequence[Value], parts: Sequence[Value]) -> Value:
    """A value made of parts that fails also where it is NULL though nothing of what is needed is."""
    known = [f"{wrapped(part)} IS NOT NULL" for part in needed if part.constant is None]
    own = " AND ".join([*known, f"{sql.term(text)} IS NULL"])
    made = made_of(text, kind, *parts)
    return replace(made, failed=any_of(made.failed, own))


def computed_of(text: str, kind: Type, *parts: Value) -> Value:
    return computed(text, kind, parts, parts)


def converted(value: Value, text: str, kind: Type) -> Value:
    return computed_of(text, kind, value)


def reached_in(tested: Sequence[str], conditions: Sequence[Value], results: Sequence[Value]) -> str | None:
    """Where a case cannot be computed: in a condition that is asked, or in the result that is chosen."""
    if not any(value.raises for value in (*conditions, *results)):
        return None
    branches = []
    for text, condition, result in zip(tested, conditions, results, strict=False):
        if condition.failed is not None:
            branches.append(f"WHEN {condition.failed} THEN true")
        branches.append(f"WHEN {text} THEN {result.failed or 'false'}")
    default = results[-1].failed if len(results) > len(conditions) else None
    return f"CASE {' '.join(branches)} ELSE {default or 'false'} END"


def wrapped(value: Value) -> str:
    return sql.term(value.sql)


def chained(node: Binary, left: Value) -> str:
    """`a and b and c` needs no parentheses."""
    return left.sql if isinstance(node.left, Binary) and node.left.op == node.op else wrapped(left)


def choices_of(values: Sequence[Value]) -> frozenset[str] | None:
    found = [value.choices for value in values]
    return None if None in found else frozenset[str]().union(*(one for one in found if one is not None))


def wide(text: str) -> str:
    """A number in NUMBER's width: DuckDB multiplies narrow decimals within 18 digits, and raises where they do not fit."""
    done = text.startswith("TRY_CAST(") and text.endswith(f" AS {NUMBER})") and text.count(" AS ") == 1
    return text if done else f"TRY_CAST({text} AS {NUMBER})"


def as_number(value: Value) -> Value:
    """A constant as a number: with a point, since whole numbers are multiplied within 32 bits."""
    return replace(value, sql=value.sql if "." in value.sql else f"{value.sql}.0", type="number")


def strict(value: Value, want: Type) -> Value:
    if want == "number" and value.constant is not None and _NUMERAL.fullmatch(value.constant):
        return as_number(replace(value, sql=value.constant, choices=None))
    return converted(value, _STRICT[want](value.sql), want)


def has_offset(text: str) -> str:
    """SQL: does a text end in Z, ±HH:MM, ±HHMM or ±HH after a time of day? NULL for NULL."""
    return (
        f"(length({text}) > 16 AND (suffix({text}, 'Z') OR substr({text}, -6, 1) IN ('+', '-')"
        f" OR substr({text}, -5, 1) IN ('+', '-') OR substr({text}, -3, 1) IN ('+', '-')))"
    )


_NUMERAL = re.compile(r"[0-9]{1,17}([.][0-9]{1,10})?")
_STRICT: dict[str, Callable[[str], str]] = {
    "number": lambda x: f"TRY_CAST({x} AS {NUMBER})",
    "integer": lambda x: f"CASE WHEN regexp_full_match({x}, '[+-]?[0-9]+') THEN TRY_CAST({x} AS BIGINT) END",
    "boolean": lambda x: f"TRY_CAST({x} AS BOOLEAN)",
    "date": lambda x: f"CASE WHEN length({x}) = 10 THEN TRY_CAST({x} AS DATE) END",
    "instant": lambda x: f"CASE WHEN {has_offset(x)} THEN TRY_CAST({x} AS TIMESTAMP WITH TIME ZONE) END",
}


def as_text(value: Value, at: int) -> Value:
    if value.type == "instant":
        raise ExpressionError(
            "an instant is no text by itself", at, "write format_instant(x, 'YYYY-MM-DD', 'Zone/City')", "M124"
        )
    made = f"CAST({value.sql} AS VARCHAR)"
    if value.type == "number":  # 12.5000000000 reads 12.5
        made = f"regexp_replace(CAST(CAST({value.sql} AS DECIMAL(38,10)) AS VARCHAR), '[.]?0+$', '')"
    return replace(value, sql=made, type="text", constant=None, choices=None)
