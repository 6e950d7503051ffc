"""The original answers that were not JSON, whole, beside the records that were made of them: `_bodies/` in the lake, by their digest.

A record names its answer (`_body`), and an answer stays as long as a segment of the lake holds a record that names it: what
becomes of segments, pins and ages included, `flow/retention.py` decides. So no record is shown whose answer is gone.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hub.config import Project
from hub.connector import Page
from hub.segments import list_segments, read_chunks

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_DIGEST = re.compile(rb"[0-9a-f]{64}")
# One that came again is written again after so long, so that it is never as old as what may go while its new records are on their
# way into the lake: a retention is one day at least.
_YOUNG = timedelta(hours=12)


def keep_body(project: Project, system: str, stream: str, page: Page) -> None:
    """The original page, content-addressed: writing it twice is writing it once."""
    import zstandard

    fs, folder = _folder(project, system, stream)
    path = f"{folder}/{page.digest}.zst"
    if fs.exists(path) and datetime.now(UTC) - _written(fs, path) < _YOUNG:
        return
    fs.makedirs(folder, exist_ok=True)
    with fs.open(f"{path}.part", "wb") as file:
        if isinstance(page.body, bytes):
            file.write(zstandard.compress(page.body))
        elif page.body is not None:
            shutil.copyfileobj(page.body.compressed(), file, 1 << 20)
    fs.mv(f"{path}.part", path)


def unnamed(project: Project, system: str, stream: str, gone: Collection[str], cutoff: datetime) -> dict[str, int]:
    """The answers of a stream from before `cutoff` that no record names, without the segments that are `gone`: path → bytes.

    Reads the whole stream where it has such answers.
    """
    fs, folder = _folder(project, system, stream)
    files: list[Any] = fs.ls(folder, detail=True) if fs.isdir(folder) else []
    old = {
        str(file["name"]): int(file["size"])
        for file in files
        if file["type"] == "file" and _written(fs, file["name"]) < cutoff
    }
    if old:
        kept = [one.path for one in list_segments(project.lake, system, stream) if one.path not in gone]
        for digest in _digests(project.lake, kept):
            old.pop(f"{folder}/{digest}.zst", None)
    return old


def _digests(lake: str, segments: Collection[str]) -> Iterator[str]:
    """Whatever reads as a digest: a value that only looks like one keeps an answer, and takes none away."""
    for segment in segments:
        rest = b""
        for chunk in read_chunks(lake, segment):
            text = rest + chunk
            yield from (found.decode() for found in set(_DIGEST.findall(text)))
            rest = text[-63:]


def _folder(project: Project, system: str, stream: str) -> tuple[AbstractFileSystem, str]:
    import fsspec

    fs, root = fsspec.core.url_to_fs(project.lake)
    return fs, f"{root}/_bodies/{system}/{stream}"


def _written(fs: AbstractFileSystem, path: str) -> datetime:
    found: datetime = fs.modified(path)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
