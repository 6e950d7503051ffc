"""The ledger, on SQLite and on a real PostgreSQL: what it promises when processes die, race and come too late."""

from __future__ import annotations

import inspect
import itertools
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DatabaseError

from hub.connector import Outcome
from hub.errors import ConfigurationError, StreamError, TransientError
from warehouse import ledger_calls
from warehouse import ledger_tables as t
from warehouse.ledger import Ledger
from warehouse.ledger_rows import Lock, Result, Sending

START = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with Ledger(ledger_url) as opened:
        yield opened


def sending(hub_id: int = 1, fingerprint: str = "f1", operation: str = "create") -> Sending:
    return Sending("orders", "sales_order", hub_id, operation, str(1000 + hub_id), '{"a":1}', fingerprint)


def applied(ledger: Ledger, lock: Lock, made: Sending, id: str = "O1") -> int:
    (intent,) = ledger.intend(lock, "erp", [made], "plan")
    (seq,) = ledger.conclude(lock, [Result(intent.id, Outcome("applied", id=id))])
    return seq


# The journal of merges ------------------------------------------------------------------------------------------------


def test_a_merge_is_written_down_once_and_stays_where_it_was_made(ledger: Ledger) -> None:
    first = ledger.journal_begin("r1", "cart", START, ["cart/orders/1.jsonl"], 0)
    ledger.journal_begin("r2", "erp", START, [], 3)
    ledger.journal_end("r1")
    again = ledger.journal_begin("r1", "cart", START, ["something else"], 9)
    assert again.seq == first.seq
    assert again.segments == ("cart/orders/1.jsonl",)
    assert [(e.run_id, e.state, e.outcome_seq) for e in ledger.journal()] == [
        ("r1", "committed", 0),
        ("r2", "written", 3),
    ]
    assert ledger.journal()[0].started_at == START
    assert [e.run_id for e in ledger.journal("written", "erp")] == ["r2"]


def test_a_merge_that_was_left_behind_takes_its_place_at_the_end(ledger: Ledger) -> None:
    ledger.journal_begin("left", "cart", START, ["a"], 0)
    ledger.journal_begin("other", "erp", START, [], 0)
    ledger.journal_end("other")
    ledger.journal_begin("left", "cart", START, ["a", "b"], 2)
    assert [(e.run_id, e.segments) for e in ledger.journal()] == [("other", ()), ("left", ("a", "b"))]


# Keys -----------------------------------------------------------------------------------------------------------------


def test_a_repeated_call_is_the_same_intent_with_the_same_key(ledger: Ledger, ledger_url: str) -> None:
    with ledger.lock("push:erp") as lock:
        (first,) = ledger.intend(lock, "erp", [sending()], "plan 1")
    with Ledger(ledger_url) as restarted, restarted.lock("push:erp") as lock:
        (second,) = restarted.intend(lock, "erp", [sending()], "plan 2")
    assert (second.id, second.idempotency_key, second.attempts) == (first.id, first.idempotency_key, 2)
    assert second.plan_id == "plan 2"


def test_an_intent_is_open_until_it_is_known_what_became_of_it(ledger: Ledger, ledger_url: str) -> None:
    with ledger.lock("push:erp") as lock:
        ledger.intend(lock, "erp", [sending()], "plan")
    with Ledger(ledger_url) as restarted:
        (left,) = restarted.open_intents("erp")
        assert (left.business_key, left.payload_hash, left.status, left.state) == ("1001", "f1", None, "open")
        assert restarted.outcomes_after(0) == []
        with restarted.lock("push:erp") as lock:
            restarted.conclude(lock, [Result(left.id, Outcome("unknown"))])
        assert [one.id for one in restarted.open_intents("erp")] == [left.id], "unknown is not absent"


def _key_per_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    number = itertools.count()
    monkeypatch.setattr(ledger_calls, "idempotency_key", lambda *_: f"attempt {next(number)}")


