"""A secret that cannot be printed by accident, and the redaction of texts that may hold one."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "***"


class Secret:
    """Holds a secret text. `reveal()` gives it; every other way to look at it shows `***`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret is not pickled")

    def __bool__(self) -> bool:
        return bool(self._value)


_NAMED = re.compile(
    r"""(?ix) ( \b (?: password | passwd | pwd | secret | token | api[_-]?key | access[_-]?key | authorization | session ) \b
        ["']? \s* [:=>] \s* (?: (?: bearer | basic | session ) \s+ )? ["']? ) ( [^\s"'&,;<>}]{3,} )"""
)
_IN_URL = re.compile(r"(?i)(\w+://[^/\s:@]+:)([^@\s/]+)(@)")


def redact(text: str, secrets: Iterable[Secret] = ()) -> str:
    """`text` without the given secrets and without anything that looks like a named one."""
    for secret in secrets:
        if len(value := secret.reveal()) >= 3:
            text = text.replace(value, MASK)
    return _IN_URL.sub(rf"\1{MASK}\3", _NAMED.sub(rf"\1{MASK}", text))
