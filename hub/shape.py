"""The shape of raw records: which fields there are, of which kinds. A mapping declares what it reads, so it would not see a new one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Any

import msgspec

from hub.segments import Segment, read_lines

SAMPLE = 200  # records of a stream and run: decoding them costs some ten milliseconds
_DEPTH, _KEYS = 12, 60  # an object of more keys is a table by id, whose keys are no fields

Seen = Counter[tuple[str, str]]


def sampled(lake: str, segments: Sequence[Segment]) -> tuple[Seen, int]:
    """How many of the sampled records have each (path, kind), and how many those were. Every segment has its share."""
    share = max(1, SAMPLE // max(1, len(segments)))
    seen: Seen = Counter()
    records = 0
    for segment in islice(reversed(segments), SAMPLE):
        try:
            for line in islice(read_lines(lake, segment.path), share):
                seen.update(paths(_decoded(line)))
                records += 1
        except Exception:  # a damaged segment or an odd record: staging says so, and the next sample is another
            continue
    return seen, records


def _decoded(line: bytes) -> Any:
    """As JSON's own decoder, which takes half as long again; what msgspec refuses (NaN, half a surrogate) is left to it."""
    try:
        return msgspec.json.decode(line)
    except ValueError:
        return json.loads(line)


def paths(value: Any) -> set[tuple[str, str]]:
    """(path, kind) of every field; the items of a list are `[]`. A null says nothing of the kind and counts as being there."""
    found: set[tuple[str, str]] = set()
    _walk(value, "", 0, found)
    return found


def _walk(value: Any, at: str, depth: int, found: set[tuple[str, str]]) -> None:
    kind = type(value)
    if at:
        found.add((at, _KINDS.get(kind, "number")))
    if depth >= _DEPTH:
        return
    if kind is dict and len(value) <= _KEYS:
        before = f"{at}." if at else ""
        for name, part in value.items():
            if (inner := type(part)) is dict or inner is list:
                _walk(part, before + name, depth + 1, found)
            else:  # most are; a call for each would be half of what a sample costs
                found.add((before + name, _KINDS.get(inner, "number")))
    elif kind is list:
        for part in value:
            _walk(part, f"{at}[]", depth + 1, found)


_KINDS = {dict: "object", list: "list", str: "text", bool: "boolean", type(None): "null"}
