"""The control endpoint every server has: faults, the log of calls, the clock."""

from __future__ import annotations

from typing import Any

from sandbox.clock import Clock, instant_key, parse_instant
from sandbox.faults import Fault
from sandbox.httpd import Site


def add_controls(site: Site, clock: Clock) -> None:
    def add_fault(wanted: dict[str, Any]) -> object:
        site.faults.add(Fault.parse(wanted))
        return site.faults.shown()

    def clear_faults(_: dict[str, Any]) -> object:
        site.faults.clear()
        return []

    def clear_calls(_: dict[str, Any]) -> object:
        site.calls.clear()
        return []

    def set_clock(wanted: dict[str, Any]) -> object:
        """{"now": ISO instant or null for the real time, "frozen": false} and/or {"advance": seconds}."""
        if "now" in wanted and wanted["now"] is None:
            clock.reset()
        elif "now" in wanted:
            clock.set(parse_instant(wanted["now"]), bool(wanted.get("frozen")))
        clock.advance(float(wanted.get("advance", 0)))
        return {"now": instant_key(clock.now())}

    site.controls.update(
        {
            ("POST", "faults"): add_fault,
            ("GET", "faults"): lambda _: site.faults.shown(),
            ("DELETE", "faults"): clear_faults,
            ("GET", "calls"): lambda query: site.calls.shown(int(query.get("since", 0))),
            ("GET", "counts"): lambda _: site.calls.counts(),
            ("DELETE", "calls"): clear_calls,
            ("POST", "clock"): set_clock,
            ("GET", "clock"): lambda _: {"now": instant_key(clock.now())},
        }
    )
