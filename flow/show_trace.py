"""A trace in the terminal: one line an event, and below it what it was about, indented."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console

from flow import show
from flow.personal import leaves
from flow.show_plan import text
from flow.show_preview import assembled
from hub.secrets import MASK

_VALUES = 8
Parts = tuple[str | tuple[str, str], ...]


def trace(found: Mapping[str, Any], out: Console | None = None) -> None:
    """The cell that was asked for, if one was, and the timeline."""
    out = out or show.out
    if not found:
        out.print("nothing is known of that")
        return
    hub = f"  hub id {found['hub_id']}" if found["hub_id"] else "  it never got through"
    _line(out, (f"{found['entity']} {found['key']}", "bold"), hub)
    if found["others"]:
        _line(out, ("  the key means others too: " + ", ".join(f"#{other}" for other in found["others"]), "yellow"))
    if cell := found.get("cell"):
        for parts in cell_lines(cell):
            _line(out, *parts)
        return
    for event in found["events"]:
        at = str(event["at"])[:19].replace("T", " ")
        _line(out, (f"  {at:<19} ", "dim"), f"{event['step']:<10} {event['system']:<10} {event['what']}")
        for name, said in _below(event):
            _line(out, (f"      {name}  ", "dim"), said)


def _line(out: Console, *parts: str | tuple[str, str]) -> None:
    out.print(assembled(*parts), soft_wrap=True)


def _below(event: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    detail = event["detail"]
    lines = list(below(detail))
    yield from lines[:_VALUES]
    if len(lines) > _VALUES:
        yield "…", f"{len(lines) - _VALUES} more; --json or --html FILE shows them"


def below(detail: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(name, what is said) of the details of an event that a person wants to see under its line."""
    if (changed := detail.get("changed")) is not None:
        for place, (old, new) in changed.items():
            yield place, f"{text(old)} → {text(new)}"
    elif detail.get("raw") is not None:
        for place, value in _flat(detail["raw"]):
            yield place, text(value)
    if again := detail.get("seen_again"):
        yield "seen again", f"unchanged, last on {again[:19].replace('T', ' ')}"
    yield from _won(detail.get("values", {}))
    if failed := detail.get("failed_in_batch"):
        yield "of its batch", "; ".join(failed)
    if (request := detail.get("request")) is not None:
        before = detail["held_before"]
        for place, value in _flat(request):
            yield place, f"{text(before[place])} → {text(value)}" if place in before else text(value)
    if detail.get("idempotency_key"):
        yield "plan", f"{detail['plan']}, {detail['attempts']} attempt{'' if detail['attempts'] == 1 else 's'}"
    if detail.get("seconds") is not None:
        request_id = f", the target's request id {detail['request_id']}" if detail.get("request_id") else ""
        yield "answered", f"in {detail['seconds']:.3f} s{request_id}"


def _won(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each column for which somebody lost; the others by who said them."""
    alone: dict[str, list[str]] = {}
    for column, value in values.items():
        if "lost" in value:
            yield column, value["why"]
        else:
            alone.setdefault(value["why"] or "by nobody who speaks for it now", []).append(column)
    for why, columns in alone.items():
        yield why, ", ".join(columns)


def _flat(value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, (dict, list)):
        yield "raw", value
    else:
        yield from ((place, one) for place, one in leaves(value) if one is not None and one != MASK)


def said(value: Any) -> str:
    """A value, or the values of a child's rows, in words."""
    return ", ".join(map(text, value)) if isinstance(value, list) else text(value)


def cell_lines(cell: Mapping[str, Any]) -> Iterator[Parts]:
    """How one value came about: each system's way to it, who won, since when it holds, who was told it."""
    yield (f"  {cell['field']}  ", (said(cell["value"]), "bold"), (f"  {cell['rule']}", "dim"))
    for source in cell["sources"]:
        won = (" ← this one holds", "green") if source["won"] else ""
        version = f" version {source['mapping_version']}" if source["mapping_version"] else ""
        yield ("  ", (f"{source['system']} {source['source_id']}", "cyan"), f" says {text(source['value'])}", won)
        yield ((f"      raw record {source['place']}, {source['mapping']}{version}", "dim"),)
        if source.get("why"):
            yield ((f"      {source['why']}", "dim"),)
        if source["at"]:
            yield ((f"      {source['at']}", "dim"),)
        for step in source["steps"]:
            failed = (" failed", "red") if step["failed"] else ""
            yield (f"      {step['kind']:<9} {step['what']} → {text(step['value'])}", failed)
    for who, value in cell["lost"].items():
        yield (("  lost", "yellow"), f" {who}: {said(value)}")
    for one in cell["history"]:
        yield (
            ("  held", "dim"),
            f" {text(one['value'])} since {one['since'][:19].replace('T', ' ')} ({one['run_id']})",
            (f"  {one['row']}" if one.get("row") else "", "dim"),
        )
    for one in cell["sent"]:
        yield ("  ", ("sent", "cyan"), f" {one['target']}: {one['call']}, {one['place']} = {said(one['value'])}")
        for answer in one["answers"]:
            given = f" as {answer['external_id']}" if answer["external_id"] else ""
            message = f": {answer['message']}" if answer["message"] else ""
            yield (f"      {answer['status']}{given}{message}", (f"  {answer['seconds']:.3f} s", "dim"))
