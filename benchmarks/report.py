"""Results as a table for people, and as the part of docs/performance.md between its two marks."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "performance.md"
SIZES = ("20k", "100k", "1m")


def text(results: Mapping[str, Any]) -> str:
    """What a terminal shows."""
    head = f"{'':15}{'CPU s':>9}{'wall s':>9}{'orders/s':>10}{'peak MB':>9}{'CPU ÷ limit':>13}{'wall ÷ limit':>14}{'imports s':>11}"
    lines = [head]
    lines += [
        f"{run['name']:15}{run['cpu_s']:9.2f}{run['wall_s']:9.2f}{run['rows'] / run['wall_s']:10,.0f}{run['peak_mb']:9,}"
        f"{run['ratio_cpu']:13.2f}{run['ratio_wall']:14.2f}{results['imports_s'][run['name']]:11.2f}"
        for run in results["runs"]
    ]
    lines += [f"{name} failed: {why}" for name, why in results["failed"].items()]
    lines += ["", *(_wrong(results) or ["all hold the same canonical rows"]), ""]
    lines += [f"{'met   ' if one['met'] else 'MISSED'} {one['what']}: {one['measured']} ({one['target']})" for one in results["targets"]]  # fmt: skip
    return "\n".join(lines)


def _wrong(results: Mapping[str, Any]) -> list[str]:
    return [f"{name}: {what}" for name, said in results["differences"].items() for what in said]


def markdown(results: Mapping[str, Any]) -> str:
    """One size: the runs, what differs, the targets, and where crossdock's time goes."""
    lines = [
        f"### {results['size']} orders, at {results['commit']}",
        "",
        f"![CPU relative to the limit](performance-{results['size']}.svg)",
        "",
        "| | CPU s | wall s | orders/s | peak MB | CPU ÷ limit | wall ÷ limit | imports s |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| `{run['name']}` | {run['cpu_s']:.2f} | {run['wall_s']:.2f} | {run['rows'] / run['wall_s']:,.0f} | {run['peak_mb']:,} |"
        f" {run['ratio_cpu']:.2f} | {run['ratio_wall']:.2f} | {results['imports_s'][run['name']]:.2f} |"
        for run in results["runs"]
    ]
    lines += ["", f"Rows: {'; '.join(_wrong(results)) or 'all hold the same canonical rows'}."]
    if results["left_out"]:
        lines += ["", f"Not in this run: {', '.join(results['left_out'])}."]
    lines += [f"`{name}` failed: {why}" for name, why in results["failed"].items()]
    lines += ["", "| target | | measured | |", "|---|---:|---:|---|"]
    lines += [f"| {one['what']} | {one['target']} | {one['measured']} | {'met' if one['met'] else '**missed**'} |" for one in results["targets"]]  # fmt: skip
    if steps := results["steps_cpu_s"]:
        whole = sum(steps.values())
        spent = "; ".join(f"{name} {seconds:.2f} s ({seconds / whole:.0%})" for name, seconds in steps.items())
        lines += ["", f"Where `crossdock_full` spends its CPU: {spent}."]
    return "\n".join(lines)


def figures(folder: Path = HERE / "results") -> str:
    """All sizes of which results are kept, the ERP's customers, and TPC-H."""
    kept = [folder / f"{size}.json" for size in SIZES]
    made = [markdown(json.loads(path.read_text())) for path in kept if path.is_file()]
    if (path := folder / "customers.json").is_file():
        made.append(_customers(json.loads(path.read_text())))
    if (path := folder / "tpch.json").is_file():
        made.append(_tpch(json.loads(path.read_text())))
    return "\n\n".join(made)


def _customers(results: Mapping[str, Any]) -> str:
    """The ERP's customers: a pair of rows for each way that they come by."""
    count = results["runs"][0]["rows"]
    lines = [
        f"### {count:,} customers of an ERP, at {results['commit']}",
        "",
        "`make bench-customers`: the same customers as a file of CSV and as one answer of a SOAP service, from the system to the canonical table.",
        "",
        "| | CPU s | wall s | peak MB | CPU ÷ by hand | imports s |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| `{run['name'].removeprefix('customers_')}` | {run['cpu_s']:.2f} | {run['wall_s']:.2f} | {run['peak_mb']:,} | {run['ratio_cpu']:.2f} |"
        f" {results['imports_s'][run['name']]:.2f} |"
        for run in results["runs"]
    ]
    return "\n".join([*lines, "", f"Rows: {'; '.join(_wrong(results)) or 'all hold the same canonical rows'}."])


def _tpch(results: Mapping[str, Any]) -> str:
    limit, ours = results["runs"]
    scale = results["size"].split()[1]
    rows = "; ".join(results["differences"]) or "both hold the same canonical rows"
    return (
        f"### TPC-H, scale {scale}, at {results['commit']}\n\n`python benchmarks/tpch.py`: {limit['rows']:,} orders with their lines, made by"
        f" `tpchgen-cli`. Hand-written SQL {limit['cpu_s']:.2f} CPU s and {limit['peak_mb']:,} MB, `crossdock_full` {ours['cpu_s']:.2f} s and"
        f" {ours['peak_mb']:,} MB: {ours['ratio_cpu']:.2f} times the CPU, {ours['ratio_wall']:.2f} times the wall time; {rows}."
    )


def written(page: str, said: str, name: str = "figures") -> str:
    """The page with this between its marks of that name. Raises ValueError where it has none."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    made, times = re.subn(
        f"({begin}\n).*?({end})", lambda marks: f"{marks[1]}\n{said}\n\n{marks[2]}", page, flags=re.DOTALL
    )
    if times != 1:
        raise ValueError(f"the page needs {begin} and {end}, once")
    return made
