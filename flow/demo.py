"""`crossdock demo`: the sandbox systems, one full cycle, and what came of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flow import show
from flow.report import exit_code
from hub.config import Project
from hub.errors import UnavailableError, UsageError

_OURS = ("lake", "dlt", "runs", "plans", "published", "work", "sandbox")


def demo(project: Project, *, fresh: bool = False) -> int:
    """Returns the exit code: 0 also when the world's planted bad rows were quarantined, as they should be."""
    from flow.cycle import cycle

    if "sandbox_cart" not in {system.connector for system in project.systems.values()}:
        raise UsageError(
            "P503",
            "this project has no sandbox systems",
            fix="run crossdock demo in the repository, or crossdock run here",
        )
    if fresh:
        forget(project)
    again = project.warehouse.exists()
    began = time.monotonic()
    with sandbox(project) as world:
        show.demo_opening(project, world, again=again)
        reports = cycle(project, on_report=show.step, on_progress=show.progress, approve_first="crossdock demo")
        show.demo_closing(project, world, reports, time.monotonic() - began)
    return 0 if exit_code(reports) in (0, 1) and not any(r.status == "failed" for r in reports) else 1


def forget(project: Project) -> None:
    """Delete what earlier demos left in the data folder, and nothing else."""
    for name in _OURS:
        shutil.rmtree(project.data / name, ignore_errors=True)
    for file in [
        *project.data.glob("warehouse.duckdb*"),
        *project.data.glob("ledger.sqlite*"),
        *project.data.glob("*.lock"),
    ]:
        file.unlink(missing_ok=True)


@contextmanager
def sandbox(project: Project, **options: Any) -> Iterator[dict[str, Any]]:
    """The sandbox systems in a process of their own, and the environment that points the connections at them."""
    state = project.data / "sandbox"
    state.mkdir(parents=True, exist_ok=True)
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    log = state / "sandbox.log"
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox", "start", "--state", str(state), *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise UnavailableError(
                "C191", "the sandbox systems did not start", place=str(log), fix="read its last lines"
            )
        world = {**json.loads((state / "sandbox.json").read_text()), **json.loads(line)}
        for system in ("cart", "erp", "crm", "drop"):
            os.environ[f"CROSSDOCK_{system.upper()}"] = str(world[system])
        yield world
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes], seconds: float = 10) -> None:
    """TERM to the whole group, KILL to what is left of it."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
