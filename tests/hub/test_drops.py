"""Dropped files: whole, once, with a checksum, and harmless in a spreadsheet."""

from __future__ import annotations

import csv
import json
import subprocess
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.connector import Change, Connection, Stream
from hub.drops import Drops, safe, unsafe
from hub.errors import UnavailableError


class Drop(Drops):
    name = "drop"
    streams = (
        Stream("prices", "_key", writes=("upsert",), idempotency="key", options={"columns": ("_key", "name", "price")}),
        Stream(
            "latin", "_key", writes=("upsert",), options={"columns": ("name",), "encoding": "cp1252", "separator": ";"}
        ),
        Stream("orders", "_key", writes=("create", "cancel"), idempotency="key", options={"format": "ndjson"}),
    )


@pytest.fixture
def drop(tmp_path):
    return Drop(Connection("drop", str(tmp_path)))


def upsert(key, call=None, **payload):
    return Change("upsert", key, payload, call or f"call-{key}")


def rows(path, **options):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file, **options))


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_a_batch_is_a_file_with_a_checksum_that_the_usual_tool_reads(drop, tmp_path):
    outcomes = drop.push("prices", [upsert("a", name="Lamp", price=Decimal("12.50")), upsert("b", name=None, price=3)])
    assert [(o.status, o.id) for o in outcomes] == [("applied", "a"), ("applied", "b")]
    assert names(tmp_path) == ["prices_00000001.csv", "prices_00000001.csv.sha256"]
    assert rows(tmp_path / "prices_00000001.csv") == [["_key", "name", "price"], ["a", "Lamp", "12.50"], ["b", "", "3"]]
    told = subprocess.run(
        ["sha256sum", "-c", "prices_00000001.csv.sha256"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert told.stdout == "prices_00000001.csv: OK\n"


def test_lines_of_json_say_key_and_operation(drop, tmp_path):
    drop.push("orders", [Change("create", "1", {"total": Decimal("1.10"), "lines": [{"sku": "=1"}]}, "c1")])
    drop.push("orders", [Change("cancel", "1", {}, "c2")])
    lines = [json.loads((tmp_path / f"orders_0000000{n}.ndjson").read_text()) for n in (1, 2)]
    assert lines == [
        {"_key": "1", "_operation": "create", "total": 1.10, "lines": [{"sku": "=1"}]},
        {"_key": "1", "_operation": "cancel"},
    ]


@pytest.mark.parametrize("forgets", [False, True])
def test_a_further_push_reads_only_what_is_new(drop, forgets):
    """However many files there are; the broken twin forgets what it has read."""
    for n in range(5):
        drop.push("prices", [upsert(f"k{n}", name="x")])
    drop.find("prices", "k4")
    read, cat = [], drop._fs.cat_file
    drop._fs.cat_file = lambda path: read.append(path) or cat(path)
    try:
        if forgets:
            drop._read.clear()
        drop.push("prices", [upsert("k5", name="x"), upsert("k0", name="x")])
        drop.find("prices", "k5")
    finally:
        del drop._fs.cat_file
    assert len(read) == (6 if forgets else 1)


def test_a_call_is_written_once_whoever_repeats_it_and_beside_whatever(drop, tmp_path):
    drop.push("prices", [upsert("a", name="x"), upsert("a", name="x")])
    again = Drop(drop.connection)
    outcomes = again.push("prices", [upsert("b", name="y"), upsert("a", name="x")])
    assert [o.status for o in outcomes] == ["applied", "applied"]
    assert again.push("prices", [upsert("b", name="y")])[0].status == "applied"
    written = [row[0] for n in (1, 2) for row in rows(tmp_path / f"prices_0000000{n}.csv")[1:]]
    assert written == ["a", "b"]
    assert names(tmp_path) == [f"prices_0000000{n}.csv{end}" for n in (1, 2) for end in ("", ".sha256")]
    assert again.push("prices", [upsert("a", "another call", name="z")])[0].status == "applied"
    assert len(rows(tmp_path / "prices_00000003.csv")) == 2


def test_what_was_dropped_is_found_also_when_the_receiver_has_taken_it(drop, tmp_path):
    drop.push("prices", [upsert("a", name="x")])
    (tmp_path / "prices_00000001.csv").unlink()
    assert [o.id for o in drop.find("prices", "a")] == ["a"]
    assert drop.find("prices", "b") == drop.find("orders", "a") == []
    assert drop.push("prices", [upsert("a", name="x")])[0].status == "applied"
    assert names(tmp_path) == ["prices_00000001.csv.sha256"]


@pytest.mark.parametrize("step", ["part", "sum", "book", "book named", "appear"])
def test_wherever_a_push_breaks_off_the_next_one_makes_it_whole_and_single(drop, tmp_path, monkeypatch, step):
    """The five things that are done for a file; each fails once, before it is done."""
    steps = iter(["part", "sum", "book", "book named", "appear"])

    def failing(real):
        def do(*given):
            if next(steps, None) == step:
                raise OSError
            return real(*given)

        return do

    fs = drop._fs
    monkeypatch.setattr(drop, "_write", failing(drop._write))
    monkeypatch.setattr(fs, "mv", failing(fs.mv))
    (first,) = drop.push("prices", [upsert("a", name="x")])
    assert (first.status, first.transient) == (("rejected", True) if step == "part" else ("unknown", False))
    assert not (tmp_path / "prices_00000001.csv").exists()
    after = Drop(drop.connection)
    assert len(after.find("prices", "a")) == (step == "appear")
    assert after.push("prices", [upsert("a", name="x")])[0].status == "applied"
    assert names(tmp_path) == ["prices_00000001.csv", "prices_00000001.csv.sha256"]
    assert rows(tmp_path / "prices_00000001.csv")[1:] == [["a", "x", ""]]


def test_what_does_not_fit_is_refused_alone(drop, tmp_path):
    outcomes = drop.push(
        "prices",
        [upsert("a", naem="x"), upsert("b", name="y"), upsert("c", name=["z"]), Change("create", "d", {}, "d")],
    )
    assert [o.status for o in outcomes] == ["rejected", "applied", "rejected", "unsupported"]
    assert outcomes[0].message == "there is no column naem"
    assert outcomes[2].message == "name is a list, and that does not fit into a cell"
    (lost,) = drop.push("latin", [upsert("a", name="₹ 5")])
    assert (lost.status, lost.message) == ("rejected", "cp1252 has no character U+20B9")
    drop.push("latin", [upsert("a", name="Käthe; Ulm")])
    assert (tmp_path / "latin_00000001.csv").read_bytes() == 'name\r\n"Käthe; Ulm"\r\n'.encode("cp1252")


def test_a_file_that_is_there_is_never_written_over(drop, tmp_path):
    (tmp_path / "prices_00000001.csv").write_text("of somebody else")
    drop.push("prices", [upsert("a", name="x")])
    assert (tmp_path / "prices_00000001.csv").read_text() == "of somebody else"
    assert (tmp_path / "prices_00000002.csv").exists()


def test_where_the_folder_is_away_nobody_knows_what_was_dropped(drop, tmp_path):
    """A share that is not mounted: an earlier attempt may be in its books, so nothing counts as not done."""
    away = tmp_path.with_name(f"{tmp_path.name}-away")
    drop.push("prices", [upsert("a", name="x")])
    tmp_path.rename(away)
    try:
        assert [f.code for f in drop.check()] == ["C120"]
        assert [o.status for o in drop.push("prices", [upsert("a", name="x")])] == ["unknown"]
        with pytest.raises(UnavailableError):
            drop.find("prices", "a")
    finally:
        away.rename(tmp_path)
    assert [o.status for o in drop.push("prices", [upsert("a", name="x")])] == ["applied"]
    assert names(tmp_path) == ["prices_00000001.csv", "prices_00000001.csv.sha256"]


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ('=HYPERLINK("http://x")', '\'=HYPERLINK("http://x")'),
        ("+49 30 1234", "'+49 30 1234"),
        ("-1+cmd|' /C calc'!A0", "'-1+cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("'tHooft", "''tHooft"),
        ("-12.50", "-12.50"),
        ("a=1", "a=1"),
        ("", ""),
    ],
)
def test_cells_are_safe(drop, tmp_path, text, cell):
    assert (safe(text), unsafe(cell)) == (cell, text)
    drop.push("prices", [upsert("a", name=text)])
    assert rows(tmp_path / "prices_00000001.csv")[1] == ["a", cell, ""]


@given(st.text() | st.from_regex(r"[=+\-@\t\r'][=+\-@\t\r'0-9.]*", fullmatch=True))
def test_every_text_comes_back_and_no_cell_begins_a_formula(text):
    cell = safe(text)
    assert unsafe(cell) == text
    assert cell[:1] not in tuple("=+@\t\r\n")
    assert not cell.startswith("-") or Decimal(cell) <= 0
