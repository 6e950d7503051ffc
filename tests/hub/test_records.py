"""Splitting JSON pages: bytes stay bytes, damage is named, and it costs next to nothing."""

from __future__ import annotations

import json
import time
from decimal import Decimal

import pytest

from hub import records
from hub.errors import StreamError, TransientError
from hub.segments import SegmentWriter, read_lines


def test_records_stay_byte_for_byte():
    kept = (
        b'{"id": 1, "price": 1.10, "big": 123456789012345678901234567890, "e": 1e400, "u": "\xc3\xbc\\u00fc", "id": 2}'
    )
    found, envelope = records.split(b'{"orders": [' + kept + b', {"a":1}], "next": "x", "n": 2}', "orders")
    assert found == [kept, b'{"a":1}']
    assert envelope == {"next": "x", "n": 2}


def test_line_breaks_go_and_nothing_else():
    pretty = b'{"orders": [\r\n {\n  "id": 1,\n "price": 1.10, "note": "a\\nb  c"\r\n }\n]}'
    assert records.split(pretty, "orders")[0] == [b'{"id":1,"price":1.10,"note":"a\\nb  c"}']


@pytest.mark.parametrize(
    ("body", "path", "found"),
    [
        (b"[]", "", []),
        (b'[{"a":1}]', "", [b'{"a":1}']),
        (b'\xef\xbb\xbf[{"a":1}]', "", [b'{"a":1}']),
        (b'{"data":{"items":[{"a":1}]}}', "data.items", [b'{"a":1}']),
        (b'{"item":{"a":1}}', "item", [b'{"a":1}']),
        (b'{"items":{}}', "items", []),
        (b'{"items":null}', "items", []),
    ],
)
def test_shapes_of_pages(body, path, found):
    assert records.split(body, path)[0] == found


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        (b"<!DOCTYPE html><html>soon</html>", TransientError, "D101"),
        (b"  \n<html>", TransientError, "D101"),
        (b'{"orders": [{"id": 1}, {"id"', TransientError, "D102"),
        (b'{"orders": [{"id": 1}]', TransientError, "D102"),
        (b"", TransientError, "D102"),
        (b"   ", TransientError, "D102"),
        (b"Service unavailable", TransientError, "D102"),
        (b'{"orders": ' + b"[" * 100_000, TransientError, "D102"),
        (b'{"errors": "no"}', StreamError, "D103"),
        (b'{"orders": "none"}', StreamError, "D103"),
        (b'{"orders": 7}', StreamError, "D103"),
        (b"[1]", StreamError, "D103"),
    ],
)
def test_damage_is_named(body, kind, code):
    with pytest.raises(kind) as caught:
        records.split(body, "orders", "shop.orders")
    assert caught.value.code == code
    assert str(caught.value).startswith("shop.orders " + code)


def test_a_cursor_is_read_of_one_record():
    assert records.fields(b'{"id": 7, "a": {"b": "x"}}', "id", "a.b", "a.c", "q.r") == (7, "x", None, None)


def test_money_is_sent_with_all_its_digits():
    assert records.encode({"total": Decimal("35.580"), "n": 1}) == b'{"total":35.580,"n":1}'
    assert records.decode(b'{"total":0.1}') == {"total": Decimal("0.1")}


def test_finding_records_costs_less_than_decoding_them():
    order = {
        "id": 1,
        "lines": [{"sku": f"A-{n}", "title": "a thing of some length " * 3, "price": "12.50"} for n in range(20)],
    }
    body = json.dumps({"orders": [order] * 250, "next": "x"}).encode()
    split = decode = 1.0
    for _ in range(5):
        began = time.process_time()
        found, _ = records.split(body, "orders")
        middle = time.process_time()
        json.loads(body)
        split, decode = min(split, middle - began), min(decode, time.process_time() - middle)
    assert len(found) == 250
    assert split < decode


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"", []),
        (b"\n\n", []),
        (b'{"a":1}', [b'{"a":1}']),
        (b'{"a":1}\n{"b":2}\n', [b'{"a":1}', b'{"b":2}']),
        (b'\xef\xbb\xbf\r\n{"a":1}\r\n \r\n{"b":2}\r\n\n', [b'{"a":1}', b'{"b":2}']),
    ],
)
def test_an_ndjson_page_is_as_long_as_its_records(body, found, tmp_path):
    lines = records.Lines(body)
    assert (len(lines), list(lines)) == (len(found), found)
    writer = SegmentWriter(tmp_path / "a.jsonl")
    writer.write(lines)
    writer.close({})
    assert list(read_lines(str(tmp_path), "a.jsonl")) == found
    assert writer.records == len(found)


def test_an_ndjson_page_is_written_to_the_lake_without_being_taken_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(records.Lines, "_split", lambda self: pytest.fail("it was taken apart"))
    writer = SegmentWriter(tmp_path / "a.jsonl")
    writer.write(records.Lines(b'{"a":1}\n{"b":2}'))
    assert writer.records == 2
    writer.discard()
    with pytest.raises(pytest.fail.Exception):  # what it would say if it were
        list(records.Lines(b'{"a":1}\n{"b":2}'))
