"""A Singer tap, and target-duckdb behind a pipe: the tap names what is needed, lists stay JSON; then SQL over its tables."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import duckdb
from contestants import limit

_LINE = '[{"id":"VARCHAR","sku":"VARCHAR","title":"VARCHAR","quantity":"VARCHAR","unit":"VARCHAR","price":"VARCHAR","discount":"VARCHAR","total":"VARCHAR","tax_amount":"VARCHAR"}]'  # fmt: skip
_TARGET = """
import json, sys, time
from target_duckdb import main
sys.path.insert(0, {benchmarks!r})
import imports
first = time.process_time()
imports.watch()
sys.argv = ["target-duckdb", "--config", {config!r}]
main()
open({told!r}, "w").write(json.dumps(first + imports.spent.cpu))
"""


def contest(folder: Path, out: Path) -> float:
    """Returns the CPU seconds that tap and target spent on their imports."""
    config = {"path": str(out / "warehouse.duckdb"), "default_target_schema": "raw", "data_flattening_max_level": 1}
    (out / "config.json").write_text(json.dumps(config))
    told = [out / "tap.imports", out / "target.imports"]
    tap = [sys.executable, str(Path(__file__).with_name("singer_tap.py")), str(folder), str(told[0])]
    here = str(Path(__file__).resolve().parents[1])
    target = _TARGET.format(config=str(out / "config.json"), told=str(told[1]), benchmarks=here)
    with subprocess.Popen(tap, stdout=subprocess.PIPE) as source:
        subprocess.run([sys.executable, "-c", target], stdin=source.stdout, check=True, capture_output=True)
    _transform(out)
    return sum(json.loads(path.read_text()) for path in told)


def _transform(out: Path) -> None:
    con = duckdb.connect(str(out / "warehouse.duckdb"))
    con.execute("SET TimeZone = 'UTC'")
    for stream, columns in (("orders", limit.ORDERS), ("customers", limit.CUSTOMERS)):
        listed = ", ".join(_column(name, kind) for name, kind in columns.items())
        con.execute(f"CREATE TEMP VIEW {stream} AS SELECT {listed} FROM raw.{stream}")
    con.execute(f"CREATE TEMP VIEW lines AS {limit.LINES}")
    limit.merge_all(con)
    con.close()


def _column(name: str, kind: str) -> str:
    if kind.endswith("[]"):
        return f"from_json({name}, '{_LINE}') AS {name}"
    if kind.startswith("STRUCT"):
        fields = [part.split()[0] for part in kind[len("STRUCT(") : -1].split(", ")]
        return f"struct_pack({', '.join(f'{field} := {name}__{field}' for field in fields)}) AS {name}"
    return f"CAST({name} AS {kind}) AS {name}"
