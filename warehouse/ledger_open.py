"""An open ledger: its engine, one short transaction a method, and what all parts of it need."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, Self

from sqlalchemy import Connection, select, update

from warehouse import ledger_tables as t

_AT_ONCE = 5_000  # values of one IN: SQLite takes 32,766 parameters a statement


class Opened:
    def __init__(self, url: str, *, read_only: bool = False) -> None:
        self.read_only = read_only
        self._engine = t.connect(url, read_only)
        if not read_only:
            t.create(self._engine)

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._engine.connect().execution_options(reading=True) as connection:
            yield connection


def in_parts(values: Collection[Any]) -> Iterator[list[Any]]:
    """The values in order, as many at a time as one statement takes."""
    listed = sorted(values)
    return (listed[at : at + _AT_ONCE] for at in range(0, len(listed), _AT_ONCE))


def counted(connection: Connection, name: str, steps: int) -> int:
    """The first of the next `steps` numbers of a counter."""
    row = t.counters.c.name == name
    connection.execute(update(t.counters).where(row).values(value=t.counters.c.value + steps))
    return int(connection.execute(select(t.counters.c.value).where(row)).scalar_one()) - steps + 1
