"""The SQL of those functions whose constant arguments decide it: zones, patterns, widths, decimals.

Each raises ValueError where a constant is not what the function takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Protocol

from mappings import sql


class Argument(Protocol):
    """A compiled argument (`expressions.Value`): its SQL, and its text where it is a constant."""

    @property
    def sql(self) -> str: ...

    @property
    def constant(self) -> str | None: ...


def constant(arguments: Sequence[Argument], index: int, default: str) -> str:
    return str(arguments[index].constant) if index < len(arguments) else default


@cache
def zone_text(name: str) -> str:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise ValueError(f"there is no time zone '{name}'") from None
    return sql.text(name)


_DATE_PARTS = (
    ("YYYY", "%Y", "[0-9]{4}"),
    ("MON", "%b", "[A-Za-z]{3}"),
    ("MM", "%m", "[0-9]{1,2}"),
    ("DD", "%d", "[0-9]{1,2}"),
)
TIME_PARTS = (*_DATE_PARTS, ("hh", "%H", "[0-9]{1,2}"), ("mm", "%M", "[0-9]{1,2}"), ("ss", "%S", "[0-9]{1,2}"))


def pattern_of(text: str, parts: Sequence[tuple[str, str, str]]) -> tuple[str, str]:
    """A date pattern as (strptime format, regular expression). Raises ValueError for what is no pattern."""
    made, expression, at = "", "", 0
    joined = not re.search(r"[^A-Za-z]", text)
    while at < len(text):
        for token, code, regex in parts:
            if text.startswith(token, at):
                made += code
                expression += regex.replace("1,2", "2") if joined else regex
                at += len(token)
                break
        else:
            if text[at] not in " .,-/:T":
                raise ValueError(
                    f"'{text}' is no pattern: it is made of {', '.join(p[0] for p in parts)} and . - / : T"
                )
            made += text[at]
            expression += re.escape(text[at])
            at += 1
    return made, expression


def parse_date(arguments: Sequence[Argument]) -> str:
    pattern = str(arguments[1].constant).upper()
    code, regex = pattern_of(pattern, _DATE_PARTS)
    if {token for token, _, _ in _DATE_PARTS if token in pattern.replace("MON", "MM")} != {"YYYY", "MM", "DD"}:
        raise ValueError(f"'{pattern}' needs YYYY, MM and DD")
    x = arguments[0].sql
    return f"CASE WHEN regexp_full_match({x}, {sql.text(regex)}) THEN CAST(try_strptime({x}, {sql.text(code)}) AS DATE) END"


def format_date(arguments: Sequence[Argument]) -> str:
    code, _ = pattern_of(str(arguments[1].constant).upper(), _DATE_PARTS)
    return f"strftime({arguments[0].sql}, {sql.text(code)})"


def format_instant(arguments: Sequence[Argument]) -> str:
    code, _ = pattern_of(str(arguments[1].constant), TIME_PARTS)
    return f"strftime(timezone({zone_text(str(arguments[2].constant))}, {arguments[0].sql}), {sql.text(code)})"


_LOCAL = sql.text(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?")
_CLOCK = sql.text(r"[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?")
_WITH_OFFSET = sql.text(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)"
)


def instant(arguments: Sequence[Argument]) -> str:
    x = arguments[0].sql
    with_offset = f"WHEN regexp_full_match({x}, {_WITH_OFFSET}) THEN TRY_CAST({x} AS TIMESTAMP WITH TIME ZONE)"
    if len(arguments) == 1:
        return f"CASE {with_offset} END"
    zone = zone_text(str(arguments[1].constant))
    local = f"WHEN regexp_full_match({x}, {_LOCAL}) THEN timezone({zone}, TRY_CAST({x} AS TIMESTAMP))"
    return f"CASE {local} {with_offset} END"


def local_instant(arguments: Sequence[Argument]) -> str:
    day, clock = arguments[0].sql, arguments[1].sql
    zone = zone_text(str(arguments[2].constant))
    time = f"CASE WHEN regexp_full_match({clock}, {_CLOCK}) THEN TRY_CAST({clock} AS TIME) END"
    return f"timezone({zone}, {sql.term(day)} + {time})"


def local_date(arguments: Sequence[Argument]) -> str:
    return f"CAST(timezone({zone_text(str(arguments[1].constant))}, {arguments[0].sql}) AS DATE)"


def _regex(text: str) -> str:
    """A pattern that RE2 (which DuckDB uses) takes. Raises ValueError."""
    if re.search(r"\(\?(?!:|[ims]+\))|\\[1-9]", text):
        raise ValueError(f"the pattern '{text}' looks around or back, which takes unbounded time")
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"the pattern '{text}' is not a regular expression: {error}") from None
    return sql.text(text)


def regexp_replace(arguments: Sequence[Argument]) -> str:
    pattern = _regex(str(arguments[1].constant))
    by, groups = str(arguments[2].constant), re.compile(str(arguments[1].constant)).groups
    for number in re.findall(r"\\(.?)", by):
        if not number.isdigit() or int(number) > groups:
            raise ValueError(
                f"'{by}' names a group that the pattern has not; a backslash comes before a group's number"
            )
    return f"nullif(regexp_replace({arguments[0].sql}, {pattern}, {arguments[2].sql}, 'g'), '')"


def regexp_extract(arguments: Sequence[Argument]) -> str:
    pattern = _regex(str(arguments[1].constant))
    group = whole(constant(arguments, 2, "0"), 9)
    if group > re.compile(str(arguments[1].constant)).groups:
        raise ValueError(f"the pattern has no group {group}")
    return f"nullif(regexp_extract({arguments[0].sql}, {pattern}, {group}), '')"


def whole(text: str, most: int, least: int = 0) -> int:
    if not text.isdigit() or not least <= int(text) <= most:
        raise ValueError(f"{text} is not a whole number from {least} to {most}")
    return int(text)


def round(arguments: Sequence[Argument]) -> str:
    return f"round({arguments[0].sql}, {whole(constant(arguments, 1, '0'), 10)})"


def absolute(arguments: Sequence[Argument]) -> str:
    x = arguments[0]
    return (
        f"TRY_CAST(abs(CAST({x.sql} AS HUGEINT)) AS BIGINT)" if getattr(x, "type", "") == "integer" else f"abs({x.sql})"
    )


def minor_units(arguments: Sequence[Argument]) -> str:
    digits = whole(constant(arguments, 1, "2"), 6)
    return f"TRY_CAST(TRY_CAST({arguments[0].sql} AS DECIMAL(27,10)) * {unit(digits)} AS DECIMAL(27,10))"


def divide(arguments: Sequence[Argument]) -> str:
    return divided(arguments[0].sql, arguments[1].sql, whole(str(arguments[2].constant), 10))


def divided(a: str, b: str, digits: int = 10) -> str:
    """SQL of a ÷ b, NULL for b = 0. DuckDB divides decimals as DOUBLE; whole numbers are exact: (2·a·10ⁿ + b) // 2b."""
    whole_a, whole_b = (f"CAST(TRY_CAST({x} AS DECIMAL(27,10)) * 10000000000 AS HUGEINT)" for x in (a, b))
    quotient = f"(abs({whole_a}) * {2 * 10**digits} + abs({whole_b})) // (2 * nullif(abs({whole_b}), 0))"
    signed = f"TRY_CAST(sign({whole_a}) * sign({whole_b}) * ({quotient}) AS DECIMAL(27,0))"
    return f"TRY_CAST({signed} * {unit(digits)} AS DECIMAL(27,10))"