def _mark_before_send(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Ledger.intend

    def marked(self: Ledger, lock: Lock, *arguments: Any) -> Any:
        intents = usual(self, lock, *arguments)
        self.conclude(lock, [Result(intent.id, Outcome("applied", "early")) for intent in intents])
        return intents

    monkeypatch.setattr(Ledger, "intend", marked)


def _blind_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What got no answer is over and done with, and so is made again."""
    monkeypatch.setattr(ledger_calls, "_state", lambda result: "done")


@pytest.mark.parametrize(
    ("plant", "body"),
    [
        (_key_per_attempt, test_a_repeated_call_is_the_same_intent_with_the_same_key),
        (_mark_before_send, test_an_intent_is_open_until_it_is_known_what_became_of_it),
        (_blind_retry, test_an_intent_is_open_until_it_is_known_what_became_of_it),
    ],
)
def test_planted_mistakes_are_caught(
    ledger: Ledger, ledger_url: str, monkeypatch: pytest.MonkeyPatch, plant: Any, body: Any
) -> None:
    plant(monkeypatch)
    with pytest.raises((AssertionError, ValueError)):
        body(ledger, ledger_url)


def test_a_value_that_comes_back_gets_a_key_of_its_own(ledger: Ledger) -> None:
    keys = []
    with ledger.lock("push:erp") as lock:
        for fingerprint in ("A", "B", "A"):
            (intent,) = ledger.intend(lock, "erp", [sending(1, fingerprint, "change")], "plan")
            ledger.conclude(lock, [Result(intent.id, Outcome("applied"))])
            keys.append(intent.idempotency_key)
    assert len(set(keys)) == 3, "a target that honours keys would ignore the second A"


# Outcomes -------------------------------------------------------------------------------------------------------------


def test_outcomes_come_by_sequence_and_say_what_was_sent(ledger: Ledger) -> None:
    with ledger.lock("push:erp") as lock:
        intents = ledger.intend(lock, "erp", [sending(1), sending(2), sending(3)], "plan", "run")
        ledger.conclude(
            lock,
            [
                Result(intents[0].id, Outcome("applied", id="O1", request_id="q"), 0.5),
                Result(intents[1].id, Outcome("rejected", message="x" * 900)),
            ],
        )
        ledger.conclude(lock, [Result(intents[2].id, Outcome("unknown"))])
    first, second, third = ledger.outcomes_after(0)
    assert (first.seq, second.seq, third.seq) == (1, 2, 3)
    assert (first.hub_id, first.key, first.status, first.external_id, first.request_id) == (
        1,
        "1001",
        "applied",
        "O1",
        "q",
    )
    assert (first.plan_id, first.run_id, first.duration, first.fingerprint) == ("plan", "run", 0.5, "f1")
    assert first.at.tzinfo is not None
    assert len(second.message) == 500
    assert ledger.outcomes_after(1, up_to=2) == [second]
    assert ledger.last_seq() == 3
    assert [i.hub_id for i in ledger.open_intents("erp")] == [3]


def _slow_writer(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, name: str
) -> tuple[threading.Thread, threading.Event, threading.Event]:
    """A thread that has drawn its sequence for intent 1 and does not commit until it is told to."""
    drawn, go = threading.Event(), threading.Event()
    usual = Ledger._conclude

    def slow(self: Ledger, connection: Any, results: Any, now: datetime) -> list[int]:
        seqs = usual(self, connection, results, now)
        if threading.current_thread().name == name:
            drawn.set()
            go.wait(10)
        return seqs

    monkeypatch.setattr(Ledger, "_conclude", slow)
    lock = ledger.take("push:slow")
    (intent,) = ledger.intend(lock, "slow", [sending()], "plan")
    thread = threading.Thread(
        target=lambda: ledger.conclude(lock, [Result(intent.id, Outcome("applied", id="S"))]), name=name, daemon=True
    )
    thread.start()
    assert drawn.wait(10)
    return thread, drawn, go


def _reader_misses_one(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> bool:
    """One writer is slow to commit while another is quick: does somebody who reads by sequence lose an outcome?"""
    quick_lock = ledger.take("push:quick")
    (intent,) = ledger.intend(quick_lock, "quick", [sending()], "plan")
    slow, _, go = _slow_writer(ledger, monkeypatch, "slow")
    quick = threading.Thread(
        target=lambda: ledger.conclude(quick_lock, [Result(intent.id, Outcome("applied", id="Q"))]), daemon=True
    )
    quick.start()
    quick.join(1.0)
    seen = ledger.outcomes_after(0)
    position = max((o.seq for o in seen), default=0)
    go.set()
    slow.join(10)
    quick.join(10)
    seen += ledger.outcomes_after(position)
    return {o.target for o in seen} != {"slow", "quick"}


def test_a_reader_by_sequence_never_misses_an_outcome(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not _reader_misses_one(ledger, monkeypatch)


@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
def test_the_broken_twin_draws_numbers_as_a_database_sequence_does(
    ledger: Ledger, ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = ledger_calls.counted

    def outside_the_transaction(connection: Any, name: str, steps: int) -> int:
        with ledger._engine.begin() as other:
            return usual(other, name, steps)

    monkeypatch.setattr(ledger_calls, "counted", outside_the_transaction)
    assert _reader_misses_one(ledger, monkeypatch)


# Locks ----------------------------------------------------------------------------------------------------------------


def test_only_one_pushes_to_a_target(ledger: Ledger, ledger_url: str) -> None:
    with ledger.lock("push:erp"), Ledger(ledger_url) as other:
        with pytest.raises(TransientError, match="P301"):
            other.take("push:erp")
        other.take("push:crm")
    assert ledger.take("push:erp").token == 2


def test_a_zombie_writes_nothing(ledger: Ledger) -> None:
    zombie = ledger.take("push:erp", seconds=0.0)
    (intent,) = ledger.intend(zombie, "erp", [sending()], "plan")
    ledger.take("push:erp", seconds=600)  # the zombie's time is over, somebody else goes on
    with pytest.raises(StreamError, match="P302"):
        ledger.conclude(zombie, [Result(intent.id, Outcome("applied", id="O1"))])
    with pytest.raises(StreamError, match="P302"):
        ledger.intend(zombie, "erp", [sending(2)], "plan")
    assert ledger.outcomes_after(0) == []
    assert [i.hub_id for i in ledger.open_intents("erp")] == [1]


def test_the_broken_twin_without_a_guard_lets_the_zombie_write(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ledger, "_guard", lambda self, connection, lock: None)
    zombie = ledger.take("push:erp", seconds=0.0)
    ledger.take("push:erp", seconds=600)
    applied(ledger, zombie, sending())
    assert ledger.outcomes_after(0)


def test_a_writer_that_goes_on_keeps_its_lock(ledger: Ledger) -> None:
    lock = ledger.take("push:erp", seconds=0.0)
    renewed = Lock(lock.name, lock.token, 600)
    applied(ledger, renewed, sending())
    with pytest.raises(TransientError, match="P301"):
        ledger.take("push:erp")


def test_a_dead_process_of_this_machine_loses_its_lock_at_once(ledger: Ledger, ledger_url: str) -> None:
    code = "import os,sys; from warehouse.ledger import Ledger; Ledger(sys.argv[1]).take('push:erp'); os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code, ledger_url], check=False).returncode == -9
    assert ledger.take("push:erp").token == 2


# Several processes ----------------------------------------------------------------------------------------------------

_WRITER = """
import sys
from hub.connector import Outcome
from warehouse.ledger import Ledger
from warehouse.ledger_rows import Result, Sending
url, me = sys.argv[1], sys.argv[2]
with Ledger(url) as ledger, ledger.lock("push:" + me) as lock:
    for n in range(25):
        made = Sending("orders", "sales_order", n, "create", str(n), "{}", f"f{n}")
        (intent,) = ledger.intend(lock, me, [made], "plan")
        ledger.conclude(lock, [Result(intent.id, Outcome("applied", id=f"{me}{n}"))])
"""


def test_several_processes_write_at_once_and_nothing_is_lost(ledger_url: str) -> None:
    """They also create the tables at once."""
    writers = [subprocess.Popen([sys.executable, "-c", _WRITER, ledger_url, f"target{n}"]) for n in range(4)]
    assert [writer.wait(120) for writer in writers] == [0, 0, 0, 0]
    with Ledger(ledger_url) as ledger:
        outcomes = ledger.outcomes_after(0)
    assert [o.seq for o in outcomes] == list(range(1, 101))
    assert len({o.external_id for o in outcomes}) == 100


# What is read ---------------------------------------------------------------------------------------------------------


def test_reading_creates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "none" / "ledger.sqlite"
    with Ledger(f"sqlite:///{path}", read_only=True) as ledger:
        assert ledger.outcomes_after(0) == []
        assert ledger.newest("erp") == []
    assert not path.parent.exists()


@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
def test_reading_an_empty_server_creates_nothing_there(ledger_url: str) -> None:
    with Ledger(ledger_url, read_only=True) as ledger:
        assert ledger.outcomes_after(0) == []
    assert not t._is_made(t.connect(ledger_url))


def test_a_read_only_ledger_refuses_to_be_written(ledger: Ledger, ledger_url: str) -> None:
    with ledger.lock("push:erp") as lock:
        applied(ledger, lock, sending())
    with Ledger(ledger_url, read_only=True) as reader:
        assert len(reader.outcomes_after(0)) == 1
        with pytest.raises(Exception, match=r"(?i)read.?only"):
            reader.approve("plan", "erp", "Ann")


def test_newest_gives_the_last_word_and_the_last_success(ledger: Ledger) -> None:
    with ledger.lock("push:erp") as lock:
        for fingerprint, status in (("A", "applied"), ("B", "applied"), ("C", "rejected"), ("D", "rejected")):
            (intent,) = ledger.intend(lock, "erp", [sending(1, fingerprint, "change")], "plan")
            ledger.conclude(lock, [Result(intent.id, Outcome(status))])  # type: ignore[arg-type]
        ledger.intend(lock, "erp", [sending(2)], "plan")
    assert [(i.hub_id, i.payload_hash, i.status) for i in ledger.newest("erp")] == [
        (1, "B", "applied"),
        (1, "D", "rejected"),
        (2, "f1", None),
    ]
    assert ledger.newest("crm") == []


def test_what_was_sent_can_be_erased_and_the_record_of_it_stays(ledger: Ledger) -> None:
    with ledger.lock("push:erp") as lock:
        (intent,) = ledger.intend(lock, "erp", [sending()], "plan")
        ledger.conclude(lock, [Result(intent.id, Outcome("rejected", message="not Ann Lee"))])
        (still_open,) = ledger.intend(lock, "erp", [sending(2)], "plan")
    assert ledger.payload(intent.payload_id) == '{"a":1}'
    assert ledger.erase("sales_order", [1, 2]) == 1
    assert ledger.payload(intent.payload_id) is None
    assert ledger.payload(still_open.payload_id) is not None, "an open call may have to be sent again"
    (outcome,) = ledger.outcomes_of("sales_order", [1])
    assert (outcome.message, outcome.key) == ("", "1001")


def test_sqlite_survives_a_power_cut(tmp_path: Path) -> None:
    """WAL with synchronous=FULL: 2 in SQLite's numbering."""
    with Ledger(f"sqlite:///{tmp_path}/l.sqlite") as ledger, ledger._engine.connect() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"


def test_what_a_killed_writer_left_half_done_is_rolled_back_by_who_reads_next(tmp_path: Path) -> None:
    """Killed before its write-ahead log was on: a journal is left that must be played back before anything is read."""
    path, left = tmp_path / "l.sqlite", tmp_path / "killed.sqlite"
    with Ledger(f"sqlite:///{path}"):
        pass
    writer = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = delete", "cache_size = 1"):  # so small a cache that pages are written at once
        writer.execute(f"PRAGMA {pragma}")
    writer.execute("BEGIN IMMEDIATE")
    writer.executemany("INSERT INTO counters VALUES (?, 1)", [(f"{n:60}",) for n in range(5_000)])
    for suffix in ("", "-journal"):
        shutil.copy(f"{path}{suffix}", f"{left}{suffix}")
    writer.close()
    with Ledger(f"sqlite:///{left}", read_only=True) as reader, reader._reading() as connection:
        assert connection.execute(select(func.count()).select_from(t.counters)).scalar_one() == 3
    assert not Path(f"{left}-journal").exists()


def test_a_ledger_whose_maker_was_killed_before_it_had_tables_is_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    sqlite3.connect(path).execute("PRAGMA journal_mode = wal").close()
    with Ledger(f"sqlite:///{path}", read_only=True) as reader:
        assert reader.outcomes_after(0) == []


def test_a_ledger_that_cannot_be_read_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    path.write_bytes(b"something else" * 1000)
    for read_only in (True, False):
        with pytest.raises(ConfigurationError, match="W106 the ledger is damaged: file is not a database"):
            Ledger(f"sqlite:///{path}", read_only=read_only)
    assert path.read_bytes() == b"something else" * 1000


def test_an_approval_is_for_one_target(ledger: Ledger) -> None:
    ledger.approve("plan", "erp", "Ann")
    assert ledger.is_approved("erp")
    assert not ledger.is_approved("crm")


def test_the_tables_are_made_once(ledger: Ledger, ledger_url: str) -> None:
    with Ledger(ledger_url) as again, again._engine.connect() as connection:
        rows = connection.execute(select(t.counters.c.name, t.counters.c.value)).all()
    assert sorted(tuple(row) for row in rows) == [("journal", 0), ("outcome", 0), ("version", t.VERSION)]
    assert t.is_dead(f"{t.socket.gethostname()}:{os.getpid()}") is False


def test_a_ledger_of_an_earlier_version_gains_what_is_new(ledger: Ledger, ledger_url: str) -> None:
    with ledger._engine.begin() as connection:
        t.dismissals.drop(connection)
        connection.execute(t.counters.update().where(t.counters.c.name == "version").values(value=1))
    with Ledger(ledger_url) as again:
        assert again.dismissals() == []


# A ledger that is not to be had --------------------------------------------------------------------------------------


def test_a_ledger_that_somebody_has_locked_is_to_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(f"sqlite:///{path}") as ledger:
        ledger.journal_begin("r1", "cart", START, [], 0)
    monkeypatch.setattr(t, "BUSY_SECONDS", 0)
    with sqlite3.connect(path) as other, Ledger(f"sqlite:///{path}") as ledger:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TransientError, match="W105 the ledger cannot be had: another process has it locked"):
            ledger.journal_end("r1")
        other.rollback()
        ledger.journal_end("r1")
        assert [entry.state for entry in ledger.journal()] == ["committed"]


