"""What it costs to trace one order among a million, process start included: by number, by a system's id, one cell, as a page.

    python benchmarks/trace.py [--orders 1m] [--repeat 5]

The orders are those of changes_world.py; a tenth of them came once more in a second version, of the shop and of the books,
so that a trace reads three raw records from segments of 100,000 lines. The loaded world is kept in $CROSSDOCK_BENCH_CACHE
(else ~/.cache). Figures go to results/trace.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

import revision
from changes_world import ROOT, World, loaded, orders, passed_through

from flow.publish import fold_and_publish
from hub.segments import list_segments, read_line

RESULTS = ROOT / "benchmarks" / "results" / "trace.json"
WITHIN = 2.0  # seconds, by the clock of a quiet machine


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--orders", default="1m")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    count = int(options.orders.lower().replace("k", "000").replace("m", "000000"))
    with loaded(count, [count]) as world:
        _second_versions(world, count)
        found = measured(world, count, options.repeat)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"commit": revision.commit(), **found}, indent=1) + "\n")


def _second_versions(world: World, count: int) -> None:
    for version in (1, 2):
        tenth = f"SELECT range * 10 AS n, {version} AS v FROM range({count // 10})"
        for system in ("shop", "books"):
            orders(world, tenth, system)
            passed_through(world.start(system))
    fold_and_publish(world.project)


def measured(world: World, count: int, repeat: int) -> dict[str, Any]:
    """Medians over `repeat` processes of each kind."""
    last = count - 10  # its lines are the last of their segments
    early, middle = 10, count // 20 * 10
    kinds = {
        "by_number": [f"B-{middle}"],
        "by_source_id": [str(middle)],
        "by_id_of_the_books": [f"{middle:010d}"],
        "last_of_its_segments": [f"B-{last}"],
        "first_of_its_segments": [f"B-{early}"],
        "not_in_the_lake": [f"B-{middle + 1}"],
        "one_cell": [f"B-{middle}", "--field", "fulfilment_status"],
        "page": [f"B-{middle}", "--html", str(world.folder / "page.html")],
    }
    _proven(world, kinds)
    found: dict[str, Any] = {"orders": count, "within": WITHIN, "load": round(os.getloadavg()[0], 1), "kinds": {}}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in kinds}
    for _ in range(repeat):
        for name, words in kinds.items():
            runs[name].append(_run(world, words))
    for name, some in runs.items():
        found["kinds"][name] = {key: round(statistics.median(run[key] for run in some), 2) for key in some[0]}
        said = found["kinds"][name]
        print(f"{name:22} {said['wall_s']:5.2f} s, CPU {said['cpu_s']:5.2f} s", flush=True)
    found["one_line"] = _one_line(world)
    print(f"one line of a segment  {found['one_line']}", flush=True)
    found["peak_mb"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    return found


def _run(world: World, words: list[str]) -> dict[str, float]:
    before, began = _spent(), time.perf_counter()
    _traced(world, words)
    return {"wall_s": time.perf_counter() - began, "cpu_s": _spent() - before}


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _traced(world: World, words: list[str]) -> str:
    """`crossdock trace sales_order …` as a process of its own."""
    command = [sys.executable, "-c", "from flow.cli import main; main()", "trace", "sales_order", *words]
    environment = os.environ | {"CROSSDOCK_PROJECT": str(world.folder)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


def _proven(world: World, kinds: dict[str, list[str]]) -> None:
    """What is measured is right: every pull with its raw record, the same record by any key, the cell from path to value."""
    told = [json.loads(_traced(world, [*kinds[name], "--json"])) for name in list(kinds)[:3]]
    assert told[0]["hub_id"] == told[1]["hub_id"] == told[2]["hub_id"]
    pulls = [one for one in told[0]["events"] if one["step"] == "pull"]
    assert [one["system"] for one in pulls].count("shop") == 3, pulls
    assert [one["detail"]["raw"] is not None for one in pulls if one["system"] == "shop"] == [False, True, True]
    assert pulls[-1]["detail"]["raw"]["number"] == kinds["by_number"][0]
    cell = json.loads(_traced(world, [*kinds["one_cell"], "--json"]))["cell"]
    assert [(one["system"], one["won"]) for one in cell["sources"]] == [("books", True), ("shop", False)], cell
    assert all(one["steps"] for one in cell["sources"]), cell


def _one_line(world: World) -> dict[str, float]:
    """Milliseconds to read the first and the last line of the largest segment."""
    lake = world.project.lake
    largest = max(list_segments(lake, "shop", "orders"), key=lambda one: one.records)
    spent = {}
    for name, line in (("first_ms", 1), ("last_ms", largest.records)):
        began = time.process_time()
        assert read_line(lake, largest.path, line)
        spent[name] = round((time.process_time() - began) * 1000, 1)
    return {"lines": largest.records, **spent}


if __name__ == "__main__":
    main()
