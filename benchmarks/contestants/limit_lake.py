"""The limit that keeps what it read: the raw pages go into zstd files of 128 MB of plain records, as in our lake, and are read from there.

Nothing tells which file holds what, no record is looked at by itself, nothing is refused by name: what remains is what keeping raw pages costs.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from contestants import limit  # noqa: E402

from hub.frames import Frames  # noqa: E402

_SEGMENT = 128_000_000  # bytes before compression


def contest(folder: Path, out: Path) -> None:
    lake = out / "lake"
    for stream in ("orders", "customers"):
        _keep(sorted((folder / stream).glob("*.jsonl")), lake / stream)
    limit.contest(lake, out)


def _keep(pages: list[Path], segments: Path) -> None:
    segments.mkdir(parents=True)
    waiting = iter(pages)
    for page in waiting:
        plain = page.read_bytes()
        with (segments / f"{page.stem}.jsonl.zst").open("wb") as file:
            frames, size = Frames(file), len(plain)
            frames.write(plain)
            while size < _SEGMENT and (more := next(waiting, None)):
                plain = more.read_bytes()
                frames.write(plain)
                size += len(plain)
            frames.finish()
