"""The bulk path on data that nobody here made: TPC-H customers and orders with their lines, from `tpchgen-cli` (PyPI).

    python benchmarks/tpch.py [--scale 0.05] [--repeat 3]

The CSV files are made into pages of NDJSON, lines under their order. `crossdock_full` is compared with hand-written SQL, row by
row; results go to benchmarks/results/tpch.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import bench
import check
import duckdb
import peers
import revision

PAGES = 20
NAMES = ("tpch_limit", "tpch_crossdock_full")


def prepare(scale: str) -> Path:
    """The input, made where it is not there yet."""
    folder = peers.cache() / f"tpch-{scale}"
    if (folder / "done").is_file():
        return folder
    cli = Path(peers.environment("tpch")).with_name("tpchgen-cli")
    tables = "--tables=customer,orders,lineitem"
    subprocess.run([cli, "csv", "-s", scale, tables, "--overwrite", "--output-dir", folder / "csv"], check=True, stdout=subprocess.DEVNULL)  # fmt: skip
    for name in ("orders", "customers"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    con = duckdb.connect()
    for name in ("customer", "orders", "lineitem"):
        con.execute(
            f"CREATE VIEW {name} AS FROM read_csv('{folder}/csv/{name}*.csv', header = true, all_varchar = true)"
        )
    con.execute("CREATE TABLE nested AS SELECT o.*, lines FROM orders o JOIN (SELECT l_orderkey, list(l ORDER BY l_linenumber::INT) AS lines FROM lineitem l GROUP BY 1) ON l_orderkey = o_orderkey")  # fmt: skip
    for page in range(PAGES):
        con.execute(f"COPY (FROM nested WHERE o_orderkey::BIGINT % {PAGES} = {page}) TO '{folder}/orders/{page:05d}.jsonl' (FORMAT json)")  # fmt: skip
    con.execute(f"COPY customer TO '{folder}/customers/00000.jsonl' (FORMAT json)")
    con.close()
    (folder / "done").touch()
    return folder


def run(scale: str, repeat: int) -> dict[str, Any]:
    folder = prepare(scale)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in NAMES}
    with tempfile.TemporaryDirectory(dir=peers.cache()) as made:
        work = Path(made)
        for _ in range(repeat):
            for name in NAMES:
                found[name].append(bench.turn(name, folder, work / name))
        limit, other = (work / name / "warehouse.duckdb" for name in NAMES)
        with duckdb.connect(str(limit), read_only=True) as con:
            rows = (con.execute("SELECT count(*) FROM sales_order").fetchone() or (0,))[0]
        differ = check.differences(limit, "crossdock_full", other)
    runs = [bench.least(name, rows, found[name], found["tpch_limit"]) for name in NAMES]
    return {"size": f"tpch {scale}", "commit": revision.commit(), "runs": runs, "differences": differ}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", default="0.05")
    parser.add_argument("--repeat", type=int, default=3)
    said = parser.parse_args()
    results = run(said.scale, said.repeat)
    (bench.HERE / "results" / "tpch.json").write_text(json.dumps(results, indent=1) + "\n")
    print(f"\r{json.dumps(results, indent=1)}")


if __name__ == "__main__":
    main()
