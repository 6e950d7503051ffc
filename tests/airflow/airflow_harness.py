"""What the tests of Airflow share: scripts in processes of their own, and a running `crossdock up`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CROSSDOCK = Path(sys.executable).parent / "crossdock"


def until(check: Callable[[], Any], seconds: float, what: Callable[[], Any] | str) -> Any:
    """The first true answer of `check`, asked twice a second. `what` is said where it does not come."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := check():
            return found
        time.sleep(0.5)
    raise AssertionError(f"not within {seconds} s: {what if isinstance(what, str) else what()}")


def run_env(root: Path) -> dict[str, str]:
    return {
        **os.environ,
        "CROSSDOCK_PROJECT": str(root),
        "AIRFLOW_HOME": str(root / "airflow_home"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }


def script(name: str, root: Path, *arguments: str, **env: str) -> str:
    """Run a script of this folder, which imports Airflow, in a process of its own. Returns what it printed."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / name), str(ROOT / "dags"), *arguments],
        env=run_env(root) | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    return done.stdout


def said_of(pid: int) -> bytes:
    """Command and environment of a process; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return 0


@dataclass
class Up:
    """A running `crossdock up`: its process, all that it printed so far, and what it printed of its address."""

    process: subprocess.Popen[bytes]
    root: Path
    output: Path
    sessions: set[int] = field(default_factory=set)

    @property
    def said(self) -> str:
        return self.output.read_text()

    def wait_for(self, pattern: str, seconds: float) -> re.Match[str]:
        def found() -> re.Match[str] | None:
            assert self.process.poll() is None, self.said
            return re.search(pattern, self.said)

        return until(found, seconds, lambda: f"{pattern} in {self.said}")

    def left(self) -> list[int]:
        """Its processes: the project's folder in their command or environment, or of a session that had one such.

        Sessions are remembered, for some of Airflow's processes write their title over both.
        """
        pids = [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if int(entry.name) != os.getpid()]
        self.sessions |= {session(pid) for pid in pids if str(self.root).encode() in said_of(pid)} - {0}
        return [pid for pid in pids if session(pid) in self.sessions and said_of(pid)]

    def sockets(self) -> set[str]:
        """Inodes of the sockets that its processes have open."""
        found = set()
        for pid in self.left():
            for file in Path(f"/proc/{pid}/fd").glob("*"):
                try:
                    found.add(str(file.readlink()).removeprefix("socket:[").removesuffix("]"))
                except OSError:
                    continue
        return found

    def stop(self, number: signal.Signals) -> int:
        """Send the signal as ctrl-C does, to it alone, and wait. Returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)
