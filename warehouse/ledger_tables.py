"""The tables of the ledger, and the one place where SQLite and PostgreSQL differ.

SQLite runs with WAL and synchronous=FULL: a commit that returned survives a power cut. A writing transaction begins
with BEGIN IMMEDIATE, because one that reads first and writes later fails with SQLITE_BUSY whatever the timeout.
"""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    create_engine,
    event,
    insert,
    inspect,
    make_url,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.pool import StaticPool

from hub.errors import ConfigurationError, TransientError

VERSION = 4
BUSY_SECONDS = 30
_COUNTERS = ("outcome", "journal")

# SQLite numbers rows by itself only in a column of type INTEGER.
_Id = BigInteger().with_variant(Integer, "sqlite")


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant: SQLite forgets the zone, PostgreSQL gives it in the session's own."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: Any, dialect: Any) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData()

# Numbers that follow the order of commits. A database sequence does not: 8 may be visible before 7, and who reads "after
# 8" then never sees 7. The row stays locked until the transaction that raised it has ended.
counters = Table(
    "counters", metadata, Column("name", String(40), primary_key=True), Column("value", BigInteger, nullable=False)
)

journal = Table(
    "journal",
    metadata,
    Column("seq", _Id, primary_key=True, autoincrement=False),
    Column("run_id", String(120), nullable=False, unique=True),
    Column("system", String(60), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("segments", Text, nullable=False),
    Column("outcome_seq", BigInteger, nullable=False),
    Column("state", String(12), nullable=False),
)

payloads = Table(
    "payloads",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("body", Text, comment="canonical JSON; NULL once erased"),
    Column("erased_at", Instant),
)

intents = Table(
    "intents",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("target", String(60), nullable=False),
    Column("stream", String(80), nullable=False),
    Column("entity", String(80), nullable=False),
    Column("hub_id", BigInteger, nullable=False),
    Column("operation", String(12), nullable=False),
    Column("business_key", Text, nullable=False),
    Column("idempotency_key", String(64), nullable=False, unique=True),
    Column("payload_id", ForeignKey("payloads.id"), nullable=False),
    Column("payload_hash", String(64), nullable=False),
    Column("plan_id", String(64), nullable=False),
    Column("run_id", String(120)),
    Column("state", String(8), nullable=False, comment="open, held (by a person), done"),
    Column("created_at", Instant, nullable=False),
    Column("attempted_at", Instant, nullable=False),
    Column("attempts", Integer, nullable=False),
    # What the newest outcome says, so that a plan reads one table.
    Column("status", String(12)),
    Column("outcome_seq", BigInteger),
    Column("external_id", Text),
    Column("message", Text, nullable=False),
    Column("transient", Boolean, nullable=False),
    Column("found", Boolean, nullable=False),
    Index("intents_by_record", "target", "entity", "hub_id"),
    Index("intents_by_state", "target", "state"),
)

# What the target held before a call, kept so that the call can be taken back: places of the payload with old and new value.
images = Table(
    "images",
    metadata,
    Column("intent_id", ForeignKey("intents.id"), primary_key=True, autoincrement=False),
    Column("body", Text, comment="canonical JSON; NULL once erased"),
    Column("erased_at", Instant),
)

# Which places of the payload a call was about: names only, which stay when the values are erased.
touched = Table(
    "touched",
    metadata,
    Column("intent_id", ForeignKey("intents.id"), primary_key=True, autoincrement=False),
    Column("places", Text, nullable=False, comment="a JSON list"),
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("seq", _Id, primary_key=True, autoincrement=False),
    Column("intent_id", ForeignKey("intents.id"), nullable=False, index=True),
    Column("plan_id", String(64), nullable=False),
    Column("run_id", String(120)),
    Column("status", String(12), nullable=False),
    Column("external_id", Text),
    Column("message", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("transient", Boolean, nullable=False),
    Column("found", Boolean, nullable=False, comment="the record was found by its key; the call itself got no answer"),
    Column("at", Instant, nullable=False),
    Column("duration", Float, nullable=False),
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("plan_id", String(64), nullable=False),
    Column("target", String(60), nullable=False, index=True),
    Column("approved_by", Text, nullable=False),
    Column("at", Instant, nullable=False),
)

dismissals = Table(
    "dismissals",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("system", String(60), nullable=False, index=True),
    Column("entity", String(80)),
    Column("source_id", Text),
    Column("segment", Text, comment="with line: where a record lies whose id nobody knows"),
    Column("line", BigInteger),
    Column("code", String(20), nullable=False),
    Column("rule", Text),
    Column("field", Text),
    Column("content", String(64)),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Instant, nullable=False),
)

# Connections whose credentials were refused: nobody logs in there until they are others, a person says so, or time passed.
pauses = Table(
    "pauses",
    metadata,
    Column("system", String(60), primary_key=True),
    Column("credentials", Text, nullable=False, comment="a salted digest of those that were refused"),
    Column("what", Text, nullable=False),
    Column("since", Instant, nullable=False),
    Column("tried_at", Instant, nullable=False),
)

locks = Table(
    "locks",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("token", BigInteger, nullable=False),
    Column("holder", Text, nullable=False, comment="host:pid; empty when free"),
    Column("taken_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
)


def connect(url: str, read_only: bool = False) -> Engine:
    """An engine for the ledger. Read-only it creates nothing: where there is no ledger yet, an empty one in memory."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        engine = create_engine(parsed, pool_pre_ping=True)
        _tell(engine)
        if read_only:
            return engine.execution_options(postgresql_readonly=True) if version(engine) else _empty()
        return engine
    path = parsed.database
    if not path or path == ":memory:" or (read_only and not Path(path).is_file()):
        return _empty()
    if read_only:
        # Not mode=ro: what a killed writer left half done could then not be rolled back, and nothing be read.
        engine = create_engine(f"sqlite:///file:{Path(path).resolve()}?mode=rw&uri=true")
        _tune(engine, "query_only=ON")
        return engine if version(engine) else _empty()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, connect_args={"timeout": BUSY_SECONDS})
    _tune(engine, "journal_mode=wal", "synchronous=FULL")
    return engine


def _empty() -> Engine:
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    _tune(engine)
    create(engine)
    return engine


def _tell(engine: Engine) -> None:
    """Raises TransientError W105 for a ledger that is not to be had just now, ConfigurationError W106 for a file that is damaged."""

    @event.listens_for(engine, "handle_error")
    def failed(context: Any) -> None:
        said = str(context.original_exception).partition("\n")[0]
        if engine.dialect.name == "sqlite" and any(one in said for one in _DAMAGED):
            fix = "put the newest backup of it in its place; what was sent since then it has forgotten"
            raise ConfigurationError("W106", f"the ledger is damaged: {said}", place="ledger", fix=fix) from None
        if isinstance(context.sqlalchemy_exception, OperationalError) and (
            why := _not_to_be_had(context, engine, said)
        ):
            fix = "try again; if it stays so, look who holds it: a backup, a copy, a program that has it open"
            raise TransientError("W105", f"the ledger cannot be had: {why}", place="ledger", fix=fix) from None


_DAMAGED = ("file is not a database", "disk image is malformed")


def _not_to_be_had(context: Any, engine: Engine, said: str) -> str:
    """Why, in words; empty for any other error: what a disk says has its own."""
    if engine.dialect.name == "sqlite":
        return f"another process has it locked, for {BUSY_SECONDS} s now" if "is locked" in said else ""
    return said if context.connection is None or context.is_disconnect else ""


def _tune(engine: Engine, *pragmas: str) -> None:
    _tell(engine)

    @event.listens_for(engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # sqlite3 would begin transactions at its own moments
        cursor = connection.cursor()
        for pragma in (f"busy_timeout={BUSY_SECONDS * 1000}", "foreign_keys=ON", *pragmas):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def began(connection: Any) -> None:
        reading = connection.get_execution_options().get("reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def create(engine: Engine) -> None:
    """Make what is missing. Several processes may do so at once: who loses the race looks again."""
    for attempt in range(5):
        try:
            if _is_made(engine):
                return
            metadata.create_all(engine)
            break
        except (DBAPIError, TransientError):
            if attempt == 4:
                raise
    for name, value in (*((name, 0) for name in _COUNTERS), ("version", VERSION)):
        try:
            with engine.begin() as connection:
                if connection.execute(counters.select().where(counters.c.name == name)).first() is None:
                    connection.execute(insert(counters).values(name=name, value=value))
        except IntegrityError:
            continue
    with engine.begin() as connection:  # a ledger of an earlier version has gained its tables now
        connection.execute(update(counters).where(counters.c.name == "version").values(value=VERSION))


def _is_made(engine: Engine) -> bool:
    return version(engine) == VERSION


def version(engine: Engine) -> int:
    """The version by which the ledger was made; 0 where there is none. One that cannot be read is an error, not none."""
    with engine.connect().execution_options(reading=True) as connection:
        if not inspect(connection).has_table(counters.name):
            return 0
        found = connection.execute(counters.select().where(counters.c.name == "version")).first()
    return int(found.value) if found is not None else 0


def me() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def is_dead(holder: str) -> bool:
    """Whether the holder was a process of this machine that no longer exists."""
    host, _, pid = holder.rpartition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _is_unburied(pid)


def _is_unburied(pid: str) -> bool:
    """Dead, and its parent has not asked how it ended (Linux tells; elsewhere the lock's time has to run out)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False
