"""Canonical JSON: the same value is always the same text. Numbers with a fraction are Decimal, never float."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any

import msgspec

_encoder = msgspec.json.Encoder(decimal_format="number", order="sorted")
_decoder = msgspec.json.Decoder(float_hook=Decimal)


def dumps(value: Any) -> str:
    """Keys sorted, no spaces, Decimal as a number with the digits that it has."""
    return _encoder.encode(value).decode()


def loads(text: str | bytes) -> Any:
    """Raises msgspec.DecodeError (a ValueError) where `text` is not JSON."""
    return _decoder.decode(text)


def fingerprint(value: Any) -> str:
    """SHA-256, in hex, of the canonical JSON."""
    return hashlib.sha256(dumps(value).encode()).hexdigest()
