"""The SQL of the forms in which ERPs and shops write numbers, days and codes. Each takes the arguments' SQL.

Nothing here can raise: operands are made NULL before they are multiplied where the product might not fit (a CASE around a
product does not keep the engine from computing it, docs/adr/0007).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from mappings import sql
from mappings.currencies import DECIMALS, units_sql
from mappings.render import TIME_PARTS, Argument, pattern_of, unit, whole, zone_text

_NUMBER = "DECIMAL(27,10)"


def matches(text: str, pattern: str) -> str:
    return f"regexp_full_match({text}, {sql.text(pattern)})"


# -- text


_BLANK = r"[\s\p{Z}\p{Cc}\x{200B}\x{2060}\x{FEFF}]+"
_BLANKS = sql.text(_BLANK)
_AROUND = sql.text(f"^({_BLANK})?((?i)mailto:)?|{_BLANK}$")
_MAILBOX = r"[^\s@<>()\[\],;:\\\"]{1,64}@([\p{L}\p{N}]([\p{L}\p{N}-]*[\p{L}\p{N}])?\.)+[\p{L}\p{N}-]*[\p{L}\p{N}]"


def squeeze(arguments: Sequence[Argument]) -> str:
    return f"nullif(trim(regexp_replace({arguments[0].sql}, {_BLANKS}, ' ', 'g')), '')"


def email(arguments: Sequence[Argument]) -> str:
    x = f"lower(regexp_replace({arguments[0].sql}, {_AROUND}, '', 'g'))"
    return f"CASE WHEN length({x}) <= 254 AND {matches(x, _MAILBOX)} THEN {x} END"


# -- numbers


def _sign_first(x: str) -> str:
    """SAP writes the sign of a negative number behind it."""
    return rf"regexp_replace(trim({x}), '^([^-+]*)([-+])$', '\2\1')"


def sap_number(arguments: Sequence[Argument]) -> str:
    x = _sign_first(arguments[0].sql)
    return f"CASE WHEN {matches(x, '[-+]?([0-9]+([.][0-9]*)?|[.][0-9]+)')} THEN TRY_CAST({x} AS {_NUMBER}) END"


def implied_decimals(arguments: Sequence[Argument]) -> str:
    x, digits = _sign_first(arguments[0].sql), whole(str(arguments[1].constant), 6)
    number = f"CASE WHEN {matches(x, '[-+]?[0-9]+')} THEN TRY_CAST({x} AS {_NUMBER}) END"
    return f"TRY_CAST({number} * {unit(digits)} AS {_NUMBER})"


def _units(code: Argument) -> str:
    if code.constant is None:
        return units_sql(code.sql)
    if code.constant not in DECIMALS:
        raise ValueError(f"there is no currency '{code.constant}'; write a code of ISO 4217 such as EUR")
    return str(10 ** DECIMALS[code.constant])


def currency(arguments: Sequence[Argument]) -> str:
    x = f"upper(trim({arguments[0].sql}))"
    return f"CASE WHEN {units_sql(x)} IS NOT NULL THEN {x} END"


def to_minor(arguments: Sequence[Argument]) -> str:
    made = f"TRY_CAST({arguments[0].sql} AS {_NUMBER}) * {_units(arguments[1])}"
    return f"CASE WHEN round({made}, 0) = {made} THEN TRY_CAST({made} AS BIGINT) END"


def from_minor(arguments: Sequence[Argument]) -> str:
    x = f"TRY_CAST({arguments[0].sql} AS {_NUMBER})"
    whole = f"CASE WHEN round({x}, 0) = {x} THEN {x} END"
    units = _units(arguments[1])
    factors = " ".join(f"WHEN {10**digits} THEN {unit(digits)}" for digits in (2, 3, 4))
    factor = unit(len(units) - 1) if units.isdigit() else f"CASE {units} WHEN 1 THEN 1.0 {factors} END"
    return f"TRY_CAST({whole} * {factor} AS {_NUMBER})"


def share(amount: str, weight: str, digits: int, owner: str) -> str:
    """SQL of the item's part of the amount, over all rows of its owner in the order of `_ordinal`. A missing weight is 0.

    All is whole numbers: the amount in units of its last digit below 1e14, weights in millionths, they and their totals below
    1e22. It fails where the amount has more digits, and where there is an amount but the weights add up to 0.
    """
    # Narrow decimals are multiplied within 18 digits, and raise.
    amount, weight = f"TRY_CAST({amount} AS DECIMAL(31,10))", f"TRY_CAST({weight} AS DECIMAL(31,10))"
    own = f"CASE WHEN {weight} IS NULL THEN 0 ELSE TRY_CAST({weight} * 1000000 AS DECIMAL(22,0)) END"
    total, upto = (f"sum({own}) OVER (PARTITION BY {owner}{order})" for order in ("", " ORDER BY _ordinal"))
    whole = {"own": own, "upto": f"TRY_CAST({upto} AS DECIMAL(22,0))", "total": f"TRY_CAST({total} AS DECIMAL(22,0))"}
    exact = f"{amount} * {10**digits}"
    parts = {"exact": exact, "a": f"TRY_CAST(TRY_CAST({exact} AS DECIMAL(14,0)) AS HUGEINT)"}
    parts |= {name: f"TRY_CAST({text} AS HUGEINT)" for name, text in whole.items()}

    def rounded(running: str) -> str:
        quotient = f"(2 * abs(x.a * {running}) + abs(x.total)) // (2 * nullif(abs(x.total), 0))"
        return f"sign(x.a) * sign({running}) * sign(x.total) * ({quotient})"

    made = f"TRY_CAST({rounded('x.upto')} - {rounded('(x.upto - x.own)')} AS DECIMAL(27,0))"
    case = f"CASE WHEN x.a = 0 AND x.exact = 0 THEN 0.0 WHEN x.a = x.exact THEN TRY_CAST({made} * {unit(digits)} AS {_NUMBER}) END"
    named = ", ".join(f"'{name}': {text}" for name, text in parts.items())
    return f"list_transform([{{{named}}}], lambda x: {case})[1]"


# -- days and instants


def sap_date(arguments: Sequence[Argument]) -> str:
    x = arguments[0].sql
    return f"CASE WHEN {matches(x, '[0-9]{8}')} THEN CAST(try_strptime({x}, '%Y%m%d') AS DATE) END"


def jde_date(arguments: Sequence[Argument]) -> str:
    x = f"lpad({arguments[0].sql}, 6, '0')"
    day = f"CAST(1900 + TRY_CAST(substr({x}, 1, 3) AS INTEGER) AS VARCHAR) || substr({x}, 4, 3)"
    made = f"try_strptime({day}, '%Y%j')"
    # strptime takes day 366 of a common year for the first of the next.
    right = f"{matches(arguments[0].sql, '[0-9]{5,6}')} AND strftime({made}, '%Y%j') = {day}"
    return f"CASE WHEN {right} THEN CAST({made} AS DATE) END"


_TICKS = r"\\?/Date\((-?[0-9]{1,15})([+-][0-9]{1,4})?\)\\?/"
_LAST_TICK = 253_402_300_800_000  # the end of the year 9999


def _ticks(x: str) -> str:
    """Milliseconds since 1970 of `/Date(…)/`, those of the clock on the wall where it has an offset."""
    made = f"TRY_CAST(regexp_extract({x}, {sql.text('^' + _TICKS + '$')}, 1) AS BIGINT)"
    return f"CASE WHEN abs({made}) < {_LAST_TICK} THEN {made} END"


def odata_date(arguments: Sequence[Argument]) -> str:
    return f"CAST(make_timestamp({sql.term(_ticks(arguments[0].sql))} * 1000) AS DATE)"


def odata_instant(arguments: Sequence[Argument]) -> str:
    x = arguments[0].sql
    offset = f"coalesce(TRY_CAST(regexp_extract({x}, {sql.text('^' + _TICKS + '$')}, 2) AS BIGINT), 0)"
    return f"make_timestamptz(({sql.term(_ticks(x))} - {offset} * 60000) * 1000)"


_CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"


_S = "([0-9]{1,2}([.]0+)?S)"
_DURATION = f"PT([0-9]{{1,2}}H([0-9]{{1,2}}M)?{_S}?|[0-9]{{1,2}}M{_S}?|{_S})"


def clock(arguments: Sequence[Argument]) -> str:
    x = arguments[0].sql

    def part(letter: str) -> str:
        return f"lpad(coalesce(nullif(regexp_extract({x}, '([0-9]+)([.]0+)?{letter}', 1), ''), '0'), 2, '0')"

    joined = f"substr({x}, 1, 2) || ':' || substr({x}, 3, 2) || ':' || coalesce(nullif(substr({x}, 5, 2), ''), '00')"
    coloned = f"lpad({x}, CASE WHEN length({x}) < 6 THEN 5 ELSE 8 END, '0')"
    made = (
        f"CASE WHEN {matches(x, '[0-9]{4}|[0-9]{6}')} THEN {joined}"
        f" WHEN {matches(x, '[0-9]{1,2}:[0-9]{2}')} THEN {coloned} || ':00'"
        f" WHEN {matches(x, '[0-9]{1,2}:[0-9]{2}:[0-9]{2}')} THEN {coloned}"
        f" WHEN {matches(x, _DURATION)}"
        f" THEN {part('H')} || ':' || {part('M')} || ':' || {part('S')} END"
    )
    return f"CASE WHEN {matches(sql.term(made), _CLOCK)} THEN {made} END"


def parse_instant(arguments: Sequence[Argument]) -> str:
    pattern, local = str(arguments[1].constant), zone_text(str(arguments[2].constant))
    code, regex = pattern_of(pattern, TIME_PARTS)
    if not all(token in pattern for token in ("YYYY", "MM", "DD", "hh", "mm")):
        raise ValueError(f"'{pattern}' needs YYYY, MM, DD, hh and mm")
    x = arguments[0].sql
    return f"CASE WHEN {matches(x, regex)} THEN timezone({local}, try_strptime({x}, {sql.text(code)})) END"


# -- codes


def gtin(arguments: Sequence[Argument]) -> str:
    """The weights 3 and 1 alternate from the right, the check digit itself having 1: the sum ends in 0."""
    x = arguments[0].sql
    digits = f"lpad({x}, 14, '0')"
    total = " + ".join(f"{3 if n % 2 else 1} * ascii(substr({digits}, {n}, 1))" for n in range(1, 15))
    surplus = 48 * (7 * 3 + 7)  # of the digits' character codes
    right = f"({total} - {surplus}) % 10 = 0 AND ltrim({x}, '0') <> ''"
    return f"CASE WHEN {matches(x, '[0-9]{8}|[0-9]{12,14}')} AND {right} THEN {x} END"


def country_constant(number: int, files: str = "") -> Callable[[Sequence[Argument]], None]:
    """A check that the argument, where it is written out, is a country of which the library (`package/path`) has a file."""

    def check(arguments: Sequence[Argument]) -> None:
        code = arguments[number].constant if number < len(arguments) else None
        if code is None:
            return
        letters = len(code) == 2 and code.isascii() and code.isalpha() and code.isupper()
        if not letters or (files and not installed(files.format(code, code.lower()))):
            raise ValueError(f"'{code}' is no country: write its two letters of ISO 3166, such as DE or GB")

    return check


def language_constant(number: int) -> Callable[[Sequence[Argument]], None]:
    """A check that there are country names in the language that is written out."""

    def check(arguments: Sequence[Argument]) -> None:
        language = str(arguments[number].constant) if number < len(arguments) else "en"
        known = {file.parts[-3] for file in installed("pycountry/locales/*/LC_MESSAGES/iso3166-1.mo")}
        if language != "en" and language not in known:
            raise ValueError(f"there are no country names in '{language}'; write de, fr, es, it, …")

    return check


@cache
def installed(pattern: str) -> tuple[Path, ...]:
    """The files of a package by a pattern, without importing it."""
    from importlib.util import find_spec

    package, _, path = pattern.partition("/")
    found = find_spec(package)
    roots = (found.submodule_search_locations if found else None) or []
    return tuple(file for root in roots for file in Path(root).glob(path))
