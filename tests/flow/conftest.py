"""Projects beside a running sandbox."""

from __future__ import annotations

import fcntl
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flow.cycle import cycle
from flow.report import StepReport
from hub.config import Project, load_project

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def point_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Make the connections of crossdock.yaml lead to a sandbox."""

    def point(sandbox: Any) -> None:
        for name in ("cart", "erp", "crm", "drop"):
            monkeypatch.setenv(f"CROSSDOCK_{name.upper()}", str(getattr(sandbox, name)))

    return point


@pytest.fixture
def project(tmp_path: Path, sandbox_fresh: Any, point_at: Callable[[Any], None]) -> Project:
    """The repository's crossdock.yaml in a folder of its own, with a sandbox of its own."""
    point_at(sandbox_fresh)
    shutil.copy(ROOT / "crossdock.yaml", tmp_path)
    return load_project(tmp_path)


class Cycled:
    """One full cycle over a fresh sandbox, shared by the tests that only look."""

    def __init__(self, project: Project, sandbox: Any, reports: list[StepReport]) -> None:
        self.project, self.sandbox, self.reports = project, sandbox, reports

    def report(self, step: str, system: str, nth: int = 0) -> StepReport:
        return [r for r in self.reports if (r.step, r.system) == (step, system)][nth]

    def rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        from flow.publish import query_snapshot

        return query_snapshot(self.project, sql, parameters or None).rows


@contextmanager
def _beside(root: Path) -> Iterator[tuple[Project, Any]]:
    """The repository's crossdock.yaml in `root`, and the sandbox that runs beside it."""
    from sandbox.servers import running

    shutil.copy(ROOT / "crossdock.yaml", root)
    with pytest.MonkeyPatch.context() as patch, running(root / "sandbox") as sandbox:
        for name in ("cart", "erp", "crm", "drop"):
            patch.setenv(f"CROSSDOCK_{name.upper()}", str(getattr(sandbox, name)))
        yield load_project(root), sandbox


def _once(kept: Path) -> list[StepReport]:
    """The reports of the cycle that `kept` holds; the first process of a run that asks makes it, the others wait."""
    said = kept.with_suffix(".reports")
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            kept.mkdir()
            with _beside(kept) as (project, _):
                said.write_bytes(pickle.dumps(cycle(project, approve_first="test")))
        return list(pickle.loads(said.read_bytes()))


@pytest.fixture(scope="module")
def cycled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cycled]:
    base = tmp_path_factory.getbasetemp()
    kept = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "one-cycle"
    reports = _once(kept)
    root = tmp_path_factory.mktemp("cycled") / "project"
    shutil.copytree(kept, root)
    with _beside(root) as (project, sandbox):
        yield Cycled(project, sandbox, reports)
