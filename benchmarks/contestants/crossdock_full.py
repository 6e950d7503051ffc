"""crossdock, everything: lake, duplicates, rejects, gate, bindings, history, lineage, through the flow's own steps.

The gate decides by its predicates; what Great Expectations adds is not in these figures.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import dlt  # noqa: E402, F401
import duckdb  # noqa: E402, F401
import imports  # noqa: E402
import sqlalchemy  # noqa: E402, F401
import sqlglot  # noqa: E402, F401

import mappings.inbound  # noqa: E402, F401
import quality.gate  # noqa: E402
import quality.rules  # noqa: E402, F401
import warehouse.ledger  # noqa: E402
import warehouse.merge  # noqa: E402, F401
from flow.gate import gate  # noqa: E402
from flow.map import map  # noqa: E402
from flow.merge import merge  # noqa: E402
from flow.pull import pull  # noqa: E402
from flow.report import StepReport  # noqa: E402
from flow.run import Run  # noqa: E402
from flow.stage import stage  # noqa: E402
from hub.config import load_project  # noqa: E402

PROJECT = Path(__file__).resolve().parents[1] / "project"


def memory(folder: Path) -> str:
    """What DuckDB may hold, two thirds of it in a merge; the process takes 150 MB more, and where a million orders are merged 300."""
    return "900MB" if len(list((folder / "orders").iterdir())) > 100 else "450MB"


def start(folder: Path, out: Path, system: str = "shop") -> Run:
    os.environ["CROSSDOCK_BENCHMARK_INPUT"] = str(folder)
    os.environ.setdefault("CROSSDOCK_MEMORY", memory(folder))
    shutil.copytree(PROJECT, out, dirs_exist_ok=True)
    return Run.start(load_project(out), system)


def prepare(run: Run, costs: dict[str, float]) -> None:
    """From the files to canonical rows in the run file."""
    cost(costs, run, pull)
    with run.together():
        cost(costs, run, stage)
        cost(costs, run, map)


def cost(costs: dict[str, float], run: Run, step: Callable[[Run], StepReport]) -> None:
    began = imports.cpu()
    done = step(run)
    costs[done.step] = imports.cpu() - began


def contest(folder: Path, out: Path, system: str = "shop") -> dict[str, float]:
    """Returns the CPU seconds of each step."""
    run = start(folder, out, system)
    costs: dict[str, float] = {}
    prepare(run, costs)
    with run.together():  # as a cycle does
        cost(costs, run, partial(gate, expectations=False))
        cost(costs, run, merge)
    os.link(run.project.warehouse, out / "warehouse.duckdb")
    return costs
