"""Files in a folder, read once each: CSV with everything declared and nothing guessed.

`Stream.options` knows these words: `pattern`, which files (`prices_*.csv`); `encoding`; `separator`; `columns`, which the
header must have (it may have more); `key`, the columns that together name a row. Values stay texts: decimals and dates are
the mapping's business. Records also hold `_key` (those columns, joined by /), `_file` and `_file_line`. A file that cannot
be read is left where it is and named in an error after the others were read.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any, ClassVar

from hub import records
from hub.connector import Connector, Page, Stream
from hub.declaration import text_options
from hub.errors import ConfigurationError, CrossdockError, Place, StreamError, UnavailableError
from hub.findings import Finding

MAX_BYTES = 256_000_000
_BOMS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    name: str
    size: int
    changed: str


class Files(Connector):
    """A folder that another system drops files into; `connection.url` is its path or an fsspec address (sftp://…).

    Files are taken in the order of their names. The cursor says which were read: name → [changed, size, digest]. A file
    that was replaced is read again, one that was only touched is not.
    """

    words: ClassVar[tuple[str, ...]] = ("pattern", "encoding", "separator", "columns", "key")

    @classmethod
    def odd(cls, stream: Stream, place: Place) -> Iterator[Finding]:
        yield from super().odd(stream, place)
        yield from text_options(stream, place, ("pattern", "encoding"))

    def check(self) -> list[Finding]:
        try:
            return [finding for stream in self.streams for finding in self._check_stream(stream)]
        except CrossdockError as error:
            return [Finding.of(error)]

    def _check_stream(self, stream: Stream) -> list[Finding]:
        files, found = self._files(stream), []
        if not files and (others := sorted(file.name for file in self._all())):
            what = f"no file matches '{stream.options['pattern']}'"
            place = Place(f"{self.connection.system}.{stream.name}")
            found.append(Finding("C122", what, place, f"there are: {', '.join(others[:5])}", "warning"))
        for file in files[-1:]:  # the newest by name shows what comes
            try:
                row = next(_rows(self._read(file), stream, self._place(file)), None)
                if row and (odd := row.get("_malformed")):
                    what, at = f"the first row has {odd}", Place(self._place(file), row["_file_line"])
                    found.append(Finding("D112", what, at, f"separator {_separator(stream)!r}?"))
            except CrossdockError as error:
                found.append(Finding.of(error))
        return found

    def pull(self, stream: str, since: Any = None) -> Iterator[Page]:
        spec = self.stream(stream)
        files = self._files(spec)
        read: dict[str, list[Any]] = {
            name: entry
            for name, entry in ((since or {}).get("files") or {}).items()
            if any(f.name == name for f in files)
        }
        failures: list[CrossdockError] = []
        for file in files:
            if read.get(file.name, [])[:2] == [file.changed, file.size]:
                continue
            try:
                yield from self._pages(spec, file, read)
            except CrossdockError as error:
                failures.append(error)
        if failures:
            raise _all(failures)

    def _pages(self, stream: Stream, file: _File, read: dict[str, list[Any]]) -> Iterator[Page]:
        """A file's records, whole or not at all: it is looked through once before the first of them leaves."""
        body = self._read(file)
        digest = hashlib.sha256(body).hexdigest()
        known = read.get(file.name)
        rows = [] if known and known[2] == digest else list(_rows(body, stream, self._place(file)))
        read[file.name] = [file.changed, file.size, digest]
        cursor = {"files": dict(read)}
        encoded = [
            records.encode({**row, "_file": file.name, "_body": digest, "_offset": n}) for n, row in enumerate(rows)
        ]
        last = max(0, len(encoded) - 1) // stream.page_size
        for n in range(last + 1):
            part = encoded[n * stream.page_size : (n + 1) * stream.page_size]
            kept = body if n == 0 and part else None
            yield Page(
                part,
                cursor if n == last else None,
                body=kept,
                digest=digest if kept is not None else None,
                complete=n == last,
            )

    def _files(self, stream: Stream) -> list[_File]:
        """The stream's files by name. Raises UnavailableError C102, ConfigurationError C120."""
        found = [file for file in self._all() if fnmatch(file.name, stream.options["pattern"])]
        return sorted(found, key=lambda file: file.name)

    def _all(self) -> list[_File]:
        """Every file of the folder."""
        import fsspec

        url = self.connection.url.removeprefix("file://")
        try:
            fs, root = fsspec.core.url_to_fs(url, **self.connection.extra.get("storage", {}))
            if not fs.isdir(root):
                raise ConfigurationError(
                    "C120",
                    f"there is no folder {url}",
                    place=self.connection.system,
                    fix="correct the connection's url",
                )
            listed = fs.ls(root, detail=True)
        except (OSError, ValueError, ImportError) as error:
            raise UnavailableError(
                "C102",
                f"the folder cannot be read: {type(error).__name__}",
                place=self.connection.system,
                fix="is the connection's url right, and may we read there?",
            ) from None
        return [
            _File(info["name"], name, int(info["size"] or 0), str(info.get("mtime") or info.get("LastModified") or ""))
            for info in listed
            if info["type"] == "file" and (name := str(info["name"]).rpartition("/")[2])
        ]

    def _read(self, file: _File) -> bytes:
        import fsspec

        if file.size > MAX_BYTES:
            raise StreamError(
                "C108",
                f"the file has {file.size:,} bytes",
                place=self._place(file),
                fix=f"at most {MAX_BYTES:,} are read",
            )
        fs, _ = fsspec.core.url_to_fs(
            self.connection.url.removeprefix("file://"), **self.connection.extra.get("storage", {})
        )
        try:
            body: bytes = fs.cat_file(file.path)
            return body
        except OSError as error:
            raise StreamError(
                "C121",
                f"the file cannot be read: {type(error).__name__}",
                place=self._place(file),
                fix="may we read it?",
            ) from None

    def _place(self, file: _File) -> str:
        return f"{self.connection.system}/{file.name}"


def _rows(body: bytes, stream: Stream, place: str) -> Iterator[dict[str, Any]]:
    """The rows as dictionaries of texts. Raises StreamError D110 (encoding), D111 (not CSV), D112 (header).

    Where the header ends with a separator and the first row does not, the rows are of its named columns: some exports write it so.
    A row with too few or too many values says so in `_malformed` and holds nothing else but its text: a mapping rejects it.
    """
    text = _text(body, stream.options["encoding"], place)
    separator = _separator(stream)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        header = next(reader, [])
        _check_header(header, stream, place)
        first = True
        for row in reader:
            if not row:
                continue
            if first and header[-1] == "" and len(row) == len(header) - 1:
                header.pop()
            first = False
            if len(row) == len(header):
                named = dict(zip(header, row, strict=True))
                key = "/".join(named[column] for column in stream.options.get("key", header))
                yield {**named, "_key": key, "_file_line": reader.line_num}
            else:
                said = f"{len(row)} values for {len(header)} columns"
                yield {"_malformed": said, "_text": separator.join(row), "_file_line": reader.line_num}
    except csv.Error as error:
        raise StreamError(
            "D111", f"not CSV: {error}", place=Place(place, reader.line_num), fix="is a quotation mark left open?"
        ) from None


def _separator(stream: Stream) -> str:
    return str(stream.options.get("separator", ","))


def _check_header(header: list[str], stream: Stream, place: str) -> None:
    wanted = dict.fromkeys((*stream.options.get("columns", ()), *stream.options.get("key", ())))
    missing = [name for name in wanted if name not in header]
    twice = sorted({name for name in header if header.count(name) > 1})
    if missing or twice or not header:
        what = f"misses {', '.join(missing)}" if missing else f"has {', '.join(twice)} twice" if twice else "is empty"
        raise StreamError(
            "D112",
            f"the header {what}",
            place=Place(place, 1),
            fix=f"separator {_separator(stream)!r}?",
        )


def _text(body: bytes, encoding: str, place: str) -> str:
    """Decoded as declared. What is declared as cp1252 and is UTF-8 would decode, into other letters: that is refused, too."""
    for bom, really in _BOMS.items():
        if body.startswith(bom) and not encoding.replace("_", "-").lower().startswith(really):
            raise _encoding(body, 0, encoding, place, f"it begins as {really} does")
    if (zero := body.find(b"\0")) >= 0 and not encoding.lower().startswith("utf-16"):
        raise _encoding(body, zero, encoding, place, "no text holds a zero byte")
    try:
        text = body.decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)
    except UnicodeDecodeError as error:
        raise _encoding(body, error.start, encoding, place, "") from None
    if not body.isascii() and not encoding.lower().startswith("utf") and _is_utf8(body):
        first = next(n for n, byte in enumerate(body) if byte > 127)
        raise _encoding(body, first, encoding, place, "the file is UTF-8")
    return text


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _encoding(body: bytes, at: int, encoding: str, place: str, why: str) -> StreamError:
    line = body.count(b"\n", 0, at) + 1
    column = at - (body.rfind(b"\n", 0, at) + 1) + 1
    return StreamError(
        "D110",
        f"byte {at} (0x{body[at]:02x}) is not {encoding}" + (f": {why}" if why else ""),
        place=Place(place, line, column),
        fix="the file stays where it is: have it sent again, or correct the stream's encoding",
    )


def _all(failures: list[CrossdockError]) -> CrossdockError:
    if len(failures) == 1:
        return failures[0]
    first = failures[0]
    return StreamError(
        first.code,
        f"{len(failures)} files cannot be read:\n" + "\n".join(str(failure) for failure in failures),
        place=first.place,
        fix="they stay where they are, the others were read",
    )
