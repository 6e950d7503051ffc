"""Price lists that an ERP drops as CSV files: semicolons, cp1252, decimal commas, German dates."""

from __future__ import annotations

from hub.connector import Stream
from hub.files import Files


class CsvDrop(Files):
    name = "csv_drop"
    streams = (
        Stream(
            "prices",
            primary_key="_key",
            cursor="token",
            page_size=10_000,
            options={
                "pattern": "prices_*.csv",
                "encoding": "cp1252",
                "separator": ";",
                "columns": ("PREIS", "GUELTIG_BIS", "BEZEICHNUNG"),
                "key": ("MATNR", "PREISLISTE", "WAEHRUNG", "AB_MENGE", "GUELTIG_AB"),
            },
        ),
    )
