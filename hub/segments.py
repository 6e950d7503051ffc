"""Segments: zstd NDJSON files in the lake, one raw record a line, as they came.

A segment starts with a zstd skippable frame (RFC 8878 §3.1.2) that says what it is: every zstd reader passes over it,
so `zstdcat segment | head` and DuckDB read plain NDJSON, and the order of the segments needs no second file.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import zstandard

from hub.frames import Frames
from hub.records import Lines

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
    lake: str, system: str, stream: str | None = None, known: Collection[str] = frozenset()
) -> list[Segment]:
    """The whole segments of a system in the order in which they were pulled, without those whose path is `known`.

    `lake` is a path or an fsspec URL. A file shorter than its header says is still being copied and is left for later.
    """
    import fsspec

    fs, root = fsspec.core.url_to_fs(lake)
    base = f"{root}/{system}"
    if not fs.exists(base):
        return []
    found = []
    for path in fs.find(base):
        name = path[len(root) + 1 :]
        parts = name.split("/")
        if len(parts) != 3 or parts[1].startswith("_") or (stream and parts[1] != stream) or name in known:
            continue
        with fs.open(path, "rb") as file:
            start = file.read(4096)
        header = read_header(start)
        if header and fs.size(path) == 8 + struct.unpack("<II", start[:8])[1] + header["bytes"]:
            found.append(
                Segment(
                    header["sequence"],
                    header["system"],
                    header["stream"],
                    name,
                    header["records"],
                    header["pulled_at"],
                    header.get("deleted_at", ""),
                )
            )
    return sorted(found)


def read_lines(lake: str, path: str) -> Iterator[bytes]:
    """The records of a segment, one at a time, without the line break."""
    import fsspec

    with (
        fsspec.open(f"{lake}/{path}", "rb") as file,
        zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as plain,
    ):
        rest = b""
        while chunk := plain.read(1 << 20):
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
