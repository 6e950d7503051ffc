"""Staging: declared columns only, exact duplicates, and one odd record never costs its segment."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.connector import Stream
from hub.errors import ConfigurationError
from hub.segments import Segment, SegmentWriter, list_segments
from warehouse import runfile
from warehouse.stage import stage

COLUMNS = {
    "id": "VARCHAR",
    "note": "VARCHAR",
    "address": "STRUCT(city VARCHAR, zip VARCHAR)",
    "lines": "STRUCT(sku VARCHAR, quantity VARCHAR)[]",
}
STREAM = Stream("orders", "id")


@dataclass
class Lake:
    folder: Path
    con: object = None
    written: int = 0
    streams: dict = field(default_factory=dict)

    def segment(self, *lines: bytes | dict, records: int | None = None) -> str:
        self.written += 1
        path = self.folder / "lake" / "cart" / "orders" / f"{self.written}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = SegmentWriter(path)
        writer.write([line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines])
        writer.close(
            {"system": "cart", "stream": "orders", "sequence": self.written, "pulled_at": "2026-11-20T12:00:00+00:00"}
        )
        return f"cart/orders/{self.written}.jsonl"

    def stage(self, columns=COLUMNS, stream=STREAM, segments=None):
        lake = str(self.folder / "lake")
        if self.con is None:
            self.con = runfile.create(self.folder / "runs" / "r.duckdb", lake, {})
        runfile.reset(self.con, {}, "stage")  # as the step does
        found = list_segments(lake, "cart") if segments is None else segments
        return stage(self.con, lake, "cart", stream, found, columns)

    def rows(self, sql):
        return self.con.execute(sql).fetchall()

    @property
    def ids(self):
        return [id for (id,) in self.rows("SELECT id FROM stage.orders ORDER BY _seq")]

    @property
    def rejects(self):
        return self.rows("SELECT line, code, field, raw, source_id FROM run.rejects ORDER BY segment, line")

    def close(self):
        if self.con is not None:
            self.con.close()


@pytest.fixture
def lake(tmp_path):
    made = Lake(tmp_path)
    yield made
    made.close()


def good(id, **fields):
    return {"id": id, "note": None, "address": {"city": "Bonn"}, "lines": [{"sku": "A", "quantity": 1}], **fields}


def test_rows_say_where_they_stood(lake):
    first = lake.segment(good("1"), good("2"))
    second = lake.segment(good("3"))
    report = lake.stage()
    assert (report.read, report.duplicates, report.staged, report.rejected) == (3, 0, 3, 0)
    assert lake.rows("SELECT _segment, _line, _seq, id FROM stage.orders ORDER BY _seq") == [
        (first, 1, 1, "1"),
        (first, 2, 2, "2"),
        (second, 1, 3, "3"),
    ]
    assert lake.rows("SELECT segment, seq, records FROM run.segments ORDER BY seq") == [(first, 1, 2), (second, 2, 1)]
    assert lake.rows("SELECT mapping, state, n FROM run.counts ORDER BY ALL") == [
        (None, "duplicates", 0), (None, "read", 3), (None, "rejected", 0), (None, "staged", 3),
    ]  # fmt: skip


def test_nothing_is_sniffed(lake):
    lake.segment(
        b'{"id": "0012", "note": "1e5"}',
        b'{"id": "NO", "note": "03/04/2026"}',
        b'{"id": 123456789012345678901, "note": 0.10}',
    )
    lake.stage()
    assert lake.rows("SELECT id, note FROM stage.orders ORDER BY _seq") == [
        ("0012", "1e5"),
        ("NO", "03/04/2026"),
        ("123456789012345678901", "0.1"),
    ]


def test_fields_that_nobody_reads_may_hold_anything(lake):
    lake.segment(b'{"id": "1", "other": [], "other": {"a": NaN}, "deep": {"x": [1, "2", {}]}}')
    assert lake.stage().rejected == 0
    assert lake.ids == ["1"]


ODD = {
    "a list for an object": (b'{"id":"7","address":[]}', "D203", "address", "[]", "7"),
    "a text for an object": (b'{"id":"7","address":"Bonn"}', "D203", "address", "Bonn", "7"),
    "an object for a list": (b'{"id":"7","lines":{"sku":"A"}}', "D203", "lines", '{"sku": "A"}', "7"),
    "a text in a list of objects": (b'{"id":"7","lines":["A"]}', "D203", "lines", "A", "7"),
    "a key twice": (b'{"id":"7","note":"a","note":"b"}', "D204", "note", '{"id": "7", "note": "b"}', "7"),
    "a key twice, further in": (
        b'{"id":"7","address":{"city":"A","city":"B"}}',
        "D204",
        "address.city",
        '{"city": "B"}',
        "7",
    ),
    "cut off": (b'{"id":"7","address":{"ci', "D201", "", '{"id":"7","address":{"ci', None),
    "no JSON": (b"<html>", "D201", "", "<html>", None),
    "a list of records": (b'[{"id":"7"}]', "D203", "", '[{"id": "7"}]', None),
    "two records": (b'{"id":"7"} {"id":"8"}', "D201", "", '{"id":"7"} {"id":"8"}', None),
    "null": (b"null", "D203", "", "null", None),
    "not a number": (b'{"id":"7","note":NaN}', "D205", "note", "NaN", "7"),
    "infinity": (b'{"id":"7","address":{"zip":-Infinity}}', "D205", "address.zip", "-Infinity", "7"),
    "not UTF-8": (b'{"id":"\xff"}', "D202", "", '{"id":"�"}', None),
    "half a surrogate": (b'{"id":"\\ud800"}', "D207", "", '{"id":"\\ud800"}', None),
    "a byte order mark": (b'\xef\xbb\xbf{"id":"7"}', "D201", "", '\ufeff{"id":"7"}', None),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_record_is_rejected_alone(lake, name):
    line, code, path, raw, source_id = ODD[name]
    lake.segment(good("1"))
    lake.segment(good("2"), line, good("3"))
    report = lake.stage()
    assert lake.ids == ["1", "2", "3"]
    assert lake.rejects == [(2, code, path, raw, source_id)]
    assert lake.rows("SELECT _line FROM stage.orders WHERE id = '3'") == [(3,)]
    assert (report.read, report.staged, report.rejected) == (4, 4, 1)


@pytest.mark.parametrize(
    "line", [b'{"id":"7",}', b'{"id":"7"}\r', b' {"id":"7"} ', b'{"id":"7","note":"NaN"}', b'{"id":"7","x":NaN}']
)
def test_what_duckdb_reads_without_harm_is_read_beside_an_odd_record_too(lake, line):
    lake.segment(line)
    lake.stage()
    assert lake.ids == ["7"]
    lake.segment(line, b"{")
    lake.stage()
    assert lake.ids == ["7"]
    assert [code for _, code, *_ in lake.rejects] == ["D201"]


def test_pretty_printed_json_is_rejected_line_by_line(lake):
    text = json.dumps(good("7"), indent=1).encode().split(b"\n")
    lake.segment(good("1"), *text, good("2"))
    report = lake.stage()
    assert lake.ids == ["1", "2"]
    assert report.rejected == len(text)


def test_a_record_that_is_too_large_is_rejected(lake, monkeypatch):
    monkeypatch.setattr("warehouse.odd.MAX_RECORD", 200)
    lake.segment(good("1"), good("2", note="x" * 300), b"{")
    lake.stage()
    assert [(line, code) for line, code, *_ in lake.rejects] == [(2, "D206"), (3, "D201")]


def test_raw_values_are_cut(lake):
    lake.segment(b'{"id":"7","address":"' + b"x" * 10_000 + b'"}')
    lake.stage()
    assert len(lake.rejects[0][3]) == 4001


def test_many_odd_records_leave_the_others(lake):
    lake.segment(*(b'{"id":"x","address":[]}' if n % 3 else good(str(n)) for n in range(300)))
    report = lake.stage()
    assert (report.rejected, len(lake.ids)) == (200, 100)


def test_equal_records_are_counted_as_duplicates_and_the_newest_stays(lake):
    lake.segment(good("1"), good("2"))
    lake.segment(good("2"), good("1"), good("1", note="new"))
    report = lake.stage()
    assert (report.read, report.duplicates, report.staged) == (5, 2, 3)
    assert lake.rows("SELECT id, note, _seq FROM stage.orders ORDER BY _seq") == [
        ("2", None, 3),
        ("1", None, 4),
        ("1", "new", 5),
    ]


def test_a_value_that_came_back_is_the_newest_word(lake):
    lake.segment(good("1", note="A"), good("1", note="B"), good("1", note="A"))
    lake.stage()
    assert lake.rows("SELECT note FROM stage.orders ORDER BY _seq") == [("B",), ("A",)]


def test_duplicates_are_those_in_what_is_read(lake):
    lake.segment(b'{"id":"1","unread":1}', b'{"id":"1","unread":2}')
    assert lake.stage().duplicates == 1


def test_duplicates_are_found_without_a_primary_key_too(lake):
    lake.segment(b'{"note":"a"}', b'{"note":"a"}', b'{"note":"b"}')
    assert lake.stage(columns={"note": "VARCHAR"}).duplicates == 1


def test_duplicates_with_a_nested_primary_key(lake):
    lake.segment(b'{"node":{"id":"1"}}', b'{"node":{"id":"1"}}')
    report = lake.stage(columns={"node": "STRUCT(id VARCHAR)"}, stream=Stream("orders", "node.id"))
    assert report.duplicates == 1


def test_odd_records_do_not_count_as_duplicates(lake):
    lake.segment(b"{", b"{", good("1"))
    lake.segment(good("1"), b"{")
    report = lake.stage()
    assert (report.read, report.duplicates, report.staged, report.rejected) == (5, 1, 4, 3)
    assert lake.ids == ["1"]


def test_staging_again_is_staging_once(lake):
    lake.segment(good("1"), b"{", good("1"))
    first, before = lake.stage(), None
    before = [lake.rows(f"FROM {table}") for table in ("stage.orders", "run.segments", "run.rejects", "run.counts")]
    second = lake.stage()
    second.seconds = first.seconds
    assert first == second
    assert before == [
        lake.rows(f"FROM {table}") for table in ("stage.orders", "run.segments", "run.rejects", "run.counts")
    ]


def test_a_stream_without_segments_is_an_empty_table(lake):
    report = lake.stage(segments=[])
    assert report.read == 0
    assert lake.ids == []


def test_a_damaged_segment_is_left_for_later(lake):
    path = lake.folder / "lake" / lake.segment(*(good(str(n), note="x" * n) for n in range(500)))
    whole = lake.segment(good("1"))
    segments = list_segments(str(lake.folder / "lake"), "cart")
    path.write_bytes(path.read_bytes()[:-40])
    report = lake.stage(segments=segments)
    assert [(f.code, f.place.where) for f in report.findings] == [("D210", "cart/orders/1.jsonl")]
    assert lake.rows("SELECT segment FROM run.segments") == [(whole,)]
    assert lake.ids == ["1"]


def test_a_segment_that_is_gone_is_left_for_later(lake):
    gone = Segment(1, "cart", "orders", "cart/orders/9.jsonl", 3)
    report = lake.stage(segments=[gone])
    assert [f.code for f in report.findings] == ["D210"]


@pytest.mark.parametrize(
    "field", ["note", "file_index", "FILE_INDEX"]
)  # DuckDB calls the number of a file by that name
def test_rows_are_of_their_own_segment_where_one_between_is_gone(lake, field):
    paths = [lake.segment(*({"id": f"{n}{m}", field: "7"} for m in range(n))) for n in (1, 2, 3)]
    found = list_segments(str(lake.folder / "lake"), "cart")
    (lake.folder / "lake" / paths[1]).unlink()
    lake.stage(columns={"id": "VARCHAR", field: "VARCHAR"}, segments=found)
    assert lake.rows(f'SELECT _segment, _line, id, "{field}" FROM stage.orders ORDER BY _seq') == [
        (paths[0], 1, "10", "7"),
        *((paths[2], line + 1, f"3{line}", "7") for line in range(3)),
    ]


def test_a_segment_with_fewer_records_than_it_says_is_damaged(lake):
    lake.segment(good("1"))
    lake.segment(b"{", good("2"))
    wrong = [
        Segment(1, "cart", "orders", "cart/orders/1.jsonl", 2),
        Segment(2, "cart", "orders", "cart/orders/2.jsonl", 3),
    ]
    report = lake.stage(segments=wrong)
    assert [f.code for f in report.findings] == ["D210", "D210"]
    assert (report.read, report.rejected, report.segments, lake.ids) == (0, 0, 0, [])


def test_a_segment_with_more_records_than_it_says_is_told(lake):
    lake.segment(good("1"), good("2"))
    report = lake.stage(segments=[Segment(1, "cart", "orders", "cart/orders/1.jsonl", 1)])
    assert [(f.code, f.severity) for f in report.findings] == [("D211", "warning")]
    assert lake.ids == ["1", "2"]


def test_columns_that_differ_only_in_case_are_refused(lake):
    with pytest.raises(ConfigurationError, match="D220"):
        lake.stage(columns={"Id": "VARCHAR", "id": "VARCHAR"})


def test_a_type_that_is_none_is_refused(lake):
    with pytest.raises(ConfigurationError, match="D220"):
        lake.stage(columns={"id": "TEXTT"})


def test_names_are_quoted(lake):
    lake.segment(b'{"order by": "1", "it\'s": {"a \\"b\\"": "2"}}')
    lake.stage(
        columns={"order by": "VARCHAR", "it's": 'STRUCT("a ""b""" VARCHAR)'}, stream=Stream("orders", "order by")
    )
    assert lake.rows('SELECT "order by", "it\'s" FROM stage.orders') == [("1", {'a "b"': "2"})]


