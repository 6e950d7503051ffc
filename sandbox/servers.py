"""All three servers in one process, and the handle by which tests drive them."""

from __future__ import annotations

import fcntl
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import cart, crm, erp, payouts, world
from sandbox.clock import Clock, shop_text
from sandbox.control import add_controls
from sandbox.erp_books import Books
from sandbox.httpd import Server, Site
from sandbox.world import Stores, World

CART_RATE, CART_BURST = 500.0, 2000.0


class Control:
    """The control endpoints of a running sandbox, from Python. `system` is cart, erp or crm."""

    def __init__(self, roots: dict[str, str]) -> None:
        self.roots = roots

    def call(self, system: str, method: str, name: str, payload: dict[str, Any] | None = None) -> Any:
        """Raises ValueError with the server's words when the endpoint refuses."""
        body = None if payload is None else json.dumps(payload).encode()
        request = urllib.request.Request(f"{self.roots[system]}/_control/{name}", body, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                raise ValueError(refused.read().decode()) from None

    def fault(self, system: str, fault: str, **options: Any) -> None:
        """fault("erp", "reset_after", path="CreateSalesOrder", times=2)"""
        self.call(system, "POST", "faults", {"fault": fault, **options})

    def clear(self) -> None:
        """No more faults, anywhere."""
        for system in self.roots:
            self.call(system, "DELETE", "faults")

    def calls(self, system: str, since: int = 0) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call(system, "GET", f"calls?since={since}")
        return found

    def books(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = self.call("erp", "GET", "books")
        return found

    def deliver(self, order: str, partial: bool = False) -> dict[str, Any]:
        made: dict[str, Any] = self.call("erp", "POST", "deliver", {"order": order, "partial": partial})
        return made

    def invoice(self, order: str, paid: bool = False) -> dict[str, Any]:
        made: dict[str, Any] = self.call("erp", "POST", "invoice", {"order": order, "paid": paid})
        return made

    def release(self, payout: int) -> dict[str, Any]:
        """A payout that was held arrives."""
        made: dict[str, Any] = self.call("cart", "POST", "release", {"payout": payout})
        return made

    def clock(self, **wanted: Any) -> str:
        """clock(now="2026-11-21T08:00:00Z", frozen=True), clock(advance=3600), clock(now=None); returns the time."""
        now: str = self.call("cart", "POST", "clock", wanted)["now"]
        return now


@dataclass(frozen=True)
class Running:
    """Base URLs of the three systems, the drop folder, the control, and where the oddities of the world are."""

    cart: str
    erp: str
    crm: str
    drop: Path
    state: Path
    control: Control
    oddities: dict[str, dict[str, Any]]
    go_live: str

    def shown(self) -> dict[str, Any]:
        """What `start` prints."""
        return {"cart": self.cart, "erp": self.erp, "crm": self.crm, "drop": str(self.drop), "pid": os.getpid()}


def sites(stores: Stores, clock: Clock) -> list[Site]:
    bucket, quota, books = cart.Bucket(CART_RATE, CART_BURST), crm.Quota(), Books(stores.erp, clock)

    def set_rate(wanted: dict[str, Any]) -> object:
        bucket.limit(float(wanted["per_second"]), float(wanted.get("burst", wanted["per_second"])))
        return {"per_second": bucket.rate, "burst": bucket.burst}

    def set_quota(wanted: dict[str, Any]) -> object:
        quota.left = wanted["left"]
        return {"left": quota.left}

    shop = Site("cart", "/api", cart.make_app(stores.cart, clock, bucket), cart.too_many)
    shop.controls |= {
        ("POST", "rate"): set_rate,
        ("POST", "release"): lambda wanted: payouts.release(stores.cart, wanted["payout"], clock.now()),
    }
    customers = Site("crm", "/services", crm.make_app(stores.crm, clock, quota), crm.too_many)
    customers.controls["POST", "quota"] = set_quota
    ledger = Site("erp", "/erp", erp.make_app(books), erp.too_many)
    ledger.controls |= {
        ("GET", "books"): lambda _: books.shown(),
        ("POST", "deliver"): lambda wanted: books.deliver(wanted["order"], bool(wanted.get("partial"))),
        ("POST", "invoice"): lambda wanted: books.invoice(wanted["order"], bool(wanted.get("paid"))),
        ("POST", "stock"): lambda wanted: books.set_stock(**wanted),
        ("POST", "credit"): lambda wanted: books.set_credit(**wanted),
        ("POST", "block"): lambda wanted: books.change_partner(
            wanted["business_partner"], {"blocked": wanted["blocked"]}
        ),
    }
    made = [shop, ledger, customers]
    for site in made:
        add_controls(site, clock)
    return made


def prepare(state: Path, **options: Any) -> World:
    """The world in `state`; made first when there is none. ValueError when it is another one than `options` ask for."""
    found = world.read(state)
    if found is None:
        world.create(state, World(**options))
        return prepare(state)
    wanted = {name: value for name, value in options.items() if getattr(found[0], name) != value}
    if wanted:
        had = {name: getattr(found[0], name) for name in wanted}
        raise ValueError(f"{state} holds a world made with {had}, not {wanted}: choose another folder or remove it")
    return found[0]


@contextmanager
def running(
    state: Path, *, cart_port: int = 0, erp_port: int = 0, crm_port: int = 0, **options: Any
) -> Iterator[Running]:  # fmt: skip
    """The three servers on threads of this process, on free ports unless told, until the block ends.

    `options` are those of `World` (customers, orders, products, seed, now, days, recent_days). The state stays: a
    second `running` on the same folder goes on where the first ended. ValueError when the folder is in use or holds
    another world.
    """
    with _alone(state):
        yield from _serve(state, {"cart": cart_port, "erp": erp_port, "crm": crm_port}, prepare(state, **options))


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """One process a folder: a second one would answer from the same books without knowing of the first."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ValueError(f"a sandbox is running on {state} already") from None
        yield


def _serve(state: Path, ports: dict[str, int], made: World) -> Iterator[Running]:
    oddities = (world.read(state) or (made, {}))[1]
    stores = world.open_stores(state)
    servers: list[Server] = []
    try:
        for site in sites(stores, Clock(made.end)):
            servers.append(Server(site, ports[site.name]))
            servers[-1].start()
        urls = {server.site.name: server.root + server.site.base for server in servers}
        control = Control({server.site.name: server.root for server in servers})
        drop = (state / "drop").resolve()
        drop.mkdir(exist_ok=True)
        handle = Running(
            **urls, drop=drop, state=state, control=control, oddities=oddities, go_live=shop_text(made.go_live)
        )
        told = {**handle.shown(), "go_live": handle.go_live, "oddities": handle.oddities}
        _write_json(state / "sandbox.json", told)
        yield handle
    finally:
        for server in servers:
            server.stop()
        stores.close()
        if (state / "sandbox.json").exists():
            _write_json(state / "sandbox.json", json.loads((state / "sandbox.json").read_text("utf-8")) | {"pid": None})


def _write_json(path: Path, told: dict[str, Any]) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(told, indent=1, ensure_ascii=False), encoding="utf-8")
    temporary.replace(path)
