"""A project of its own, and a real `crossdock up` in it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from airflow_harness import CROSSDOCK, ROOT, Up


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "crossdock.yaml", tmp_path)
    return tmp_path


@pytest.fixture
def up(project: Path) -> Iterator[Callable[[], Up]]:
    """Starts `crossdock up` in the project; whatever happens, nothing of it is left afterwards."""
    started: list[Up] = []

    def start() -> Up:
        output = project / "up.log"
        process = subprocess.Popen(
            [str(CROSSDOCK), "up"],
            cwd=project,
            env={name: value for name, value in os.environ.items() if not name.startswith(("CROSSDOCK_", "AIRFLOW_"))},
            stdin=subprocess.DEVNULL,
            stdout=output.open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        started.append(Up(process, project, output))
        return started[0]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.stop(signal.SIGTERM)
        for pid in one.left():
            os.kill(pid, signal.SIGKILL)
