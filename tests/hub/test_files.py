"""Dropped files: read once each, as declared, and one that is damaged costs no other."""

from __future__ import annotations

import hashlib
import json
import os

import pytest

from hub.connector import Stream
from hub.errors import ConfigurationError, StreamError
from hub.files import Files

HEADER = "MATNR;PREIS;TEXT"


class Drop(Files):
    name = "drop"
    streams = (
        Stream(
            "prices",
            primary_key="_key",
            cursor="token",
            page_size=2,
            options={
                "pattern": "prices_*.csv",
                "encoding": "cp1252",
                "separator": ";",
                "columns": ("PREIS",),
                "key": ("MATNR",),
            },
        ),
    )


@pytest.fixture
def drop(tmp_path, connect):
    def write(name, *rows, header=HEADER, encoding="cp1252"):
        path = tmp_path / name
        path.write_bytes("\r\n".join((header, *rows, "")).encode(encoding))
        return path

    def make(folder=None):
        return Drop(connect(str(folder or tmp_path)))

    make.write = write
    return make


def pull(connector, since=None):
    """(records, the last cursor, the error that came in the end)."""
    found, error = [], None
    cursor = since
    try:
        for page in connector.pull("prices", since):
            found += [json.loads(record) for record in page.records]
            cursor = page.cursor if page.cursor is not None else cursor
    except StreamError as raised:
        error = raised
    return found, cursor, error


def test_values_stay_texts(drop):
    path = drop.write("prices_1.csv", '007;"1.234,50";Stück à 3 €', 'A-1;1e5;"a;b ""c"""')
    first, second = pull(drop())[0]
    assert first == {
        "MATNR": "007",
        "PREIS": "1.234,50",
        "TEXT": "Stück à 3 €",
        "_key": "007",
        "_file": "prices_1.csv",
        "_file_line": 2,
        "_body": hashlib.sha256(path.read_bytes()).hexdigest(),
        "_offset": 0,
    }
    assert (second["PREIS"], second["TEXT"], second["_offset"]) == ("1e5", 'a;b "c"', 1)


def test_the_original_is_kept_with_the_first_page(drop):
    path = drop.write("prices_1.csv", "A;1;x", "B;2;y", "C;3;z")
    pages = list(drop().pull("prices"))
    assert [(len(p.records), p.complete, p.cursor is not None, p.body is not None) for p in pages] == [
        (2, False, False, True),
        (1, True, True, False),
    ]
    assert pages[0].body == path.read_bytes()
    assert pages[0].digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_files_are_read_once_in_the_order_of_their_names(drop):
    drop.write("prices_2.csv", "B;2;y")
    drop.write("prices_1.csv", "A;1;x")
    drop.write("other.csv", "Z;9;z")
    drop.write(".prices_3.csv.tmp", "Z;9;z")
    found, cursor, _ = pull(drop())
    assert [record["MATNR"] for record in found] == ["A", "B"]
    assert pull(drop(), json.loads(json.dumps(cursor))) == ([], cursor, None)
    drop.write("prices_3.csv", "C;3;z")
    assert [record["MATNR"] for record in pull(drop(), cursor)[0]] == ["C"]


def test_a_replaced_file_is_read_again_and_a_touched_one_is_not(drop):
    path = drop.write("prices_1.csv", "A;1;x")
    _, cursor, _ = pull(drop())
    os.utime(path, (1, 1))
    found, touched, _ = pull(drop(), cursor)
    assert found == []
    assert touched != cursor
    drop.write("prices_1.csv", "A;2;x")
    assert [record["PREIS"] for record in pull(drop(), touched)[0]] == ["2"]


def test_what_is_gone_is_forgotten(drop):
    path = drop.write("prices_1.csv", "A;1;x")
    _, cursor, _ = pull(drop())
    path.unlink()
    drop.write("prices_2.csv", "B;2;y")
    assert list(pull(drop(), cursor)[1]["files"]) == ["prices_2.csv"]


@pytest.mark.parametrize(
    ("declared", "body", "place", "says"),
    [
        ("cp1252", "MATNR;PREIS;TEXT\nA;1;Stück\n".encode(), "2:7", "0xc3) is not cp1252: the file is UTF-8"),
        ("cp1252", b"MATNR;PREIS;TEXT\nA;1;x\nB;1;\x81\n", "3:5", "0x81) is not cp1252"),
        ("cp1252", b"\xef\xbb\xbfMATNR;PREIS;TEXT\nA;1;x\n", "1:1", "begins as utf-8"),
        ("cp1252", "MATNR;PREIS;TEXT\nA;1;x\n".encode("utf-16"), "1:1", "begins as utf-16"),
        ("cp1252", "MATNR;PREIS;TEXT\n".encode("utf-16-le"), "1:2", "zero byte"),
        ("utf-8", b"MATNR;PREIS;TEXT\nA;1;St\xfcck\n", "2:7", "0xfc) is not utf-8"),
    ],
)
def test_a_wrong_encoding_names_file_line_and_byte_and_the_others_are_read(
    drop, tmp_path, monkeypatch, declared, body, place, says
):
    monkeypatch.setitem(Drop.streams[0].options, "encoding", declared)
    drop.write("prices_1.csv", "A;1;x")
    (tmp_path / "prices_2.csv").write_bytes(body)
    drop.write("prices_3.csv", "C;3;z")
    found, cursor, error = pull(drop())
    assert [record["MATNR"] for record in found] == ["A", "C"]
    assert sorted(cursor["files"]) == ["prices_1.csv", "prices_3.csv"]
    assert error.code == "D110"
    assert str(error.place) == f"shop/prices_2.csv:{place}"
    assert says in str(error)
    assert (tmp_path / "prices_2.csv").read_bytes() == body
    # It is left, and taken when it has been corrected; the others are not read again.
    assert pull(drop(), cursor)[2].code == "D110"
    drop.write("prices_2.csv", "B;2;y", encoding=declared)
    assert [record["MATNR"] for record in pull(drop(), cursor)[0]] == ["B"]


