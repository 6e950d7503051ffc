"""The drop folder: the ERP's price list as CSV, `;`-separated, cp1252, decimal comma, dates dd.mm.yyyy."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

from sandbox.goods import Product
from sandbox.pricing import cents

HEADER = ("MATNR", "PREISLISTE", "WAEHRUNG", "PREIS", "AB_MENGE", "GUELTIG_AB", "GUELTIG_BIS", "BEZEICHNUNG")
FOREVER = "31.12.9999"


def write_prices(folder: Path, day: date, rows: Iterable[Sequence[str]]) -> Path:
    """Write prices_YYYYMMDD.csv under a temporary name and rename it, so that no reader sees half a file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"prices_{day:%Y%m%d}.csv"
    text = "".join(";".join(map(_quoted, row)) + "\r\n" for row in (HEADER, *rows))
    temporary = folder / f".{path.name}.tmp"
    temporary.write_bytes(text.encode("cp1252"))
    at = datetime(day.year, day.month, day.day, 5, tzinfo=UTC).timestamp()
    os.utime(temporary, (at, at))
    os.replace(temporary, path)
    return path


def _quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"' if any(sign in value for sign in ';"\r\n') else value


def decimal_comma(amount: Decimal) -> str:
    return f"{amount:.2f}".replace(".", ",")


def price_rows(products: list[Product], valid: date, factor: Decimal = Decimal(1)) -> list[tuple[str, ...]]:
    """The base list for every material of the ERP, and for each second one a dealers' list from ten pieces on."""
    rows: list[tuple[str, ...]] = []
    since = valid.strftime("%d.%m.%Y")
    for product in products:
        if not product.in_erp:
            continue
        amount = cents(product.price * factor)
        text = f"{product.title}; 1 St. à {decimal_comma(amount)} €" if product.n % 9 == 0 else product.title
        rows.append((product.sku, "BASIS", "EUR", decimal_comma(amount), "1", since, FOREVER, text))
        if product.n % 2 == 0:
            dealer = decimal_comma(cents(amount * Decimal("0.9")))
            rows.append((product.sku, "HAENDLER", "EUR", dealer, "10", since, FOREVER, product.title))
    return rows


def make_drop(folder: Path, products: list[Product], now: datetime, rng: Random) -> None:
    """Last month's list and the current one, in which one row has a price that cannot be read."""
    first, second = (now - timedelta(days=35)).date(), (now - timedelta(days=2)).date()
    write_prices(folder, first, price_rows(products, first, Decimal("0.98")))
    rows = price_rows(products, second)
    rows.append((products[1].sku, "AKTION", "EUR", "12,5O", "1", second.strftime("%d.%m.%Y"), FOREVER, "Aktionspreis"))
    write_prices(folder, second, rows)
