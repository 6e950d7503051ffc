"""The sandbox's ERP with its customers alone, all of them in one answer."""

from __future__ import annotations

from dataclasses import replace

from connectors.sandbox_erp import SandboxErp


class ErpSoap(SandboxErp):
    name = "erp_soap"
    streams = tuple(
        replace(stream, page_size=1_000_000, options={**stream.options, "max_body": 4_000_000_000})
        for stream in SandboxErp.streams
        if stream.name == "business_partners"
    )
