"""The quarantine in the terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from flow.show import out

if TYPE_CHECKING:
    from flow.quarantine import Shown

_SAID = (
    "cause", "code", "rule", "field", "message", "raw", "mapping", "run_id", "first_seen", "last_seen", "count",
    "closed_at", "dismissed_at", "dismissed_by", "dismissed_reason",
)  # fmt: skip


def causes(found: Sequence[dict[str, Any]]) -> None:
    if not found:
        out.print("[green]✓[/] nothing is in quarantine")
    for row in found:
        examples = ", ".join(text for text in row["examples"] if text)
        dismissed = f", {row['dismissed']:,} dismissed" if row["dismissed"] else ""
        out.print(
            f"{row['records']:>5,} × [bold]{row['cause']}[/] [yellow]{escape(row['code'])}[/] {escape(_of(row))}: "
            f"{escape(row['message'] or '')}  [dim]e.g. {escape(examples or '–')}{dismissed}[/]",
            soft_wrap=True,
        )
    if found:
        out.print(f"[dim]crossdock quarantine show {found[0]['cause']} shows records of it[/]")


def awaiting(found: Sequence[dict[str, Any]]) -> None:
    """Below the quarantine: what is in order and still not in the warehouse."""
    if not found:
        return
    for row in found:
        out.print(
            f"{row['records']:>5,} × waiting, not in quarantine: {escape(row['system'])}.{escape(row['entity'])} whose "
            f"{escape(row['needs'])} has not come  [dim]e.g. {escape(row['example'])}[/]",
            soft_wrap=True,
        )
    out.print('[dim]crossdock query "select * from ops.waiting" lists them[/]', soft_wrap=True)


def cases(found: Sequence[dict[str, Any]]) -> None:
    if not found:
        out.print("[green]✓[/] nothing is in quarantine")
    for row in found:
        record = row["source_id"] or f"{row['segment']}:{row['line']}"
        since = str(row["first_seen"])[:16]
        out.print(
            f"{row['cause']} [yellow]{escape(row['code'])}[/] {escape(_of(row))} [bold]{escape(record)}[/]: "
            f"{escape(row['message'] or '')}  [dim]{escape(str(row['raw']))}, since {since}, {row['count']} ×[/]",
            soft_wrap=True,
        )


def shown(found: Sequence[Shown]) -> None:
    for one in found:
        first = one.cases[0]
        record = f"{first['system']}.{first['entity']} {first['source_id'] or ''}".rstrip()
        out.print(f"[bold]{escape(record)}[/]  {escape(one.place)}", soft_wrap=True)
        for case in one.cases:
            for name in _SAID:
                if case.get(name) is not None:
                    out.print(f"  {name:<16}{escape(_said(case, name))}", soft_wrap=True)
            out.print()
        text = json.dumps(one.record, ensure_ascii=False, indent=2) if one.record is not None else "not in the lake"
        out.print("  " + escape(text).replace("\n", "\n  ") + "\n", soft_wrap=True)


def _said(case: dict[str, Any], name: str) -> str:
    if name == "mapping" and case["mapping_hash"]:
        return f"{case['mapping']} version {case['mapping_version']} ({case['mapping_hash']})"
    return str(case[name])


def _of(row: dict[str, Any]) -> str:
    return f"{row['system']}.{row['entity'] or ''}.{row['field'] or ''}"
