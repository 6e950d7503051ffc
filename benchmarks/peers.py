"""Virtual environments of the other contestants, from PyPI by name, outside the repository. Made when they are first needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_NEEDS = {
    "dlt": ("dlt[duckdb,parquet]==1.31.0", "duckdb==2.0.0", "pyarrow==26.0.1", "orjson==3.13.0"),
    "singer": ("target-duckdb==0.8.0", "duckdb==2.0.0", "orjson==3.13.0"),
    "arrow": ("pandas==3.1.1", "duckdb==2.0.0", "pyarrow==26.0.1", "orjson==3.13.0"),
    "datacompy": ("datacompy==1.1.0", "pyarrow==26.0.1"),
    "tpch": ("tpchgen-cli==4.0.0",),
    "plot": ("matplotlib==3.11.2",),
}
_OF = {"dlt_default": "dlt", "dlt_tuned": "dlt", "pandas": "arrow", "python_loop": "arrow"}
_OF |= {name: name for name in ("singer", "datacompy")}


def cache() -> Path:
    """The folder where the benchmark keeps inputs and environments."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crossdock" / "benchmarks"


def python_of(contestant: str) -> str:
    """The interpreter that a contestant runs with: this one, unless it is a peer."""
    return environment(_OF[contestant]) if contestant in _OF else sys.executable


def environment(name: str) -> str:
    """The interpreter of a peer's environment."""
    folder = cache() / f"venv-{name}"
    python = folder / "bin" / "python"
    done = folder / "crossdock-needs"
    needs = "\n".join(_NEEDS[name])
    if not done.is_file() or done.read_text() != needs:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *_NEEDS[name]], check=True
        )
        done.write_text(needs)
    return str(python)
