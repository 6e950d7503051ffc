"""crossdock, everything, for the ERP's customers in a CSV file."""

from __future__ import annotations

from pathlib import Path

from contestants import crossdock_full


def contest(folder: Path, out: Path) -> dict[str, float]:
    return crossdock_full.contest(folder, out, "erp_csv")
