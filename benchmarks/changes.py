"""What a run costs when little changed: 1,000 changed orders with their lines into 0.1 to 5 million, from stage to merge.

    python benchmarks/changes.py [--sizes 100k,300k,1m,3m,5m] [--repeat 5]

Small batches, of one order and of a hundred, go through a session, which keeps open what it opened, the warehouse too while nobody else
wants it (docs/adr/0032): a stream of them, that ends with letting go of it. The others are runs of their own, each of which opens everything anew. What comes faster than it is merged queues up in the lake, and a session
merges it together: QUEUED segments of a hundred orders each are one batch.

Beside each size stand merges in hand-written SQL over the same tables, measured between the runs (by_hand.py): the bare one of one layer, without
history, bindings, references, survivorship or a gate; and one that leaves behind what a run does, both layers and history. Time is that of the wall; CPU stands beside it. The first
load of a size takes minutes and is kept in $CROSSDOCK_BENCH_CACHE (else ~/.cache). Figures of the whole curve go to
results/changes.json, after each size, and to docs/performance.md and its curve; those of other sizes are only printed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import duckdb
import peers
import report
import report_changes
import revision
from by_hand import ByHand, Spent, clock, since
from changes_world import ROOT, World, loaded, orders, passed_through

from flow.gate import gate
from flow.map import map as map_step
from flow.merge import merge
from flow.run import Run
from flow.session import Session
from flow.stage import stage

RESULTS = ROOT / "benchmarks" / "results" / "changes.json"
CURVE = ROOT / "docs" / "performance-changes.svg"
CHANGED = 1_000
QUEUED = 10
SIZES = "100k,300k,1m,3m,5m"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default=SIZES)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    sizes = [int(text.lower().replace("k", "000").replace("m", "000000")) for text in options.sizes.split(",")]
    found: list[dict[str, Any]] = []
    for size in sizes:
        print(f"{size:,} orders", flush=True)
        with loaded(size, sizes) as world:
            found.append(measured(world, size, options.repeat))
        _print(found[-1])
        if options.sizes != SIZES:
            continue
        said = {"commit": revision.commit(), "load": round(os.getloadavg()[2], 1), "changed": CHANGED, "sizes": found}
        RESULTS.write_text(json.dumps(said, indent=1) + "\n")
    if options.sizes != SIZES:
        return
    plot = [peers.environment("plot"), str(ROOT / "benchmarks" / "plot_changes.py"), str(RESULTS), str(CURVE)]
    subprocess.run(plot, check=True)
    report.PAGE.write_text(report.written(report.PAGE.read_text(), report_changes.text(said), "changes"))


def measured(world: World, size: int, repeat: int) -> dict[str, Any]:
    """Medians over `repeat` runs of each kind, in milliseconds."""
    _proven(world, size)
    hand = ByHand(world)
    version = iter(range(2, 10_000))
    scattered, recent = [], []
    bare, kept, kept_recent = [], [], []
    for number in range(repeat):
        some = f"SELECT DISTINCT (hash(range + {number} * 100000) % {size})::BIGINT AS n, {next(version)} AS v FROM range({CHANGED})"
        scattered.append(_one(world, some))
        hubs = f"SELECT (hash(range + {number} * 100000) % {size})::BIGINT + 1 FROM range({CHANGED})"
        bare.append(hand.bare(hubs))
        kept.append(hand.kept(hubs))
        kept_recent.append(hand.kept(f"SELECT range FROM range({size - CHANGED} + 1, {size} + 1)"))
        last = f"SELECT range AS n, {next(version)} AS v FROM range({size - CHANGED}, {size})"
        recent.append(_one(world, last))
    nothing = [_steps(world.start()) for _ in range(repeat)]
    with Session(world.project, "shop") as session:
        ones = [f"SELECT {(number * 7919) % size} AS n, {next(version)} AS v" for number in range(4 * repeat)]
        single = _batches(world, session, [[one] for one in ones])
        hundreds = [
            f"SELECT (range * 7919 + {number}) % {size} AS n, {next(version)} AS v FROM range(100)"
            for number in range(2 * repeat)
        ]
        batches = _batches(world, session, [[some] for some in hundreds])
        queues = [
            [
                f"SELECT (range * 7919 + {number}) % {size} AS n, {next(version)} AS v FROM range({part * 100}, {part * 100 + 100})"
                for part in range(QUEUED)
            ]
            for number in range(repeat)
        ]
        queued = _batches(world, session, queues)
    made = {"orders": size, "scattered": _medians(scattered), "recent": _medians(recent), "nothing": _medians(nothing)}
    made |= {"one_event": _medians(single), "batch_of_100": _medians(batches), "queue_of_100s": _medians(queued)}
    made["bare"], made["kept"], made["kept_recent"] = _median(bare), _median(kept), _median(kept_recent)
    made["kept_one"] = _median(
        [hand.kept(f"SELECT {one * 7919 % size} + 1", checkpoint=False) for one in range(4 * repeat)]
    )
    made["kept_100"] = _median(
        [
            hand.kept(f"SELECT (range * 7919 + {one}) % {size} + 1 FROM range(100)", checkpoint=False)
            for one in range(2 * repeat)
        ]
    )
    made["ratio_to_bare"] = round(made["scattered"]["all"]["wall"] / made["bare"]["wall"], 2)
    made["events_per_second"] = round(100_000 / statistics.mean(one["all"][0] for one in batches))
    made["events_per_cpu_second"] = round(100_000 / made["batch_of_100"]["all"]["best"])
    made["queued_per_second"] = round(100_000 * QUEUED / statistics.mean(one["all"][0] for one in queued))
    made["queued_per_cpu_second"] = round(100_000 * QUEUED / made["queue_of_100s"]["all"]["best"])
    made["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return made


def _proven(world: World, size: int) -> None:
    """What is measured is right: sent again unchanged nothing changes, sent in a new version everything does, with history."""
    numbers = f"SELECT DISTINCT (hash(range, 5) % {size})::BIGINT AS n FROM range({CHANGED})"
    orders(world, f"SELECT n, 0 AS v FROM ({numbers})")
    unchanged = passed_through(world.start())[-1]
    assert unchanged.counts["changed"] == 0, unchanged
    orders(world, f"SELECT n, 1 AS v FROM ({numbers})")
    before = _count(world, "SELECT count(*) FROM history.sales_order")
    changed = passed_through(world.start())[-1]
    held = changed.counts["changed"]
    assert held == changed.counts["passed"] > CHANGED * 0.98, changed
    assert _count(world, "SELECT count(*) FROM history.sales_order") == before + held
    assert _count(world, "SELECT count(*) FROM canonical.sales_order") == size
    lines = "SELECT count(*) FROM {0} s ANTI JOIN {1} c ON c.hub_id = s.hub_id AND c.quantity = s.quantity"
    assert _count(world, lines.format("source.order_line", "canonical.order_line")) == 0


def _count(world: World, sql: str) -> int:
    with duckdb.connect(str(world.project.warehouse), read_only=True) as con:
        row = con.execute(sql).fetchone()
    return int(row[0]) if row else 0


def _one(world: World, wanted: str) -> dict[str, Spent]:
    """What the steps of one run spend on one segment with these records."""
    orders(world, wanted)
    return _steps(world.start())


def _batches(world: World, session: Session, wanted: Sequence[Sequence[str]]) -> list[dict[str, Spent]]:
    """What each batch of a steady stream spends. The first takes the warehouse, and each bears its part of letting go of it in the end."""
    spent = [_batch(world, session, *one) for one in wanted]
    began = clock()
    session.let_go()
    wall, cpu = (part / len(spent) for part in since(began))
    return [{**one, "all": (one["all"][0] + wall, one["all"][1] + cpu)} for one in spent]


def _batch(world: World, session: Session, *wanted: str) -> dict[str, Spent]:
    """What one batch of a session spends, a segment for each of `wanted`. Its steps say their wall time only; the CPU time is that of the whole."""
    for one in wanted:
        orders(world, one)
    began = clock()
    reports = session.batch()
    spent = since(began)
    changed = reports[-1].counts["changed"]
    assert changed == reports[0].counts["read"], f"{changed} changed of {reports[0].counts}"
    return {**{report.step: (report.seconds * 1000, 0.0) for report in reports}, "all": spent}


def _steps(run: Run) -> dict[str, Spent]:
    assert run.inbound, "the mappings are compiled before the clock starts"
    spent: dict[str, Spent] = {}
    began = clock()
    with run.together():
        judged = partial(gate, expectations=False)
        for name, step in (("stage", stage), ("map", map_step), ("gate", judged), ("merge", merge)):
            _spend(spent, name, step, run)
    spent["all"] = since(began)
    return spent


def _spend(spent: dict[str, Spent], name: str, step: Callable[[Run], Any], run: Run) -> None:
    began = clock()
    step(run)
    spent[name] = since(began)


def _median(spent: Sequence[Spent]) -> dict[str, float]:
    """`best` is the least CPU: on a busy machine the medians say more of the others."""
    wall, cpu = zip(*spent, strict=True)
    return {
        "wall": round(statistics.median(wall), 1),
        "cpu": round(statistics.median(cpu), 1),
        "best": round(min(cpu), 1),
    }


def _medians(runs: Sequence[dict[str, Spent]]) -> dict[str, dict[str, float]]:
    return {name: _median([run[name] for run in runs]) for name in runs[0]}


def _print(made: dict[str, Any]) -> None:
    names = ("stage", "map", "gate", "merge", "all")
    print(f"  {'ms (CPU, least CPU)':22}" + "".join(f"{name:>24}" for name in names))
    for kind in ("scattered", "recent", "nothing", "one_event", "batch_of_100", "queue_of_100s"):
        cells = [
            f"{made[kind][name]['wall']:,.0f} ({made[kind][name]['cpu']:,.0f}, {made[kind][name]['best']:,.0f})"
            for name in names
        ]
        print(f"  {kind:22}" + "".join(f"{cell:>24}" for cell in cells))
    for kind, said, _ in report_changes.BY_HAND:
        name = f"by hand, {said.format(report_changes.short(made['orders']))}"
        print(f"  {name:72}" + "{wall:8,.0f} ({cpu:,.0f}, {best:,.0f})".format_map(made[kind]))
    print(
        f"  all ÷ bare {made['ratio_to_bare']};"
        f" {made['events_per_second']:,} events/s in batches of 100, {made['queued_per_second']:,} where they queue; peak {made['peak_mb']:,} MB",
        flush=True,
    )


if __name__ == "__main__":
    main()
