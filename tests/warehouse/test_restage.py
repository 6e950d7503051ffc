"""What was staged is gone with the connection: all of it is read again for a later map, and of the refused records only these."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.connector import Stream
from hub.errors import ConfigurationError
from hub.segments import SegmentWriter, list_segments
from warehouse import runfile, staged
from warehouse.contents import staged_sql
from warehouse.duck import Connection
from warehouse.restage import records, restage
from warehouse.stage import stage

COLUMNS = {"id": "VARCHAR", "note": "VARCHAR"}
STREAM = Stream("orders", "id")


def segment(lake: Path, number: int, *lines: bytes) -> Path:
    path = lake / "cart" / "orders" / f"{number}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = SegmentWriter(path)
    writer.write(lines)
    return writer.close({"system": "cart", "stream": "orders", "sequence": number, "pulled_at": ""})


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    segment(tmp_path / "lake", 1, b'{"id": "1", "note": "a"}', b'{"id": ', b'{"id": "1", "note": "a"}')
    segment(tmp_path / "lake", 2, b'{"id": "2", "note": null}', b'{"id": "3", "note": "a", "unread": 1}')
    return tmp_path / "lake"


@pytest.fixture
def con(lake: Path, tmp_path: Path) -> Iterator[Connection]:
    file = tmp_path / "runs" / "r.duckdb"
    with runfile.create(file, str(lake), {}) as before:
        stage(before, str(lake), "cart", STREAM, list_segments(str(lake), "cart"), COLUMNS)
        assert staged.streams(before) == {"orders"}
    with runfile.open(file, lake=str(lake)) as con:
        yield con


def test_a_stream_is_staged_again_as_it_was(con: Connection, lake: Path) -> None:
    assert staged.streams(con) == set()
    segment(lake, 3, b'{"id": "4"}')  # pulled since: not part of the run
    restage(con, str(lake), "cart", STREAM, COLUMNS)
    assert con.execute("SELECT id, note, _seq, _line FROM stage.orders ORDER BY _seq").fetchall() == [
        ("1", "a", 3, 3),
        ("2", None, 4, 1),
        ("3", "a", 5, 2),
    ]
    assert con.execute("SELECT count(*) FROM run.rejects").fetchall() == [(1,)]


@pytest.mark.parametrize("change", ["gone", "longer", "damaged"])
def test_a_segment_that_changed_since_is_told(con: Connection, lake: Path, change: str) -> None:
    path = lake / "cart" / "orders" / "1.jsonl"
    if change == "gone":
        path.unlink()
    elif change == "damaged":
        path.write_bytes(path.read_bytes()[:-20])
    else:
        segment(lake, 1, *(b'{"id": "%d"}' % n for n in range(9)))
    with pytest.raises(ConfigurationError) as found:
        restage(con, str(lake), "cart", STREAM, COLUMNS)
    assert (found.value.code, str(found.value.place)) == ("D212", "cart/orders/1.jsonl")


def test_single_records_are_read_by_their_place(con: Connection, lake: Path) -> None:
    wanted = [("cart/orders/1.jsonl", 3), ("cart/orders/2.jsonl", 2)]
    records(con, str(lake), "orders", COLUMNS, wanted)
    con.execute("CREATE TEMP TABLE _places (stream VARCHAR, segment VARCHAR, line BIGINT, row BIGINT)")
    con.executemany("INSERT INTO _places VALUES ('orders', $1, $2, $3)", [[*at, n] for n, at in enumerate(wanted)])
    con.execute(staged_sql("orders"))
    # Kept with what a person dismissed, so another text would bring all of it up again.
    texts = ["{'_at': 0, 'id': 1, 'note': a}", "{'_at': 0, 'id': 3, 'note': a}"]
    digests = [hashlib.md5(text.encode()).hexdigest() for text in texts]
    assert [row[0] for row in con.execute("SELECT content FROM run.contents ORDER BY segment").fetchall()] == digests


def test_a_record_that_is_not_there_any_more_is_told(con: Connection, lake: Path) -> None:
    with pytest.raises(ConfigurationError) as found:
        records(con, str(lake), "orders", COLUMNS, [("cart/orders/2.jsonl", 3)])
    assert found.value.code == "D212"


def test_nothing_of_the_records_stands_in_the_run_file(con: Connection, tmp_path: Path) -> None:
    assert json.dumps("unread").encode() not in (tmp_path / "runs" / "r.duckdb").read_bytes()
    assert con.execute("SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'stage'").fetchall() == [(0,)]
