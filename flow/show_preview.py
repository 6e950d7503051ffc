"""A preview in the terminal: for each record what was read beside what it became, and why something was refused."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flow import show
from flow.preview import Preview, Reason, Record, Row, Value
from flow.preview_field import Explained

_MARKS = {
    "mapped": "[green]✓[/]",
    "excluded": "[dim]–[/]",
    "rejected": "[red]✗[/]",
    "quarantined": "[yellow]⏸[/]",
    "superseded": "[dim]≺[/]",
    "duplicate": "[dim]≡[/]",
}
_SAID = {
    "excluded": "left out by when:",
    "superseded": "a newer version is among the records shown",
    "duplicate": "an equal record comes later",
}


def preview(made: Preview, out: Console | None = None) -> None:
    """All records of a preview, each a table."""
    out = out or show.out
    out.print(
        f"[bold]{escape(made.mapping)} → {escape(made.entity)}[/]  {len(made.records)} of {made.of:,} records of {escape(made.origin)}"
    )
    if not made.records:
        out.print("[green]✓[/] none is refused, or none has that key")
    for record in made.records:
        out.print()
        _record(out, record)


def _record(out: Console, record: Record) -> None:
    if record.duplicate or not record.rows:
        mark, said = (
            (_MARKS["duplicate"], _SAID["duplicate"]) if record.duplicate else (_MARKS["rejected"], "could not be read")
        )
        if not record.duplicate and not record.reasons:
            mark, said = _MARKS["excluded"], "made no row"
        out.print(f"{mark} {said}  [dim]{escape(record.place)}[/]", soft_wrap=True)
        for reason in record.reasons:
            out.print(f"    {_why(reason)}", soft_wrap=True)
    for row in record.rows:
        head = f"{_MARKS[row.state]} [bold]{escape(row.entity)} {escape(row.source_id or '(no key)')}[/] {row.state}"
        said = f", {_SAID[row.state]}" if row.state in _SAID else ""
        out.print(f"{head}{said}  [dim]{escape(record.place)}[/]", soft_wrap=True)
        out.print(_table(row))
    if record.unread and record.rows:
        out.print(f"  [dim]not read: {escape(', '.join(record.unread))}[/]", soft_wrap=True)


def _table(row: Row) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=True)
    for name in ("  input", "", "", "output", ""):
        table.add_column(name, overflow="fold")
    _values(table, row, "")
    for child in row.children:
        table.add_row(
            "", "", "", f"[bold]{escape(child.entity)}[/] [dim]{escape(child.source_id or '(no key)')}[/]", ""
        )
        _values(table, child, "  ")
    return table


def _values(table: Table, row: Row, indent: str) -> None:
    for value in row.values:
        paths = "\n".join(f"  {indent}{escape(path)}" for path, _ in value.reads)
        raws = "\n".join(_raw(raw) for _, raw in value.reads)
        mark = "[red]✗[/]" if value.reason else "→"
        name = f"{indent}[red]{value.name}[/]" if value.reason else f"{indent}{value.name}"
        table.add_row(paths, raws, mark, name, _result(value))
    for reason in row.reasons:
        table.add_row("", "", "[yellow]![/]", f"{indent}[yellow]{escape(reason.field)}[/]", _why(reason))


def _result(value: Value) -> str:
    if value.reason:
        return _why(value.reason)
    if value.value is None:
        return "[dim]–[/]"
    return escape(value.value) + (" [dim](default)[/]" if value.defaulted else "")


def _raw(raw: str | None) -> str:
    return "[dim]–[/]" if raw is None else escape(raw)


def _why(reason: Reason) -> str:
    """Code, rule, sentence, the expression that was refused and the raw value."""
    said = f"[yellow]{escape(reason.code)}[/] {escape(reason.rule)}: {escape(reason.message)}"
    at = f" [dim]at[/] {escape(reason.at)}" if reason.at else ""
    return said + at + (f" [dim]raw[/] {escape(reason.raw)}" if reason.raw is not None else "")


def explained(found: Sequence[Explained], out: Console | None = None) -> None:
    """The way of one value in each record."""
    out = out or show.out
    for one in found:
        mark = "[red]✗[/]" if one.reason else "[green]✓[/]"
        out.print(
            f"{mark} [bold]{escape(one.name)}[/] of {escape(one.key or '(no key)')}  [dim]{escape(one.record)}, {escape(one.at)}[/]",
            soft_wrap=True,
        )
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for _ in range(4):
            table.add_column(overflow="fold")
        for step in one.steps:
            value = "[red]cannot be computed[/]" if step.failed and step.kind == "computed" else _raw(step.value)
            table.add_row("  " + step.kind, escape(step.what), "[red]✗[/]" if step.failed else "→", value)
        result = _why(one.reason) if one.reason else _raw(one.result)
        table.add_row("  result", "", "[red]✗[/]" if one.reason else "→", result)
        out.print(table)
    if not found:
        out.print("the records shown hold no such row")
