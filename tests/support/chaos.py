"""Kill the sync at random moments and at every named one, and look into everybody's books afterwards.

    python tests/support/chaos.py --records 20000 --kills 200 --rounds 4 --pushes 10000 --out benchmarks/chaos.json

The sandbox systems run in a process of their own and stay alive; half of the orders are new to the ERP, so that kills hit a long
push, too. Each attempt is a fork of this process, which has the heavy libraries imported already, so that a kill hits the flow and
not an import. Orders keep coming in between. `--mutants` plants mistakes in small worlds: the same books have to show them.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import requests

from flow.demo import sandbox
from hub.config import Project, load_project
from hub.failpoints import FAILPOINTS
from sandbox.world import World

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "flow" / "push"))
RECENT_DAYS = 30.0  # of sixty: so much of the world is the push's work
SYSTEMS = ("pricelist", "erp", "cart")
TOKEN = {"Authorization": "Bearer sandbox-cart-token"}
Mutant = Callable[[], None]


def preload() -> None:
    """Import in the parent what every attempt needs: a fork has it at once."""
    import zeep.transports
    import zeep.wsse.username  # noqa: F401

    from quality import expectations

    for package in ("hub", "connectors", "mappings", "quality", "warehouse", "flow"):
        for found in pkgutil.iter_modules([str(ROOT / package)], f"{package}."):
            importlib.import_module(found.name)
    expectations.warm()


@contextmanager
def arena(records: int) -> Iterator[tuple[Project, dict[str, Any]]]:
    """A project in a folder of its own and the sandbox systems it works with."""
    folder = Path(tempfile.mkdtemp(prefix="crossdock-chaos-"))
    begins = World(recent_days=RECENT_DAYS).go_live.date().isoformat()
    text = (ROOT / "crossdock.yaml").read_text()
    (folder / "crossdock.yaml").write_text(text.replace('from: "2026-11-18"', f'from: "{begins}"'))
    project = load_project(folder)
    options = {"customers": max(50, records // 20), "orders": records, "recent_days": RECENT_DAYS}
    try:
        with sandbox(project, cart_port=0, erp_port=0, crm_port=0, **options) as running:
            yield project, running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def say(text: str) -> None:
    print(f"{time.monotonic() - BEGAN:6.0f} s  {text}", flush=True)


BEGAN = time.monotonic()
CALLS = ("push.intent_written", "push.after_call", "push.outcome_written")


def attempt(
    project: Project,
    *,
    failpoint: str = "",
    kill_after: float | None = None,
    mutant: Mutant | None = None,
    step: str | None = None,
    systems: Sequence[str] = SYSTEMS,
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
            code = _cycle(project, step, systems)
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


def _cycle(project: Project, step: str | None, systems: Sequence[str] = SYSTEMS) -> int:
    from flow.cycle import cycle

    try:
        reports = cycle(project, systems, step=step, approve_first="chaos")
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


def in_the_erp(world: dict[str, Any]) -> int:
    books = requests.get(world["erp"].replace("/erp", "/_control/books"), timeout=60).json()
    return len(books["orders"])


def storm(project: Project, world: dict[str, Any], kills: int, seed: int, longest: float) -> dict[str, int]:
    """`kills` SIGKILLs at seeded random moments (log-uniform from 50 ms to `longest` seconds), with new orders in between: of
    whole cycles, and of pushes alone, which are killed among their calls.
    """
    rng = random.Random(seed)
    ended: Counter[str] = Counter()
    while ended["killed"] < kills:
        place_order(world["cart"], rng)
        step = "push" if rng.random() < 0.5 and project.published.exists() else None
        ended[attempt(project, kill_after=0.05 * (longest / 0.05) ** rng.random(), step=step)] += 1
        if sum(ended.values()) > kills * 4:
            raise AssertionError(f"too few kills hit anything: {dict(ended)}")
        if ended["killed"] % max(1, kills // 10) == 0:
            say(f"{ended['killed']} of {kills} kills, {in_the_erp(world):,} orders in the ERP")
    return dict(ended)


def _orders_to_push(project: Project, world: dict[str, Any], rng: random.Random) -> None:
    for _ in range(6):
        place_order(world["cart"], rng)
    attempt(project, step="merge", systems=("cart",))


def every_failpoint(
    project: Project, world: dict[str, Any], names: Iterable[str], seed: int, rounds: int, longest: float
) -> dict[str, Counter[str]]:
    """Each named moment `rounds` times, those of a push at random calls of it: killed there, and a push again for which only the
    ledger knows of the call (it is killed, too, where it is long). The first round is of the cart alone or of pushes alone, which
    costs a third.
    """
    rng = random.Random(seed)
    ended: dict[str, Counter[str]] = {name: Counter() for name in names}
    if set(CALLS) & set(ended):
        _orders_to_push(project, world, rng)
    for n in range(1, rounds + 1):
        for name, counted in ended.items():
            calls = name.startswith("push.")
            visit = rng.randint(1, 9) if name in CALLS and n > 1 else 1
            place_order(world["cart"], rng)
            if n > 1:
                how = attempt(project, failpoint=f"{name}:{visit}")
            elif calls:
                how = attempt(project, failpoint=f"{name}:1", step="push")
            else:
                how = attempt(project, failpoint=f"{name}:1", step="merge", systems=("cart",))
            if how != "killed" and visit > 1:  # there were not so many calls
                place_order(world["cart"], rng)
                how = attempt(project, failpoint=f"{name}:1")
            counted[how] += 1
            if calls and n > 1:
                attempt(project, step="push", kill_after=longest)
        say(f"{', '.join(ended)}: round {n} of {rounds}, {in_the_erp(world):,} orders in the ERP")
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


def _of_the_push(name: str) -> Mutant:
    def plant() -> None:
        import push_mutants

        getattr(push_mutants, name)()

    return plant


# Planted mistakes of the push, each with the moment at which it shows and the book that shows it.
MUTANTS: dict[str, tuple[str, str]] = {
    "blind_retry": ("push.after_call:1", "twice_in_erp"),
    "intent_after_call": ("push.after_call:1", "twice_in_erp"),
    "mark_before_send": ("push.intent_written:1", "not_in_erp"),
}


def planted(project: Project, world: dict[str, Any]) -> dict[str, list[str]]:
    """What the books show of each mistake that they did not show before; empty where it is not caught."""
    rng, seen, found = random.Random(0), set[str](), dict[str, list[str]]()
    _orders_to_push(project, world, rng)
    for name, (moment, shows) in MUTANTS.items():
        # Killed there, and killed again where the mistake has shown: the other orders are left for the next one.
        for _ in range(2):
            attempt(project, failpoint=moment, mutant=_of_the_push(name), step="push")
        if shows == "not_in_erp":  # what was only not sent yet is not lost
            attempt(project, step="push")
        fresh = set(verdict(project, world)[shows]) - seen
        seen |= fresh
        found[name] = sorted(fresh)
        say(f"the planted mistake {name}: {shows} {found[name]}")
    return found


def planted_in_the_merge() -> list[str]:
    """The orders that are lost where the position is committed apart from the data: of a world that nobody has read yet."""
    with arena(100) as (project, world):
        attempt(project, failpoint="merge.before_commit:1", mutant=position_apart, systems=("cart",), step="merge")
        attempt(project, systems=("cart",), step="merge")
        lost: list[str] = verdict(project, world)["lost"]
    say(f"the planted mistake position_apart: lost {lost[:3]}")
    return lost


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=4, help="how often each failpoint kills")
    parser.add_argument("--pushes", type=int, default=10_000, help="through a target that loses answers")
    parser.add_argument("--longest", type=float, default=8.0, help="seconds that an attempt lives at the most")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "chaos.json")
    told = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # whoever stops it stops the sandbox, too
    say("importing")
    preload()
    late = [name for name in FAILPOINTS if name.startswith("push.")]
    early = [name for name in FAILPOINTS if name not in late]
    with arena(told.records) as (project, world):
        patience = told.longest / 3
        failpoints = every_failpoint(project, world, early, told.seed, told.rounds, patience)
        began = time.monotonic()
        attempt(project, step="merge")
        # Beside other work everything takes longer: an attempt has to live long enough to make calls now and then.
        patience = max(patience, time.monotonic() - began)
        kills = storm(project, world, told.kills, told.seed, max(told.longest, 1.5 * patience))
        failpoints |= every_failpoint(project, world, late, told.seed, told.rounds, patience)
        say("until it is quiet")
        cycles = until_quiet(project)
        found = verdict(project, world)
        mutants = planted(project, world)
    if told.rounds > 1:  # tests/warehouse/test_merge_crash.py has the same mistake in small
        mutants["position_apart"] = planted_in_the_merge()
    pushes: dict[str, Any] = {}
    if told.pushes:
        import faulty_pushes

        pushes = faulty_pushes.figures(told.pushes, told.seed, say)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    result = {
        "commit": commit,
        "records": told.records,
        "seed": told.seed,
        "kills": kills,
        "failpoints": failpoints,
        "cycles_until_quiet": cycles,
        "clean": is_clean(found),
        **found,
        "mutants": mutants,
        "faulty_pushes": pushes,
        "seconds": round(time.monotonic() - BEGAN, 1),
    }
    told.out.parent.mkdir(parents=True, exist_ok=True)
    told.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    caught = all(mutants.values())
    return 0 if result["clean"] and caught and pushes.get("clean", True) else 1


if __name__ == "__main__":
    sys.exit(main())
