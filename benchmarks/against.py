"""Compares the ratios of one run with those that are kept: seconds depend on the machine, ratios to the limit hardly do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WORSE = 1.3


def worse(measured: Mapping[str, Any], kept: Mapping[str, Any]) -> list[str]:
    """What takes more than 1.3 times the CPU, relative to the limit, that it took when `kept` was written.

    Raises ValueError where the two are of different sizes or have no contestant in common: nothing would be compared.
    """
    if measured["size"] != kept["size"]:
        raise ValueError(f"{measured['size']} is not compared with {kept['size']}")
    before = {run["name"]: run["ratio_cpu"] for run in kept["runs"] if run["name"] != "limit"}
    now = {run["name"]: run["ratio_cpu"] for run in measured["runs"] if run["name"] in before}
    if not now:
        raise ValueError("no contestant is in both")
    return [
        f"{name} takes {ratio:.2f} times the limit's CPU; it was {before[name]:.2f}"
        for name, ratio in now.items()
        if ratio > before[name] * WORSE
    ]
