"""A JSON page into its records without decoding them: each stays the bytes that the system sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, overload

import msgspec

from hub.errors import CrossdockError, StreamError, TransientError

Raw = msgspec.Raw
# What a reader of files writes into its records: where one stood in its page, and what it is known by.
PLACE = ("_body", "_offset", "_file")
ADDED = (*PLACE, "_key", "_file_line")
_BOM = b"\xef\xbb\xbf"
_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=str)


def split(body: bytes, path: str = "", place: str = "page") -> tuple[list[bytes], dict[str, Any]]:
    """The records of a page as bytes, one JSON object each without line breaks, and the page's other fields, decoded.

    `path` says where the list is: `orders`, `data.items`; empty where the page itself is the list. A list of one that a
    system writes as a bare object counts as one record, null as none. Costs some 3 µs a record of 2 kB.
    Raises TransientError D101 (a web page), D102 (cut off or not JSON), StreamError D103 (no list there).
    """
    body = body.removeprefix(_BOM)
    envelope: dict[str, Any] = {}
    try:
        at: Any = Raw(body)
        for step in path.split(".") if path else ():
            level = msgspec.json.decode(at, type=dict[str, Raw])
            envelope |= {name: msgspec.json.decode(value) for name, value in level.items() if name != step}
            if step not in level:
                raise _no_list(place, path, f"the page holds {', '.join(sorted(level)[:10]) or 'nothing'}")
            at = level[step]
        records = [bytes(record) for record in _items(at)]
    except msgspec.ValidationError:
        raise _no_list(place, path, "something else stands there") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise unreadable(body, place, str(error)) from None
    if b"\n" in body or b"\r" in body:
        records = [compact(record) for record in records]
    return records, envelope


def _items(at: Any) -> list[Raw]:
    if bytes(at).lstrip()[:1] == b"{":
        # One record as a bare object; but PHP writes an empty list so, too.
        return [at] if msgspec.json.decode(at, type=dict[str, Raw]) else []
    return msgspec.json.decode(at, type=list[Raw] | None) or []


def compact(record: bytes) -> bytes:
    """The record in one line; text and numbers stay as they were written."""
    return msgspec.json.format(record, indent=-1) if b"\n" in record or b"\r" in record else record


def fields(record: bytes, *names: str) -> tuple[Any, ...]:
    """The values at dotted paths of one record (None where absent): for a cursor, of the last record of a page only.

    A record in another charset has none either: splitting does not look into texts, and staging rejects it for that.
    """
    try:
        decoded = msgspec.json.decode(record)
    except ValueError:
        return (None,) * len(names)
    return tuple(at(decoded, name) for name in names)


def lists(record: bytes) -> list[str]:
    """The fields of a record that hold lists of objects, empty ones last: of a page that was taken for one record, where its records are."""
    try:
        decoded = msgspec.json.decode(record, type=dict[str, Any])
    except ValueError:
        return []
    found = [
        name for name, value in decoded.items() if isinstance(value, list) and value and isinstance(value[0], dict)
    ]
    return found + [name for name, value in decoded.items() if value == []]


def has(record: bytes, path: str) -> bool:
    """Is there such a field, if only with null in it?"""
    above, _, name = path.rpartition(".")
    try:
        decoded = msgspec.json.decode(record)
    except ValueError:
        return False
    level = at(decoded, above) if above else decoded
    return isinstance(level, dict) and name in level


def names(record: bytes) -> list[str]:
    """The fields of a record, as it has them."""
    try:
        return list(msgspec.json.decode(record, type=dict[str, Raw]))
    except ValueError:
        return []


def at(record: Any, path: str) -> Any:
    """The value at a dotted path of a decoded record, or None."""
    for step in path.split("."):
        record = record.get(step) if isinstance(record, dict) else None
    return record


def encode(value: Any) -> bytes:
    """`value` as JSON in one line; a Decimal becomes a number with all its digits."""
    return _encoder.encode(value)


def decode(body: bytes) -> Any:
    """JSON with numbers as Decimal where they have a point. Raises msgspec.DecodeError."""
    return msgspec.json.Decoder(float_hook=Decimal).decode(body.removeprefix(_BOM))


def unreadable(body: bytes, place: str, why: str = "") -> CrossdockError:
    """The error for a page that is no JSON: a web page, one cut off, or something else."""
    if body.lstrip()[:1] == b"<":
        return TransientError(
            "D101",
            "a web page came instead of data",
            place=place,
            fix="is the url right, and is the system in maintenance? the position stays where it was",
        )
    if not body.strip():
        return TransientError("D102", "the page is empty", place=place, fix="try again later")
    return TransientError(
        "D102",
        f"the page is cut off or not JSON, after {len(body):,} bytes",
        place=place,
        fix="try again later; the position stays where it was",
        detail=why[:200],
    )


def _no_list(place: str, path: str, found: str) -> StreamError:
    wanted = f"the list '{path}'" if path else "a list"
    return StreamError("D103", f"the page does not hold {wanted}: {found}", place=place, fix="has the API changed?")


class Lines(Sequence[bytes]):
    """The records of an NDJSON page (a bulk export, a file drop), which are taken apart only where somebody looks at one.

    A page of a million records is written to the lake as it came: splitting and joining it cost a third of a pull.
    """

    def __init__(self, body: bytes) -> None:
        body = body.removeprefix(_BOM)
        count = None if b"\r" in body else _count(body)
        if count is None:
            body = b"\n".join(line.strip() for line in body.split(b"\n") if line.strip())
            count = body.count(b"\n") + 1 if body else 0
        self.body = body  # with or without a line break at its end
        self._count = count
        self._lines: list[bytes] | None = None

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        return self._split()[index]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._split())

    def _split(self) -> list[bytes]:
        if self._lines is None:
            self._lines = self.body.removesuffix(b"\n").split(b"\n") if self.body else []
        return self._lines


def _count(body: bytes) -> int | None:
    """How many lines there are; None where one of them is empty.

    From break to break is a memchr over the page. Counting the breaks and looking for two in a row cost twenty times as
    much, and taking the last one off copied the page.
    """
    count, at = 0, -1
    while (found := body.find(b"\n", at + 1)) >= 0:
        if found == at + 1:
            return None
        count, at = count + 1, found
    return count + (at + 1 < len(body))
