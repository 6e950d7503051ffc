"""Kill the sync at random moments and at every named one, and look into everybody's books afterwards.

    python tests/support/chaos.py --records 20000 --kills 100 --out benchmarks/chaos.json

The sandbox systems run in a process of their own and stay alive. Each attempt is a fork of this process, which has the
heavy libraries imported already, so that a kill hits the flow and not an import. Orders keep coming in between.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import requests

from flow.demo import sandbox
from hub.config import Project, load_project
from hub.failpoints import FAILPOINTS

ROOT = Path(__file__).resolve().parents[2]
SYSTEMS = ("pricelist", "erp", "cart")
TOKEN = {"Authorization": "Bearer sandbox-cart-token"}
Mutant = Callable[[], None]


def preload() -> None:
    """Import in the parent what every attempt needs: a fork has it at once."""
    import zeep  # noqa: F401

    import flow.cycle  # noqa: F401
    from quality import expectations

    expectations.warm()


@contextmanager
def arena(records: int, folder: Path, **world: Any) -> Iterator[tuple[Project, dict[str, Any]]]:
    """A project in `folder` and the sandbox systems it works with."""
    shutil.copy(ROOT / "crossdock.yaml", folder)
    project = load_project(folder)
    with sandbox(
        project, cart_port=0, erp_port=0, crm_port=0, customers=max(50, records // 20), orders=records, **world
    ) as running:
        yield project, running


def attempt(
    project: Project,
    *,
    failpoint: str = "",
    kill_after: float | None = None,
    mutant: Mutant | None = None,
    step: str | None = None,
) -> str:
    """One cycle (or one step of it) in a fork. Returns how it ended: 'done', 'killed' or 'failed' (see chaos.log in the data folder)."""
    project.data.mkdir(parents=True, exist_ok=True)
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            log = os.open(project.data / "chaos.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            if failpoint:
                os.environ["CROSSDOCK_FAILPOINT"] = failpoint
            if mutant:
                mutant()
            code = _cycle(project, step)
        finally:
            os._exit(code)
    until = None if kill_after is None else time.monotonic() + kill_after
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            if os.WIFSIGNALED(status):
                return "killed"
            return "done" if os.WEXITSTATUS(status) == 0 else "failed"
        if until is not None and time.monotonic() >= until:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return "killed"
        time.sleep(0.005)


def _cycle(project: Project, step: str | None) -> int:
    from flow.cycle import cycle

    try:
        reports = cycle(project, SYSTEMS, step=step, approve_first="chaos")
    except Exception:
        import traceback

        traceback.print_exc()
        return 71
    for report in reports:
        print(report.step, report.system, report.status, report.counts, *report.findings, sep=" | ", flush=True)
    failed = [r for r in reports if r.status == "failed"]
    return 72 if failed else 0


def until_quiet(project: Project, most: int = 8) -> int:
    """Cycles until one pushes nothing any more. Returns how many it took."""
    from flow.plan import plan

    for n in range(1, most + 1):
        if (ended := attempt(project)) != "done":
            raise AssertionError(f"an unkilled cycle {ended}: {(project.data / 'chaos.log').read_text()[-3000:]}")
        if not any(plan(project, target).calls for target in ("erp", "cart")):
            return n
    raise AssertionError(f"still calls to make after {most} cycles")


def place_order(url: str, rng: random.Random) -> None:
    """Life goes on: a paid order of somebody known, copied from an older one."""
    old = requests.get(f"{url}/orders?limit=20", headers=TOKEN, timeout=60).json()["orders"]
    like = next((o for o in rng.sample(old, len(old)) if o["customer"]), old[0])
    body = {
        "customer": like["customer"],
        "email": like["email"],
        "currency": like["currency"],
        "line_items": [{"sku": line["sku"], "quantity": line["quantity"]} for line in like["line_items"]],
        "shipping_address": like["shipping_address"],
    }
    made = requests.post(f"{url}/orders", json=body, headers=TOKEN, timeout=60)
    made.raise_for_status()
    requests.post(f"{url}/orders/{made.json()['id']}/pay", json={}, headers=TOKEN, timeout=60).raise_for_status()


def cart_orders(url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    link: str | None = f"{url}/orders?limit=250&status=any"
    while link:
        page = requests.get(link, headers=TOKEN, timeout=60)
        found += page.json()["orders"]
        link = page.links.get("next", {}).get("url")
    return found


def verdict(project: Project, world: dict[str, Any]) -> dict[str, Any]:
    """Everybody's books side by side: what is lost, what is there twice, what differs."""
    import duckdb

    orders = {str(o["id"]): o for o in cart_orders(world["cart"])}
    books = requests.get(world["erp"].replace("/erp", "/_control/books"), timeout=60).json()
    con = duckdb.connect(str(project.published), read_only=True)
    try:
        source = con.execute(
            "SELECT source_id, hub_id, total, waiting FROM source.sales_order WHERE system = 'cart'"
        ).fetchall()
        kept_back = {
            row[0]
            for row in con.execute(
                "SELECT source_id FROM quality.quarantine WHERE system = 'cart' AND closed_at IS NULL"
            ).fetchall()
        }
        lines = dict(
            con.execute(
                "SELECT parent_source_id, count(*) FROM source.order_line WHERE system = 'cart' GROUP BY 1"
            ).fetchall()
        )
        twice_hub = con.execute("SELECT count(*) - count(DISTINCT hub_id) FROM canonical.sales_order").fetchall()[0][0]
        twice_bound = con.execute(
            "SELECT count(*) - count(DISTINCT (entity, system, source_id)) FROM ops.bindings"
        ).fetchall()[0][0]
    finally:
        con.close()
    seen = Counter(row[0] for row in source)
    posted = Counter(order["purchase_order"] for order in books["orders"])
    partners = Counter(partner["external_id"] for partner in books["business_partners"])
    merged = {row[0]: row for row in source if not row[3]}
    due = [
        o
        for key, o in orders.items()
        if key in merged
        and o["financial_status"] in ("paid", "partially_refunded")
        and not o["cancelled_at"]
        and o["created_at"] >= world["go_live"][:10]
    ]
    held = _held(project)
    return {
        "orders": len(orders),
        "lost": sorted(key for key in orders if key not in seen and key not in kept_back)[:20],
        "twice": sorted(key for key, n in seen.items() if n > 1)[:20]
        + (["hub ids"] * twice_hub)
        + (["bindings"] * twice_bound),
        "wrong_total": [k for k, row in merged.items() if row[2] != Decimal(orders[k]["total_price"])][:20],
        "wrong_lines": [k for k in merged if lines.get(k, 0) != len(orders[k]["line_items"])][:20],
        "due_in_erp": len(due),
        "not_in_erp": sorted(o["number"] for o in due if not posted[o["number"]] and o["number"] not in held)[:20],
        "twice_in_erp": sorted(key for key, n in (*posted.items(), *partners.items()) if n > 1 and key)[:20],
    }