def test_a_lake_behind_a_url(lake):
    lake.segment(good("1"), b"{")
    lake.con = runfile.create(lake.folder / "runs" / "r.duckdb", (lake.folder / "lake").as_uri(), {})
    url = (lake.folder / "lake").as_uri()
    report = stage(lake.con, url, "cart", STREAM, list_segments(url, "cart"), COLUMNS)
    assert (report.read, report.rejected) == (2, 1)


def test_a_lake_that_is_an_object_store(lake):
    import fsspec

    lake.segment(good("1"), b'{"id":"2","address":[]}')
    store = fsspec.filesystem("memory")
    store.put(str(lake.folder / "lake"), "/objects", recursive=True)
    lake.con = runfile.create(lake.folder / "runs" / "r.duckdb", "memory://objects", {})
    found = list_segments(str(lake.folder / "lake"), "cart")
    report = stage(lake.con, "memory://objects", "cart", STREAM, found, COLUMNS)
    assert (report.read, report.rejected, lake.ids) == (2, 1, ["1"])
    store.rm("/objects", recursive=True)


_line = st.one_of(
    st.sampled_from([line for line, *_ in ODD.values()]),
    st.builds(lambda n: json.dumps(good(str(n))).encode(), st.integers(0, 9)),
    st.binary(min_size=1, max_size=12).filter(lambda b: b.strip() and b"\n" not in b),
    st.recursive(st.none() | st.booleans() | st.text(max_size=3), lambda x: st.lists(x, max_size=2) | st.dictionaries(st.sampled_from(list(COLUMNS)), x), max_leaves=4).map(lambda v: json.dumps(v).encode()),
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_line, min_size=1, max_size=6))
def test_a_record_is_judged_the_same_alone_and_among_others(tmp_path_factory, lines):
    """The law behind it all: what becomes of a record does not depend on what else its segment holds."""
    together, alone = Lake(tmp_path_factory.mktemp("t")), Lake(tmp_path_factory.mktemp("a"))
    try:
        together.segment(*lines)
        for line in lines:
            alone.segment(line)
        together.stage()
        alone.stage()
        verdicts = "SELECT code, field, raw FROM run.rejects ORDER BY ALL"
        assert together.rows(verdicts) == alone.rows(verdicts)
        rows = "SELECT * EXCLUDE (_segment, _line, _seq) FROM stage.orders ORDER BY ALL"
        assert together.rows(rows) == alone.rows(rows)
    finally:
        together.close()
        alone.close()
