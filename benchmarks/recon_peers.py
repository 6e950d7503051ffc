"""What the others do with the same two tables; run by benchmarks/reconcile.py in a virtual environment of their own.

    python recon_peers.py pandas|datacompy left.parquet right.parquet

Both find the keys that one side lacks and, for common keys, the columns that differ. Neither knows tolerances by reason, what is
on its way, or parts; that is not counted against them. Prints {"rows", "wall_s", "cpu_s", "peak_mb"}, imports and reading apart.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pandas as pd

KEY = "number"


def with_pandas(left: pd.DataFrame, right: pd.DataFrame) -> int:
    both = left.merge(right, on=KEY, how="outer", suffixes=("_l", "_r"), indicator=True)
    common = both[both["_merge"] == "both"]
    found = int((both["_merge"] != "both").sum())
    for column in left.columns:
        if column != KEY:
            one, other = common[f"{column}_l"], common[f"{column}_r"]
            found += int(((one != other) & ~(one.isna() & other.isna())).sum())
    return found


def with_datacompy(left: pd.DataFrame, right: pd.DataFrame) -> int:
    import datacompy

    made = getattr(datacompy, "PandasCompare", None) or datacompy.Compare
    compared = made(left, right, join_columns=KEY)
    differing = sum(int(one["unequal_cnt"]) for one in compared.column_stats)
    return len(compared.df1_unq_rows) + len(compared.df2_unq_rows) + differing


def main() -> None:
    name, left, right = sys.argv[1:]
    tables = pd.read_parquet(left), pd.read_parquet(right)
    if name == "datacompy":
        import datacompy  # noqa: F401
    wall, cpu = time.perf_counter(), time.process_time()
    rows = {"pandas": with_pandas, "datacompy": with_datacompy}[name](*tables)
    said = {"rows": rows, "wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
    print(json.dumps(said | {"peak_mb": int(peak)}))


if __name__ == "__main__":
    main()
