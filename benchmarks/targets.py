"""What the bulk path should reach, and what it reached: ratios within one run, and the most memory it may take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_RATIOS = (
    ("crossdock", "ratio_cpu", "CPU ÷ limit", 1.3),
    ("crossdock", "ratio_wall", "wall ÷ limit", 1.6),
    ("crossdock_full", "ratio_cpu", "CPU ÷ limit", 1.8),
    ("crossdock_full", "ratio_wall", "wall ÷ limit", 2.2),
)
_PEAK_MB = {"100k": 500, "1m": 1_300}
_TIMES_LESS = {"singer": 4, "dlt_tuned": 8, "dlt_default": 25, "python_loop": 2}


def targets(size: str, runs: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each target of this size that the run can judge: what, the target, what was measured, whether it is met."""
    of = {run["name"]: run for run in runs}
    made = [
        _judged(f"{name}: {said}", at_most, of[name][kind], at_most >= of[name][kind])
        for name, kind, said, at_most in _RATIOS
        if name in of
    ]
    if size in _PEAK_MB and "crossdock_full" in of:
        peak = of["crossdock_full"]["peak_mb"]
        made.append(_judged("crossdock_full: peak memory, MB", _PEAK_MB[size], peak, peak <= _PEAK_MB[size]))
    for name, least in _TIMES_LESS.items():
        if name in of and "crossdock" in of:
            times = round(of[name]["cpu_s"] / of["crossdock"]["cpu_s"], 1)
            made.append(_judged(f"{name} ÷ crossdock, CPU", least, times, times >= least))
            full = round(of[name]["cpu_s"] / of["crossdock_full"]["cpu_s"], 1) if "crossdock_full" in of else None
            made[-1]["crossdock_full"] = full
    return made


def _judged(what: str, target: float, measured: float, met: bool) -> dict[str, Any]:
    return {"what": what, "target": target, "measured": measured, "met": met}
