"""The limit for the ERP's customers by SOAP: requests, lxml.iterparse from the answer into a file of CSV, and one SELECT.

CROSSDOCK_BENCHMARK_ERP says where the ERP answers.
"""

from __future__ import annotations

import csv
import os
import tempfile
from pathlib import Path
from typing import IO, Any

import duckdb
import requests
from contestants.customers_csv_limit import merged
from lxml import etree

_NAMESPACE = "{urn:sandbox:erp}"
_ENVELOPE = (
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
    '<e:ListBusinessPartners xmlns:e="urn:sandbox:erp"><e:max_rows>1000000</e:max_rows></e:ListBusinessPartners></s:Body></s:Envelope>'
)
_FIELDS = ("number", "name", "name2", "category", "email", "phone", "tax_number", "country", "blocked")
CUSTOMER = """
    SELECT number AS source_id, concat_ws(' ', name, name2) AS name, CASE category WHEN '1' THEN 'person' WHEN '2' THEN 'organisation' END AS kind,
           lower(trim(email)) AS email, phone, tax_number AS tax_id,
           CASE blocked WHEN 'false' THEN 'active' WHEN 'true' THEN 'blocked' END AS status, country AS country_code
    FROM read_csv('{path}', header = true, all_varchar = true)"""


def contest(folder: Path, out: Path) -> None:
    rows = out / "customers.csv"
    with (
        requests.post(os.environ["CROSSDOCK_BENCHMARK_ERP"], data=_ENVELOPE, stream=True) as answer,
        tempfile.TemporaryFile(dir=out) as body,
    ):
        answer.raise_for_status()
        for part in answer.iter_content(1 << 20):
            body.write(part)
        body.seek(0)
        _read(body, rows)
    con = duckdb.connect(str(out / "warehouse.duckdb"))
    merged(con, CUSTOMER.format(path=rows))
    con.close()


def _read(body: IO[bytes], path: Path) -> None:
    tags = {f"{_NAMESPACE}{name}": name for name in _FIELDS}
    with path.open("w", newline="") as out:
        writer = csv.DictWriter(out, _FIELDS)
        writer.writeheader()
        for _, element in etree.iterparse(body, tag=f"{_NAMESPACE}items"):
            row: dict[str, Any] = {tags[child.tag]: child.text for child in element if child.tag in tags}
            writer.writerow(row)
            element.getparent().remove(element)
