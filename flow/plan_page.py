"""`crossdock plan --html`: the plan as one page that needs nothing else, to be read before somebody approves it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from html import escape
from typing import Any

from flow.docs import NOTHING, POLICY, STYLE
from flow.plan_file import Call, Contested, Edit, Kept
from flow.plan_view import Shown, verb
from flow.show_plan import decided, summary, text
from flow.three_way import units

_OWN = """
.add b, .add code { color: var(--accent); } .was { color: var(--soft); } .warn { color: var(--mark); }
.sum { font-size: 1.05rem; color: var(--ink); } .cards > article { margin: 1rem 0 0; padding: .8rem 1rem; background: var(--tint); border-radius: 10px; }
article h3 { font-size: 1rem; margin: 0 0 .3rem; overflow-wrap: anywhere; } article h3 span { font-weight: 400; color: var(--soft); }
dl { display: grid; grid-template-columns: minmax(7rem, 14rem) 1fr; gap: .15rem 1rem; margin: 0; }
dl dt { margin: 0; font-weight: 400; color: var(--soft); overflow-wrap: anywhere; } dl dd { margin: 0; overflow-wrap: anywhere; }
li { overflow-wrap: anywhere; margin: .2rem 0; }
@media (max-width: 46rem) { dl { grid-template-columns: 1fr; gap: 0; } dl dd { margin: 0 0 .4rem; } }
"""


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
        f"An edit made in {made.target}.{stream} since {since[:16]} would be overwritten unseen."
        for stream, since in made.windows.items()
    ]
    notes += [str(finding) for finding in made.findings]
    title = f"{escape(made.target)}: plan {escape(made.id)}"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{title}</title>
<style>
{STYLE.read_text()}{_OWN}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p class="sum">{escape(summary(made, shown.calls))}</p>
<p>Made {made.created:%Y-%m-%d %H:%M} UTC, holds until {made.expires:%Y-%m-%d %H:%M}. Nothing was sent; to send exactly this:
<code>crossdock apply {escape(made.id)}</code></p>
{"".join(f'<p class="warn">{escape(note)}</p>' for note in notes)}
</header>
<main>
{"".join(sections)}</main>
</body>
</html>
"""


def _calls(title: str, calls: Sequence[Call]) -> str:
    cards = "".join(_card(call) for call in calls)
    return f'<section class="cards">\n<h2>{escape(title)} <span class="none">{len(calls):,}</span></h2>\n{cards}</section>\n'


def _card(call: Call) -> str:
    known = f" <span>{escape(call.external_id)}</span>" if call.external_id else ""
    values = [_edit(edit) for edit in call.edits] or [
        f'<dt>{escape(place)}</dt><dd class="add"><b>{_value(value)}</b></dd>' for place, value in units(call.payload)
    ]
    return f"<article><h3>{escape(call.key)}{known}</h3><dl>{''.join(values)}</dl></article>\n"


def _edit(edit: Edit) -> str:
    old = edit.old if edit.known else edit.sent
    was = _value(old) if edit.known or old is not None else "not known"
    note = ""
    if edit.known and edit.sent is not None and edit.sent != edit.old:
        note = f"<small>we sent {_value(edit.sent)}</small>"
    elif not edit.known and old is not None:
        note = "<small>as we sent it</small>"
    return f'<dt>{escape(edit.place)}</dt><dd><span class="was">{was}</span> → <span class="add"><b>{_value(edit.new)}</b></span>{note}</dd>'


def _value(value: Any) -> str:
    return NOTHING if value is None else escape(text(value))


def _conflicts(conflicts: Sequence[Contested]) -> str:
    rows = "".join(
        f"<dt>{escape(value.place)}</dt><dd>sent {_value(value.sent)}, theirs {_value(value.theirs)}, ours {_value(value.ours)}:"
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
