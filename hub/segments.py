"""Segments: zstd NDJSON files in the lake, one raw record a line, as they came.

A segment starts with a zstd skippable frame (RFC 8878 §3.1.2) that says what it is: every zstd reader passes over it,
so `zstdcat segment | head` and DuckDB read plain NDJSON, and the order of the segments needs no second file.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import zstandard

from hub.frames import Frames
from hub.records import Lines

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_SKIPPABLE = 0x184D2A5D
TARGET_BYTES = 128_000_000  # of plain NDJSON, 10 to 20 MB compressed
_DIGESTED = 4_000_000  # a digest of everything would be a quarter of what a first pull costs


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One file of the lake. `sequence` orders the segments of a stream; `path` is relative to the lake.

    With `deleted_at` (an ISO instant) its records are tombstones: the last that was known of what is gone since then.
    """

    sequence: int
    system: str
    stream: str
    path: str
    records: int
    pulled_at: str = ""
    deleted_at: str = ""


class SegmentWriter:
    """Writes one segment file: records are appended page by page, and the header is written when it is closed.

    `digest` is of the plain records as long as they are few (_DIGESTED bytes), then None: it tells one overlap from the last.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records = 0
        self.plain_bytes = 0
        self._hash: Any = hashlib.blake2b(digest_size=16)
        self._body = path.with_suffix(".part")
        self._file: IO[bytes] = self._body.open("wb")
        self._frames = Frames(self._file)

    def write(self, records: Iterable[bytes]) -> None:
        if isinstance(records, Lines):
            page, count = records.body, len(records)
        else:
            page = b"\n".join(records)
            count = page.count(b"\n") + 1
        if page:
            end = b"" if page.endswith(b"\n") else b"\n"
            self._frames.write(page)
            if end:
                self._frames.write(end)
            self.records += count
            self.plain_bytes += len(page) + len(end)
            if self.plain_bytes > _DIGESTED:
                self._hash = None
            elif self._hash:
                self._hash.update(page + end)

    @property
    def digest(self) -> str | None:
        return self._hash.hexdigest() if self._hash else None

    def finish(self) -> None:
        """No record more: all of it is in the file. Doing it again does nothing."""
        if not self._file.closed:
            self._frames.finish()
            self._file.close()

    def close(self, header: dict[str, Any]) -> Path:
        """Finish the file. The header goes in front and says how long the rest is, so a half-copied file is recognised."""
        self.finish()
        header = {**header, "records": self.records, "bytes": self._body.stat().st_size}
        meta = json.dumps(header, separators=(",", ":")).encode()
        with self.path.open("wb") as out, self._body.open("rb") as body:
            out.write(struct.pack("<II", _SKIPPABLE, len(meta)) + meta)
            while chunk := body.read(1 << 20):
                out.write(chunk)
        self._body.unlink()
        return self.path

    def discard(self) -> None:
        self._frames.discard()
        self._file.close()
        self._body.unlink(missing_ok=True)


def read_header(start: bytes) -> dict[str, Any] | None:
    """What the first bytes of a file say of it; None where it is not a segment of ours."""
    if len(start) < 8:
        return None
    magic, size = struct.unpack("<II", start[:8])
    if magic != _SKIPPABLE or size > 65_536 or len(start) < 8 + size:
        return None
    found = json.loads(start[8 : 8 + size])
    return found if isinstance(found, dict) else None


def list_segments(
    lake: str,
    system: str,
    stream: str | None = None,
    known: Collection[str] = frozenset(),
    among: Collection[str] | None = None,
) -> list[Segment]:
    """The whole segments of a system in the order in which they were pulled, without those whose path is `known`.

    `among` are the only paths that are looked at; default: all that are there. `lake` is a path or an fsspec URL. A file
    shorter than its header says is still being copied and is left for later.
    """
    import fsspec

    fs, root = fsspec.core.url_to_fs(lake)
    found = []
    named = (path.split("/")[1:] for path in among or () if path.startswith(f"{system}/"))
    for folder, name in _files(fs, f"{root}/{system}") if among is None else named:
        path = f"{system}/{folder}/{name}"
        if folder.startswith("_") or (stream and folder != stream) or path in known:
            continue
        start, size = _start(fs, f"{root}/{path}")
        header = read_header(start)
        if header and size == 8 + struct.unpack("<II", start[:8])[1] + header["bytes"]:
            found.append(
                Segment(
                    header["sequence"],
                    header["system"],
                    header["stream"],
                    path,
                    header["records"],
                    header["pulled_at"],
                    header.get("deleted_at", ""),
                )
            )
    return sorted(found)


def _files(fs: AbstractFileSystem, base: str) -> Iterator[tuple[str, str]]:
    """(folder, file) of the files one folder deep. Of this machine's the names alone are asked for: every run lists its whole lake."""
    if not _is_local(fs):
        deep = (path[len(base) + 1 :].split("/") for path in (fs.find(base) if fs.exists(base) else ()))
        yield from ((parts[0], parts[1]) for parts in deep if len(parts) == 2)
        return
    folders = [one.name for one in os.scandir(base) if one.is_dir()] if os.path.isdir(base) else []
    for folder in folders:
        yield from ((folder, name) for name in os.listdir(f"{base}/{folder}"))


def _start(fs: AbstractFileSystem, path: str) -> tuple[bytes, int]:
    """The first bytes of a file, and its size; none of a folder, and of what `crossdock retain` has just removed."""
    try:
        if not _is_local(fs):
            with fs.open(path, "rb") as file:
                return file.read(4096), fs.size(path)
        with open(path, "rb", buffering=0) as file:
            return file.read(4096), os.fstat(file.fileno()).st_size
    except (FileNotFoundError, IsADirectoryError):
        return b"", 0


def _is_local(fs: AbstractFileSystem) -> bool:
    return "file" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)


def read_chunks(lake: str, path: str) -> Iterator[bytes]:
    """The records of a segment as they stand in it, a MB at a time."""
    import fsspec

    with (
        fsspec.open(f"{lake}/{path}", "rb") as file,
        zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as plain,
    ):
        while chunk := plain.read(1 << 20):
            yield chunk


def read_lines(lake: str, path: str) -> Iterator[bytes]:
    """The records of a segment, one at a time, without the line break."""
    rest = b""
    for chunk in read_chunks(lake, path):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest


def read_line(lake: str, path: str, line: int) -> tuple[dict[str, Any], bytes] | None:
    """The segment's header and its record on `line` (from 1); None where there is no such line.

    Nothing is decompressed behind the line, and what lies before it is only counted. Raises OSError for a segment that is gone.
    """
    import fsspec

    with fsspec.open(f"{lake}/{path}", "rb") as file:
        header = read_header(file.read(4096)) or {}
        file.seek(0)
        with zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as plain:
            passed, rest = 0, b""
            while chunk := plain.read(1 << 20):
                breaks = chunk.count(b"\n")
                if passed + breaks >= line:
                    return header, (rest + chunk).split(b"\n", line - passed)[line - passed - 1]
                passed += breaks
                rest = chunk[chunk.rfind(b"\n") + 1 :] if breaks else rest + chunk
    return (header, rest) if rest and passed + 1 == line else None
