"""A plan in the terminal: each call with what it changes, and below it all that is not sent, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from flow import show
from flow.plan_file import Call, Contested, Edit, Kept, Plan
from flow.plan_view import Shown, verb
from flow.report import many
from flow.show_preview import assembled
from flow.three_way import units

CALLS = 20
_KEPT = 8
_VALUES = 12
_LONG = 60


def plan(shown: Shown, out: Console | None = None) -> None:
    """Record by record what would be sent."""
    out = out or show.out
    made = shown.plan
    _line(out, (f"plan {made.id}", "bold"), f" for {made.target}: {summary(made, shown.calls)}")
    for reason in made.guards:
        _line(out, ("  waits for a person: ", "yellow"), reason)
    for call in made.calls:
        _call(out, call)
    if len(made.calls) < shown.calls:
        _line(
            out,
            (f"  and {shown.calls - len(made.calls):,} more calls; --limit N, --html FILE or --json shows them", "dim"),
        )
    _contested(out, made.conflicts)
    for name, items in (("held", made.held), ("waiting", made.waiting), ("refused", made.refused)):
        _kept(out, name, items)
    for finding in made.findings:
        _line(out, ("  " + finding.code, "yellow"), f" {finding.what}; {finding.fix}")
    for stream, since in made.windows.items():
        said = f"  an edit made in {made.target}.{stream} since {minute(since)} would be overwritten unseen"
        _line(out, (said, "dim"))
    if made.calls:
        _line(out, f"nothing was sent; to send exactly this: crossdock apply {made.id}")


def minute(instant: str) -> str:
    """`2026-11-28 09:19 UTC` of an ISO instant in UTC."""
    return f"{instant[:16].replace('T', ' ')} UTC"


def summary(made: Plan, calls: int) -> str:
    """The plan in numbers."""
    numbers = {"held": len(made.held), "waiting": len(made.waiting), "refused": len(made.refused)}
    numbers = dict(made.counts) | numbers | {"contested": len(made.conflicts)}
    said = [f"{n:,} {name.replace('_', ' ')}" for name, n in numbers.items() if n]
    return ", ".join([many(calls, "call"), *said])


def _line(out: Console, *parts: str | tuple[str, str]) -> None:
    out.print(assembled(*parts), soft_wrap=True)


def _call(out: Console, call: Call) -> None:
    said = f" {call.stream} {call.key}" + (f" ({call.external_id})" if call.external_id else "")
    _line(out, (f"  {verb(call)}", "cyan"), said)
    for edit in call.edits[:_VALUES]:
        _line(out, f"      {edit.place}  ", *change(edit))
    values = [] if call.edits else units(call.payload)
    for place, value in values[:_VALUES]:
        _line(out, f"      {place}  {text(value)}")
    if (more := max(len(call.edits), len(values)) - _VALUES) > 0:
        _line(out, (f"      and {more} more", "dim"))


def change(edit: Edit) -> list[str | tuple[str, str]]:
    """`Silver → Gold`, and what was sent before where the target holds another value."""
    old = edit.old if edit.known else edit.sent
    parts: list[str | tuple[str, str]] = [
        text(old) if edit.known or old is not None else ("?", "dim"),
        " → ",
        text(edit.new),
    ]
    if edit.known and edit.sent is not None and edit.sent != edit.old:
        parts.append((f"  (we sent {text(edit.sent)})", "dim"))
    elif not edit.known and old is not None:
        parts.append(("  (as we sent it)", "dim"))
    return parts


def text(value: Any) -> str:
    """A value in a line."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (dict, list)):
        from hub.canonical import dumps

        value = dumps(value)
    said = str(value)
    return said if len(said) <= _LONG else said[: _LONG - 1] + "…"


def _contested(out: Console, conflicts: Sequence[Contested]) -> None:
    for one in conflicts[:_KEPT]:
        _line(out, ("  conflict", "yellow"), f" {one.stream} {one.key}")
        for value in one.values:
            sides = f"sent {text(value.sent)}, theirs {text(value.theirs)}, ours {text(value.ours)}"
            _line(out, f"      {value.place}  {sides}: {decided(value.winner)} ({value.policy})")
    _more(out, "conflict", len(conflicts))


def decided(winner: str) -> str:
    return {"ours": "ours is sent", "theirs": "theirs stays"}.get(winner, "waits for a person")


def _kept(out: Console, name: str, items: Sequence[Kept]) -> None:
    for one in items[:_KEPT]:
        _line(out, (f"  {name}", "yellow"), f" {one.operation} {one.stream} {one.key}: {one.reason}")
    _more(out, name, len(items))


def _more(out: Console, name: str, n: int) -> None:
    if n > _KEPT:
        _line(out, (f"  {name}: and {n - _KEPT:,} more", "dim"))
