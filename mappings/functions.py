"""The functions of the mapping language: a closed table. A function without a true example cannot be added (a test runs them).

Each carries its SQL for DuckDB as a template over its arguments' SQL; another dialect is another template. An empty text is
a missing value everywhere in the language, so a function that can make one returns NULL instead (`nullif(…, '')`).
Functions never guess: what they cannot read is NULL and counts as failed, so that the row is rejected with the raw value.
None may raise an error of the engine (see `expressions.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mappings import render, sql
from mappings.render import Argument


@dataclass(frozen=True, slots=True)
class Parameter:
    """`type` is a type of the language, `same` (all such arguments get one type) or `numeric` (integer stays integer).

    A `constant` has to be written out in the mapping. The last parameter may be `repeated`.
    """

    name: str
    type: str
    constant: bool = False
    optional: bool = False
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Function:
    """`raises`: it can fail on a row: it is then NULL though no argument is. `only_here`: a scope gives it its meaning."""

    name: str
    doc: str
    parameters: tuple[Parameter, ...]
    returns: str
    duckdb: str | Callable[[Sequence[Argument]], str]
    examples: tuple[tuple[str, Any], ...]
    raises: bool = False
    only_here: bool = False

    @property
    def signature(self) -> str:
        shown = [f"{p.name}: {p.type}" + (", …" if p.repeated else "") for p in self.parameters if not p.optional]
        shown += [f"[{p.name}: {p.type}]" for p in self.parameters if p.optional]
        return f"{self.name}({', '.join(shown)}) → {self.returns}"

    def parameters_for(self, count: int) -> tuple[Parameter, ...] | None:
        """The parameters of a call with so many arguments; None where it cannot have so many."""
        needed = [p for p in self.parameters if not p.optional]
        if self.parameters and self.parameters[-1].repeated and count >= len(needed):
            return self.parameters + self.parameters[-1:] * (count - len(self.parameters))
        return self.parameters[:count] if len(needed) <= count <= len(self.parameters) else None

    def render(self, arguments: Sequence[Argument]) -> str:
        """The call's SQL. Raises ValueError where a constant argument is not what it should be."""
        if not isinstance(self.duckdb, str):
            return self.duckdb(arguments)
        parts = [argument.sql for argument in arguments]
        return self.duckdb.format(*parts, all=", ".join(parts))


_X = Parameter("x", "text")
_SAME = Parameter("x", "same", repeated=True)
_ZONE = Parameter("zone", "text", constant=True)
_PATTERN = Parameter("pattern", "text", constant=True)
_DECIMAL_COMMA = sql.text(r"[+-]?([0-9]{1,3}([.][0-9]{3})+|[0-9]+)(,[0-9]+)?")

