"""The warehouse's file, opened for writing: by a merge, by upkeep, by the publication, all with the same settings.

DuckDB writes a table in blocks of rows, 122,880 unless told otherwise, and it is told each time a file is attached. What a transaction
brings of less than one block is copied into the table row by row at the commit, and compressed only then; of more, it is
compressed as it comes. With half of the default a first load costs a seventh less and is read by several threads, for a file
that is some percent larger (docs/adr/0043). A file with larger blocks keeps them. Who attaches it with the default and tidies
would write all blocks anew, two in one: so nobody opens it for writing but through here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from warehouse.duck import Connection, connect

BLOCK = 61_440  # rows; DuckDB takes multiples of 2,048

# A checkpoint would write whole blocks of rows anew to fill the gaps of the few that were replaced: publishing does that.
NO_TIDYING = "SET max_vacuum_tasks = 0"


def open_to_write(
    warehouse: Path, *, attach: Mapping[str, Path] | None = None, search_path: str = "", tidy: bool = False
) -> Connection:
    """As `duck.connect`. `tidy`: its checkpoints may close the gaps of replaced rows. Hold the writer lock."""
    settings = () if tidy else (NO_TIDYING,)
    return connect(warehouse, attach=attach, search_path=search_path, settings=settings, block=BLOCK)
