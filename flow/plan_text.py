"""A plan as a person reads it before approving it: Markdown, in Airflow and wherever else a plan waits for somebody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from flow.plan_file import Call, Kept, Plan

_SHOWN = 15


def markdown(made: Plan) -> str:
    """What would be sent and what would not, by operation and key. Payloads are personal and stay out of it."""
    parts = [f"**{made.target}**: {_many(len(made.calls), 'call')}, {made.unchanged:,} records unchanged"]
    kinds = Counter((call.operation, call.stream) for call in made.calls)
    parts += [
        f"* {operation} {n:,} × {stream}: {_keys(made.calls, operation, stream)}"
        for (operation, stream), n in kinds.items()
    ]
    for name, items in (("held", made.held), ("waiting", made.waiting), ("refused", made.refused)):
        parts += _kept(name, items)
    parts += [f"* waits for a person: {reason}" for reason in made.guards]
    decided = Counter((v.name, v.winner, v.policy) for one in made.conflicts for v in one.values)
    parts += [f"* conflict: {n:,} × {name}: {winner} ({policy})" for (name, winner, policy), n in decided.items()]
    parts += [f"* {finding}" for finding in made.findings]
    return "\n".join([parts[0], "", *parts[1:], "", f"All of it, payloads included: `crossdock plan {made.target}`"])


def _keys(calls: Sequence[Call], operation: str, stream: str) -> str:
    keys = [call.key for call in calls if (call.operation, call.stream) == (operation, stream)]
    return ", ".join(keys[:_SHOWN]) + (" …" if len(keys) > _SHOWN else "")


def _kept(name: str, items: Sequence[Kept]) -> list[str]:
    reasons = Counter(f"{one.operation} {one.stream}: {one.reason}" for one in items)
    lines = [f"* {name}: {n:,} × {reason}" for reason, n in reasons.most_common(_SHOWN)]
    return lines + ([f"* {name}: and {len(reasons) - _SHOWN} more reasons"] if len(reasons) > _SHOWN else [])


def _many(n: int, word: str) -> str:
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"
