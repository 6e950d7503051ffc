"""What people see in the terminal. Nothing here decides anything."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from flow.report import StepReport, many
from hub.errors import CrossdockError
from hub.findings import Finding, errors_in

# A pipe has no width: a program that reads along, or a log, gets whole lines.
out = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
err = Console(stderr=True, highlight=False)

_MARKS = {"ok": "[green]✓[/]", "partial": "[yellow]◐[/]", "held": "[yellow]⏸[/]", "failed": "[red]✗[/]"}
_MOST = 8
_MONEY = 4  # decimals of an amount in the warehouse; two of them are shown at least
_FOLDED = 6  # columns of a table whose long texts are folded; of more than these nothing could be read any more


def error(problem: CrossdockError) -> None:
    err.print(f"[red]{escape(problem.code)}[/] {escape(problem.what)}", soft_wrap=True)
    if problem.place:
        err.print(f"  where  {escape(str(problem.place))}", soft_wrap=True)
    if problem.fix:
        err.print(f"  do     {escape(problem.fix)}", soft_wrap=True)
    err.print(f"  more   crossdock explain {escape(problem.code)}", style="dim")


def progress(text: str) -> None:
    out.print(f"[dim]… {escape(text)}[/]")


def step(report: StepReport) -> None:
    """One line a step, and below it what a person has to know."""
    seconds = f"[dim]{report.seconds:5.1f} s[/]"
    out.print(
        f"{_mark(report)} [bold]{report.step:<9}[/] {escape(report.system):<10} {seconds}  {escape(report.summary)}",
        soft_wrap=True,
    )
    for finding in report.findings[:_MOST]:
        # A line of a file is where a person goes next; systems and streams are named in the line above or in the sentence.
        at = f" {finding.place}:" if finding.place.line else ""
        out.print(
            f"    [yellow]{escape(finding.code)}[/]{escape(at)} {escape(finding.what)}"
            + (f"; {escape(finding.fix)}" if finding.fix else ""),
            soft_wrap=True,
        )
    if len(report.findings) > _MOST:
        out.print(f"    [dim]and {len(report.findings) - _MOST} more[/]")
    for line in report.detail.get("lines", [])[: _MOST * 2]:
        out.print(f"    {escape(line)}", soft_wrap=True)


def _mark(report: StepReport) -> str:
    """A step that finished has a tick, unless nothing good came of it and something bad did."""
    bad = report.counts.get("rejected", 0) + report.counts.get("quarantined", 0)
    good = sum(n for name, n in report.counts.items() if name not in ("rejected", "quarantined"))
    return _MARKS["partial" if report.status == "ok" and bad and not good else report.status]


def total(reports: Sequence[StepReport]) -> None:
    troubled = [r for r in reports if r.status != "ok"]
    if troubled:
        out.print(
            f"\nfinished; {len(troubled)} of {many(len(reports), 'step')} need a look: "
            + ", ".join(f"{r.step} {r.system} ({r.status})" for r in troubled)
        )
    else:
        out.print(f"\nfinished; {many(len(reports), 'step')}")


def findings(found: Sequence[Finding], clean: str) -> None:
    for finding in found:
        mark = "red" if finding.severity == "error" else "yellow"
        out.print(
            f"{escape(str(finding.place))} [{mark}]{escape(finding.code)}[/] {escape(finding.what)}"
            + (f"; {escape(finding.fix)}" if finding.fix else ""),
            soft_wrap=True,
        )
    if found:
        errors = errors_in(found)
        worst = (errors or found)[0]
        out.print(
            f"{many(len(errors), 'error')}, {many(len(found) - len(errors), 'warning')}; crossdock explain {escape(worst.code)} says more"
        )
    else:
        out.print(f"[green]✓[/] {escape(clean)}")


def rows(columns: Sequence[str], data: Iterable[Sequence[Any]], limit: int = 50) -> None:
    """A table that a person can read, and where it would be wider than the screen row after row; says how many it leaves out."""
    listed = list(data)
    shown = [[_cell(value) for value in row] for row in listed[:limit]]
    if len(columns) > _FOLDED and _width(columns, shown) > out.width:
        _one_by_one(columns, shown)
    else:
        _table(columns, listed, shown)
    left = len(listed) - limit
    out.print(f"[dim]{many(len(listed), 'row')}" + (f", {left:,} not shown (--limit)" if left > 0 else "") + "[/]")


def _width(columns: Sequence[str], shown: Sequence[Sequence[str]]) -> int:
    """The characters of the widest cell of each column, and two between them."""
    widest = (
        max([len(name), *(Text.from_markup(row[at]).cell_len for row in shown)]) for at, name in enumerate(columns)
    )
    return sum(widest) + 2 * (len(columns) - 1)


def _one_by_one(columns: Sequence[str], shown: Sequence[Sequence[str]]) -> None:
    for number, row in enumerate(shown, 1):
        out.print(f"[bold]row {number:,}[/]")
        grid = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in zip(columns, row, strict=True):
            grid.add_row(escape(name), value)
        out.print(grid)


def _table(columns: Sequence[str], listed: Sequence[Sequence[Any]], shown: Sequence[Sequence[str]]) -> None:
    """Numbers to the right."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for index, column in enumerate(columns):
        numeric = bool(listed) and all(
            isinstance(row[index], (int, float, Decimal)) or row[index] is None for row in listed[:20]
        )
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in shown:
        table.add_row(*row)
    out.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "[dim]–[/]"
    if isinstance(value, Decimal):
        text = f"{value:f}"
        if "." not in text:
            return text
        whole, _, part = text.partition(".")
        least = 2 if len(part) == _MONEY else 0
        part = part.rstrip("0").ljust(least, "0")
        return f"{whole}.{part}" if part else whole
    if hasattr(value, "isoformat"):
        return str(value.isoformat(sep=" ", timespec="seconds") if hasattr(value, "hour") else value)
    return escape(str(value))


def systems(described: Sequence[dict[str, Any]]) -> None:
    for row in described:
        access = f"written to from {row['go_live']}" if row["write"] else "read only"
        out.print(
            f"[bold]{escape(row['system']):<10}[/] {escape(row['connector']):<14} {access:<28} {escape(row['url'])}",
            soft_wrap=True,
        )
        out.print(f"           [dim]{', '.join(row['streams'])}[/]")
        if row["problem"]:
            out.print(f"           [red]{escape(row['problem'])}[/]", soft_wrap=True)


def demo_opening(project: Any, world: dict[str, Any], *, again: bool) -> None:
    out.rule("[bold]crossdock demo[/]")
    out.print(
        f"A cart ({world['cart']}), an ERP over SOAP ({world['erp']}), a CRM ({world['crm']}) and a drop folder are running."
    )
    out.print(
        "Same data as before: only what changed is pulled.\n"
        if again
        else "The warehouse is empty: this is the first cycle.\n"
    )


def demo_closing(project: Any, world: dict[str, Any], reports: Sequence[StepReport], seconds: float) -> None:
    total(reports)
    cycle = sum(1 for _ in reports)
    out.print(f"[dim]{cycle} steps in {seconds:.1f} s, the systems' start included[/]\n")
    example = world.get("example_order", "1001")
    out.print("[bold]Try next[/]")
    out.print(
        '  .venv/bin/crossdock query "select number, seller_number, total, payment_status, fulfilment_status from sales_order order by ordered_at desc limit 5"',
        soft_wrap=True,
    )
    out.print(f"  .venv/bin/crossdock trace sales_order {example}")
    out.print("  make up        # the same in Airflow")
