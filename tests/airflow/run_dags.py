"""Run by test_dags.py in a process of its own: `dag.test()` of several DAGs, one after the other.

    python run_dags.py DAGS FILE:DAG_ID … NAME=VALUE FILE:DAG_ID …

NAME=VALUE is in the environment of the runs that follow it.

Prints a line `TASK n dag_id task_id state` a task and `EVENT n uri` an asset event, n being the run's place in the row.
A person's approval is given by marking that task: dag.test() would wait for it for ever.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path
from typing import Any


def asset_events(session: Any) -> list[str]:
    from airflow.models.asset import AssetEvent

    return [event.asset.uri for event in session.query(AssetEvent).order_by(AssetEvent.id)]


def main(folder: Path, wanted: list[str]) -> None:
    from airflow.sdk import DAG
    from airflow.utils.db import initdb
    from airflow.utils.session import create_session

    initdb()
    seen = 0
    for n, name in enumerate(wanted):
        if "=" in name:
            os.environ.update([name.split("=", 1)])
            continue
        file, _, dag_id = name.partition(":")
        dags = runpy.run_path(str(folder / f"{file}.py"))
        dag = next(dag for dag in dags.values() if isinstance(dag, DAG) and dag.dag_id == dag_id)
        dag.fileloc = str(folder / f"{file}.py")
        ran = dag.test(mark_success_pattern="approve" if file == "push" else None)
        for task in ran.get_task_instances():
            print("TASK", n, dag_id, task.task_id, str(task.state), flush=True)
        with create_session() as session:
            events = asset_events(session)
        for uri in events[seen:]:
            print("EVENT", n, uri, flush=True)
        seen = len(events)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
