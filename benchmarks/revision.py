"""Of which commit a figure is."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_KEPT = (":!benchmarks/results", ":!benchmarks/*.json", ":!docs")  # what the figures themselves are written to


def commit() -> str:
    """The short id of HEAD, with `-dirty` where anything but kept figures and pages differs from it."""
    head = _git("rev-parse", "--short", "HEAD")
    return head + "-dirty" * bool(_git("status", "--porcelain", "--untracked-files=no", "--", ".", *_KEPT))


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