_TABLE = (
    # -- text
    Function("lower", "All letters small.", (_X,), "text", "lower({0})", (("lower('AnN@X.com')", "ann@x.com"),)),
    Function("upper", "All letters large.", (_X,), "text", "upper({0})", (("upper('de')", "DE"),)),
    Function(
        "trim",
        "Without white space, or the given characters, at both ends.",
        (_X, Parameter("characters", "text", optional=True)),
        "text",
        "nullif(trim({all}), '')",
        (("trim(' a b ')", "a b"), ("trim('--a-', '-')", "a"), ("trim('  ')", None)),
    ),
    Function(
        "ltrim",
        "Without white space, or the given characters, at the start.",
        (_X, Parameter("characters", "text", optional=True)),
        "text",
        "nullif(ltrim({all}), '')",
        (("ltrim('0012', '0')", "12"), ("ltrim(' a ')", "a "), ("ltrim('00', '0')", None)),
    ),
    Function(
        "rtrim",
        "Without white space, or the given characters, at the end.",
        (_X, Parameter("characters", "text", optional=True)),
        "text",
        "nullif(rtrim({all}), '')",
        (("rtrim('a..', '.')", "a"),),
    ),
    Function(
        "replace",
        "Every occurrence of a part replaced.",
        (_X, Parameter("part", "text"), Parameter("by", "text")),
        "text",
        "nullif(replace({0}, {1}, {2}), '')",
        (("replace('a-b-c', '-', '')", "abc"), ("replace('-', '-', '')", None)),
    ),
    Function(
        "substr",
        "A part of a text; the first character is number 1.",
        (
            _X,
            Parameter("start", "integer", constant=True),
            Parameter("length", "integer", constant=True, optional=True),
        ),
        "text",
        render.parts("substr", 1),
        (("substr('Größe', 3)", "öße"), ("substr('abcd', 2, 2)", "bc"), ("substr('ab', 5)", None)),
    ),
    Function(
        "left",
        "The first characters.",
        (_X, Parameter("length", "integer", constant=True)),
        "text",
        "nullif(\"left\"({0}, {1}), '')",
        (("left('abcd', 2)", "ab"),),
    ),
    Function(
        "right",
        "The last characters.",
        (_X, Parameter("length", "integer", constant=True)),
        "text",
        "nullif(\"right\"({0}, {1}), '')",
        (("right('abcd', 2)", "cd"),),
    ),
    Function(
        "split_part",
        "The nth part between separators; the first is number 1. Missing where there are fewer.",
        (_X, Parameter("separator", "text"), Parameter("n", "integer", constant=True)),
        "text",
        render.parts("split_part", 2),
        (("split_part('Ann Lee', ' ', 2)", "Lee"), ("split_part('Ann', ' ', 2)", None)),
    ),
    Function(
        "lpad",
        "Filled at the start up to a width. Unlike SQL's it never cuts.",
        (_X, Parameter("width", "integer", constant=True), Parameter("fill", "text", constant=True, optional=True)),
        "text",
        render.pad("l"),
        (("lpad('12', 5, '0')", "00012"), ("lpad('123456', 3, '0')", "123456")),
    ),
    Function(
        "rpad",
        "Filled at the end up to a width. Unlike SQL's it never cuts.",
        (_X, Parameter("width", "integer", constant=True), Parameter("fill", "text", constant=True, optional=True)),
        "text",
        render.pad("r"),
        (("rpad('12', 4, '.')", "12.."), ("rpad('12345', 4)", "12345")),
    ),
    Function("length", "How many characters.", (_X,), "integer", "length({0})", (("length('Größe')", 5),)),
    Function(
        "concat",
        "One text after the other; what is missing is left out. (`||` gives a missing value if any part is missing.)",
        (Parameter("x", "text", repeated=True),),
        "text",
        "nullif(concat({all}), '')",
        (("concat('a', null, 'b')", "ab"), ("'a' || null", None), ("concat(null)", None)),
    ),
    Function(
        "concat_ws",
        "Texts with a separator between them; what is missing is left out.",
        (Parameter("separator", "text"), Parameter("x", "text", repeated=True)),
        "text",
        "nullif(concat_ws({all}), '')",
        (("concat_ws(' ', 'Ann', null, 'Lee')", "Ann Lee"), ("concat_ws(' ', null)", None)),
    ),
    Function(
        "regexp_replace",
        "Every match of a regular expression (RE2) replaced.",
        (_X, _PATTERN, Parameter("by", "text", constant=True)),
        "text",
        render.regexp_replace,
        (("regexp_replace('+49 (30) 1', '[^0-9]', '')", "49301"), ("regexp_replace('x', 'x', '')", None)),
    ),
    Function(
        "regexp_extract",
        "The first match of a regular expression (RE2), or a group of it. Missing where nothing matches.",
        (_X, _PATTERN, Parameter("group", "integer", constant=True, optional=True)),
        "text",
        render.regexp_extract,
        (("regexp_extract('A-12-b', '[0-9]+')", "12"), ("regexp_extract('a', '([0-9])', 1)", None)),
    ),
    Function(
        "contains",
        "Does a text hold a part?",
        (_X, Parameter("part", "text")),
        "boolean",
        "contains({0}, {1})",
        (("contains('abc', 'b')", True),),
    ),
    Function(
        "starts_with",
        "Does a text start so?",
        (_X, Parameter("part", "text")),
        "boolean",
        "starts_with({0}, {1})",
        (("starts_with('abc', 'ab')", True),),
    ),
    Function(
        "ends_with",
        "Does a text end so?",
        (_X, Parameter("part", "text")),
        "boolean",
        "suffix({0}, {1})",
        (("ends_with('abc', 'ab')", False),),
    ),
    Function(
        "like",
        "SQL's pattern: % any characters, _ one. Also written x like '…'.",
        (_X, Parameter("pattern", "text")),
        "boolean",
        lambda args: f"{sql.term(args[0].sql)} LIKE {sql.term(args[1].sql)}",
        (("'abc' like 'a%'", True), ("'abc' not like '_b'", True)),
    ),
    Function(
        "text",
        "A number, integer, boolean or date as text, without trailing zeros.",
        (_X,),
        "text",
        "{0}",
        (("text(12.50)", "12.5"), ("text(true)", "true"), ("text(100.0)", "100"), ("text(100)", "100")),
    ),
    # -- choices
    Function(
        "coalesce",
        "The first that is not missing.",
        (_SAME,),
        "same",
        "coalesce({all})",
        (("coalesce(null, 'US')", "US"), ("coalesce(null, 2, 3)", 2)),
    ),
    Function(
        "nullif",
        "Missing if it equals the second, else itself.",
        (Parameter("x", "same"), Parameter("y", "same")),
        "same",
        "nullif({0}, {1})",
        (("nullif('00000000', '00000000')", None), ("nullif('a', 'b')", "a")),
    ),
    Function(
        "if",
        "One of two; the second also where the condition is missing.",
        (Parameter("condition", "boolean"), Parameter("x", "same"), Parameter("y", "same")),
        "same",
        "CASE WHEN {0} THEN {1} ELSE {2} END",
        (("if(2 > 1, 'a', 'b')", "a"), ("if(null, 'a', 'b')", "b")),
    ),
    Function(
        "greatest",
        "The greatest; missing ones do not count.",
        (_SAME,),
        "same",
        "greatest({all})",
        (("greatest(1, 3, 2)", 3), ("greatest(null, 2)", 2)),
    ),
    Function(
        "least",
        "The least; missing ones do not count.",
        (_SAME,),
        "same",
        "least({all})",
        (("least(1.5, 0.5)", "0.5"), ("least('b', 'a')", "a")),
    ),
    # -- numbers
    Function(
        "number",
        "A text as an exact number: digits with a decimal point.",
        (Parameter("x", "number"),),
        "number",
        "{0}",
        (("number('12.50')", "12.5"), ("number('-3')", "-3")),
    ),
    Function(
        "integer",
        "A text as a whole number; '12.0' is none.",
        (Parameter("x", "integer"),),
        "integer",
        "{0}",
        (("integer('012')", 12),),
    ),
    Function(
        "abs",
        "Without its sign.",
        (Parameter("x", "numeric"),),
        "numeric",
        render.absolute,
        (("abs(-2.5)", "2.5"), ("abs(-2)", 2)),
        raises=True,
    ),
    Function(
        "round",
        "Rounded to decimals (default 0), half away from zero.",
        (Parameter("x", "number"), Parameter("decimals", "integer", constant=True, optional=True)),
        "number",
        render.round,
        (("round(0.145, 2)", "0.15"), ("round(-2.5)", "-3"), ("round('1.005', 2)", "1.01")),
    ),
    Function(
        "floor",
        "The next whole number below.",
        (Parameter("x", "number"),),
        "number",
        "floor({0})",
        (("floor(-1.5)", "-2"),),
    ),
    Function(
        "ceil",
        "The next whole number above.",
        (Parameter("x", "number"),),
        "number",
        "ceil({0})",
        (("ceil(1.2)", "2"),),
    ),
    Function(
        "divide",
        "a ÷ b, exact to the decimals (at most 10), half away from zero; a / b is divide(a, b, 10). Division by zero rejects the row.",
        (Parameter("a", "number"), Parameter("b", "number"), Parameter("decimals", "integer", constant=True)),
        "number",
        render.divide,
        (
            ("divide(10, 3, 2)", "3.33"),
            ("divide(-10, 3, 0)", "-3"),
            ("divide(1, 8, 2)", "0.13"),
            ("divide('29.97', 3, 2)", "9.99"),
        ),
        raises=True,
    ),
    Function(
        "decimal_comma",
        "A number with a decimal comma and perhaps points between thousands: '1.234,50'. '1.234' is 1234.",
        (_X,),
        "number",
        "CASE WHEN regexp_full_match({0}, " + _DECIMAL_COMMA.replace("{", "{{").replace("}", "}}") + ")"
        " THEN TRY_CAST(replace(replace({0}, '.', ''), ',', '.') AS DECIMAL(27,10)) END",
        (
            ("decimal_comma('1.234,50')", "1234.5"),
            ("decimal_comma('-0,5')", "-0.5"),
            ("decimal_comma('1.234')", "1234"),
        ),
        raises=True,
    ),
    Function(
        "minor_units",
        "Cents as money: 1250 → 12.5. The second argument says how many decimals the currency has (default 2).",
        (Parameter("x", "number"), Parameter("decimals", "integer", constant=True, optional=True)),
        "number",
        render.minor_units,
        (("minor_units('1250')", "12.5"), ("minor_units(1250, 3)", "1.25"), ("minor_units(7, 0)", "7")),
        raises=True,
    ),
    # -- yes and no
    Function(
        "boolean",
        "true yes y t 1, false no n f 0, in any case of letters; nothing else.",
        (Parameter("x", "boolean"),),
        "boolean",
        "{0}",
        (("boolean('Yes')", True), ("boolean('0')", False)),
    ),
    Function(
        "flag",
        "A flag as SAP writes it: X is true, a missing value false; else like boolean().",
        (_X,),
        "boolean",
        "CASE WHEN {0} IS NULL THEN false WHEN upper({0}) = 'X' THEN true ELSE TRY_CAST({0} AS BOOLEAN) END",
        (("flag('X')", True), ("flag(null)", False), ("flag('no')", False)),
        raises=True,
    ),
    # -- days and instants
    Function(
        "date",
        "A text YYYY-MM-DD as a day.",
        (Parameter("x", "date"),),
        "date",
        "{0}",
        (("date('2026-02-01')", "2026-02-01"),),
    ),
    Function(
        "parse_date",
        "A text as a day by a pattern of YYYY, MM, DD.",
        (_X, _PATTERN),
        "date",
        render.parse_date,
        (
            ("parse_date('31.12.2026', 'dd.mm.yyyy')", "2026-12-31"),
            ("parse_date('20261231', 'YYYYMMDD')", "2026-12-31"),
            ("parse_date(nullif('00000000', '00000000'), 'YYYYMMDD')", None),
        ),
        raises=True,
    ),
    Function(
        "instant",
        "A text as an instant. Without a zone it needs an offset (Z, +01:00, +0100); with one, a text without offset is local time.",
        (_X, Parameter("zone", "text", constant=True, optional=True)),
        "instant",
        render.instant,
        (
            ("instant('2026-01-02T08:59:11-05:00')", "2026-01-02T13:59:11Z"),
            ("instant('2026-07-01 10:00:00', 'Europe/Berlin')", "2026-07-01T08:00:00Z"),
            ("instant('2026-07-01T10:00:00Z', 'Europe/Berlin')", "2026-07-01T10:00:00Z"),
        ),
        raises=True,
    ),
    Function(
        "local_instant",
        "A day and a time of a zone as an instant. A doubled hour in autumn is the second one, a skipped one in spring the hour after.",
        (Parameter("day", "date"), Parameter("time", "text"), _ZONE),
        "instant",
        render.local_instant,
        (
            ("local_instant('2026-01-02', '10:30:00', 'Europe/Berlin')", "2026-01-02T09:30:00Z"),
            ("local_instant(parse_date('02.07.2026', 'DD.MM.YYYY'), '00:00', 'Europe/Berlin')", "2026-07-01T22:00:00Z"),
            ("local_instant('2026-10-25', '02:30:00', 'Europe/Berlin')", "2026-10-25T01:30:00Z"),
            ("local_instant('2026-03-29', '02:30:00', 'Europe/Berlin')", "2026-03-29T01:30:00Z"),
        ),
        raises=True,
    ),
    Function(
        "epoch_seconds",
        "Seconds since 1970-01-01 UTC as an instant.",
        (Parameter("x", "number"),),
        "instant",
        render.epoch(1),
        (("epoch_seconds('1700000000')", "2023-11-14T22:13:20Z"),),
        raises=True,
    ),
    Function(
        "epoch_millis",
        "Milliseconds since 1970-01-01 UTC as an instant.",
        (Parameter("x", "number"),),
        "instant",
        render.epoch(1000),
        (("epoch_millis(1700000000500)", "2023-11-14T22:13:20.5Z"),),
        raises=True,
    ),
    Function(
        "local_date",
        "The day of an instant in a zone.",
        (Parameter("x", "instant"), _ZONE),
        "date",
        render.local_date,
        (("local_date('2026-06-30T23:30:00Z', 'Europe/Berlin')", "2026-07-01"),),
    ),
    Function(
        "format_date",
        "A day as text by a pattern of YYYY, MM, DD.",
        (Parameter("x", "date"), _PATTERN),
        "text",
        render.format_date,
        (("format_date('2026-07-01', 'DD.MM.YYYY')", "01.07.2026"),),
    ),
    Function(
        "format_instant",
        "An instant as local time of a zone, by a pattern of YYYY, MM, DD, hh, mm, ss.",
        (Parameter("x", "instant"), _PATTERN, _ZONE),
        "text",
        render.format_instant,
        (("format_instant('2026-07-01T08:00:00Z', 'YYYY-MM-DD hh:mm:ss', 'Europe/Berlin')", "2026-07-01 10:00:00"),),
    ),
    Function(
        "iso",
        "An instant as ISO 8601 text in UTC, to the millisecond.",
        (Parameter("x", "instant"),),
        "text",
        "strftime(timezone('UTC', {0}), '%Y-%m-%dT%H:%M:%S.%gZ')",
        (("iso('2026-07-01T10:00:00+02:00')", "2026-07-01T08:00:00.000Z"),),
    ),
    # -- ids
    Function(
        "alpha_in",
        "SAP's ALPHA on the way in: a number without its leading zeros; other ids stay.",
        (_X,),
        "text",
        "CASE WHEN regexp_full_match({0}, '[0-9]+') THEN coalesce(nullif(ltrim({0}, '0'), ''), '0') ELSE {0} END",
        (("alpha_in('0000100012')", "100012"), ("alpha_in('00A1')", "00A1"), ("alpha_in('000')", "0")),
    ),
    Function(
        "alpha_out",
        "SAP's ALPHA on the way out: a number with leading zeros up to a width; other ids stay.",
        (_X, Parameter("width", "integer", constant=True)),
        "text",
        render.alpha_out,
        (("alpha_out('100012', 10)", "0000100012"), ("alpha_out('A1', 10)", "A1")),
    ),
    # -- of the record
    Function(
        "ordinal",
        "The position of the item in the list that `each` names, from 1.",
        (),
        "integer",
        "",
        (),
        only_here=True,
    ),
)

FUNCTIONS: dict[str, Function] = {function.name: function for function in _TABLE}
