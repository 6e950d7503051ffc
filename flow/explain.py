"""What the codes mean. Each package explains its own; this joins them."""

from __future__ import annotations

from hub.errors import UsageError
from hub.findings import did_you_mean


def codes() -> dict[str, str]:
    from flow.codes import CODES as FLOW
    from hub.codes import CODES as HUB
    from mappings.codes import CODES as MAPPINGS
    from quality.codes import CODES as QUALITY
    from warehouse.codes import CODES as WAREHOUSE

    return {**HUB, **MAPPINGS, **QUALITY, **WAREHOUSE, **FLOW}


def explain(code: str) -> str:
    known = codes()
    found = known.get(code.upper())
    if found is None:
        raise UsageError(
            "P502", f"there is no code '{code}'", fix=did_you_mean(code.upper(), known) or "codes look like M104"
        )
    return f"{code.upper()}\n\n{found}"
