"""What `crossdock explain MAPPING` shows in the terminal. Nothing here decides anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from flow.show import out

if TYPE_CHECKING:
    from mappings.inherited import Inheritance, Setting

_STYLES = {"overridden": "yellow", "added": "green", "left out": "red", "repeated": "dim", "inherited": "dim"}


def inheritance(made: Inheritance) -> None:
    """What was changed, each with both places, before what was not."""
    from mappings.inherited import KINDS

    if made.base is None:
        out.print(f"[bold]{escape(made.mapping)}[/] extends nothing  {escape(str(made.place))}", soft_wrap=True)
        return
    behind = "the mapping of this name behind it" if made.base == made.mapping else made.base
    out.print(f"[bold]{escape(made.mapping)}[/] extends {escape(behind)}  {escape(str(made.place))}", soft_wrap=True)
    width = max((len(one.name) for one in made.settings), default=0)
    for kind in KINDS:
        for one in (one for one in made.settings if one.kind == kind):
            said = f"[{_STYLES[kind]}]{kind:<10}[/]  {escape(one.name):<{width}}  {escape(_values(one))}"
            out.print(f"  {said}  [dim]{escape(_places(one))}[/]", soft_wrap=True)


def _values(one: Setting) -> str:
    if one.kind in ("overridden", "left out"):
        return f"{one.before} → {one.after or '–'}"
    return one.after or ""


def _places(one: Setting) -> str:
    return " → ".join(str(place) for place in (one.was, one.at) if place)