def epoch(per_second: int) -> Callable[[Sequence[Argument]], str]:
    """An instant from a count of parts of a second, from 1000 years before 1970 to the year 5000."""

    def render(arguments: Sequence[Argument]) -> str:
        x = arguments[0].sql
        micros = f"TRY_CAST(TRY_CAST({x} AS DECIMAL(27,10)) * {1_000_000 // per_second} AS BIGINT)"
        return f"CASE WHEN abs({x}) < {95_000_000_000 * per_second} THEN make_timestamptz({micros}) END"

    return render


def parts(name: str, counts: int) -> Callable[[Sequence[Argument]], str]:
    """A function over a text whose other arguments from number `counts` on are small whole numbers from 1."""

    def render(arguments: Sequence[Argument]) -> str:
        shown = [argument.sql for argument in arguments[:counts]]
        shown += [str(whole(str(argument.constant), 100_000, 1)) for argument in arguments[counts:]]
        return f"nullif({name}({', '.join(shown)}), '')"

    return render


def unit(digits: int) -> str:
    return "0." + "0" * (digits - 1) + "1" if digits else "1"


def pad(side: str) -> Callable[[Sequence[Argument]], str]:
    def render(arguments: Sequence[Argument]) -> str:
        x, width = arguments[0].sql, whole(str(arguments[1].constant), 200, 1)
        fill = constant(arguments, 2, " ")
        if len(fill) != 1:
            raise ValueError("one character fills")
        return f"CASE WHEN length({x}) >= {width} THEN {x} ELSE {side}pad({x}, {width}, {sql.text(fill)}) END"

    return render


def alpha_out(arguments: Sequence[Argument]) -> str:
    x, width = arguments[0].sql, whole(str(arguments[1].constant), 40, 1)
    return f"CASE WHEN length({x}) < {width} AND regexp_full_match({x}, '[0-9]+') THEN lpad({x}, {width}, '0') ELSE {x} END"
