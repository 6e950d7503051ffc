"""What values look like, and what has to be written so that a column can take them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hub.entity import Column

_NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d+)?")
_DAY = re.compile(r"(19|20)\d\d-[01]\d-[0-3]\d")
_INSTANT = re.compile(r"(19|20)\d\d-[01]\d-[0-3]\d[T ][0-2]\d:[0-5]\d(:[0-5]\d([.,]\d+)?)?\s?(Z|[+-]\d\d:?(\d\d)?)?")
_OFFSET = re.compile(r"(Z|[+-]\d\d:?(\d\d)?)$")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PHONE = re.compile(r"[+(]?[\d][\d\s()/.-]{4,20}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_COUNTRY = re.compile(r"[A-Za-z]{2}")
_WORDS = re.compile(r"[A-Za-z0-9_ -]{1,30}")  # what may stand in a comment
_FLAGS = ("true", "false", "yes", "no", "0", "1", "x", "y", "n", "t", "f")


@dataclass(frozen=True, slots=True)
class Values:
    """The values of a field as texts, the missing ones left out; `raw` are their JSON types."""

    texts: tuple[str, ...]
    raw: frozenset[str]

    @classmethod
    def of(cls, values: Sequence[Any]) -> Values:
        there = [value for value in values if value is not None and not (isinstance(value, str) and not value.strip())]
        return cls(tuple(_text(value) for value in there), frozenset(type(value).__name__ for value in there))

    def share(self, test: Callable[[str], bool]) -> float:
        return sum(map(test, self.texts)) / len(self.texts) if self.texts else 0.0

    @property
    def is_boolean(self) -> bool:
        return self.raw == {"bool"}


@dataclass(frozen=True, slots=True)
class Fit:
    """`factor` for the name's score, and `bonus` for values that hardly are anything else."""

    factor: float
    bonus: float = 0.0


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value).strip()


def is_number(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text))


def is_day(text: str) -> bool:
    return bool(_DAY.fullmatch(text))


def is_instant(text: str) -> bool:
    return bool(_INSTANT.fullmatch(text))


def is_email(text: str) -> bool:
    return bool(_EMAIL.fullmatch(text))


def is_flag(text: str) -> bool:
    return text.lower() in _FLAGS


def is_gtin(text: str) -> bool:
    """Eight to fourteen digits with the right check digit (GS1)."""
    if not re.fullmatch(r"\d{8}|\d{12,14}", text):
        return False
    return sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(reversed(text))) % 10 == 0


_EPOCH = re.compile(r"1[0-9]{9}([0-9]{3})?")


def fits(column: Column, values: Values) -> Fit:
    """How well values suit a column. A field without any value is judged by its name alone."""
    if not values.texts:
        return Fit(0.9)
    if column.values:
        return _picklist(column, values)
    by_name = {
        "email": (is_email, 0.0, 0.1),
        "phone": (lambda text: bool(_PHONE.fullmatch(text)), 0.2, 0.0),
        "currency": (lambda text: bool(_CURRENCY.fullmatch(text)), 0.2, 0.1),
        "gtin": (is_gtin, 0.3, 0.2),
    }
    name = "country" if column.name.endswith("country_code") else column.name
    if name == "country":
        return Fit(1.0, 0.05) if values.share(lambda t: bool(_COUNTRY.fullmatch(t))) > 0.8 else Fit(0.3)
    if name in by_name:
        test, otherwise, bonus = by_name[name]
        return Fit(1.0, bonus) if values.share(test) > 0.8 else Fit(otherwise)
    return _by_kind(column, values)


def _picklist(column: Column, values: Values) -> Fit:
    if values.share(lambda text: text.lower() in column.values) > 0.6:
        return Fit(1.0, 0.1)
    wordy = values.share(lambda text: len(text) > 30 or "@" in text or is_instant(text) or is_day(text))
    if wordy > 0.2:
        return Fit(0.3)
    return Fit(0.8 if values.share(is_number) > 0.8 or values.is_boolean else 0.95)


def _by_kind(column: Column, values: Values) -> Fit:
    kind = column.kind
    if kind in ("money", "quantity", "percent", "integer"):
        return Fit(1.0 if values.share(is_number) > 0.9 and not values.is_boolean else 0.0)
    if kind == "instant":
        whole = max(values.share(is_instant), values.share(lambda text: bool(_EPOCH.fullmatch(text))))
        return Fit(1.0, 0.05) if whole > 0.9 else Fit(0.85 if values.share(is_day) > 0.9 else 0.0)
    if kind == "date":
        return Fit(1.0, 0.05) if values.share(is_day) > 0.9 else Fit(0.75 if values.share(is_instant) > 0.9 else 0.0)
    if kind == "boolean":
        return Fit(1.0, 0.05) if values.is_boolean else Fit(0.8 if values.share(is_flag) > 0.9 else 0.0)
    if kind == "ref":
        return Fit(0.2 if values.is_boolean or values.share(is_instant) > 0.5 else 1.0)
    if values.is_boolean or values.share(is_instant) > 0.5 or values.share(is_email) > 0.5:
        return Fit(0.2)
    amounts = values.share(lambda text: is_number(text) and "." in text)
    return Fit(0.4 if amounts > 0.8 else 1.0)


def written(column: Column, path: str, values: Values, zone: str) -> tuple[str, str]:
    """What to write for a column that is read from `path`, and what a person has to look at."""
    if column.name == "email":
        return f"lower(trim({path}))", ""
    if column.name.endswith("country_code") and values.share(str.isupper) < 1:
        return f"upper({path})", ""
    if column.values and values.texts and values.share(lambda text: text in column.values) < 1:
        seen = ", ".join(dict.fromkeys(text for text in values.texts[:20] if _WORDS.fullmatch(text)))
        return path, f"a value map: {seen} → {', '.join(column.values)}"
    if column.kind == "instant":
        return _instant(path, values, zone)
    if column.kind == "date" and values.share(is_instant) > 0.5:
        return f"local_date({path}, '{zone}')" if values.share(_has_offset) == 1 else f"date(left({path}, 10))", ""
    if column.kind == "money" and values.raw == {"int"} and any(abs(Decimal(text)) >= 100 for text in values.texts):
        return path, "whole numbers: if they are cents, minor_units(x)"
    if column.kind == "percent" and any(Decimal(text) > 1 for text in values.texts if is_number(text)):
        return f"divide({path}, 100, 6)", "19 is read as 19 %"
    return path, ""


def _has_offset(text: str) -> bool:
    return is_instant(text) and bool(_OFFSET.search(text[16:]))


def _instant(path: str, values: Values, zone: str) -> tuple[str, str]:
    if values.share(is_day) > 0.5:
        return f"local_instant({path}, '00:00', '{zone}')", f"a day; read as its first moment in {zone}"
    if values.share(lambda text: bool(_EPOCH.fullmatch(text))) > 0.5:
        millis = any(len(text) == 13 for text in values.texts)
        return f"epoch_{'millis' if millis else 'seconds'}({path})", ""
    if values.texts and values.share(_has_offset) < 1:
        return f"instant({path}, '{zone}')", f"no offset; read as {zone}"
    return path, ""
