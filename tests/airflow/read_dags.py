"""Run by test_dags.py in a process of its own: what Airflow makes of the DAG files, as JSON on the last line.

    python read_dags.py DAGS [MAPPING TEXT]     the second time with MAPPING, a file that does not exist yet, holding TEXT
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


def read(folder: Path) -> dict[str, Any]:
    """CPU seconds a file, tasks a DAG, and the import errors; Airflow itself is imported before, as in its processor."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(folder, collect_dags=False, load_op_links=False)
    seconds = {}
    for file in sorted(folder.glob("*.py")):
        began = time.process_time()
        bag.process_file(str(file))
        seconds[file.stem] = time.process_time() - began
    dags = {
        dag_id: {"tasks": sorted(dag.task_ids), "pools": {t.task_id: t.pool for t in dag.tasks}}
        for dag_id, dag in bag.dags.items()
    }
    return {"seconds": seconds, "dags": dags, "errors": bag.import_errors}


def main(folder: Path, mapping: Path, text: str) -> None:
    import airflow.providers.standard.operators.hitl
    import airflow.sdk
    import airflow.timetables.assets
    import airflow.timetables.trigger  # noqa: F401

    whole = read(folder)
    mapping.parent.mkdir(parents=True)
    mapping.write_text(text)
    print("\n" + json.dumps({"whole": whole, "broken": read(folder)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
