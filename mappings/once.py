"""The functions that cannot be SQL. Python computes each once for every distinct value, never once a row.

`Lookup` says what is asked: the compiler makes it and executes nothing. `fill` computes it into a temporary table of the
connection in which the mapping's statements are executed next; they join it. Lookups of one function share their table, so
that what one mapping or field asked is not computed again for the next. They are filled in order: one may ask with what
another found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

_PAGE = 50_000  # values in memory at a time

Convert = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Lookup:
    """`asked` is SQL of the distinct rows of arguments that the table does not hold yet; none of them is NULL.

    The table has the columns _asked_1, … and _made, which is NULL where the function cannot read its arguments.
    """

    function: str
    arguments: int
    returns: str
    asked: str

    @property
    def table(self) -> str:
        return table_of(self.function, self.arguments)


def table_of(function: str, arguments: int) -> str:
    return f"looked_up_{function}_{arguments}"


def asked_columns(arguments: int) -> list[str]:
    return [f"_asked_{number}" for number in range(1, arguments + 1)]


def fill(lookups: Iterable[Lookup], execute: Callable[..., Any]) -> None:
    """Compute what is asked. `execute(sql, parameters)` executes one statement and has `fetchall()`, as DuckDB's has."""
    for lookup in lookups:
        names = asked_columns(lookup.arguments)
        columns = ", ".join(f"{name} VARCHAR" for name in names)
        execute(f"CREATE TEMP TABLE IF NOT EXISTS {lookup.table} ({columns}, _made {lookup.returns})")
        execute(f"CREATE OR REPLACE TEMP TABLE _asked AS {lookup.asked}")
        count = execute("SELECT count(*) FROM _asked").fetchall()[0][0]
        if not count:
            continue
        convert = FUNCTIONS[lookup.function]()
        for first in range(0, count, _PAGE):
            page = f"SELECT {', '.join(names)} FROM _asked WHERE rowid >= {first} AND rowid < {first + _PAGE}"
            rows = execute(page).fetchall()
            _insert(lookup, rows, [_certain(convert, row) for row in rows], execute)


def _insert(lookup: Lookup, rows: Sequence[Sequence[str]], made: list[Any], execute: Callable[..., Any]) -> None:
    marks = ", ".join(f"unnest(${number}::VARCHAR[])" for number in range(1, lookup.arguments + 1))
    lists = [list(column) for column in zip(*rows, strict=True)]
    result = f"unnest(${lookup.arguments + 1}::{lookup.returns}[])"
    execute(f"INSERT INTO {lookup.table} SELECT {marks}, {result}", [*lists, made])


def _certain(convert: Convert, row: Sequence[str]) -> Any:
    """What the function makes; None, which rejects the row with its raw value, also where a library gives up on a text."""
    try:
        return convert(*row) or None
    except Exception:
        return None


# -- the functions: each imports what it needs, and gives what is called for each value


def phone() -> Convert:
    import phonenumbers
    from phonenumbers import PhoneNumberFormat, ValidationResult

    # The library takes letters for the keys of a telephone, so that '030 901820 or 031 5' would be one number.
    written = re.compile(r"(tel[:.]?\s*)?\+?[\d\s().\-/\u2010-\u2015\u00a0\u2060]+", re.IGNORECASE)

    def convert(text: str, country: str | None = None) -> str | None:
        text = text.strip()
        if len(text) > 60 or not written.fullmatch(text):
            return None
        number = phonenumbers.parse(text, country and country.strip().upper())
        if phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
            return None
        return phonenumbers.format_number(number, PhoneNumberFormat.E164)

    return convert


def country() -> Convert:
    import pycountry

    translated: dict[str, dict[str, str]] = {}

    def names(language: str) -> dict[str, str]:
        import gettext

        if language not in translated:
            said = gettext.translation("iso3166-1", pycountry.LOCALES_DIR, languages=[language])
            pairs = ((one, getattr(one, kind, "")) for one in pycountry.countries for kind in ("name", "common_name"))
            translated[language] = {said.gettext(name).casefold(): one.alpha_2 for one, name in pairs if name}
        return translated[language]

    def convert(text: str, language: str = "en") -> str | None:
        text = text.strip()
        if language != "en" and (found := names(language).get(text.casefold())):
            return found
        return str(pycountry.countries.lookup(text).alpha_2)

    return convert


def region() -> Convert:
    import pycountry

    known: dict[str, dict[str, str]] = {}

    def codes(country: str) -> dict[str, str]:
        """Every name and code in small letters; two regions of one name (a city and its district) are told by code only."""
        made: dict[str, str] = {}
        twice = set()
        parts: Any = pycountry.subdivisions
        there = parts.get(country_code=country) or ()
        for one in there:
            name = one.name.casefold()
            if name in made:
                twice.add(name)
            made[name] = one.code
        made = {name: code for name, code in made.items() if name not in twice}
        for one in there:
            made |= {one.code.casefold(): one.code, one.code.partition("-")[2].casefold(): one.code}
        return made

    def convert(text: str, country: str) -> str | None:
        country = country.strip().upper()
        if country not in known:
            known[country] = codes(country)
        return known[country].get(text.strip().casefold())

    return convert


def vat() -> Convert:
    from stdnum import get_cc_module
    from stdnum.eu import vat as european
    from stdnum.util import clean

    def convert(text: str, country: str | None = None) -> str | None:
        number = clean(text, " -./,").upper()
        country = country.strip().upper() if country else {"EL": "GR"}.get(number[:2], number[:2])
        if not (len(country) == 2 and country.isascii() and country.isalpha()):
            return None  # it would become part of a module's name
        letters = {"GR": "EL"}.get(country, country)
        if letters.lower() in european.MEMBER_STATES or country.lower() in european.MEMBER_STATES:
            return str(european.validate(number if number.startswith(letters) else letters + number))
        module = get_cc_module(country.lower(), "vat")
        if module is None:
            return None
        number = module.validate(number)
        return number if number.startswith(country) else country + number

    return convert


def html_unescape() -> Convert:
    from html import unescape

    return unescape


FUNCTIONS: dict[str, Callable[[], Convert]] = {
    function.__name__: function for function in (phone, country, region, vat, html_unescape)
}
