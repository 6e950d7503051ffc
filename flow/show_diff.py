"""A diff of mappings in the terminal: counted first, then a few examples field by field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from flow import show
from flow.diff import Calls, Diff, Passing
from flow.show_preview import assembled

if TYPE_CHECKING:
    from warehouse.difference import Refusals, Table

_MARKS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}
_MOST = 8


def diff(made: Diff, out: Console | None = None) -> None:
    """What would change, from the mappings' rows to the calls."""
    out = out or show.out
    _line(out, (f"{made.name} against {made.against}", "bold"), f"  {made.records:,} records of the lake")
    if not made.any:
        _line(out, ("✓", "green"), " no row and no call would change")
        return
    _tables(out, "rows that the mappings make", made.rows)
    _refusals(out, "no longer taken", made.refused)
    _refusals(out, "no longer refused", made.accepted)
    for rule, (before, after) in made.rules.items():
        _line(out, (f"{rule}: ", "bold"), f"{before:,} → {after:,} rows fail")
    _passing(out, made.passing)
    if not made.merged:
        _line(out, "nothing is published yet, so canonical rows and calls cannot be compared: crossdock run")
        return
    for entity, states in made.states.items():
        said = ", ".join(f"{state} {before:,} → {after:,}" for state, (before, after) in states.items())
        _line(out, (f"{entity}: ", "bold"), said)
    _tables(out, "canonical rows after a replay", made.canonical)
    if not made.canonical:
        _line(out, ("canonical rows after a replay", "bold"), ": none would change")
    _planned(out, made)
    if made.rows and any(table.removed for table in made.rows):
        _line(out, ("a row that is no longer made stays in the warehouse as it was: a replay deletes nothing", "dim"))


def calls(made: Diff, out: Console | None = None) -> None:
    """What a target would be sent otherwise."""
    out = out or show.out
    _line(out, (f"{made.name} against {made.against}", "bold"))
    _planned(out, made)


def _planned(out: Console, made: Diff) -> None:
    _calls(out, made.calls)
    for reason, (before, after) in made.kept.items():
        _line(out, f"  {reason}: {before:,} → {after:,}")


def _passing(out: Console, passing: Sequence[Passing]) -> None:
    if passing:
        _line(out, ("waiting records that would pass now", "bold"))
    for one in passing:
        _line(
            out,
            f"  {one.records:,} of {one.waiting:,} × {one.cause} ",
            (one.code, "yellow"),
            f" {one.system}.{one.entity}.{one.field}: {one.message}",
            (f"  e.g. {', '.join(one.examples)}; crossdock quarantine replay {one.cause}", "dim"),
        )


def _line(out: Console, *parts: str | tuple[str, str]) -> None:
    out.print(assembled(*parts), soft_wrap=True)


def _counted(added: int, removed: int, changed: int) -> str:
    named = {"added": added, "removed": removed, "changed": changed}
    return ", ".join(f"{n:,} {name}" for name, n in named.items() if n)


def _columns(columns: Mapping[str, int]) -> str:
    listed = sorted(columns.items(), key=lambda pair: (-pair[1], pair[0]))
    return f" ({', '.join(f'{name} {n:,}' for name, n in listed)})" if listed else ""


def _tables(out: Console, title: str, tables: Sequence[Table]) -> None:
    if tables:
        _line(out, (title, "bold"))
    for table in tables:
        name = f"{table.mapping}: {table.entity}" if table.mapping else table.entity
        said = _counted(table.added, table.removed, table.changed)
        _line(out, f"  {name}  {said}{_columns(table.columns)}")
        for row in table.examples:
            _example(out, row.kind, row.key, row.fields)


def _example(out: Console, kind: str, key: str, fields: Mapping[str, tuple[Any, Any]]) -> None:
    mark, colour = _MARKS[kind]
    _line(out, (f"    {mark} {key}", colour))
    for name, (before, after) in list(fields.items())[:_MOST]:
        _line(out, f"        {name}  ", _shown(before), " → ", _shown(after))
    if len(fields) > _MOST:
        _line(out, (f"        and {len(fields) - _MOST} more", "dim"))


def _shown(value: Any) -> str | tuple[str, str]:
    return ("–", "dim") if value is None else str(value)


def _refusals(out: Console, title: str, found: Sequence[Refusals]) -> None:
    if found:
        _line(out, (title, "bold"))
    for one in found[:_MOST]:
        _line(out, f"  {one.mapping}: {one.records:,} × ", (one.code, "yellow"), f" {one.field or '-'}: {one.message}")
        for id, raw in one.examples:
            _line(out, f"        {id or '(no key)'}  raw ", _shown(raw))


def _calls(out: Console, calls: Sequence[Calls]) -> None:
    _line(out, ("calls that would be planned", "bold"), "" if calls else ": none would change")
    for group in calls:
        said = _counted(group.added, group.removed, group.changed)
        _line(out, f"  {group.target}: {group.operation} {group.stream}  {said}{_columns(group.fields)}")
        for one in group.examples:
            _example(out, one.kind, one.key, one.fields)
