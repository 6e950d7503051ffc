"""Files dropped for another system: a batch a file, written aside, then renamed into place with a checksum beside it.

    orders_00000007.csv.part      while it is written
    orders_00000007.csv.sha256    as `sha256sum -c` reads it, there before the file itself
    orders_00000007.csv           appears whole; the receiver may take it away when it likes
    .crossdock/orders_00000007.json    our own book: which records and calls are in it

The book is what counts: it is written when the part is whole, so a call that is in a book is done, and what a crash left
between book and rename is renamed by the next push. A call that is in a book already is never written again.

`Stream.options` knows these words: `format`, csv (default) or ndjson; for CSV `columns` (`_key` and `_operation` are filled here,
the others from the payload), `encoding` (utf-8) and `separator`. A CSV cell that a spreadsheet would take for a formula has an
apostrophe in front: see `safe`. An NDJSON line is the payload with `_key` and `_operation`.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import cached_property
from itertools import count
from typing import Any, ClassVar

import msgspec

from hub import records
from hub.connector import Change, Connector, Outcome, Page, Stream
from hub.declaration import text_options
from hub.errors import Place, UnavailableError
from hub.findings import Finding

_RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
_NEGATIVE = re.compile(r"-\d+(\.\d+)?", re.ASCII)
_BOOKS = ".crossdock"


def safe(text: str) -> str:
    """`text` as a cell that no spreadsheet runs: what begins with = + - @ tab CR LF or ' gets an ' in front.

    A plain negative number stays as it is. The way back (`unsafe`) takes one ' from the front of a cell that has one.
    """
    return f"'{text}" if text.startswith(_RISKY) and not _NEGATIVE.fullmatch(text) else text


def unsafe(cell: str) -> str:
    """The text that `safe` made this cell of."""
    return cell.removeprefix("'")


class _Book(msgspec.Struct):
    """What is in one file: `rows` are (our key, the call's idempotency key)."""

    file: str
    sha256: str
    rows: list[tuple[str, str]]


class Drops(Connector):
    """A folder that another system takes files from; `connection.url` is its path or an fsspec address (sftp://…).

    It cannot be read: what it holds is what was pushed. `extra.storage` are fsspec's options.
    """

    words: ClassVar[tuple[str, ...]] = ("format", "columns", "encoding", "separator")

    @classmethod
    def odd(cls, stream: Stream, place: Place) -> Iterator[Finding]:
        yield from super().odd(stream, place)
        yield from text_options(stream, place, () if stream.options.get("format") == "ndjson" else ("columns",))

    def check(self) -> list[Finding]:
        try:
            if self._fs.isdir(self._root):
                return []
            what = "there is no folder of that name"
        except (OSError, ValueError, ImportError) as error:
            what = f"the folder cannot be reached: {type(error).__name__}"
        return [Finding("C120", what, Place(self.connection.system), "correct the connection's url")]

    def pull(self, stream: str, since: Any = None) -> Iterator[Page]:
        return iter(())

    def push(self, stream: str, changes: Sequence[Change]) -> list[Outcome]:
        """All that can be written goes into one file. Unknown where a book could not be read or closed: the same again is harmless."""
        spec = self.stream(stream)
        outcomes = [_refused(spec, change) or Outcome("applied", change.key) for change in changes]
        taken = {
            c.idempotency_key: n
            for n, (c, o) in enumerate(zip(changes, outcomes, strict=True))
            if o.status == "applied"
        }
        failed: Outcome | None
        try:
            for book in self._books(spec):
                for _, call in book.rows:
                    taken.pop(call, None)
        except (OSError, ValueError) as error:  # an earlier attempt may be in a book that cannot be read now
            failed = Outcome("unknown", message=f"the books cannot be read: {type(error).__name__}")
        else:
            failed = self._drop(spec, [changes[n] for n in taken.values()]) if taken else None
        lost = set(taken.values()) if failed else set[int]()
        return [failed if failed and n in lost else outcome for n, outcome in enumerate(outcomes)]

    def find(self, stream: str, key: str) -> list[Outcome]:
        """Once where it is in any book. Raises UnavailableError C102."""
        try:
            books = self._books(self.stream(stream))
        except (OSError, ValueError) as error:
            raise UnavailableError(
                "C102",
                f"the books of the folder cannot be read: {type(error).__name__}",
                place=self.connection.system,
                fix="is the connection's url right, and may we read there?",
            ) from None
        return [Outcome("applied", key)] if any(own == key for book in books for own, _ in book.rows) else []

    def _drop(self, stream: Stream, changes: Sequence[Change]) -> Outcome | None:
        """Write a file. None when it is in its place, else what became of its calls."""
        name = self._next_name(stream)
        body = _body(stream, changes)
        book = _Book(name, hashlib.sha256(body).hexdigest(), [(c.key, c.idempotency_key) for c in changes])
        try:
            self._write(f"{self._root}/{name}.part", body)
        except OSError as error:  # nothing has happened yet
            return Outcome("rejected", message=f"nothing can be written: {type(error).__name__}", transient=True)
        try:
            self._write(f"{self._root}/{name}.sha256", f"{book.sha256}  {name}\n".encode())
            self._fs.makedirs(f"{self._root}/{_BOOKS}", exist_ok=True)
            path = f"{self._root}/{_BOOKS}/{name.rpartition('.')[0]}.json"
            self._write(f"{path}.part", msgspec.json.encode(book))
            self._fs.mv(f"{path}.part", path)
            self._appear(name)
        except OSError as error:
            return Outcome("unknown", message=f"the file could not be put in its place: {type(error).__name__}")
        return None

    def _next_name(self, stream: Stream) -> str:
        """Never that of a file that is there: somebody may have taken the books away."""
        for number in count(len(self._names(stream)) + 1):
            name = f"{stream.name}_{number:08}.{stream.options.get('format', 'csv')}"
            if not self._fs.exists(f"{self._root}/{name}"):
                return name
        raise AssertionError("unreachable: numbers do not end")

    def _appear(self, name: str) -> None:
        self._fs.mv(f"{self._root}/{name}.part", f"{self._root}/{name}")

    def _write(self, path: str, body: bytes) -> None:
        with self._fs.open(path, "wb") as file:
            file.write(body)
            file.flush()
            if "file" in self._fs.protocol:
                os.fsync(file.fileno())

    def _names(self, stream: Stream) -> list[str]:
        """The stream's books, oldest first. Raises FileNotFoundError where the folder is away: its books are, too."""
        folder = f"{self._root}/{_BOOKS}"
        self._fs.invalidate_cache()
        if not self._fs.isdir(self._root):
            raise FileNotFoundError
        listed = self._fs.ls(folder, detail=False) if self._fs.isdir(folder) else []
        own = re.compile(rf"{re.escape(stream.name)}_\d+\.json")
        return sorted(path for path in listed if own.fullmatch(str(path).rpartition("/")[2]))

    def _books(self, stream: Stream) -> list[_Book]:
        """What has been dropped; a file whose rename a crash prevented is put in its place first.

        A book never changes, so each is read once by a connector, and only the new ones by a further push.
        """
        names = self._names(stream)
        for path in names:
            if path in self._read:
                continue
            book = msgspec.json.decode(self._fs.cat_file(path), type=_Book)
            if self._fs.exists(f"{self._root}/{book.file}.part"):
                self._appear(book.file)
            self._read[path] = book  # its file is in its place now
        return [self._read[path] for path in names]

    @cached_property
    def _read(self) -> dict[str, _Book]:
        return {}

    @cached_property
    def _place(self) -> tuple[Any, str]:
        import fsspec

        url = self.connection.url.removeprefix("file://")
        fs, root = fsspec.core.url_to_fs(url, **self.connection.extra.get("storage", {}))
        return fs, str(root)

    @property
    def _fs(self) -> Any:
        return self._place[0]

    @property
    def _root(self) -> str:
        return self._place[1]


def _refused(stream: Stream, change: Change) -> Outcome | None:
    if change.operation not in stream.writes:
        return Outcome("unsupported", message=f"{stream.name} does not take {change.operation}")
    takes = stream.target_fields.get(change.operation, {})
    if missing := [name for name, field in takes.items() if field.required and change.payload.get(name) is None]:
        return Outcome("rejected", message=f"it has no {', '.join(missing)}")
    try:
        _body(stream, [change])
    except (ValueError, TypeError) as error:
        return Outcome("rejected", message=str(error))
    return None


def _body(stream: Stream, changes: Sequence[Change]) -> bytes:
    """The file. Raises ValueError with the words for what does not fit into it."""
    rows = [{"_key": c.key, "_operation": c.operation, **c.payload} for c in changes]
    if stream.options.get("format") == "ndjson":
        return b"".join(records.encode(row) + b"\n" for row in rows)
    columns, encoding = stream.options["columns"], stream.options.get("encoding", "utf-8")
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=stream.options.get("separator", ","), lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        if odd := row.keys() - {*columns, "_key", "_operation"}:
            raise ValueError(f"there is no column {', '.join(sorted(odd))}")
        writer.writerow([safe(_cell(name, row.get(name))) for name in columns])
    try:
        return text.getvalue().encode(encoding)
    except UnicodeEncodeError as error:
        raise ValueError(f"{encoding} has no character U+{ord(error.object[error.start]):04X}") from None


def _cell(name: str, value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int():
            return str(value)
        case Decimal():
            return format(value, "f")
    raise ValueError(f"{name} is a {type(value).__name__}, and that does not fit into a cell")
