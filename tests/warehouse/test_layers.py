"""Raw records looked at in DuckDB: keys, hashes and fields are those that a look at each record gives."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from hub import shape
from hub.connector import Stream
from hub.segments import SegmentWriter
from quality.completeness import prepare
from warehouse import layers
from warehouse.duck import Connection, connect

STREAM = Stream("orders", primary_key="head.id", cursor="timestamp", cursor_fields=("at",))


@pytest.fixture
def con(tmp_path: Path) -> Iterator[Connection]:
    made = connect(tmp_path / "keys.duckdb", allowed=[tmp_path])
    prepare(made)
    yield made
    made.close()


def segment(folder: Path, name: str, records: list[Any]) -> tuple[str, Path]:
    writer = SegmentWriter(folder / name)
    writer.write([one if isinstance(one, bytes) else json.dumps(one).encode() for one in records])
    return name, writer.close({})


def order(number: int, **more: Any) -> dict[str, Any]:
    return {"head": {"id": number}, "at": f"2026-11-{number:02}T09:00:00Z", **more}


def test_the_newest_of_each_key_with_its_line(con: Connection, tmp_path: Path) -> None:
    files = [
        segment(tmp_path, "1.jsonl", [order(1), order(2), order(3)]),
        segment(tmp_path, "2.jsonl", [order(2, total="5", _offset=7), {"name": "a"}, {"name": "b"}, order(3)]),
    ]
    layers.fill(con, "lake", STREAM, files, tmp_path / "read")
    rows = con.execute(
        "SELECT key, day, segment, line FROM complete_lake WHERE day IS NOT NULL ORDER BY ALL"
    ).fetchall()
    assert rows == [
        ("1", "2026-11-01", "1.jsonl", 1), ("2", "2026-11-02", "2.jsonl", 1), ("3", "2026-11-03", "2.jsonl", 4)
    ]  # fmt: skip
    nameless = con.execute("SELECT count(DISTINCT key) FROM complete_lake WHERE day IS NULL").fetchone()
    assert nameless == (2,), "a record without an id is not left out of the count"


@pytest.mark.parametrize(
    ("trusted", "versions", "newest"),
    [
        (True, [1, 10, 9], 2),
        (True, ["2026-11-01T10:00:00+02:00", "2026-11-01T09:00:00Z", "2026-11-01T08:30:00Z"], 2),
        (True, ["b", "c", "c"], 3),
        (True, [None, 3, None], 2),
        (False, [1, 10, 9], 3),
    ],
)
def test_a_version_that_arrives_late_is_not_the_newest_where_versions_can_be_trusted(
    con: Connection, tmp_path: Path, trusted: bool, versions: list[Any], newest: int
) -> None:
    stream = dataclasses.replace(STREAM, version_field="v", version_trusted=trusted)
    files = [segment(tmp_path, f"{n}.jsonl", [order(1, v=version)]) for n, version in enumerate(versions, 1)]
    layers.fill(con, "lake", stream, files, tmp_path / "read")
    assert con.execute("SELECT segment FROM complete_lake").fetchall() == [(f"{newest}.jsonl",)]


def test_a_line_that_is_no_json_costs_itself_only(con: Connection, tmp_path: Path) -> None:
    odd = [order(1), b'{"head": {"id": 2}, "a": "\xff"}', b'{"a": "\\x"}', order(4)]
    layers.fill(con, "lake", STREAM, [segment(tmp_path, "1.jsonl", odd)], tmp_path / "read")
    rows = con.execute("SELECT key, line FROM complete_lake ORDER BY ALL").fetchall()
    assert rows == [("1", 1), ("4", 4)]


def test_what_differs_in_text_only_is_the_same(con: Connection, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    lake = [order(1, total="5"), order(2, total="5", _offset=3), order(3, total="5")]
    full = [dict(reversed(order(1, total="5").items())), order(2, total="5"), order(3, total="6")]
    layers.fill(con, "lake", STREAM, [segment(tmp_path, "1.jsonl", lake)], tmp_path / "read")
    layers.fill(con, "full", STREAM, [segment(tmp_path / "full", "f.jsonl", full)], tmp_path / "read")
    assert layers.same_said(con, {"full": str(tmp_path / "full"), "lake": str(tmp_path)}) == 2
    differ = con.execute("SELECT key FROM complete_full s JOIN complete_lake l USING (key) WHERE s.hash <> l.hash")
    assert differ.fetchall() == [("3",)]


def test_every_field_of_every_record_is_seen(con: Connection, tmp_path: Path) -> None:
    dice = Random(5)

    def value(depth: int = 0) -> Any:
        plain = (None, 1, -2.5, "x", "2026-11-18", True, 10**25)
        made = dice.choice((*plain, {}, [], "list", "dict", "dict"))
        if made == "dict" and depth < 3:
            return {dice.choice("abcdef"): value(depth + 1) for _ in range(3)}
        return [value(depth + 1) for _ in range(2)] if made == "list" and depth < 3 else made

    records = [{**order(n % 28 + 1), **{name: value() for name in "pqr"}} for n in range(300)]
    records.append(order(1, prices={f"sku{n}": n for n in range(100)}))
    seen, n = layers.shapes(con, segment(tmp_path, "f.jsonl", records)[1], tmp_path / "read")
    assert n == 301
    walked: Counter[tuple[str, str]] = Counter()
    for one in records:
        walked.update(set(shape.paths(one)))
    # A list says of its nulls and of having none the same; a null says nothing of a kind.
    assert {k: v for k, v in seen.items() if k[1] != "null"} == {k: v for k, v in walked.items() if k[1] != "null"}
    assert any("[]" in path for path, _ in seen)
    assert all(walked[found] for found in seen)
