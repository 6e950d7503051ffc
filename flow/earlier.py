"""Mappings or rules as they were: of a git revision, or of another folder. They are written to a folder of their own."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from hub.config import Project
from hub.errors import ConfigurationError, UsageError

Kind = Literal["mappings", "quality"]
_WORDS: dict[Kind, str] = {"mappings": "mappings", "quality": "rules"}


def folders(project: Project, kind: Kind, against: str, into: Path) -> tuple[Path, ...]:
    """The folders of a kind as they were at `against`, in the order in which they are searched.

    A folder stands in the place of the project's own. Raises UsageError P530 where git has no such revision.
    """
    own, *behind = project.folders(kind)
    folder = Path(against)
    if folder.is_dir():
        return (folder / kind if (folder / kind).is_dir() else folder, *behind)
    top = _git(own, "rev-parse", "--show-toplevel")
    commit = _git(own, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{against}^{{commit}}")
    if top is None or commit is None:
        fix = f"name a commit, branch or tag, or a folder with {kind}" if top else "give --against FOLDER"
        what = f"there is no revision '{against}'" if top else f"the {_WORDS[kind]} are not kept in git"
        raise UsageError("P530", what, place=str(own), fix=fix)
    found = []
    for number, here in enumerate([own, *behind]):
        # What lies in another place than the project's repository has no part in its revisions.
        there = here.resolve().is_relative_to(Path(top).resolve())
        found.append(_extracted(Path(top), commit, here, into / f"{kind}-{number}") if there else here)
    return tuple(found)


def _extracted(top: Path, commit: str, folder: Path, into: Path) -> Path:
    """The folder as it is in the commit; an empty one where it was not there yet."""
    into.mkdir(parents=True)
    tree = f"{commit}:{folder.resolve().relative_to(top.resolve())}"
    if _git(top, "cat-file", "-e", tree) is None:
        return into
    with tarfile.open(fileobj=io.BytesIO(_run(top, ["archive", "--format=tar", tree]).stdout)) as archive:
        archive.extractall(into, filter="data")
    return into


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says, None where it refuses."""
    done = _run(folder, arguments)
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None


def _run(folder: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        raise ConfigurationError("P530", "git is not installed", fix="give --against FOLDER") from None
