"""Thousands of pushes over HTTP to a target of which a tenth of the answers to done calls is lost; its own books are counted.

In three kinds: `read_back` can be searched for our key, `key` honours idempotency keys and cannot be searched, `none` can neither,
so that a person looks into its books and says what became of a call.
"""

from __future__ import annotations

import contextlib
import json
import random
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fault_server import FAULTS, Asked, Fault, FaultServer, Honest
from push_harness import ORDER, PARTNER, World, patched, streams
from push_mutants import planted

from flow import settle
from flow.send import Settings
from hub.connector import Change, Connection, Outcome
from hub.errors import CrossdockError
from hub.http import HttpSession, outcome_of
from hub.rest import Rest

SHARES = {"read_back": 0.4, "key": 0.4, "none": 0.2}
SETTINGS = Settings(attempts=4, backoff=0, longest=0, patience=0, breaker=10**6, sleep=lambda _: None)
# Done, and then: reset, no answer in time, a gateway that lost it, cut off. A tenth of the calls together.
DONE = ("reset after the headers", "never answers", "502", "cut off")
NOT_DONE = ("reset before the headers", "503", "429")
ODD_SEARCH = ("502", "cut off", "an empty object", "404")


class Peer:
    """The target: what it has made, by stream."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.made: dict[str, list[dict[str, Any]]] = {"partners": [], "orders": []}
        self._lock = threading.Lock()

    def __call__(self, asked: Asked) -> Honest:
        stream = asked.path.strip("/")
        with self._lock:
            documents = self.made[stream]
            if asked.method == "GET":
                return self._says({"found": [one for one in documents if one["key"] == asked.query["key"]]})
            wanted = json.loads(asked.body)
            if self.kind == "key":
                for one in documents:
                    if one["idempotency_key"] == wanted["idempotency_key"]:
                        return self._says(one)
            documents.append(wanted | {"id": f"{stream[0].upper()}{len(documents) + 1:06d}"})
            return self._says(documents[-1])

    def _says(self, value: Any) -> Honest:
        return Honest(200, json.dumps(value).encode())

    def ids(self, stream: str, key: str) -> list[str]:
        return [one["id"] for one in self.made[stream] if one["key"] == key]


class Faulty(Rest):
    name = "books"
    auth = "none"

    def __init__(self, url: str, kind: str) -> None:
        connection = Connection("erp", url)
        times = (1.0, 0.1)  # a call that is only slow is looked up like one that is lost
        super().__init__(
            connection, HttpSession(connection, timeouts=times, deadline=0.3, attempts=2, sleep=lambda _: None)
        )
        self.kind = kind
        self.streams = self.kinds(kind)  # type: ignore[misc]

    @staticmethod
    def kinds(kind: Any) -> Any:
        from dataclasses import replace

        return tuple(
            replace(one, options={"path": one.name, "records": "found"}) for one in streams(kind, batch_size=10)
        )

    def push(self, stream: str, changes: Sequence[Change]) -> list[Outcome]:
        return [self._one(stream, change) for change in changes]

    def _one(self, stream: str, change: Change) -> Outcome:
        body = {**change.payload, "key": change.key, "idempotency_key": change.idempotency_key}
        try:
            return Outcome("applied", self.answered(self.write("POST", stream, body), "id")["id"])
        except CrossdockError as error:
            return outcome_of(error)

    def find(self, stream: str, key: str) -> list[Outcome]:
        if self.kind != "read_back":
            raise NotImplementedError
        return [Outcome("applied", one["id"]) for one in self.search(stream, key=key)]


class Weather:
    """What befalls a call, by seed. `struck` counts it."""

    def __init__(self, seed: int) -> None:
        self.random, self.struck = random.Random(seed), Counter[str]()

    def __call__(self, asked: Asked) -> tuple[Fault | None, bool]:
        draw = self.random.random()
        if asked.method == "GET":
            return (self._struck("search", ODD_SEARCH), True) if draw < 0.1 else (None, True)
        if draw < 0.1:
            return self._struck("done", DONE), True
        if draw < 0.13:
            return self._struck("not done", NOT_DONE), False
        return None, True

    def _struck(self, what: str, kinds: Sequence[str]) -> Fault:
        kind = self.random.choice(kinds)
        self.struck[f"{what}: {kind}"] += 1
        return FAULTS[kind]


def storm(
    root: Path, kind: str, pushes: int, seed: int, ledger_url: str | None = None, mutant: str = ""
) -> dict[str, Any]:
    """`pushes` records through the weather, push after push until nothing is left to do; then both books side by side."""
    world = World(root, ledger_url)
    customers = max(2, pushes // 10)
    world.customers = {n: f"Customer {n}" for n in range(1, customers + 1)}
    for n in range(1, pushes - customers + 1):
        world.order(n, customer=1 + n % customers)
    world.publish(read=False)
    peer, weather = Peer(kind), Weather(seed)
    server = FaultServer(peer, weather)
    rounds = asked = 0
    try:
        with planted(mutant), patched((PARTNER, ORDER), Faulty.kinds(kind)):
            target = Faulty(server.url, kind)
            while rounds < 12:
                rounds += 1
                report = world.push(target, settings=SETTINGS)
                if kind == "none":
                    asked += _person(world, peer)
                if not report.results and not world.plan().held:
                    break
    finally:
        server.close()
    return _books(world, peer, weather) | {"rounds": rounds, "persons_asked": asked}


def _person(world: World, peer: Peer) -> int:
    """Somebody looks into the target's books for each call that nothing else can tell of."""
    with world.ledger() as ledger:
        stuck = ledger.open_intents("erp")
    for intent in stuck:
        ids = peer.ids(intent.stream, intent.business_key)
        settle.say(world.project, intent.id, happened=bool(ids), external_id=ids[0] if ids else None, by="Ann")
    return len(stuck)


def _books(world: World, peer: Peer, weather: Weather) -> dict[str, Any]:
    wanted = {("partners", str(n)) for n in world.customers} | {("orders", o["number"]) for o in world.orders.values()}
    held = Counter((stream, one["key"]) for stream, made in peer.made.items() for one in made)
    with world.ledger() as ledger:
        left = len(ledger.open_intents("erp"))
        told = {(o.stream, o.key): o.external_id for o in ledger.outcomes_after(0) if o.status == "applied"}
    found = {
        "pushes": len(wanted),
        "struck": dict(sorted(weather.struck.items())),
        "lost": len(wanted - set(held)),
        "twice": sum(1 for n in held.values() if n > 1),
        "unresolved": left + len(wanted - set(told)),
        "wrong_ids": sum(1 for at, id in told.items() if id not in peer.ids(*at)) if len(wanted) <= 1000 else 0,
    }
    wrong = ("lost", "twice", "unresolved", "wrong_ids")
    return found | {"clean": not any(found[name] for name in wrong)}


def figures(pushes: int, seed: int, say: Callable[[str], None]) -> dict[str, Any]:
    """All three kinds, `pushes` in all, for `make chaos`."""
    found: dict[str, Any] = {}
    for kind, share in SHARES.items():
        with contextlib.ExitStack() as stack:
            root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crossdock-pushes-")))
            found[kind] = storm(root / "project", kind, int(pushes * share), seed)
        say(f"{found[kind]['pushes']:,} pushes of kind {kind}: {found[kind]}")
    return found | {"clean": all(one["clean"] for one in found.values())}
