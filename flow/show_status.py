"""How a project stands, in the terminal."""

from __future__ import annotations

from datetime import datetime

from rich.markup import escape
from rich.table import Table

from flow.report import many
from flow.show import findings, out
from flow.status import Status


def status(found: Status) -> None:
    _table(
        ("system", "last run", "last news", "waiting", "quarantined", "not merged"),
        [
            (
                one.system,
                _ago(one.merged_at, found.at),
                _ago(one.news_at, found.at),
                _number(one.waiting),
                _number(one.quarantined),
                _number(one.not_merged, "segment"),
            )
            for one in found.systems
        ],
    )
    if found.targets:
        out.print()
        _table(
            ("target", "last call", "refused", "no answer", "held", "plan"),
            [
                (
                    one.target,
                    _ago(one.applied_at, found.at),
                    _number(one.refused),
                    _number(one.unanswered),
                    _number(one.held),
                    f"{one.plan[:8]} waits, {many(one.planned, 'call')}" if one.plan else _number(0),
                )
                for one in found.targets
            ],
        )
    breaks = (
        "never reconciled" if found.breaks is None else ", ".join(f"{name} {n:,}" for name, n in found.breaks.items())
    )
    out.print(f"\n[dim]open breaks[/]  {escape(breaks) or 'none'}", soft_wrap=True)
    out.print(f"[dim]snapshot[/]     {_ago(found.published_at, found.at)}\n")
    findings(found.findings, "nothing waits for a person")


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for number, name in enumerate(columns):
        table.add_column(name, justify="left" if number < 2 or name in ("last news", "plan") else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    out.print(table)


def _number(n: int, word: str = "") -> str:
    return (many(n, word) if word else f"{n:,}") if n else "[dim]–[/]"


def _ago(instant: datetime | None, now: datetime) -> str:
    """`4 min ago`: what a person wants to know of an instant first. `--json` has the instant."""
    if instant is None:
        return "[dim]never[/]"
    seconds = max(0, int((now - instant).total_seconds()))
    for size, word in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size:,} {word} ago"
    return f"{seconds} s ago"
