"""What the gate costs: 20 rules over a million orders, and a micro-batch of 100, against the same 20 predicates written by hand.

    python benchmarks/gate.py [--rows 1000000] [--json benchmarks/results/gate.json]

`marks` is the whole of `gate.decide_by_marks` on the open run file, `expectations` the evaluation by Great Expectations
besides its import, `by hand` one SELECT that counts what 20 predicates find. Aims: marks and expectations of a million rows in
1.5 s, 100 rows in 200 ms without an import of Great Expectations. Seconds are CPU seconds of all threads; `wall` is by the clock,
which says something of a quiet machine only (`load`). `pages` is what the Data Docs cost after the verdict.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import duckdb

from quality import data_docs, expectations, gate, rules
from quality.modelled import with_model
from quality.rules import Rules
from warehouse import runfile
from warehouse.model import entities

LAST = 20
MODEL = entities()
ORDERS = """
    INSERT INTO mapped.sales_order BY NAME
    SELECT i AS _row, 'cart' AS system, i::VARCHAR AS source_id, 'cart/orders' AS mapping, 's' AS _segment, i AS _line, i AS _seq,
           (100000 + i)::VARCHAR AS number, TIMESTAMPTZ '2026-01-01 00:00:00+00' + i * INTERVAL 10 SECOND AS ordered_at,
           (i % 50000)::VARCHAR AS customer_ref, CASE WHEN i % 1000 = 7 THEN 'EURO' ELSE 'EUR' END AS currency,
           (i % 900) AS line_total, 0 AS discount_total, 4.90 AS charge_total, (i % 90) AS tax_total,
           (i % 900) + 4.90 + (i % 90) + CASE WHEN i % 1000 = 9 THEN 1 ELSE 0 END AS total, 0 AS refunded_total,
           false AS tax_included, 'open' AS lifecycle_status, 'paid' AS payment_status, 'unfulfilled' AS fulfilment_status,
           'web' AS channel, 'none' AS return_status, 'approved' AS credit_status, 'Ann Lee' AS ship_to_name
    FROM range({rows}) r(i)"""
BY_HAND = """
    SELECT count(*) FILTER (number IS NULL OR trim(number) = ''), count(*) FILTER (ordered_at < TIMESTAMPTZ '2000-01-01 00:00:00+00'),
           count(*) FILTER (currency NOT IN ({currencies})), count(*) FILTER (total < 0),
           count(*) FILTER (abs(total - (line_total + charge_total + tax_total - discount_total)) > 0.005),
           count(*) FILTER (tax_included AND abs(total - (line_total + charge_total - discount_total)) > 0.005),
           count(*) FILTER (refunded_total > total), count(*) FILTER (cancelled_at < ordered_at),
           count(*) FILTER (customer_ref IS NULL OR trim(customer_ref) = ''), count(*) FILTER (total IS NULL),
           count(*) FILTER (ordered_at IS NULL), count(*) FILTER (currency IS NULL OR trim(currency) = ''),
           count(*) FILTER (lifecycle_status IS NULL), count(*) FILTER (channel NOT IN ('web', 'phone', 'store', 'edi', 'partner')),
           count(*) FILTER (lifecycle_status NOT IN ('open', 'completed', 'cancelled')),
           count(*) FILTER (payment_status NOT IN ('unpaid', 'authorised', 'paid', 'partially_refunded', 'refunded')),
           count(*) FILTER (fulfilment_status NOT IN ('unfulfilled', 'partial', 'fulfilled')),
           count(*) FILTER (return_status NOT IN ('none', 'requested', 'received')),
           count(*) FILTER (credit_status NOT IN ('open', 'approved', 'held')), count(*) FILTER (line_total < 0)
    FROM mapped.sales_order"""


def twenty() -> Rules:
    """The first 20 rules of an order that speak of its own row: written ones, then the model's."""
    loaded = with_model(rules.load([Path(rules.__file__).parent], MODEL))
    own = [r for r in loaded.of("sales_order") if not r.of_batch and r.name not in ("lines_add_up", "tax_adds_up")]
    return Rules(tuple(own[:LAST]), MODEL)


def run_file(folder: Path, rows: int) -> Path:
    path = folder / f"{rows}.duckdb"
    con = runfile.create(path, str(folder), MODEL)
    con.execute(ORDERS.format(rows=rows))
    con.close()
    return path


def timed(work: Callable[[], Any], times: int, wall: dict[str, float] | None = None, name: str = "") -> float:
    """The median of several runs, in CPU seconds of all threads: other processes then change little about it."""
    taken, waited = [], []
    for _ in range(times):
        began, at = time.process_time(), time.perf_counter()
        work()
        taken.append(time.process_time() - began)
        waited.append(time.perf_counter() - at)
    if wall is not None:
        wall[name] = round(median(waited), 4)
    return round(median(taken), 4)


def marks(path: Path, chosen: Rules) -> None:
    con = runfile.open(path)
    gate.decide_by_marks(con, chosen, MODEL)
    con.close()


def by_hand(path: Path) -> None:
    from quality.currencies import MINOR_UNITS

    with duckdb.connect(str(path), read_only=True) as con:
        con.execute(BY_HAND.format(currencies=", ".join(f"'{code}'" for code in MINOR_UNITS))).fetchall()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path)
    said = parser.parse_args()
    chosen = twenty()
    with tempfile.TemporaryDirectory() as folder:
        large, small = run_file(Path(folder), said.rows), run_file(Path(folder), 100)
        figures: dict[str, Any] = {"rows": said.rows, "rules": len(chosen.all), "cores": os.cpu_count()}
        figures["by_hand"] = timed(lambda: by_hand(large), 5)
        wall: dict[str, float] = {}
        figures["marks"] = timed(lambda: marks(large, chosen), 3, wall, "marks")
        figures["micro_batch_100"] = timed(lambda: marks(small, chosen), 7, wall, "micro_batch_100")
        figures["imported_for_the_micro_batch"] = "great_expectations" in sys.modules
        figures["import"] = timed(expectations.warm, 1)
        site = data_docs.site(Path(folder) / "warehouse.duckdb", "cart", "run")
        figures["expectations"] = timed(lambda: expectations.evaluate(large, chosen, site), 3, wall, "expectations")
        figures["pages"] = timed(expectations.publish, 1, wall, "pages")  # of three evaluations
        figures["wall"] = wall | {"gate": round(wall["marks"] + wall["expectations"], 3)}
        figures["load"] = round(os.getloadavg()[0], 1)
    figures["gate"] = round(figures["marks"] + figures["expectations"], 3)
    figures["marks_by_hand"] = round(figures["marks"] / figures["by_hand"], 2)
    figures["gate_by_hand"] = round(figures["gate"] / figures["by_hand"], 2)
    text = json.dumps(figures, indent=1)
    print(text)
    if said.json:
        said.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
