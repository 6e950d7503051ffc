"""What it costs to begin: `crossdock --help`, `crossdock lint` (nothing kept, and kept), and reading each DAG file.

    python benchmarks/startup.py [--repeat 5]

CPU and wall in milliseconds, least and median; a DAG file is read in a fork of a process that has imported Airflow, as Airflow
does it. Aims: help 300, lint and a DAG file 1,000. Figures go to results/startup.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import revision

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "startup.json"

READ_DAGS = """
import json, os, sys, time
from airflow.dag_processing.dagbag import DagBag
found = {}
for file in sys.argv[2:]:
    spent = []
    for _ in range(int(sys.argv[1])):
        reader, writer = os.pipe()
        if not (child := os.fork()):
            began = time.process_time(), time.perf_counter()
            DagBag(file, load_op_links=False)
            os.write(writer, json.dumps([time.perf_counter() - began[1], time.process_time() - began[0]]).encode())
            os._exit(0)
        os.waitpid(child, 0)
        spent.append(json.loads(os.read(reader, 200)))
    found[os.path.basename(file)] = spent
print(json.dumps(found))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5)
    repeat = parser.parse_args().repeat
    found = {"--help": _spent([_command("--help") for _ in range(repeat)])}
    found["lint, nothing kept"] = _spent([_cold() for _ in range(repeat)])
    found["lint, kept"] = _spent([_command("lint") for _ in range(repeat)])
    with tempfile.TemporaryDirectory() as folder:
        found |= _dags(repeat, folder)
    for name, spent in found.items():
        print(
            f"  {name:20} CPU {spent['cpu']:6,.0f} (least {spent['cpu_least']:,.0f})  wall {spent['wall']:6,.0f} (least {spent['wall_least']:,.0f}) ms"
        )
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"commit": revision.commit(), **found}, indent=1) + "\n")


def _cold() -> tuple[float, float]:
    (ROOT / "data" / "lint.json").unlink(missing_ok=True)
    return _command("lint")


def _command(*words: str) -> tuple[float, float]:
    """Wall and CPU seconds of one command; the child alone is counted."""
    program = [sys.executable, "-c", "from flow.cli import main; main()", *words]
    began, before = time.perf_counter(), os.times()
    subprocess.run(program, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - began, cpu


def _dags(repeat: int, folder: str) -> dict[str, dict[str, float]]:
    files = [str(file) for file in sorted((ROOT / "dags").glob("*.py"))]
    environment = os.environ | {"AIRFLOW_HOME": folder, "AIRFLOW__CORE__LOAD_EXAMPLES": "false"}
    done = subprocess.run(
        [sys.executable, "-c", READ_DAGS, str(repeat), *files],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return {f"dags/{name}": _spent(spent) for name, spent in json.loads(done.stdout.splitlines()[-1]).items()}


def _spent(runs: list[Any]) -> dict[str, float]:
    wall, cpu = ([round(1000 * one) for one in column] for column in zip(*runs, strict=True))
    return {
        "cpu": statistics.median(cpu),
        "cpu_least": min(cpu),
        "wall": statistics.median(wall),
        "wall_least": min(wall),
    }


if __name__ == "__main__":
    main()
