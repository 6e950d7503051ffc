"""One contestant in a process of its own: `python contestant.py NAME INPUT OUT` prints what it cost as a line of JSON.

CPU and wall time are counted without the imports, those of its first use of something among them; they are told beside it. What
runs in further processes (a tap and its target) counts, without what those imported.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from pathlib import Path

import imports


def main() -> None:
    name, folder, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    sys.path.insert(0, str(Path(__file__).parent))
    module = importlib.import_module(f"contestants.{name}")
    first = time.process_time()
    imports.watch()
    cpu, began = imports.cpu(), imports.clock()
    said = module.contest(folder, out)
    elsewhere = said if isinstance(said, float) else 0.0  # seconds that other processes spent on imports
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = imports.cpu() - cpu + children.ru_utime + children.ru_stime - elsewhere
    wall = imports.clock() - began
    steps = said if isinstance(said, dict) else {}
    print(
        json.dumps({"cpu_s": cpu, "wall_s": wall, "imports_s": first + imports.spent.cpu + elsewhere, "steps": steps})
    )


if __name__ == "__main__":
    main()
