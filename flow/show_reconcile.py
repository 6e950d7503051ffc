"""What `crossdock reconcile` prints: how much agrees, the worst of what does not, and what to do. Nothing here decides anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.markup import escape

from flow.report import StepReport
from flow.show import out

_WORST = 8
_COLOURS = {"high": "red", "medium": "yellow", "low": "dim"}


def reconciliation(report: StepReport) -> None:
    said, n = report.detail, report.counts
    if said["outcome"] == "undecided":
        out.print(f"[yellow]?[/] [bold]{escape(report.system)}[/]  {escape(said['summary'])}", soft_wrap=True)
        return
    mark = "[green]✓[/]" if said["outcome"] == "agree" else "[red]≠[/]"
    out.print(f"{mark} [bold]{escape(report.system)}[/]  {escape(said['title'])}", soft_wrap=True)
    out.print(f"    {_numbers(n)}", soft_wrap=True)
    if not said["worst"]:
        return
    risk = ", ".join(f"{float(amount):,.2f} {currency}" for currency, amount in said["money_at_risk"].items())
    out.print(f"    [bold]{n['breaks_open']:,} open breaks[/], {escape(risk or 'no money')} at risk", soft_wrap=True)
    for one in said["worst"][:_WORST]:
        colour = _COLOURS[one["severity"]]
        line = one["line"].partition(" ")[2]
        out.print(f"      [{colour}]{one['severity']:<6}[/] {one['code']} {escape(line)}", soft_wrap=True)
    if len(said["worst"]) > _WORST:
        rest = n["breaks_open"] - _WORST
        out.print(
            f"      [dim]and {rest:,} more: select * from recon.breaks where name = '{report.system}'[/]",
            soft_wrap=True,
        )
    out.print("    [bold]what to do[/]")
    for reason, text in said["to_do"].items():
        out.print(f"      {reason:<13} {escape(text)}", soft_wrap=True)


def _numbers(n: dict[str, int]) -> str:
    share = n["agreed"] / max(n["agreed"] + n["differing"], 1)
    said = [f"{n['agreed']:,} agree ({share:.1%})"]
    for name, words in (
        ("in_flight", "on their way"),
        ("not_expected", "need no partner"),
        ("out_of_scope", "out of scope"),
    ):
        said += [f"{n[name]:,} {words}"] if n[name] else []
    moved = [f"{n[name]:,} {name}" for name in ("opened", "reopened", "closed") if n[name]]
    return ", ".join(said) + (f"; since the last time {', '.join(moved)}" if moved else "")


def closing(reports: Sequence[StepReport]) -> None:
    if any(report.counts.get("breaks_open") for report in reports):
        out.print(
            "\ncrossdock reconcile --fix shows which of them a push can heal; --html FILE writes all of it as a page"
        )


def fix(made: Any) -> None:
    """What a push can heal, what a person has to, and how to go on."""
    healed = [one for one in made.proposals if one.call]
    rest = [one for one in made.proposals if not one.call]
    if not made.proposals:
        out.print("[green]✓[/] there is no open break")
    for one in healed[: _WORST * 2]:
        out.print(
            f"[green]heal[/]    {one.name} {escape(one.key)} {one.reason}: {one.target} {escape(one.call)}",
            soft_wrap=True,
        )
    for one in rest[: _WORST * 2]:
        out.print(f"[yellow]person[/]  {one.name} {escape(one.key)} {one.reason}: {escape(one.why)}", soft_wrap=True)
    for shown, word in ((healed, "that a push heals"), (rest, "for a person")):
        if len(shown) > _WORST * 2:
            out.print(f"[dim]and {len(shown) - _WORST * 2} more {word}; --json shows all[/]")
    for target, plan in made.plans.items():
        out.print(f"nothing was sent; to send these {len(plan.calls)} calls to {target}: crossdock apply {plan.id}")
