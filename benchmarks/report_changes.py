"""What a run costs that changes little, as the part of docs/performance.md between its two marks, with the aims and whether they are met."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_STEPS = ("stage", "map", "gate", "merge", "all")
_RUNS = (
    ("scattered", "1,000 scattered of {}", (100_000, 300_000, 1_000_000, 3_000_000, 5_000_000)),
    ("recent", "the last 1,000 of {}", (1_000_000, 5_000_000)),
    ("nothing", "nothing new, {}", (1_000_000, 5_000_000)),
    ("one_event", "one order in a session, {}", (1_000_000,)),
    ("batch_of_100", "a hundred in a session, {}", (1_000_000,)),
    ("queue_of_100s", "ten hundreds that queued, in a session, {}", (1_000_000,)),
)
BY_HAND = (
    ("bare", "1,000 scattered of {}, one layer", (100_000, 1_000_000, 5_000_000)),
    ("kept", "1,000 scattered of {}, what a run keeps", (100_000, 1_000_000, 5_000_000)),
    ("kept_recent", "the last 1,000 of {}, what a run keeps", (1_000_000, 5_000_000)),
    ("kept_one", "one order of {}, what a run keeps, no checkpoint", (1_000_000,)),
    ("kept_100", "a hundred of {}, what a run keeps, no checkpoint", (1_000_000,)),
)


def text(results: Mapping[str, Any]) -> str:
    """The table and the aims of the whole curve."""
    by = {one["orders"]: one for one in results["sizes"]}
    lines = [
        f"Measured at {results['commit']} (load of the quarter of an hour: {results['load']}); by the clock in milliseconds, least CPU in brackets:",
        "",
        f"| what | {' | '.join(_STEPS)} |",
        "|---" * (1 + len(_STEPS)) + "|",
    ]
    for kind, said, sizes in _RUNS:
        lines += [f"| {said.format(short(size))} | {' | '.join(_cells(by[size][kind]))} |" for size in sizes]
    lines += ["", "The same orders merged by hand (`benchmarks/by_hand.py`), in a connection that stays open:", ""]
    lines += ["| what | merge |", "|---|---|"]
    for kind, said, sizes in BY_HAND:
        lines += [f"| {said.format(short(size))} | {_cell(by[size][kind])} |" for size in sizes]
    lines += ["", "| aim | | measured | |", "|---|---:|---:|---|"]
    lines += [
        f"| {what} | {aim:,} | {measured:,.0f} | {'met' if met else '**missed**'} |"
        for what, aim, measured, met in _aims(by[1_000_000], by[5_000_000])
    ]
    return "\n".join(lines)


def _aims(one: Mapping[str, Any], five: Mapping[str, Any]) -> Iterator[tuple[str, int, float, bool]]:
    """Of a shop of a million orders, and of five."""
    whole = [
        ("1,000 scattered of 1 M, ms", 250, one["scattered"]["all"]["wall"]),
        ("1,000 scattered of 5 M, ms", 400, five["scattered"]["all"]["wall"]),
        ("the last 1,000 of 1 M, ms", 100, one["recent"]["all"]["wall"]),
        ("nothing new in 1 M, ms", 200, one["nothing"]["all"]["wall"]),
        ("nothing new in 5 M, ms", 200, five["nothing"]["all"]["wall"]),
        (
            "map and merge of one order in 1 M, ms",
            30,
            one["one_event"]["map"]["wall"] + one["one_event"]["merge"]["wall"],
        ),
    ]
    yield from ((what, aim, measured, measured <= aim) for what, aim, measured in whole)
    each, queued = one["events_per_second"], one["queued_per_second"]
    yield "orders a second in hundreds into 1 M, one after another", 1_500, each, each >= 1_500
    yield "orders a second in hundreds into 1 M, where they queue up", 1_500, queued, queued >= 1_500


def short(count: int) -> str:
    return f"{count / 1_000_000:g} M"


def _cells(run: Mapping[str, Mapping[str, float]]) -> list[str]:
    return [_cell(run[step]) for step in _STEPS]


def _cell(spent: Mapping[str, float]) -> str:
    """The steps of a session say their wall time only."""
    return f"{spent['wall']:,.0f}" + (f" ({spent['best']:,.0f})" if spent["best"] else "")
