"""An ERP's customers as one file of CSV: semicolons, UTF-8, an empty text for what is missing."""

from __future__ import annotations

from hub.connector import Stream
from hub.files import Files


class ErpCsv(Files):
    name = "erp_csv"
    streams = (
        Stream(
            "customers",
            primary_key="ID",
            cursor="token",
            page_size=10_000,
            options={"pattern": "*.csv", "encoding": "utf-8", "separator": ";", "columns": ("ID",), "key": ("ID",)},
        ),
    )
