"""Real values become look-alikes that are read in the same way: as long, of the same kinds of characters, as valid.

The same value always becomes the same look-alike, and nobody without the secret can find out of which: a phone number
has so few digits that a plain digest of it could be tried out. What is no letter and no digit stays, and so do the country
of a phone or tax number and the zeros in front.
"""

from __future__ import annotations

import hashlib
import hmac
import random
import re
import unicodedata
from collections.abc import Callable
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

_EMAIL = re.compile(r"(\s*)([^\s@]+)@([^\s@]+\.[^\s@.]+)(\s*)")
_PREFIXED = re.compile(r"([A-Z]{2})[0-9A-Z]*[0-9][0-9A-Z]*")  # a VAT number, an IBAN
_ALPHABETS = ("aeiou", "bcdfghjklmnpqrstvwxyz", "AEIOU", "BCDFGHJKLMNPQRSTVWXYZ")
_FOREIGN = {"Ll": "äöüéèñçøåß", "Lu": "ÄÖÜÉÈÑÇØÅ", "Lo": "日月山川田中"}
_TRIES = 400


def masked(value: Any, secret: bytes, salt: int = 0) -> Any:
    """A look-alike of a JSON value, part by part. What is missing, true or false stays."""
    if isinstance(value, dict):
        return {key: masked(part, secret, salt) for key, part in value.items()}
    if isinstance(value, list):
        return [masked(part, secret, salt) for part in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | Decimal):
        return type(value)(look_alike(str(value), secret, salt))
    return look_alike(str(value), secret, salt)


def look_alike(text: str, secret: bytes, salt: int = 0) -> str:
    """Another text of the same kind; the text itself where it holds neither letter nor digit."""
    digest = hmac.new(secret, f"{salt}|{text}".encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    chance = random.Random(digest)
    wanted, made = _kinds(text), text
    for _ in range(_TRIES):
        made = _once(text, chance)
        if _kinds(made) == wanted and made != text:
            break
    return made


def _once(text: str, chance: random.Random) -> str:
    if found := _EMAIL.fullmatch(text):
        before, local, domain, after = found.groups()
        safe = "EXAMPLE.COM" if domain.isupper() else "example.com"
        return f"{before}{_characters(local, chance)}@{safe}{after}"
    kept = 0
    if text.startswith("+"):
        kept = 1 + len(_country(text))
    elif _PREFIXED.fullmatch(text):
        kept = 2
    return text[:kept] + _characters(text[kept:], chance)


def _characters(text: str, chance: random.Random) -> str:
    begun = False
    made = []
    for character in text:
        begun = begun or character in "123456789"
        made.append(_character(character, begun, chance))
    return "".join(made)


def _character(character: str, begun: bool, chance: random.Random) -> str:
    if character.isdecimal():
        return str(chance.randint(0 if begun and character == "0" else 1, 9)) if begun else character
    for alphabet in _ALPHABETS:
        if character in alphabet:
            return chance.choice(alphabet)
    return chance.choice(_FOREIGN.get(unicodedata.category(character), character))


def _country(text: str) -> str:
    import phonenumbers

    try:
        return str(phonenumbers.parse(text, None).country_code)
    except phonenumbers.NumberParseException:
        return ""


def _kinds(text: str) -> tuple[bool, ...]:
    """What a mapping may ask of a text: two of the same kinds are read in the same way."""
    return tuple(check(text) for check in _CHECKS)


def _is_phone(text: str) -> bool:
    import phonenumbers

    try:
        return text.startswith("+") and bool(phonenumbers.is_valid_number(phonenumbers.parse(text, None)))
    except phonenumbers.NumberParseException:
        return False


def _is_tax_number(text: str) -> bool:
    if not _PREFIXED.fullmatch(text):
        return False
    from stdnum.eu import vat

    return bool(vat.is_valid(text))


def _is_date(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text[:10]))
    except ValueError:
        return False


def _is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False


_CHECKS: tuple[Callable[[str], bool], ...] = (
    lambda text: _EMAIL.fullmatch(text) is not None,
    _is_phone,
    _is_tax_number,
    _is_date,
    _is_number,
    str.isupper,
    str.islower,
)
