"""How the bulk path compares with hand-written SQL, reading alone, and other tools: ratios of CPU, measured in one run.

    python benchmarks/bench.py --size 100k [--only limit,crossdock_full] [--repeat 3] [--results FILE]

Every contestant reads the same files, in a process of its own; the contestants take turns, each as often as --repeat
says (what takes longer than a minute once, and the other tools once where there are many orders), and the least time of each counts. What they made is compared row by row with what the limit
made. Results go to benchmarks/results/, docs/performance.md and its plot; with --only to results/latest.json alone.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import check
import generate
import peers
import report
import revision
from measure import measured
from targets import targets

HERE = Path(__file__).resolve().parent
SIZES = {"10k": 10_000, "20k": 20_000, "100k": 100_000, "1m": 1_000_000}
NAMES = (
    "floor",
    "limit",
    "limit_lake",
    "limit_kept",
    "crossdock",
    "crossdock_full",
    "python_loop",
    "singer",
    "dlt_tuned",
    "pandas",
    "dlt_default",
)
_SLOW = ("singer", "dlt_tuned", "pandas", "dlt_default")  # one turn is enough at 100,000 orders, and more are too many
_LARGE = 100_000
_AT_MOST = dict.fromkeys(_SLOW, _LARGE) | {"dlt_default": 20_000}  # 100,000 orders filled 24 GB, after eight minutes
_TIMEOUT = 600.0
_LONG = 60.0  # seconds: what takes longer is not run again, so that the whole ends within a quarter of an hour
_PEERS = {"python_loop", *_SLOW}  # one that fails is told, and the others go on
_KEPT = {"limit"}  # what the others are compared with


def bench(size: str, names: list[str], repeat: int) -> dict[str, Any]:
    """Run the contestants in turns and compare them. Returns what `results/latest.json` holds."""
    rows = SIZES[size]
    folder = generate.generate(rows, peers.cache() / f"input-{generate.VERSION}-{size}")
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    differ: dict[str, list[str]] = {}
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory(dir=peers.cache()) as work:
        for number in range(repeat):
            for name in names:
                if name in failed or (number and _once(name, rows, found[name])):
                    continue
                try:
                    found[name].append(turn(name, folder, Path(work) / name))
                except RuntimeError as error:
                    if name not in _PEERS:
                        raise
                    failed[name] = str(error).splitlines()[-1]
                    continue
                if number == 0:
                    differ[name] = _differences(Path(work), name)
                    if name not in _KEPT:
                        shutil.rmtree(Path(work) / name)
        print(flush=True)
    names = [name for name in names if name not in failed]
    runs = [least(name, rows, found[name], found["limit"]) for name in names]
    return {
        "size": size,
        "commit": revision.commit(),
        "runs": runs,
        "imports_s": _imports({name: found[name] for name in names}),
        "steps_cpu_s": _steps(found),
        "differences": differ,
        "targets": targets(size, runs),
        "left_out": [name for name in NAMES if name not in names],
        "failed": failed,
    }


def _once(name: str, rows: int, turns: list[dict[str, Any]]) -> bool:
    if turns[-1]["wall_s"] > _LONG:
        return True
    return rows >= _LARGE and (name in _SLOW or (name in _PEERS and rows > _LARGE))


def turn(name: str, folder: Path, out: Path) -> dict[str, Any]:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    command = [peers.python_of(name), str(HERE / "contestant.py"), name, str(folder), str(out)]
    print(f"\r{name:15}", end="", flush=True)
    return measured(command, {**os.environ, "TMPDIR": str(out)}, _TIMEOUT)


def _differences(work: Path, name: str) -> list[str]:
    made = work / name / "warehouse.duckdb"
    return check.differences(work / "limit" / "warehouse.duckdb", name, made) if name not in ("floor", "limit") else []


def least(name: str, rows: int, turns: list[dict[str, Any]], limit: list[dict[str, Any]]) -> dict[str, Any]:
    cpu, wall = (min(turn[kind] for turn in turns) for kind in ("cpu_s", "wall_s"))
    cpu_limit, wall_limit = (min(turn[kind] for turn in limit) for kind in ("cpu_s", "wall_s"))
    return {
        "name": name,
        "rows": rows,
        "cpu_s": round(cpu, 3),
        "wall_s": round(wall, 3),
        "peak_mb": round(max(turn["peak_mb"] for turn in turns)),
        "ratio_cpu": round(cpu / cpu_limit, 2),
        "ratio_wall": round(wall / wall_limit, 2),
    }


def _imports(found: dict[str, list[dict[str, Any]]]) -> dict[str, float]:
    return {name: round(min(turn["imports_s"] for turn in turns), 2) for name, turns in found.items()}


def _steps(found: dict[str, list[dict[str, Any]]]) -> dict[str, float]:
    """The steps of the fastest turn of crossdock_full."""
    turns = found.get("crossdock_full", [])
    return min(turns, key=lambda turn: turn["cpu_s"])["steps"] if turns else {}


def chosen(size: str, only: str) -> list[str]:
    """The contestants of this size; the limit is always among them. Says which are left out."""
    if only:
        wanted = {"limit", *only.split(",")}
        if unknown := wanted - set(NAMES):
            raise SystemExit(f"no contestant {', '.join(sorted(unknown))}; there are: {', '.join(NAMES)}")
        return [name for name in NAMES if name in wanted]
    left = [name for name in NAMES if SIZES[size] > _AT_MOST.get(name, SIZES[size])]
    if left:
        print(f"left out at {size}, too slow or too large: {', '.join(left)} (ONLY={left[0]} runs one)")
    return [name for name in NAMES if name not in left]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="100k")
    parser.add_argument("--only", default="", help="names with commas between them")
    parser.add_argument("--repeat", type=int, help="3 unless said, 2 for a million")
    parser.add_argument("--results", type=Path, help="write here and nowhere else")
    said = parser.parse_args()
    results = bench(said.size, chosen(said.size, said.only), said.repeat or (2 if SIZES[said.size] > _LARGE else 3))
    print(report.text(results))
    _keep(results, said.results, whole=not said.only)


def _keep(results: dict[str, Any], path: Path | None, whole: bool) -> None:
    """Results in results/latest.json; those of all contestants also as this size's, in the plot and in docs/performance.md."""
    kept = HERE / "results"
    for file in [path] if path else [kept / "latest.json", *([kept / f"{results['size']}.json"] if whole else [])]:
        file.write_text(json.dumps(results, indent=1) + "\n")
    if whole and not path and results["size"] in report.SIZES:
        image = report.PAGE.with_name(f"performance-{results['size']}.svg")
        plot = [peers.environment("plot"), str(HERE / "plot.py"), str(kept / f"{results['size']}.json"), str(image)]
        subprocess.run(plot, check=True)
        report.PAGE.write_text(report.written(report.PAGE.read_text(), report.figures()))


if __name__ == "__main__":
    main()
