"""What `crossdock test` shows in the terminal. Nothing here decides anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.markup import escape

from flow.show import out

if TYPE_CHECKING:
    from flow.capture import Captured
    from hub.findings import Finding
    from mappings.coverage import Coverage
    from mappings.laws import Law
    from mappings.mutants import Report
    from mappings.outcomes import Difference, Outcome


def outcomes(listed: Sequence[Outcome]) -> None:
    """Each example that does not hold, with what was expected and what came, field by field; then how many hold."""
    from mappings.outcomes import Difference

    failed = [one for one in listed if not one.holds]
    for one in failed:
        arrow = f" → push {one.push}" if one.push else ""
        out.print(f"[red]✗[/] [bold]{escape(one.mapping)}[/]{arrow}  {escape(one.example)}", soft_wrap=True)
        fields = [finding for finding in one.findings if isinstance(finding, Difference)]
        width = max((len(one.field) for one in fields), default=0)
        for finding in one.findings:
            line = _field(finding, width) if isinstance(finding, Difference) else _other(finding)
            out.print(f"    {line}", soft_wrap=True)
    there = len(listed)
    if failed:
        out.print(f"{len(failed)} of {there} examples do not hold")
    else:
        out.print(f"[green]✓[/] {there} examples hold")


def _field(finding: Difference, width: int) -> str:
    expected = "nothing" if finding.expected is None else finding.expected
    came = "nothing" if finding.came is None else finding.came
    values = f"expected [green]{escape(expected)}[/]  came [red]{escape(came)}[/]"
    return f"{escape(finding.field):<{width}}  {values}  [dim]{escape(str(finding.place))}[/]"


def _other(finding: Finding) -> str:
    fix = f"; {finding.fix}" if finding.fix else ""
    return f"[yellow]{finding.code}[/] {escape(finding.what + fix)}  [dim]{escape(str(finding.place))}[/]"


def captured(made: Captured) -> None:
    """Where the example was written, what becomes of it, and what was done to the record."""
    fixture = made.fixture
    out.print(
        f"[green]✓[/] {escape(str(made.file))}  [bold]{escape(made.mapping)}[/]  {escape(fixture.outcome)}",
        soft_wrap=True,
    )
    out.print(f"  masked   {escape(', '.join(fixture.masked) or 'nothing: no part is personal')}", soft_wrap=True)
    out.print("  unread   " + ("masked, for it matters" if fixture.unread else "left out"), soft_wrap=True)
    if fixture.kept:
        out.print(f"[yellow]  as it is {escape(', '.join(fixture.kept))}: personal, and in the file[/]", soft_wrap=True)


def mutants(reports: Iterable[Report]) -> None:
    """What no example notices, with its place; and for each mapping how many small mistakes are noticed."""
    for report in reports:
        noticed = report.tried - len(report.unnoticed)
        out.print(
            f"[bold]{escape(report.mapping)}[/]  {noticed} of {report.tried} small mistakes are noticed by an example"
        )
        for one in report.unnoticed:
            out.print(f"    {escape(one.about)}: {escape(one.what)}  [dim]{escape(str(one.place))}[/]", soft_wrap=True)


def coverage(listed: Iterable[Coverage]) -> None:
    """What no example exercises, with its place."""
    for one in listed:
        out.print(
            f"[bold]{escape(one.mapping)}[/]  {one.points - len(one.missed)} of {one.points} points are exercised"
        )
        for point in one.missed:
            out.print(
                f"    {escape(point.about)}: {escape(point.what)}  [dim]{escape(str(point.place))}[/]", soft_wrap=True
            )


def laws(listed: Iterable[Law]) -> None:
    """For each push: what comes back as it was sent, what is wrong, and what is lost, with the reason."""
    one = None
    for one in listed:
        mark = "[red]✗[/]" if one.findings else "[green]✓[/]"
        held = ", ".join(one.held) or "nothing goes both ways"
        out.print(
            f"{mark} [bold]{escape(one.mapping)}[/] push {one.push}  {one.tried} records: {escape(held)}",
            soft_wrap=True,
        )
        for finding in one.findings:
            out.print(f"    {_other(finding)}", soft_wrap=True)
        for name, why in one.lossy.items():
            out.print(f"    [dim]lossy[/] {escape(name)}: {escape(why)}", soft_wrap=True)
    if one is None:
        out.print("no mapping here is read and pushed, so there is nothing to hold one against the other")
