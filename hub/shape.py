"""The shape of raw records: which fields there are, of which kinds. A mapping declares what it reads, so it would not see a new one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

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
                seen.update(set(paths(json.loads(line))))
                records += 1
        except Exception:  # a damaged segment or an odd record: staging says so, and the next sample is another
            continue
    return seen, records


def paths(value: Any, at: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """(path, kind) of every field; the items of a list are `[]`. A null says nothing of the kind and counts as being there."""
    if at:
        yield at, _kind(value)
    if isinstance(value, dict) and len(value) <= _KEYS and depth < _DEPTH:
        for name, part in value.items():
            yield from paths(part, f"{at}.{name}" if at else name, depth + 1)
    elif isinstance(value, list):
        yield from _items(value, f"{at}[]", depth)


def _items(values: Iterable[Any], at: str, depth: int) -> Iterator[tuple[str, str]]:
    for part in values:
        if depth < _DEPTH:
            yield from paths(part, at, depth + 1)


def _kind(value: Any) -> str:
    kinds = {dict: "object", list: "list", str: "text", bool: "boolean", type(None): "null"}
    return kinds.get(type(value), "number")