def _held(project: Project) -> set[str]:
    from flow.plan import plan

    made = plan(project, "erp")
    return {one.key for one in (*made.held, *made.refused, *made.waiting)}


def is_clean(found: dict[str, Any]) -> bool:
    return not any(
        found[name] for name in ("lost", "twice", "wrong_total", "wrong_lines", "not_in_erp", "twice_in_erp")
    )


def storm(
    project: Project, world: dict[str, Any], kills: int, seed: int, mutant: Mutant | None = None
) -> dict[str, int]:
    """`kills` SIGKILLs at seeded random moments (log-uniform from 50 ms to 12 s), with new orders in between."""
    rng = random.Random(seed)
    ended: Counter[str] = Counter()
    while ended["killed"] < kills:
        place_order(world["cart"], rng)
        ended[attempt(project, kill_after=0.05 * 240 ** rng.random(), mutant=mutant)] += 1
        if sum(ended.values()) > kills * 4:
            raise AssertionError(f"too few kills hit anything: {dict(ended)}")
    return dict(ended)


def every_failpoint(project: Project, world: dict[str, Any], seed: int, visits: int = 1) -> dict[str, str]:
    """Each named moment once (or at its first few visits): killed there, and then whole again."""
    rng = random.Random(seed)
    ended = {}
    for name in FAILPOINTS:
        for visit in range(1, visits + 1):
            place_order(world["cart"], rng)
            ended[f"{name}:{visit}"] = attempt(project, failpoint=f"{name}:{visit}")
            if name.startswith(
                "push."
            ):  # pushed again with nothing pulled in between: only the ledger knows of the call
                attempt(project, step="push")
    return ended


def position_apart() -> None:
    """The position is committed before the data that it stands for."""
    from warehouse import merge

    usual = merge._write

    def apart(work: Any, request: Any, outcomes: Any, report: Any) -> None:
        merge._position(work, ())
        work.do("commit", "COMMIT")
        work.do("begin", "BEGIN")
        usual(work, request, outcomes, report)

    merge._write = apart


def intent_after_call() -> None:
    """The call is made first and written down afterwards (tests/flow/push/push_mutants.py)."""
    sys.path.insert(0, str(ROOT / "tests" / "flow" / "push"))
    import push_mutants

    push_mutants.intent_after_call()


# Planted mistakes, each with the moment at which it shows.
MUTANTS: dict[str, tuple[Mutant, str]] = {
    "position_apart": (position_apart, "merge.before_commit:3"),  # the third merge is the cart's
    "intent_after_call": (intent_after_call, "push.after_call:1"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="plant a mistake: the books must show it")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "chaos.json")
    told = parser.parse_args()
    preload()
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="crossdock-chaos-"))
    with arena(told.records, folder) as (project, world):
        if told.mutant:
            mutant, moment = MUTANTS[told.mutant]
            failpoints = {moment: attempt(project, failpoint=moment, mutant=mutant)}
            if moment.startswith("push."):
                attempt(project, step="push", mutant=mutant)
            kills = {}
        else:
            failpoints = every_failpoint(project, world, told.seed)
            print(json.dumps(failpoints, indent=1), flush=True)
            kills = storm(project, world, told.kills, told.seed)
        cycles = until_quiet(project)
        found = verdict(project, world)
    result = {
        "commit": subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip(),
        "records": told.records,
        "seed": told.seed,
        "mutant": told.mutant,
        "kills": kills,
        "failpoints": failpoints,
        "cycles_until_quiet": cycles,
        "seconds": round(time.monotonic() - began, 1),
        "clean": is_clean(found),
        **found,
    }
    told.out.parent.mkdir(parents=True, exist_ok=True)
    told.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    shutil.rmtree(folder, ignore_errors=True)
    return 0 if result["clean"] else 1


if __name__ == "__main__":
    sys.exit(main())
