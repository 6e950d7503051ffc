"""Are two values the same but for their form? Case, spaces, the way a telephone number or an amount is written."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from hub.canonical import fingerprint

_PHONE = re.compile(r"(?:\+|00)?\d[\d\s()./-]{4,}\d")


def alike(one: Any, other: Any) -> bool:
    """Whether nobody would call it a change: the canonical forms are equal. Rows of lists count in any order."""
    return one == other or canonical_form(one) == canonical_form(other)


def canonical_form(value: Any) -> Any:
    """A value without its formatting. Numbers, and texts that are numbers, become one; so do telephone numbers."""
    if isinstance(value, dict):
        return {name: canonical_form(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return sorted((canonical_form(inner) for inner in value), key=fingerprint)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, Decimal)):
        return _number(str(value))
    text = " ".join(str(value).split()).casefold()
    if (number := _number(text)) is not None and not (text.startswith("0") and text[1:2].isdigit()):
        return number
    if _PHONE.fullmatch(text):
        return _phone(text)
    return text


def _number(text: str) -> str | None:
    """The number in its shortest form; None where the text is none. `0004711` is a code, and stays a text elsewhere."""
    if not re.fullmatch(r"-?\d+(\.\d+)?", text):
        return None
    try:
        made = f"{Decimal(text).normalize():f}"
    except InvalidOperation:
        return None
    return "0" if made == "-0" else made


def _phone(text: str) -> str:
    """`00 49 (0)731-555` as `+49731555`: what is dialled."""
    kept = re.sub(r"[^\d+]", "", text.replace("(0)", ""))
    return f"+{kept[2:]}" if kept.startswith("00") else kept
