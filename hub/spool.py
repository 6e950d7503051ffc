"""An answer too large for memory: compressed and digested as it comes, on disk once it is more than a few MB, read as a file."""

from __future__ import annotations

import hashlib
import tempfile
from typing import IO, Any, cast

import zstandard

_IN_MEMORY = 4_000_000  # bytes, compressed
_WRITE, _READ = 1 << 18, 1 << 16


class Spool:
    """A body that is written once (`restart`, `write` …, `finish`) and may then be read several times.

    `max_bytes` limits what it holds after decompression of the transport. `size` counts these bytes, `digest` is their
    SHA-256 in hex. The file has no name, so nothing is left behind where the process is killed.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.restart()

    def restart(self) -> None:
        """Empty again: an answer that broke off is asked for once more."""
        self.size = 0
        self.start = b""
        self._hash = hashlib.sha256()
        self._file = cast(IO[bytes], tempfile.SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115
        self._zstd: Any = zstandard.ZstdCompressor(level=1).stream_writer(self._file, closefd=False, write_size=_WRITE)

    def write(self, chunk: bytes) -> None:
        if len(self.start) < 2000:
            self.start += chunk[:2000]
        self.size += len(chunk)
        self._hash.update(chunk)
        self._zstd.write(chunk)

    def finish(self) -> None:
        self._zstd.close()

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def open(self) -> IO[bytes]:
        """The bytes as they came."""
        self._file.seek(0)
        plain = zstandard.ZstdDecompressor().stream_reader(self._file, read_size=_READ, closefd=False)
        return cast(IO[bytes], plain)

    def compressed(self) -> IO[bytes]:
        """The same as a zstd file."""
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        self._file.close()
