"""Reconciliation measured: orders of two systems by key over 28 columns, against hand-written SQL, pandas and datacompy on the same rows.

    python benchmarks/reconcile.py [--orders 1000000] [--repeat 3] [--peers pandas datacompy] [--heal] [--out benchmarks/results/recon.json]

The world is `recon_world.py`: 1,000 breaks of 17 kinds, 10,000 orders on their way. Judged are: every break found, the right
reason, no false alarm, parts exact to the cent; and two broken twins have to fail that judgement. `--heal` runs cycles with the
sandbox systems: what a push can heal is healed in two of them, and a third does nothing. Peers get an environment of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(Path(__file__).parent))
import peers  # noqa: E402
import recon_world as world_of  # noqa: E402
import revision  # noqa: E402

PEERS = ("pandas", "datacompy")
WALL_S = {"found": 60.0, "again": 5.0}  # the first comparison, which opens every break; any later one


def columns() -> list[str]:
    """All that the model knows of an order besides its number, and the pieces ordered."""
    from warehouse.model import entities

    return [column.name for column in entities()["sales_order"] if column.name != "number"] + ["quantity"]


def peak_mb() -> float:
    """Of this process: ru_maxrss would include what the parent had when it forked."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def measured(work: Callable[[], Any]) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


def side_sql(system: str) -> str:
    """One row a record with all 28 columns, as a person would write it."""
    named = ", ".join(f"s.{column}" for column in columns() if column != "quantity")
    return (
        f"SELECT s.number, {named}, q.quantity FROM source.sales_order s LEFT JOIN (SELECT parent_source_id, sum(quantity) AS quantity"
        f" FROM source.order_line WHERE system = '{system}' GROUP BY ALL) q ON q.parent_source_id = s.source_id WHERE s.system = '{system}'"
    )


def hand_written(con: Any) -> int:
    """The limit: hash, join, and read in full only what differs. No reasons, no window, no parts, nothing kept."""
    hashed = f"hash({', '.join(columns())})"
    for system in ("cart", "erp"):
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE h_{system} AS SELECT number, {hashed} AS h FROM ({side_sql(system)})"
        )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE h_odd AS SELECT coalesce(l.number, r.number) AS number FROM h_cart l FULL JOIN h_erp r"
        " ON l.number = r.number WHERE l.h IS DISTINCT FROM r.h"
    )
    differs = " + ".join(f"(l.{column} IS DISTINCT FROM r.{column})::INT" for column in columns())
    odd = "WHERE number IN (FROM h_odd)"
    found = con.execute(
        f"SELECT sum({differs}) FROM (SELECT * FROM ({side_sql('cart')}) {odd}) l FULL JOIN (SELECT * FROM ({side_sql('erp')}) {odd}) r"
        " ON l.number = r.number"
    ).fetchone()
    return int(found[0])


