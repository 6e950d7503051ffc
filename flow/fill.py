"""Pages of a stream into segment files, up to the last page that can be gone on from."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flow.bodies import keep_body
from flow.run import Run
from hub.boundary import blame
from hub.connector import Connector, Page, Stream
from hub.errors import CrossdockError
from hub.failpoints import failpoint
from hub.segments import TARGET_BYTES, SegmentWriter

CHECKPOINT_SECONDS = 30.0
LOAD_BYTES = 4_000_000_000  # in one dlt run, for each takes a quarter of a second, in which nothing is read


@dataclass
class Reader:
    """One stream on its way in: its pages, and what came of them so far."""

    stream: Stream
    connector: Connector
    pages: Iterator[Page] | None = None
    done: bool = False
    page_count: int = 0
    records: int = 0
    again: int = 0  # of them, those that the last pull had brought, too
    failure: CrossdockError | None = None
    partial: bool = False
    stopped: bool = False  # from another thread: no page more
    files: list[Path] = field(default_factory=list)


@dataclass
class Filled:
    """What one round brought: segments not yet closed, and the cursor that is safe once they have landed."""

    folder: Path
    cursor: Any
    begins: bool = False  # with the stream's first page, and not where an earlier round of this pull has ended
    writers: list[SegmentWriter] = field(default_factory=list)
    unfinished: int | None = None  # the first segment of a sequence whose end has not come

    @property
    def records(self) -> int:
        return sum(writer.records for writer in self.writers)

    def take(self, page: Page) -> None:
        """A sequence that cannot be resumed in the middle has segments of its own: they stay or go as one."""
        begins = not page.complete and self.unfinished is None
        if begins:
            self.unfinished = len(self.writers)
        if begins or not self.writers or self.writers[-1].plain_bytes >= TARGET_BYTES:
            if self.writers:
                self.writers[-1].finish()
            self.folder.mkdir(parents=True, exist_ok=True)
            self.writers.append(SegmentWriter(self.folder / f"{len(self.writers)}.jsonl"))
        self.writers[-1].write(page.records)
        if page.complete:
            self.unfinished = None
            self.cursor = page.cursor if page.cursor is not None else self.cursor

    def drop_unfinished(self) -> int:
        """Forget the sequence that broke off: the next pull reads it from its beginning. Returns its records."""
        return self.drop(self.unfinished) if self.unfinished is not None else 0

    def drop(self, begin: int = 0) -> int:
        broken, self.writers = self.writers[begin:], self.writers[:begin]
        for writer in broken:
            writer.discard()
        return sum(writer.records for writer in broken)


def fill(run: Run, reader: Reader, cursor: Any, folder: Path) -> Filled:
    """Read on from `cursor` until enough is there, time is up or the stream is at its end. What fails is in the reader."""
    began, limit = time.monotonic(), run.checkpoint_records or 1 << 62
    filled = Filled(folder, cursor, begins=reader.pages is None)
    while True:
        page = None if reader.stopped else _next(run, reader, cursor)
        if page is None:
            if reader.failure or reader.stopped:
                reader.records -= filled.drop_unfinished()
            return filled
        if page.body is not None and page.digest is not None:
            keep_body(run.project, run.system, reader.stream.name, page)
        filled.take(page)
        failpoint("pull.page_written")
        reader.records += len(page.records)
        reader.page_count += 1
        if not page.complete:
            continue
        if run.max_pages and reader.page_count >= run.max_pages:
            reader.done, reader.partial = True, True
            return filled
        full = sum(writer.plain_bytes for writer in filled.writers) >= LOAD_BYTES or filled.records >= limit
        if full or time.monotonic() - began > CHECKPOINT_SECONDS:
            return filled


def _next(run: Run, reader: Reader, since: Any) -> Page | None:
    """The next page; None at the end, and where the system or the connector failed.

    The first one is asked for from `since`: a `pull` that is no generator does its work, and fails, when it is called.
    """
    try:
        with blame(reader.connector.name, f"{run.system}.{reader.stream.name}"):
            if reader.pages is None:
                reader.pages = iter(reader.connector.pull(reader.stream.name, since))
            page = next(reader.pages, None)
    except CrossdockError as error:
        reader.failure, page = error, None
    reader.done = page is None
    return page
