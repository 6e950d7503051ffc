"""`crossdock plan --html`: the plan as one page that needs nothing else, to be read before somebody approves it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from html import escape

from flow.page import document, in_line
from flow.plan_file import Call, Contested, Edit, Kept
from flow.plan_view import Shown, verb
from flow.show_plan import decided, minute, summary
from flow.three_way import units


def as_html(shown: Shown) -> str:
    """The whole page."""
    made = shown.plan
    kinds: dict[str, list[Call]] = defaultdict(list)
    for call in made.calls:
        kinds[f"{verb(call)} {call.stream}"].append(call)
    sections = [_calls(title, calls) for title, calls in kinds.items()]
    if len(made.calls) < shown.calls:
        sections.append(f"<p>{shown.calls - len(made.calls):,} more calls are not on this page.</p>\n")
    sections.append(_conflicts(made.conflicts))
    for name, items in (("held", made.held), ("waiting", made.waiting), ("refused", made.refused)):
        sections.append(_kept(name, items))
    notes = [f"Waits for a person: {reason}" for reason in made.guards]
    notes += [
        f"An edit made in {made.target}.{stream} since {minute(since)} would be overwritten unseen."
        for stream, since in made.windows.items()
    ]
    notes += [str(finding) for finding in made.findings]
    title = f"{made.target}: plan {made.id}"
    body = f"""<header>
<h1>{escape(title)}</h1>
<p class="sum">{escape(summary(made, shown.calls))}</p>
<p>Made {made.created:%Y-%m-%d %H:%M} UTC, holds until {made.expires:%Y-%m-%d %H:%M}. Nothing was sent; to send exactly this:
<code>crossdock apply {escape(made.id)}</code></p>
{"".join(f'<p class="warn">{escape(note)}</p>' for note in notes)}
</header>
<main>
{"".join(sections)}</main>"""
    return document(title, body)


def _calls(title: str, calls: Sequence[Call]) -> str:
    cards = "".join(_card(call) for call in calls)
    return f'<section class="cards">\n<h2>{escape(title)} <span class="none">{len(calls):,}</span></h2>\n{cards}</section>\n'


def _card(call: Call) -> str:
    known = f" <span>{escape(call.external_id)}</span>" if call.external_id else ""
    values = [_edit(edit) for edit in call.edits] or [
        f'<dt>{escape(place)}</dt><dd class="add"><b>{in_line(value)}</b></dd>' for place, value in units(call.payload)
    ]
    return f"<article><h3>{escape(call.key)}{known}</h3><dl>{''.join(values)}</dl></article>\n"


def _edit(edit: Edit) -> str:
    old = edit.old if edit.known else edit.sent
    was = in_line(old) if edit.known or old is not None else "not known"
    note = ""
    if edit.known and edit.sent is not None and edit.sent != edit.old:
        note = f"<small>we sent {in_line(edit.sent)}</small>"
    elif not edit.known and old is not None:
        note = "<small>as we sent it</small>"
    return f'<dt>{escape(edit.place)}</dt><dd><span class="was">{was}</span> → <span class="add"><b>{in_line(edit.new)}</b></span>{note}</dd>'


def _conflicts(conflicts: Sequence[Contested]) -> str:
    rows = "".join(
        f"<dt>{escape(value.place)}</dt><dd>sent {in_line(value.sent)}, theirs {in_line(value.theirs)}, ours {in_line(value.ours)}:"
        f" <b>{decided(value.winner)}</b> <span class='none'>({escape(value.policy)}) {escape(one.stream)} {escape(one.key)}</span></dd>"
        for one in conflicts
        for value in one.values
    )
    return f"<section>\n<h2>conflicts</h2>\n<dl>{rows}</dl></section>\n" if rows else ""


def _kept(name: str, items: Sequence[Kept]) -> str:
    rows = "".join(
        f"<li>{escape(one.operation)} {escape(one.stream)} <b>{escape(one.key)}</b>: {escape(one.reason)}</li>\n"
        for one in items
    )
    return f"<section>\n<h2>{name}</h2>\n<ul>\n{rows}</ul></section>\n" if rows else ""
