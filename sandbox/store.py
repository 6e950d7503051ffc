"""One system's state: SQLite in WAL mode, every write durable before it is answered.

All tables have one shape: `id`, `changed` (sorts as the system sorts its changes), `key` (what it can be searched by),
`hidden` (left out of a plain list) and `doc`, the record as JSON. Lists run on the index (changed, id) and hand out `doc`
as it stands, so a page costs no parsing.
"""

from __future__ import annotations

import json
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Id = int | str
Doc = dict[str, Any]
Row = tuple[Id, str, str | None, int, str]  # id, changed, key, hidden, doc


to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


class Store:
    def __init__(self, path: Path, tables: dict[str, str]) -> None:
        """`tables` gives the SQL type of each table's id: INTEGER or TEXT."""
        self.path, self.tables = path, tables
        self._idle: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        self._writer_lock = threading.Lock()
        self._writer = self._connect()
        with self._writer:
            for table, id_type in tables.items():
                self._writer.execute(
                    f"create table if not exists {table} (id {id_type} primary key, changed text not null, key text,"
                    " hidden integer not null default 0, doc text not null)"
                )
        self.index()

    def _connect(self) -> sqlite3.Connection:
        con = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=30)
        con.execute("pragma journal_mode = wal")
        con.execute("pragma synchronous = full")
        return con

    def index(self) -> None:
        for table in self.tables:
            self._writer.execute(f"create index if not exists {table}_changed on {table} (changed, id)")
            self._writer.execute(f"create index if not exists {table}_key on {table} (key) where key is not null")

    def close(self) -> None:
        with self._writer_lock:
            while not self._idle.empty():
                self._idle.get().close()
            self._writer.close()

    @contextmanager
    def loading(self) -> Iterator[Callable[[str, Sequence[Row]], None]]:
        """Fill an empty store: no index and no journal meanwhile. A store whose loading broke off is worth nothing."""
        con = self._writer
        con.execute("pragma journal_mode = off")
        con.execute("pragma synchronous = off")
        for table in self.tables:
            con.execute(f"drop index if exists {table}_changed")
            con.execute(f"drop index if exists {table}_key")
        con.execute("begin")

        def add(table: str, rows: Sequence[Row]) -> None:
            con.executemany(f"insert into {table} (id, changed, key, hidden, doc) values (?, ?, ?, ?, ?)", rows)

        yield add
        con.execute("commit")
        self.index()
        con.execute("pragma journal_mode = wal")
        con.execute("pragma synchronous = full")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        try:
            con = self._idle.get_nowait()
        except queue.Empty:
            con = self._connect()
        try:
            yield con
        finally:
            self._idle.put(con)

    @contextmanager
    def writing(self) -> Iterator[Writing]:
        """One transaction; an exception inside undoes it. Writers wait for one another."""
        with self._writer_lock:
            self._writer.execute("begin immediate")
            try:
                yield Writing(self._writer)
            except BaseException:
                self._writer.execute("rollback")
                raise
            self._writer.execute("commit")

    def page(
        self, table: str, after: tuple[str, Id] | None, since: str, limit: int, visible_only: bool = False
    ) -> list[tuple[str, Id, str]]:
        """At most `limit` (changed, id, doc), ascending: those after the keyset, or without one from `since` on."""
        where, values = ("(changed, id) > (?, ?)", list(after)) if after else ("changed >= ?", [since])
        if visible_only:
            where += " and hidden = 0"
        sql = f"select changed, id, doc from {table} where {where} order by changed, id limit ?"
        with self.reading() as con:
            return con.execute(sql, [*values, limit]).fetchall()

    def page_before(self, table: str, upto: tuple[str, Id], limit: int) -> list[tuple[str, Id, str]]:
        """The page that ends with this keyset, ascending."""
        sql = (
            f"select changed, id, doc from {table} where (changed, id) <= (?, ?) order by changed desc, id desc limit ?"
        )
        with self.reading() as con:
            return con.execute(sql, [*upto, limit]).fetchall()[::-1]

    def count(self, table: str, since: str = "") -> int:
        with self.reading() as con:
            return int(con.execute(f"select count(*) from {table} where changed >= ?", [since]).fetchone()[0])

    def get_text(self, table: str, id: Id) -> str | None:
        with self.reading() as con:
            row = con.execute(f"select doc from {table} where id = ?", [id]).fetchone()
        return row[0] if row else None

    def get(self, table: str, id: Id) -> Doc | None:
        text = self.get_text(table, id)
        return json.loads(text) if text is not None else None

    def find(self, table: str, key: str) -> list[str]:
        """The docs that carry this key, oldest id first."""
        with self.reading() as con:
            return [row[0] for row in con.execute(f"select doc from {table} where key = ? order by id", [key])]

    def search(self, table: str, field: str, value: str, limit: int = -1) -> list[str]:
        """The docs whose field is this text, without regard to case and outer spaces. Reads the whole table."""
        sql = f"select doc from {table} where lower(trim(json_extract(doc, '$.{field}'))) = ? order by id limit ?"
        with self.reading() as con:
            return [row[0] for row in con.execute(sql, [value.strip().lower(), limit])]


class Writing:
    """Reads and writes inside one transaction of a store."""

    def __init__(self, con: sqlite3.Connection) -> None:
        self._con = con

    def get(self, table: str, id: Id) -> Doc | None:
        row = self._con.execute(f"select doc from {table} where id = ?", [id]).fetchone()
        return json.loads(row[0]) if row else None

    def find_ids(self, table: str, key: str) -> list[Id]:
        return [row[0] for row in self._con.execute(f"select id from {table} where key = ? order by id", [key])]

    def is_hidden(self, table: str, id: Id) -> bool:
        row = self._con.execute(f"select hidden from {table} where id = ?", [id]).fetchone()
        return bool(row and row[0])

    def visible(self, table: str) -> list[Doc]:
        rows = self._con.execute(f"select doc from {table} where hidden = 0 order by changed, id")
        return [json.loads(row[0]) for row in rows]

    def last_id(self, table: str) -> Id | None:
        """The greatest id; the next one is counted from it, so ids are never given twice."""
        found: Id | None = self._con.execute(f"select max(id) from {table}").fetchone()[0]
        return found

    def put(self, table: str, id: Id, changed: str, key: str | None, doc: Doc, hidden: bool = False) -> None:
        self._con.execute(
            f"insert into {table} (id, changed, key, hidden, doc) values (?, ?, ?, ?, ?) on conflict (id) do update"
            " set changed = excluded.changed, key = excluded.key, hidden = excluded.hidden, doc = excluded.doc",
            [id, changed, key, int(hidden), to_json(doc)],
        )
