"""A plan as a person reads it before approving it: Markdown, in Airflow and wherever else a plan waits for somebody."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from flow.plan_file import Call, Kept, Plan
from flow.plan_view import verb
from flow.report import many

_SHOWN = 15


def subject(made: Plan) -> str:
    """What is asked, in a line: `Send 18 calls to erp?`"""
    return f"Send {many(len(made.calls), 'call')} to {made.target}?"


def markdown(made: Plan) -> str:
    """Why it waits, what would be sent and what would not, by kind of call, key and field. Values are personal and stay out of it."""
    parts = [f"**{made.target}**: {many(len(made.calls), 'call')}, {many(made.unchanged, 'record')} unchanged", ""]
    if made.approval == "required":
        parts += [f"Waits for a person: {reason}." for reason in made.guards or (_first(made),)] + [""]
    kinds = Counter((verb(call), call.stream) for call in made.calls)
    for (done, stream), n in kinds.items():
        calls = [call for call in made.calls if (verb(call), call.stream) == (done, stream)]
        parts.append(f"* {done} {n:,} × {_plain(stream)}: {_keys(calls)}")
        if fields := _fields(calls):
            parts.append(f"    * {fields}")
    for name, items in (("held", made.held), ("waiting", made.waiting), ("refused", made.refused)):
        parts += _kept(name, items)
    decided = Counter((v.name, v.winner, v.policy) for one in made.conflicts for v in one.values)
    parts += [
        f"* conflict: {n:,} × {_plain(name)}: {winner} ({policy})" for (name, winner, policy), n in decided.items()
    ]
    parts += [f"* {_plain(str(finding))}" for finding in made.findings]
    if made.calls:
        parts += [
            "",
            f"This is plan `{made.id}`; it holds until {made.expires:%Y-%m-%d %H:%M} UTC. Nothing was sent yet.",
        ]
    return "\n".join(
        [*parts, "", f"Every value, old and new: `crossdock plan {made.target}` (`--html FILE` makes a page)"]
    )


def _first(made: Plan) -> str:
    return f"it is the first for {made.target}, and shows whether the mappings mean what they say"


def _keys(calls: Sequence[Call]) -> str:
    return ", ".join(_plain(call.key) for call in calls[:_SHOWN]) + (" …" if len(calls) > _SHOWN else "")


def _fields(calls: Sequence[Call]) -> str:
    """Which fields of existing records would change, the most frequent first."""
    places = Counter(edit.place for call in calls if call.external_id for edit in call.edits)
    said = [f"{_plain(place)} {n:,}" for place, n in places.most_common(_SHOWN)]
    return f"fields: {', '.join(said)}" + (" …" if len(places) > _SHOWN else "") if said else ""


def _kept(name: str, items: Sequence[Kept]) -> list[str]:
    reasons = Counter(f"{one.operation} {one.stream}: {one.reason}" for one in items)
    lines = [f"* {name}: {n:,} × {_plain(reason)}" for reason, n in reasons.most_common(_SHOWN)]
    return lines + ([f"* {name}: and {len(reasons) - _SHOWN} more reasons"] if len(reasons) > _SHOWN else [])


def _plain(text: str) -> str:
    """Data in one line of Markdown as nothing but text: who approves must not be shown a link, a picture or a list that a key made."""
    return re.sub(r"([\\`*\[\]<>!|~#&]|(?<!\w)_|_(?!\w))", r"\\\1", " ".join(text.split()))
