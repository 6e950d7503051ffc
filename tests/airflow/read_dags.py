"""Run by test_dags.py in a process of its own: what Airflow makes of the DAG files, as JSON on the last line.

python read_dags.py DAGS MAPPING TEXT     reads them twice, the second time with a mapping file that holds TEXT
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def cpu_seconds(file: Path) -> float:
    """Of reading a file, least of three, each in a fork of a process that has Airflow imported, as Airflow does it."""
    from airflow.dag_processing.dagbag import DagBag

    took = []
    for _ in range(3):
        reader, writer = os.pipe()
        if not (child := os.fork()):
            began = time.process_time()
            DagBag(file, load_op_links=False)
            os.write(writer, repr(time.process_time() - began).encode())
            os._exit(0)
        os.waitpid(child, 0)
        took.append(float(os.read(reader, 100)))
    return min(took)


def read(folder: Path) -> dict[str, Any]:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(folder, load_op_links=False)
    dags = {dag_id: {task.task_id: task.pool for task in dag.tasks} for dag_id, dag in bag.dags.items()}
    return {"dags": dags, "errors": bag.import_errors}


def main(folder: Path, mapping: Path, text: str) -> None:
    import airflow.providers.standard.operators.hitl
    import airflow.sdk
    import airflow.timetables.assets
    import airflow.timetables.trigger  # noqa: F401

    seconds = {file.stem: cpu_seconds(file) for file in sorted(folder.glob("*.py"))}
    whole = read(folder)
    mapping.parent.mkdir(parents=True)
    mapping.write_text(text)
    print("\n" + json.dumps({"seconds": seconds, "whole": whole, "broken": read(folder)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
