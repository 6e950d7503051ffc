"""A preview in the terminal: for each record what was read beside what it became, and why something was refused.

Values are put in as `Text`, never as markup, and what cannot be printed is shown escaped: a record may hold anything, also
what a terminal would obey.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flow import show
from flow.preview import Preview, Reason, Record, Row, Value
from flow.preview_field import Explained

_MARKS = {
    "mapped": ("✓", "green"),
    "excluded": ("–", "dim"),
    "deletes": ("†", "yellow"),
    "rejected": ("✗", "red"),
    "quarantined": ("⏸", "yellow"),
    "superseded": ("≺", "dim"),
    "duplicate": ("≡", "dim"),
}
_SAID = {
    "excluded": "excluded: its when: is not true",
    "deletes": "deletes: it says only that it is gone; all else stays as it is known",
    "superseded": "superseded: a newer version of it is among these records",
    "duplicate": "a duplicate: an equal record comes later",
}
_MISSING = ("–", "dim")
_REFUSED = ("✗", "red")
_TO = ("→", "")


def preview(made: Preview, out: Console | None = None) -> None:
    """All records of a preview, each a table."""
    out = out or show.out
    said = f"  {len(made.records)} of {made.of:,} records of {made.origin}"
    _print(out, (f"{made.mapping} → {made.entity}", "bold"), said)
    if not made.records:
        _print(out, ("✓", "green"), " there is no such record")
    for record in made.records:
        out.print()
        _record(out, record)
    # Once for all of them: records of a stream are alike, and the list is long.
    unread = [path for record in made.records if record.rows for path in record.unread]
    if unread:
        out.print()
        _print(out, (f"not read: {', '.join(dict.fromkeys(unread))}", "dim"))


def printable(text: str) -> str:
    """The text with everything escaped that is no character to be seen."""
    return (
        text
        if text.isprintable()
        else "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    )


def assembled(*parts: str | tuple[str, str]) -> Text:
    """One line of parts, each plain or with a style."""
    pairs = ((part, "") if isinstance(part, str) else part for part in parts)
    return Text.assemble(*((printable(text), style) for text, style in pairs))


def _print(out: Console, *parts: str | tuple[str, str]) -> None:
    out.print(assembled(*parts), soft_wrap=True)


def _record(out: Console, record: Record) -> None:
    place = (f"  {record.place}", "dim")
    if record.duplicate:
        _print(out, _MARKS["duplicate"], f" {_SAID['duplicate']}", place)
    elif record.reasons:
        _print(out, _REFUSED, " could not be read", place)
    elif not record.rows:
        _print(out, _MARKS["excluded"], " made no row", place)
    for reason in record.reasons:
        out.print(Text("    ").append(_why(reason)), soft_wrap=True)
    for row in record.rows:
        name = (f" {row.entity} {_id(row)} ", "bold")
        _print(out, _MARKS[row.state], name, _SAID.get(row.state, row.state), place)
        out.print(_table(row))


def _id(row: Row) -> str:
    return row.source_id or "(no key)"


def _table(row: Row) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("  input", "", "", "output", ""):
        table.add_column(name, overflow="fold")
    _values(table, row, "")
    for child in row.children:
        table.add_row("", "", "", assembled((child.entity, "bold"), (f" {_id(child)}", "dim")), "")
        _values(table, child, "  ")
    return table


def _values(table: Table, row: Row, indent: str) -> None:
    for value in row.values:
        refused = value.reason is not None
        paths = Text("\n".join(f"  {indent}{path}" for path, _ in value.reads))
        raws = Text("\n").join(_raw(raw) for _, raw in value.reads)
        name = Text(indent + value.name, "red" if refused else "")
        table.add_row(paths, raws, Text(*(_REFUSED if refused else _TO)), name, _result(value))
    for reason in row.reasons:
        table.add_row("", "", Text("!", "yellow"), Text(indent + reason.field, "yellow"), _why(reason))


def _result(value: Value) -> Text:
    if value.reason:
        return _why(value.reason)
    return _raw(value.value).append(" (default)", "dim") if value.defaulted else _raw(value.value)


def _raw(raw: str | None) -> Text:
    return Text(*_MISSING) if raw is None else Text(printable(raw))


def _why(reason: Reason) -> Text:
    """Code, rule, sentence, the expression that was refused and the raw value."""
    parts: list[str | tuple[str, str]] = [(reason.code, "yellow"), f" {reason.rule}: {reason.message}"]
    if reason.at:
        parts += [("  at ", "dim"), reason.at]
    if reason.raw is not None:
        parts += [("  raw ", "dim"), reason.raw]
    return assembled(*parts)


def explained(found: Sequence[Explained], out: Console | None = None) -> None:
    """The way of one value in each record."""
    out = out or show.out
    for one in found:
        mark = _REFUSED if one.reason else _MARKS["mapped"]
        _print(
            out, mark, (f" {one.name}", "bold"), f" of {one.key or '(no key)'}", (f"  {one.record}, {one.at}", "dim")
        )
        out.print(_ways(one))
    if not found:
        out.print("the records shown hold no such row")


def _ways(one: Explained) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for _ in range(4):
        table.add_column(overflow="fold")
    for step in one.steps:
        impossible = step.failed and step.kind == "computed"
        value = Text("cannot be computed", "red") if impossible else _raw(step.value)
        table.add_row(f"  {step.kind}", Text(printable(step.what)), Text(*(_REFUSED if step.failed else _TO)), value)
    result = _why(one.reason) if one.reason else _raw(one.result)
    table.add_row("  result", "", Text(*(_REFUSED if one.reason else _TO)), result)
    return table