def test_utf8_with_its_mark_is_utf8(drop, tmp_path, monkeypatch):
    monkeypatch.setitem(Drop.streams[0].options, "encoding", "utf-8")
    (tmp_path / "prices_1.csv").write_bytes("MATNR;PREIS;TEXT\nA;1;Stück\n".encode("utf-8-sig"))
    assert pull(drop())[0][0]["TEXT"] == "Stück"


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("MATNR;TEXT\nA;x\n", "D112", "misses PREIS"),
        ("MATNR,PREIS,TEXT\nA,1,x\n", "D112", "misses PREIS, MATNR"),
        ("MATNR;PREIS;PREIS\nA;1;2\n", "D112", "has PREIS twice"),
        ("", "D112", "the header"),
        ('MATNR;PREIS;TEXT\nA;1;"open\nB;2;y\n', "D111", "not CSV"),
        ('MATNR;PREIS;TEXT\nA;1;"x"y\nB;2;y\n', "D111", "not CSV"),
    ],
)
def test_a_damaged_file_is_left_whole(drop, tmp_path, text, code, says):
    (tmp_path / "prices_1.csv").write_text(text)
    drop.write("prices_2.csv", "C;3;z")
    found, _, error = pull(drop())
    assert [record["MATNR"] for record in found] == ["C"]
    assert error.code == code
    assert says in str(error)


def test_several_damaged_files_are_all_named(drop, tmp_path):
    for n in (1, 2):
        (tmp_path / f"prices_{n}.csv").write_text("nothing\n")
    error = pull(drop())[2]
    assert "prices_1.csv" in str(error)
    assert "prices_2.csv" in str(error)


def test_an_odd_row_says_so_and_costs_no_other(drop):
    drop.write("prices_1.csv", "A;1;x", "B;2", "C;3;z;4", "D;4;w")
    found = pull(drop())[0]
    assert [record.get("MATNR") for record in found] == ["A", None, None, "D"]
    assert found[1]["_malformed"] == "2 values for 3 columns"
    assert found[2]["_text"] == "C;3;z;4"


def test_a_separator_at_the_end_of_the_header_names_no_column(drop):
    drop.write("prices_1.csv", "A;1;x", "B;2", "C;3;z;", header=f"{HEADER};")
    found = pull(drop())[0]
    assert [record.get("MATNR") for record in found] == ["A", None, None]
    assert "" not in found[0]
    assert [record.get("_malformed") for record in found[1:]] == ["2 values for 3 columns", "4 values for 3 columns"]


def test_where_the_rows_end_so_too_a_shorter_one_has_lost_something(drop):
    drop.write("prices_1.csv", "A;1;x;", "B;2;", header=f"{HEADER};")
    assert [record.get("_malformed") for record in pull(drop())[0]] == [None, "3 values for 4 columns"]


def test_check_says_where_the_first_row_has_more_or_fewer_values_than_the_header_names(drop):
    drop.write("prices_1.csv", "A;1;x;y;z", "B;2;x")
    [found] = drop().check()
    assert (found.code, found.what, found.place.line) == ("D112", "the first row has 5 values for 3 columns", 2)
    drop.write("prices_1.csv", "A;1;x", "B;2;x;y")  # one odd row is rejected, and no reason to doubt the declaration
    assert drop().check() == []


def test_a_missing_folder(drop, tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        list(drop(tmp_path / "nowhere").pull("prices"))
    assert caught.value.code == "C120"
    assert [finding.code for finding in drop(tmp_path / "nowhere").check()] == ["C120"]


def test_check_looks_at_the_newest_file(drop):
    drop.write("prices_1.csv", "A;1;x")
    assert drop().check() == []
    drop.write("prices_2.csv", "A;x", header="MATNR;TEXT")
    assert [finding.code for finding in drop().check()] == ["D112"]


def test_check_says_that_no_file_matches(drop):
    assert drop().check() == []  # nothing was dropped yet
    drop.write("price_1.csv", "A;1;x")
    assert [(f.code, f.severity, "price_1.csv" in f.fix) for f in drop().check()] == [("C122", "warning", True)]
    drop.write("prices_1.csv", "A;1;x")
    assert drop().check() == []


def test_a_file_that_is_too_large_is_not_opened(drop, monkeypatch):
    monkeypatch.setattr("hub.files.MAX_BYTES", 10)
    drop.write("prices_1.csv", "A;1;x")
    assert pull(drop())[2].code == "C108"
