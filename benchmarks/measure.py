"""Runs a program and watches its memory: the most that it and the processes it starts hold, each at its peak (VmHWM)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

_EVERY = 0.05


def measured(command: Sequence[str], environment: Mapping[str, str], timeout: float) -> dict[str, Any]:
    """The JSON of the program's last line, with `peak_mb`. Raises RuntimeError with what it said where it fails."""
    with TemporaryFile("w+") as said, TemporaryFile("w+") as errors:
        run = subprocess.Popen(command, env=dict(environment), start_new_session=True, stdout=said, stderr=errors)
        try:
            peak = _watch(run, time.monotonic() + timeout)
        finally:
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)
                run.wait()
        said.seek(0)
        errors.seek(0)
        if run.returncode:
            raise RuntimeError(errors.read().strip()[-2000:] or f"it ended with {run.returncode}")
        return {**json.loads(said.read().strip().splitlines()[-1]), "peak_mb": peak / 1024}


def _watch(run: subprocess.Popen[bytes], until: float) -> int:
    """The sum of the peaks of all its processes, in KiB."""
    peaks: dict[int, int] = {}
    while run.poll() is None:
        if time.monotonic() > until:
            raise RuntimeError("it took too long")
        for pid in _tree(run.pid):
            peaks[pid] = max(peaks.get(pid, 0), _peak(pid))
        time.sleep(_EVERY)
    return sum(peaks.values())


def _tree(pid: int) -> list[int]:
    found = [pid]
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in path.read_text().split():
                found += _tree(int(child))
        except OSError:
            continue
    return found


def _peak(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM")), 0)
