"""crossdock, everything, for the ERP's customers by SOAP. CROSSDOCK_BENCHMARK_ERP says where the ERP answers."""

from __future__ import annotations

from pathlib import Path

import zeep  # noqa: F401
from contestants import crossdock_full
from lxml import etree  # noqa: F401


def contest(folder: Path, out: Path) -> dict[str, float]:
    return crossdock_full.contest(folder, out, "erp_soap")
