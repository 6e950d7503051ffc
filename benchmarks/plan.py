"""What a plan costs for a target that knows a million records, of which a thousand changed.

    python benchmarks/plan.py [--records 1m] [--repeat 3]

The records are customers of a shop, known to a desk as accounts that were bound by matching and read back. In a second world
the ledger holds an earlier call for each of them, answered before it was read back. Each plan is a process of its own, its
start included. Figures go to results/plan.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import revision
from changes_world import CACHE, CUSTOMERS, ROOT, World, passed_through, signature
from sqlalchemy import insert

from flow.publish import fold_and_publish
from warehouse import ledger_tables as t
from warehouse.ledger import Ledger
from warehouse.merge import fold_outcomes
from warehouse.model import entities

RESULTS = ROOT / "benchmarks" / "results" / "plan.json"
CHANGED = 1_000
BATCH = 250_000

CONFIG = """\
name: plans
systems:
  shop: {connector: bench_shop, currency: EUR, connection: {url: "http://127.0.0.1:9"}}
  desk: {connector: bench_desk, write: true, from: "2020-01-01", currency: EUR, connection: {url: "http://127.0.0.1:9"}}
survivorship:
  customer: {default: [shop, desk]}
"""

CONNECTOR = """\
from hub.connector import Stream
from hub.rest import Rest


class BenchDesk(Rest):
    name = "bench_desk"
    streams = (Stream("accounts", primary_key="Id", writes=("upsert",), idempotency="external_id"),)
"""

MAPPING = """\
stream: accounts
entity: customer
key: Id
hub: HubId
fields: {name: Name, email: lower(trim(Email)), phone: Phone, country_code: upper(Country)}
push:
  operation: upsert
  key: hub_id
  fields:
    - HubId: {at: HubId, value: "text(hub_id)"}
    - name
    - email: {at: Email}
    - phone
    - country_code: {at: Country}
"""

# The desk says what the shop says, and quotes the hub's id, which `wanted` has in the place of a version.
ACCOUNTS = """
    SELECT {{'Id': 'A' || n, 'HubId': v::VARCHAR, 'Name': 'Customer ' || n, 'Email': 'c' || n || '@example.com',
             'Phone': '+49 30 ' || n, 'Country': ['DE', 'AT', 'FR', 'NL'][1 + n % 4]}}"""

# What is measured, in a process of its own.
PROGRAM = """
import json, sys, time, resource
began = time.perf_counter(), time.process_time()
from pathlib import Path
from hub.config import load_project
from flow.plan import plan
project = load_project(Path(sys.argv[1]))
imported = time.perf_counter()
made = plan(project, "desk")
print(json.dumps({"wall": time.perf_counter() - began[0], "cpu": time.process_time() - began[1],
    "work": time.perf_counter() - imported, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    "calls": len(made.calls), "unchanged": made.unchanged, "others": len(made.waiting) + len(made.held) + len(made.refused)}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", default="1m")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    count = int(options.records.lower().replace("k", "000").replace("m", "000000"))
    house = CACHE / signature(CONFIG, CONNECTOR, MAPPING, ACCOUNTS)
    folder = house / f"plan-{count}-bound"
    if not (folder / "data" / "published").is_dir():
        shutil.rmtree(folder, ignore_errors=True)
        _bound(folder, count)
    called = house / f"plan-{count}-pushed"
    if not (called / "data" / "published").is_dir():
        shutil.rmtree(called, ignore_errors=True)
        shutil.copytree(folder, called)
        _called(called)
    found = {"records": count, "changed": CHANGED, **_measured(folder, options.repeat)}
    found["each_called_before"] = _measured(called, options.repeat)
    print(found, flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"commit": revision.commit(), **found}, indent=1) + "\n")


def _measured(folder: Path, repeat: int) -> dict[str, Any]:
    runs = []
    for _ in range(repeat):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(folder)], cwd=ROOT, capture_output=True, text=True, check=True
        )
        runs.append(json.loads(done.stdout))
        assert (runs[-1]["calls"], runs[-1]["others"]) == (CHANGED, 0), runs[-1]
    return {name: round(statistics.median(run[name] for run in runs), 2) for name in runs[0]}


