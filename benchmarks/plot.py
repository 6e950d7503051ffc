"""`python plot.py RESULTS IMAGE`: CPU relative to the limit, a bar a contestant, on a logarithmic scale."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams["svg.hashsalt"] = "crossdock"

from matplotlib import pyplot  # noqa: E402


def main() -> None:
    results = json.loads(Path(sys.argv[1]).read_text())
    runs = sorted(results["runs"], key=lambda run: run["ratio_cpu"], reverse=True)
    colours = ["#1f6feb" if run["name"].startswith("crossdock") else "#8c959f" for run in runs]
    _, axes = pyplot.subplots(figsize=(8, 0.45 * len(runs) + 1))
    bars = axes.barh([run["name"] for run in runs], [run["ratio_cpu"] for run in runs], color=colours)
    axes.bar_label(bars, [f"{run['ratio_cpu']:.2f}  ({run['peak_mb']:,} MB)" for run in runs], padding=4)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlim(right=max(run["ratio_cpu"] for run in runs) * 4)
    axes.axvline(1, color="#d1242f", linewidth=1)
    axes.set_xlabel(f"CPU ÷ hand-written SQL, {results['size']} orders (peak memory)")
    axes.spines[["top", "right"]].set_visible(False)
    pyplot.tight_layout()
    pyplot.savefig(sys.argv[2], metadata={"Date": None})


if __name__ == "__main__":
    main()
