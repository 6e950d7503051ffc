"""dlt as its performance page advises: only the fields that are needed, pages instead of records, parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow  # noqa: F401  (dlt's parquet writer needs it)
from contestants import limit
from contestants.dlt_default import _STREAMS, pipeline, records, resource, transform

_PAGE = 5_000
_ADDRESS = ("name", "address1", "city", "zip", "country_code")
_LINE = ("id", "sku", "title", "quantity", "unit", "price", "discount", "total", "tax_amount")


def _order(record: dict[str, Any]) -> dict[str, Any]:
    kept = {name: record[name] for name in limit.ORDERS}
    address = record["shipping_address"]
    return kept | {
        "customer": {"id": record["customer"]["id"]},
        "shipping_address": {name: address[name] for name in _ADDRESS},
        "line_items": [{name: line[name] for name in _LINE} for line in record["line_items"]],
    }


def _customer(record: dict[str, Any]) -> dict[str, Any]:
    kept = {name: record[name] for name in limit.CUSTOMERS}
    return kept | {"default_address": {"country_code": record["default_address"]["country_code"]}}


def _pages(folder: Path, stream: str) -> Iterator[list[dict[str, Any]]]:
    page: list[dict[str, Any]] = []
    for record in records(folder, stream):
        page.append(_order(record) if stream == "orders" else _customer(record))
        if len(page) == _PAGE:
            yield page
            page = []
    yield page


def contest(folder: Path, out: Path) -> None:
    pipeline(out).run([resource(_pages(folder, stream), stream) for stream in _STREAMS], loader_file_format="parquet")
    transform(out)
