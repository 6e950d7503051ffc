"""The warehouse itself, opened for writing by who is not a merge: reconciliation, upkeep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hub.errors import ConfigurationError
from warehouse.duck import Connection
from warehouse.lock import writer
from warehouse.tables import SEARCH_PATH
from warehouse.writing import open_to_write


@contextmanager
def write(warehouse: Path, timeout: float = 120.0) -> Iterator[Connection]:
    """The warehouse, hardened, while holding the writer lock. Be short: nobody else can write meanwhile.

    Raises ConfigurationError W141 where there is none yet, TransientError W101 or W103 while it is busy.
    """
    if not warehouse.is_file():
        raise ConfigurationError("W141", "there is no warehouse yet", fix="crossdock run makes it")
    with writer(warehouse, timeout):
        con = open_to_write(warehouse, search_path=SEARCH_PATH)
        try:
            yield con
        finally:
            con.close()
