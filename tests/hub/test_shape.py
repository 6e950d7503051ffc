"""The sample of a segment: what JSON's own decoder takes is sampled, also where a stricter one refuses it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hub import shape
from hub.segments import Segment, SegmentWriter

RECORDS = [
    b'{"id": 1, "name": "a", "tags": ["x", null]}',
    b'{"id": 12345678901234567890123, "name": "\\ud800"}',
    b'{"id": 1e999, "name": NaN}',
    b'{"id": "2", "name": "b", "name": null}',
]


def test_every_record_is_sampled_as_json_reads_it(tmp_path: Path) -> None:
    (tmp_path / "shop" / "orders").mkdir(parents=True)
    writer = SegmentWriter(tmp_path / "shop" / "orders" / "1.jsonl")
    writer.write(RECORDS)
    writer.close({})
    seen, records = shape.sampled(str(tmp_path), [Segment(1, "shop", "orders", "shop/orders/1.jsonl", len(RECORDS))])
    wanted = shape.Counter(found for record in RECORDS for found in shape.paths(json.loads(record)))
    assert (seen, records) == (wanted, len(RECORDS))
    assert seen["id", "number"] == 3


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_is_the_same_by_both_decoders(record: bytes) -> None:
    assert shape.paths(shape._decoded(record)) == shape.paths(json.loads(record))