def _bound(folder: Path, count: int) -> None:
    """Customers of the shop, accounts bound to them, and then a thousand changed customers; published."""
    world = _Desk.make(folder)
    for first in range(0, count, BATCH):
        numbers = f"SELECT range AS n, 0 AS v FROM range({first}, {min(first + BATCH, count)})"
        world.write("shop", "customers", CUSTOMERS, numbers)
        passed_through(world.start("shop"))
        warehouse = str(world.project.warehouse)
        with duckdb.connect(warehouse, read_only=True) as con:
            ids = folder / "ids.parquet"
            con.execute(
                f"COPY (SELECT source_id::BIGINT AS n, hub_id AS v FROM source.customer WHERE hub_id > {first}) TO '{ids}'"
            )
        world.write("desk", "accounts", ACCOUNTS, f"FROM '{ids}'")
        passed_through(world.start("desk"))
        shutil.rmtree(folder / "data" / "lake")
    changed = CUSTOMERS.replace("+49 30", "+49 40")
    world.write("shop", "customers", changed, f"SELECT range * {count // CHANGED} AS n, 1 AS v FROM range({CHANGED})")
    passed_through(world.start("shop"))
    fold_and_publish(world.project)


def _called(folder: Path) -> None:
    """An applied upsert in the ledger for each account, as old as can be, folded into the warehouse and published."""
    project = _Desk(folder).project
    with duckdb.connect(str(project.warehouse), read_only=True) as con:
        hubs = con.execute(
            "SELECT hub_id, source_id FROM source.customer WHERE system = 'desk' ORDER BY hub_id"
        ).fetchall()
    shutil.rmtree(folder / "data" / "published")
    at = datetime(2020, 1, 1, tzinfo=UTC)
    with Ledger(project.ledger) as ledger, ledger._engine.begin() as connection:
        connection.execute(insert(t.payloads), [{"id": 1, "body": "{}"}])
        for first in range(0, len(hubs), 50_000):
            some = list(enumerate(hubs[first : first + 50_000], first + 1))
            connection.execute(insert(t.intents), [_intent(number, hub, id, at) for number, (hub, id) in some])
            connection.execute(insert(t.outcomes), [_outcome(number, id, at) for number, (_, id) in some])
    for first in range(0, len(hubs), 100_000):
        with Ledger(project.ledger) as ledger:
            outcomes = ledger.outcomes_after(first, first + 100_000)
        fold_outcomes(project.warehouse, entities(), outcomes, datetime.now(UTC), project.survivorship)
    fold_and_publish(project)


def _intent(number: int, hub_id: int, source_id: str, at: datetime) -> dict[str, Any]:
    """A call that was concluded; what it sent is nothing that would be sent now."""
    same = {"target": "desk", "stream": "accounts", "entity": "customer", "operation": "upsert", "payload_id": 1}
    done = {"state": "done", "status": "applied", "attempts": 1, "message": "", "transient": False, "found": False}
    own = {"id": number, "hub_id": hub_id, "business_key": str(hub_id), "idempotency_key": f"bench-{number}"}
    hashed = {"payload_hash": "0" * 64, "plan_id": "bench", "outcome_seq": number, "external_id": source_id}
    return {**same, **done, **own, **hashed, "created_at": at, "attempted_at": at}


def _outcome(number: int, source_id: str, at: datetime) -> dict[str, Any]:
    said = {"message": "", "request_id": "", "transient": False, "found": False, "duration": 0.0}
    return {
        "seq": number, "intent_id": number, "plan_id": "bench", "status": "applied", "external_id": source_id, "at": at, **said,
    }  # fmt: skip


class _Desk(World):
    """A world with a desk that is written."""

    @classmethod
    def make(cls, folder: Path) -> World:
        world = super().make(folder)
        files = {
            "crossdock.yaml": CONFIG,
            "connectors/bench_desk.py": CONNECTOR,
            "mappings/desk/accounts.yaml": MAPPING,
        }
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        return world


if __name__ == "__main__":
    main()
