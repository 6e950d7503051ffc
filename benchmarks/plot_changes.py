"""`python plot_changes.py RESULTS IMAGE`: what a run of 1,000 changed orders costs, over the size of what it is merged into."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams["svg.hashsalt"] = "crossdock"

from matplotlib import pyplot  # noqa: E402

LINES = {
    "scattered": "1,000 scattered orders",
    "recent": "the last 1,000 orders",
    "nothing": "nothing new",
    "batch_of_100": "a batch of 100 in a session",
    "one_event": "one order in a session",
}


def main() -> None:
    sizes = json.loads(Path(sys.argv[1]).read_text())["sizes"]
    orders = [size["orders"] / 1e6 for size in sizes]
    _, axes = pyplot.subplots(figsize=(8, 4.5))
    for kind, label in LINES.items():
        axes.plot(orders, [size[kind]["all"]["best"] for size in sizes], marker="o", label=label)
    for kind, style, said in (
        ("kept", "k--", "scattered orders by hand, what a run keeps"),
        ("bare", "k:", "the same, one layer"),
    ):
        axes.plot(orders, [size[kind]["best"] for size in sizes], style, marker="o", label=said)
    axes.set_xscale("log")
    axes.set_xticks(orders, [f"{million:g}" for million in orders])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("million orders in the warehouse")
    axes.set_ylabel("least CPU, milliseconds")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    pyplot.tight_layout()
    pyplot.savefig(sys.argv[2], metadata={"Date": None})


if __name__ == "__main__":
    main()
