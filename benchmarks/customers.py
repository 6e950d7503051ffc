"""The ERP's customers, a quarter as many as the orders, as a file of CSV and by SOAP: the flow beside what one would write by hand.

    python benchmarks/customers.py [--size 100k] [--repeat 3] [--results FILE]

The orders' benchmark reads a shop's pages; an ERP sends otherwise. Each way takes the customers of the same numbers from the
file or from a server (which is another process and not counted) to the canonical table, in a process of its own, in turns; the
least of the repeats counts. What crossdock made is compared row by row with what the hand-written way made, and the two
hand-written ones with each other in what both of them send. Results go to benchmarks/results/customers.json.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import bench
import check
import duckdb
import generate
import pages
import peers
import report
import revision
from tables import TABLES

WAYS = ("csv", "soap")
_CUSTOMER = {"customer": TABLES["customer"]}
_BOTH = ("name", "kind", "email", "phone", "tax_id", "status", "country_code")


def measure(size: str, repeat: int) -> dict[str, Any]:
    """Run the ways in turns and compare them."""
    orders = bench.SIZES[size]
    folder = generate.generate(orders, peers.cache() / f"input-{generate.VERSION}-{size}")
    names = [f"customers_{way}_{who}" for way in WAYS for who in ("limit", "crossdock_full")]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    with (
        pages.serving(answer=folder / "erp" / "customers.xml") as url,
        tempfile.TemporaryDirectory(dir=peers.cache()) as made,
    ):
        os.environ["CROSSDOCK_BENCHMARK_ERP"] = f"{url}/erp"
        work = Path(made)
        for _ in range(repeat):
            for name in names:
                found[name].append(bench.turn(name, folder, work / name))
        file = {name: work / name / "warehouse.duckdb" for name in names}
        differ = {name: [] if name.endswith("limit") else check.differences(file[limit(name)], "crossdock_full", file[name], _CUSTOMER) for name in names}  # fmt: skip
        differ["customers_soap_limit"] = _otherwise(file["customers_csv_limit"], file["customers_soap_limit"])
    runs = [bench.least(name, orders // 4, found[name], found[limit(name)]) for name in names]
    imports = {name: round(min(turn["imports_s"] for turn in turns), 2) for name, turns in found.items()}
    return {"size": size, "commit": revision.commit(), "runs": runs, "imports_s": imports, "differences": differ}


def limit(name: str) -> str:
    """The hand-written way that a contestant is compared with."""
    return f"{name.removesuffix('_limit').removesuffix('_crossdock_full')}_limit"


def _otherwise(csv: Path, soap: Path) -> list[str]:
    """Do the file and the service tell the same of the same customers? The ERP's numbers have leading zeros in the one."""
    con = duckdb.connect()
    con.execute(f"ATTACH '{csv}' AS a (READ_ONLY)")
    con.execute(f"ATTACH '{soap}' AS b (READ_ONLY)")
    wrong = ", ".join(f"count(*) FILTER (a.{name} IS DISTINCT FROM b.{name})" for name in _BOTH)
    pairs = "a.customer a FULL JOIN b.customer b ON a.source_id::BIGINT = b.source_id::BIGINT"
    alone, *counted = con.execute(f"SELECT count(*) FILTER (a.source_id IS NULL OR b.source_id IS NULL), {wrong} FROM {pairs}").fetchone() or (0,)  # fmt: skip
    con.close()
    told = [
        f"customer.{name}: {n:,} values differ from the file's" for name, n in zip(_BOTH, counted, strict=True) if n
    ]
    return told + ([f"customer: {alone:,} keys are in one of them only"] if alone else [])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--size", choices=bench.SIZES, default="100k", help="of orders; there is a customer for four of them"
    )
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--results", type=Path, help="write here and nowhere else")
    said = parser.parse_args()
    results = measure(said.size, said.repeat)
    path = said.results or bench.HERE / "results" / "customers.json"
    path.write_text(json.dumps(results, indent=1) + "\n")
    if not said.results:
        report.PAGE.write_text(report.written(report.PAGE.read_text(), report.figures()))
    print(f"\r{json.dumps(results, indent=1)}")


if __name__ == "__main__":
    main()