def test_a_server_that_does_not_answer_is_to_be_tried_again() -> None:
    with pytest.raises(TransientError, match="W105 the ledger cannot be had"):
        Ledger("postgresql+psycopg://nobody:secret@127.0.0.1:9/ledger")


def test_an_error_of_another_kind_is_none_of_these(ledger: Ledger) -> None:
    with pytest.raises(DatabaseError), ledger._engine.begin() as connection:
        connection.execute(text("SELECT * FROM nowhere"))


# On both databases ----------------------------------------------------------------------------------------------------

ONE_DATABASE = {
    "test_reading_creates_nothing": "a file",
    "test_reading_an_empty_server_creates_nothing_there": "a server",
    "test_sqlite_survives_a_power_cut": "a PRAGMA",
    "test_what_a_killed_writer_left_half_done_is_rolled_back_by_who_reads_next": "its journal",
    "test_a_ledger_whose_maker_was_killed_before_it_had_tables_is_an_empty_one": "tables are made in one transaction",
    "test_a_ledger_that_cannot_be_read_is_not_taken_for_an_empty_one": "a file",
    "test_a_ledger_that_somebody_has_locked_is_to_be_tried_again": "a file",
    "test_a_server_that_does_not_answer_is_to_be_tried_again": "a server",
    "test_the_broken_twin_draws_numbers_as_a_database_sequence_does": "SQLite has one writer at a time",
}


def test_every_test_of_the_ledger_runs_on_both_databases() -> None:
    tests = {name: made for name, made in globals().items() if name.startswith("test_") and inspect.isfunction(made)}
    on_both = {
        name for name, made in tests.items() if {"ledger", "ledger_url"} & set(inspect.signature(made).parameters)
    }
    assert set(tests) - on_both - {"test_every_test_of_the_ledger_runs_on_both_databases"} <= set(ONE_DATABASE)
    assert set(ONE_DATABASE) <= set(tests), "an exception that is no longer needed"