def peer(name: str, folder: Path) -> dict[str, float]:
    command = [
        peers.python_of(name),
        Path(__file__).with_name("recon_peers.py"),
        name,
        folder / "cart.parquet",
        folder / "erp.parquet",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def run(orders: int, repeat: int, beside: Sequence[str], folder: Path) -> dict[str, Any]:
    from quality.reconcile import reconcile
    from warehouse.model import entities

    con = world_of.warehouse(folder / "warehouse.duckdb")
    world_of.fill(con, world_of.World(orders))
    con.execute("CHECKPOINT")
    spec, model = world_of.spec_of(folder), entities()
    go = lambda: reconcile(con, spec, world_of.NOW, go_live=world_of.GO_LIVE, model=model)  # noqa: E731
    first = measured(go)  # opens the breaks
    verdict = world_of.judge(con, world_of.found_breaks(con))
    twins = {name: world_of.judge(con, twin(con)).problems for name, twin in world_of.TWINS.items()}
    runs: dict[str, list[dict[str, float]]] = {"crossdock": [first], "limit": []}
    for _ in range(repeat):  # in turn, so that a busy moment of the machine meets all
        runs["limit"].append(measured(lambda: hand_written(con)))
        runs["crossdock"].append(measured(go))
    twins["no window"] = _without_window(con, spec, model)
    peak = peak_mb()
    con.close()
    again = min(one["wall_s"] for one in runs["crossdock"][1:] or runs["crossdock"])
    if beside:
        _export(folder)
        runs |= {name: [peer(name, folder)] for name in beside}
    return {
        "orders": orders,
        "columns": len(columns()) + 1,
        "seeded": verdict.seeded,
        "kinds": len(world_of.CLASSES),
        "found": verdict.found,
        "right_reason": verdict.right_reason,
        "false_alarms": verdict.false_alarms,
        "wrong_parts": verdict.wrong_parts,
        "problems": verdict.problems,
        "twins": twins,
        "wall_s": {"found": round(first["wall_s"], 2), "again": round(again, 2)},
        "in_time": {"found": first["wall_s"] <= WALL_S["found"], "again": again <= WALL_S["again"]},
        "peak_mb": round(peak),
        "runs": [_row(name, of, runs["limit"]) for name, of in runs.items()],
    }


def _without_window(con: Any, spec: Any, model: Any) -> list[str]:
    from quality.reconcile import reconcile

    report = reconcile(con, world_of.no_window(spec), world_of.NOW, go_live=world_of.GO_LIVE, model=model, write=False)
    alarms = report.numbers["breaks_open"] - con.execute("SELECT count(*) FROM truth").fetchone()[0]
    return [f"{alarms} false alarms"] if alarms else []


def _export(folder: Path) -> None:
    """The peers read parquet; the hardened connection of the warehouse writes no files."""
    import duckdb

    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'")
        for system in ("cart", "erp"):
            money = ", ".join(
                f"{column}::DOUBLE AS {column}"
                for column in columns()
                if column.endswith("total") or column == "quantity"
            )
            con.execute(f"COPY (SELECT * REPLACE ({money}) FROM ({side_sql(system)})) TO '{folder / system}.parquet'")


def _row(name: str, runs: list[dict[str, float]], limit: list[dict[str, float]]) -> dict[str, Any]:
    best = {key: min(one[key] for one in runs) for key in runs[0]}
    floor = {key: min(one[key] for one in limit) for key in limit[0]}
    ratios = {f"ratio_{key[:-2]}": round(best[key] / floor[key], 2) for key in ("wall_s", "cpu_s")}
    return {"name": name, "times": len(runs), **{key: round(value, 2) for key, value in best.items()}, **ratios}


# -- cycles: what a push can heal is healed


def heal(folder: Path) -> dict[str, Any]:
    """Orders are cancelled and stock moves behind the hub's back; three rounds of reconcile, push and read back."""
    import requests

    from flow.cycle import cycle
    from flow.reconcile import reconcile
    from hub.config import load_project
    from sandbox.servers import running

    shutil.copy(ROOT / "crossdock.yaml", folder)
    with running(folder / "sandbox") as sandbox:
        for name in ("cart", "erp", "crm", "drop"):
            os.environ[f"CROSSDOCK_{name.upper()}"] = str(getattr(sandbox, name))
        project = load_project(folder)
        cycle(project, approve_first="benchmark")
        head = {"Authorization": "Bearer sandbox-cart-token"}
        for number in sandbox.oddities["waiting"]["orders"][:8]:
            found = requests.get(f"{sandbox.cart}/orders?number={number}", headers=head, timeout=30).json()["orders"][0]
            requests.post(
                f"{sandbox.cart}/orders/{found['id']}/cancel", headers=head, json={}, timeout=30
            ).raise_for_status()
        products = requests.get(f"{sandbox.cart}/products?limit=20", headers=head, timeout=30).json()["products"]
        for product in [one for one in products if one["status"] == "active"][:5]:
            requests.put(
                f"{sandbox.cart}/products/{product['id']}", headers=head, json={"stock": 9999}, timeout=30
            ).raise_for_status()
        cycle(project, step="merge")
        later = datetime.now(UTC) + timedelta(hours=3)  # what was not healed by now is no longer on its way
        rounds = []
        for number in range(3):
            reports = reconcile(project, now=later + timedelta(hours=number))
            pushed = cycle(project, step="push")
            names = ("breaks_open", "opened", "closed", "changed")
            counts = {name: sum(report.counts.get(name, 0) for report in reports) for name in names}
            rounds.append(
                counts | {"applied": sum(report.counts.get("applied", 0) for report in pushed if report.step == "push")}
            )
    quiet = not any(rounds[2][name] for name in ("opened", "closed", "changed", "applied"))
    return {"rounds": rounds, "converged": bool(rounds[0]["opened"]) and rounds[1]["closed"] > 0 and quiet}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=PEERS)
    parser.add_argument("--heal", action="store_true")
    parser.add_argument("--out", type=Path)
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = run(said.orders, said.repeat, said.peers, Path(folder))
    if said.heal:
        with tempfile.TemporaryDirectory() as folder:
            made["heal"] = heal(Path(folder))
    made = {"commit": revision.commit(), "at": datetime.now(UTC).isoformat(timespec="seconds"), **made}
    text = json.dumps(made, indent=1, ensure_ascii=False)
    print(text)
    if said.out:
        said.out.parent.mkdir(parents=True, exist_ok=True)
        said.out.write_text(text + "\n")
    missed = [name for name, problems in made["twins"].items() if not problems]
    return int(bool(made["problems"] or missed or not made.get("heal", {"converged": True})["converged"]))


if __name__ == "__main__":
    raise SystemExit(main())
