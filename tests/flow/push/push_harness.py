"""A small world for the tests of the push: a target with books of its own, and a snapshot that is made from them."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from flow import apply as apply_module
from flow import plan as plan_module
from flow.send import Settings
from hub import canonical
from hub.config import Project, load_project
from hub.connector import Change, Connection, Connector, Idempotency, Outcome, Stream
from hub.errors import AuthenticationError, TransientError
from warehouse.ledger import Ledger

QUICK = Settings(attempts=3, backoff=0.001, longest=0.002, patience=0.0, breaker=3)
WRITES: Any = ("create", "change", "cancel", "fulfil", "upsert")

CONFIG = """
name: push
systems:
  cart:
    connector: sandbox_cart
    connection: {url: "http://127.0.0.1:1"}
  erp:
    connector: books
    write: true
    from: 2026-10-01
    timezone: Europe/Berlin
    connection: {url: "http://127.0.0.1:1"}
"""


class Books:
    """What the target itself has written down. It outlives every process that is killed."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
        self.db.execute(
            "CREATE TABLE IF NOT EXISTS documents(number INTEGER PRIMARY KEY, stream, key, status, body, idempotency_key)"
        )
        self.db.execute(
            "CREATE TABLE IF NOT EXISTS calls(n INTEGER PRIMARY KEY, operation, stream, key, idempotency_key, body)"
        )
        self.db.execute("CREATE TABLE IF NOT EXISTS faults(n INTEGER PRIMARY KEY, fault, operation, key, times)")

    def fault(self, fault: str, operation: str = "", key: str = "", times: int = 1) -> None:
        """reset_before, reset_after, reject, reject_transient, unavailable, login, bug, no_id; any operation or key if empty."""
        self.db.execute(
            "INSERT INTO faults(fault, operation, key, times) VALUES (?,?,?,?)", (fault, operation, key, times)
        )

    def take_fault(self, change: Change) -> str | None:
        row = self.db.execute(
            "SELECT n, fault FROM faults WHERE times > 0 AND operation IN ('', ?) AND key IN ('', ?) ORDER BY n LIMIT 1",
            (change.operation, change.key),
        ).fetchone()
        if row:
            self.db.execute("UPDATE faults SET times = times - 1 WHERE n = ?", (row[0],))
        return row[1] if row else None

    def write(self, stream: str, change: Change) -> str:
        body = canonical.dumps(change.payload)
        if change.operation in ("create", "upsert") and not change.id:
            made = self.db.execute(
                "INSERT INTO documents(stream, key, status, body, idempotency_key) VALUES (?,?,?,?,?)",
                (stream, change.key, "open", body, change.idempotency_key),
            )
            return f"{stream[0].upper()}{made.lastrowid:06d}"
        number = int((change.id or "0")[1:])
        old = canonical.loads(self.db.execute("SELECT body FROM documents WHERE number = ?", (number,)).fetchone()[0])
        status = {"cancel": "cancelled", "fulfil": "delivered"}.get(change.operation)
        if status != "cancelled":
            self.db.execute(
                "UPDATE documents SET body = ? WHERE number = ?", (canonical.dumps(old | change.payload), number)
            )
        if status:
            self.db.execute("UPDATE documents SET status = ? WHERE number = ?", (status, number))
        return str(change.id)

    def documents(self, stream: str = "orders") -> list[dict[str, Any]]:
        rows = self.db.execute(
            "SELECT number, key, status, body FROM documents WHERE stream = ? ORDER BY number", (stream,)
        )
        return [
            {"id": f"{stream[0].upper()}{n:06d}", "key": key, "status": status} | canonical.loads(body)
            for n, key, status, body in rows
        ]

    def calls(self, operation: str = "") -> list[tuple[str, str, str, str]]:
        """(operation, stream, key, idempotency_key) of every call that arrived, also of those that were not answered."""
        return self.db.execute(
            "SELECT operation, stream, key, idempotency_key FROM calls WHERE ? IN ('', operation) ORDER BY n",
            (operation,),
        ).fetchall()


def streams(idempotency: Idempotency = "read_back", batch_size: int = 1) -> tuple[Stream, ...]:
    return tuple(
        Stream(name, "number", writes=WRITES, idempotency=idempotency, batch_size=batch_size)
        for name in ("partners", "orders", "memos")
    )


class FakeErp(Connector):
    """A target that commits to its books and may fail before or after."""

    name = "books"
    streams = streams()

    def __init__(self, books: Books, kinds: Sequence[Stream] | None = None) -> None:
        super().__init__(Connection("erp", "http://127.0.0.1:1"))
        self.books = books
        self.streams = tuple(kinds or streams())  # type: ignore[misc]
        self.finds = 0

    def push(self, stream: str, changes: Sequence[Change]) -> list[Outcome]:
        return [self._one(stream, change) for change in changes]

    def _one(self, stream: str, change: Change) -> Outcome:
        self.books.db.execute(
            "INSERT INTO calls(operation, stream, key, idempotency_key, body) VALUES (?,?,?,?,?)",
            (change.operation, stream, change.key, change.idempotency_key, canonical.dumps(change.payload)),
        )
        match self.books.take_fault(change):
            case "reset_before":
                return Outcome("unknown", message="connection reset")
            case "unavailable":
                raise TransientError("C199", "no answer")
            case "login":
                raise AuthenticationError("C198", "the credentials were refused", fix="set the password")
            case "reject":
                return Outcome("rejected", message=f"ERP-422 will not have {change.payload.get('name', change.key)}")
            case "reject_transient":
                return Outcome("rejected", message="ERP-503 locked", transient=True)
            case "bug":
                raise KeyError("ann.lee@example.com")
            case "no_id":
                self.books.write(stream, change)
                return Outcome("applied")
            case "reset_after":
                self.books.write(stream, change)
                return Outcome("unknown", message="connection reset")
        return Outcome("applied", id=self.books.write(stream, change), request_id="r1")

    def find(self, stream: str, key: str) -> list[Outcome]:
        self.finds += 1
        return [Outcome("applied", id=d["id"]) for d in self.books.documents(stream) if d["key"] == key]


class Keyed(FakeErp):
    """A target that cannot be searched and honours idempotency keys, as payment providers do."""

    def _one(self, stream: str, change: Change) -> Outcome:
        row = self.books.db.execute(
            "SELECT number FROM documents WHERE idempotency_key = ?", (change.idempotency_key,)
        ).fetchone()
        return Outcome("applied", id=f"{stream[0].upper()}{row[0]:06d}") if row else super()._one(stream, change)

    def find(self, stream: str, key: str) -> list[Outcome]:
        raise NotImplementedError


@dataclass(frozen=True)
class Push:
    """What a compiled outbound mapping gives the plan."""

    operation: str
    stream: str
    entity: str
    sql: str
    held: Any = None


_ID_OF = """CASE WHEN {alias}.source_id IS NOT NULL THEN to_json({alias}.source_id)
                 ELSE json_object('$id_of', '{entity}/' || {column}) END"""

PARTNER = Push(
    "create",
    "partners",
    "customer",
    """SELECT c.hub_id, c.hub_id::VARCHAR AS key, b.source_id AS external_id, NULL::TIMESTAMPTZ AS since, NULL::VARCHAR AS hold,
              NULL::VARCHAR AS waits_for, NULL::BOOLEAN AS same, json_object('name', c.name) AS payload, NULL::TIMESTAMPTZ AS seen_at
       FROM canonical.customer c LEFT JOIN ops.bindings b ON b.entity = 'customer' AND b.system = $target AND b.hub_id = c.hub_id""",
)

_ORDER = """
    FROM canonical.sales_order o
    LEFT JOIN ops.bindings b ON b.entity = 'sales_order' AND b.system = $target AND b.hub_id = o.hub_id
    LEFT JOIN ops.bindings cb ON cb.entity = 'customer' AND cb.system = $target AND cb.hub_id = o.customer
    LEFT JOIN source.sales_order t ON t.system = $target AND t.source_id = b.source_id"""

ORDER = Push(
    "create",
    "orders",
    "sales_order",
    f"""SELECT o.hub_id, o.number AS key, b.source_id AS external_id, o.ordered_at AS since, NULL AS hold,
               CASE WHEN cb.source_id IS NULL THEN 'customer/' || o.customer END AS waits_for, NULL::BOOLEAN AS same,
               json_object('po', o.number, 'sold_to', {_ID_OF.format(alias="cb", entity="customer", column="o.customer")},
                           'total', o.total) AS payload, NULL::TIMESTAMPTZ AS seen_at
        {_ORDER} WHERE o.lifecycle_status = 'open' AND o.payment_status = 'paid' AND b.source_id IS NULL""",
)

CHANGE = Push(
    "change",
    "orders",
    "sales_order",
    f"""SELECT o.hub_id, o.number AS key, b.source_id AS external_id, o.ordered_at AS since,
               CASE WHEN t.fulfilment_status = 'fulfilled' THEN 'delivered already' END AS hold,
               NULL AS waits_for, t.total = o.total AS same, json_object('total', o.total) AS payload, t.seen_at
        {_ORDER} WHERE o.lifecycle_status = 'open' AND b.source_id IS NOT NULL""",
)

CANCEL = Push(
    "cancel",
    "orders",
    "sales_order",
    f"""SELECT o.hub_id, o.number AS key, b.source_id AS external_id, o.ordered_at AS since,
               CASE WHEN t.fulfilment_status = 'fulfilled' THEN 'delivered already; it needs a return' END AS hold,
               NULL AS waits_for, t.lifecycle_status = 'cancelled' AS same, json_object('reason', 'cancelled') AS payload, t.seen_at
        {_ORDER} WHERE o.lifecycle_status = 'cancelled'""",
)

MEMO = Push(
    "create",
    "memos",
    "refund",
    f"""SELECT r.hub_id, r.number AS key, b.source_id AS external_id, NULL::TIMESTAMPTZ AS since, NULL AS hold,
               CASE WHEN ob.source_id IS NULL THEN 'sales_order/' || r.sales_order END AS waits_for, NULL::BOOLEAN AS same,
               json_object('order', {_ID_OF.format(alias="ob", entity="sales_order", column="r.sales_order")},
                           'amount', r.amount) AS payload, NULL::TIMESTAMPTZ AS seen_at
        FROM canonical.refund r
        LEFT JOIN ops.bindings b ON b.entity = 'refund' AND b.system = $target AND b.hub_id = r.hub_id
        LEFT JOIN ops.bindings ob ON ob.entity = 'sales_order' AND ob.system = $target AND ob.hub_id = r.sales_order""",
)

PUSHES = (PARTNER, ORDER, CHANGE, CANCEL, MEMO)


class World:
    """A project with a cart that knows customers, orders and refunds, and an ERP that is pushed to."""

    def __init__(self, root: Path, ledger_url: str | None = None) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        text = CONFIG + (f'ledger: "{ledger_url}"\n' if ledger_url else "")
        if not (root / "crossdock.yaml").exists():
            (root / "crossdock.yaml").write_text(text)
        self.project: Project = load_project(root)
        self.books = Books(root / "books.sqlite")
        self.customers: dict[int, str] = {}
        self.orders: dict[int, dict[str, Any]] = {}
        self.refunds: dict[int, dict[str, Any]] = {}
        self.seen: list[tuple[dict[str, Any], datetime]] = []
        self.read = ["erp"]  # systems whose own records were merged
        self.joined: list[tuple[str, int, int]] = []  # entity, hub_id, the hub_id it is known by now
        self.bound: list[tuple[str, str, int]] = []  # entity, source_id, hub_id: found by matching

    def order(self, hub_id: int, customer: int = 1, **values: Any) -> None:
        given = {"number": str(1000 + hub_id), "customer": customer, "total": "10.00", "lifecycle_status": "open"}
        given |= {"payment_status": "paid", "ordered_at": "2026-11-01T10:00:00Z"}
        self.orders[hub_id] = given | values

    def ledger(self) -> Ledger:
        return Ledger(self.project.ledger)

    def publish(self, fold: bool = True, read: bool = True) -> None:
        """Pull the ERP's books, merge, and publish: what the rest of the flow does, in a few lines."""
        if read:
            self.seen = [(d, now()) for d in self.books.documents("orders")]
        path = self.project.published
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with contextlib.closing(duckdb.connect(str(fresh))) as con:
            self._fill(con, fold)
        fresh.replace(path)

    def _fill(self, con: duckdb.DuckDBPyConnection, fold: bool) -> None:
        for schema in ("source", "canonical", "ops", "push", "marts"):
            con.execute(f"CREATE SCHEMA {schema}")
        con.execute(
            "CREATE TABLE ops.bindings(entity TEXT, system TEXT, source_id TEXT, hub_id BIGINT, origin TEXT, bound_at TIMESTAMPTZ)"
        )
        con.execute("CREATE TABLE ops.merged_hubs(entity TEXT, hub_id BIGINT, into_hub_id BIGINT)")
        for entity, hub_id, into in self.joined:
            con.execute("INSERT INTO ops.merged_hubs VALUES (?, ?, ?)", [entity, hub_id, into])
        con.execute("CREATE TABLE ops.runs(run_id TEXT, system TEXT)")
        for system in self.read:
            con.execute("INSERT INTO ops.runs VALUES ('run', ?)", [system])
        con.execute("CREATE TABLE ops.positions(name TEXT, value TEXT)")
        con.execute(
            """CREATE TABLE push.state(target TEXT, stream TEXT, entity TEXT, hub_id BIGINT, operation TEXT, status TEXT,
               seq BIGINT, answered_at TIMESTAMPTZ)"""
        )
        con.execute("CREATE TABLE canonical.customer(hub_id BIGINT, name TEXT)")
        con.execute(
            """CREATE TABLE canonical.sales_order(hub_id BIGINT, number TEXT, customer BIGINT, total DECIMAL(18,4),
               lifecycle_status TEXT, payment_status TEXT, ordered_at TIMESTAMPTZ)"""
        )
        con.execute(
            "CREATE TABLE canonical.refund(hub_id BIGINT, number TEXT, sales_order BIGINT, amount DECIMAL(18,4))"
        )
        con.execute(
            """CREATE TABLE source.sales_order(system TEXT, source_id TEXT, hub_id BIGINT, number TEXT, total DECIMAL(18,4),
               lifecycle_status TEXT, fulfilment_status TEXT, row_hash UBIGINT, seen_at TIMESTAMPTZ)"""
        )
        con.execute("CREATE TABLE source.customer(system TEXT, source_id TEXT, hub_id BIGINT, name TEXT)")
        for hub_id, name in self.customers.items():
            con.execute("INSERT INTO canonical.customer VALUES (?, ?)", [hub_id, name])
        for hub_id, o in self.orders.items():
            row = [
                hub_id,
                *(o[c] for c in ("number", "customer", "total", "lifecycle_status", "payment_status", "ordered_at")),
            ]
            con.execute("INSERT INTO canonical.sales_order VALUES (?,?,?,?,?,?,?)", row)
        for hub_id, r in self.refunds.items():
            con.execute(
                "INSERT INTO canonical.refund VALUES (?,?,?,?)", [hub_id, r["number"], r["sales_order"], r["amount"]]
            )
        for entity, source_id, hub_id in self.bound:
            con.execute("INSERT INTO ops.bindings VALUES (?, 'erp', ?, ?, 'match', now())", [entity, source_id, hub_id])
        seq = self._fold(con) if fold else 0
        con.execute("INSERT INTO ops.positions VALUES ('ledger_seq', ?)", [str(seq)])
        for d, seen_at in self.seen:
            status = "cancelled" if d["status"] == "cancelled" else "open"
            delivered = "fulfilled" if d["status"] == "delivered" else "unfulfilled"
            con.execute(
                "INSERT INTO source.sales_order VALUES ('erp', ?, NULL, ?, ?, ?, ?, 1, ?)",
                [d["id"], d["key"], d["total"], status, delivered, seen_at],
            )

    def _fold(self, con: duckdb.DuckDBPyConnection) -> int:
        from flow.fold import bindings, pending

        outcomes = pending(self.project, 0)
        for o in {(o.stream, o.entity, o.hub_id, o.operation): o for o in outcomes}.values():  # the newest of each
            row = [o.target, o.stream, o.entity, o.hub_id, o.operation, o.status, o.seq, o.at]
            con.execute("INSERT INTO push.state VALUES (?,?,?,?,?,?,?,?)", row)
        for entity, system, source_id, hub_id, at in bindings(outcomes):
            if (entity, source_id, hub_id) not in self.bound:
                con.execute(
                    "INSERT INTO ops.bindings VALUES (?, ?, ?, ?, 'push', ?)", [entity, system, source_id, hub_id, at]
                )
        return max((o.seq for o in outcomes), default=0)

    def plan(self, **options: Any) -> Any:
        return plan_module.plan(self.project, "erp", **options)

    def erp(self, *kinds: Stream) -> FakeErp:
        return FakeErp(self.books, kinds or None)

    def apply(self, plan_id: str, connector: Connector | None = None, by: str | None = "Ann", **options: Any) -> Any:
        return apply_module.apply(
            self.project,
            plan_id,
            approved_by=by,
            connector=connector or self.erp(),
            settings=options.pop("settings", QUICK),
            **options,
        )

    def push(self, connector: Connector | None = None, **options: Any) -> Any:
        """What an automatic run does: settle, plan, apply."""
        connector = connector or self.erp()
        apply_module.recover(self.project, "erp", settings=QUICK, connector=connector)
        return self.apply(self.plan().id, connector, **options)


@contextlib.contextmanager
def patched(pushes: Sequence[Push] = PUSHES, kinds: Sequence[Stream] | None = None) -> Iterator[None]:
    """The mappings of this file instead of a folder's, and the connector's streams without a connector file."""
    saved = plan_module.outbound_mappings, plan_module.streams
    plan_module.outbound_mappings = lambda project, target, model: list(pushes)  # type: ignore[assignment]
    plan_module.streams = lambda project, system: {s.name: s for s in kinds or streams()}  # type: ignore[assignment]
    try:
        yield
    finally:
        plan_module.outbound_mappings, plan_module.streams = saved


def now() -> datetime:
    return datetime.now(UTC)


def fill(world: World, orders: int) -> None:
    world.customers = {1: "Ann Lee", 2: "Bo Berg"}
    for n in range(1, orders + 1):
        world.order(n, customer=1 + n % 2)


def main(root: str, count: str, mutant: str, kind: str) -> None:
    """One automatic push, which a failpoint may kill: publish, settle, plan, apply. `kind` of target: read_back or keyed."""
    world = World(Path(root))
    fill(world, int(count))
    if mutant:
        import push_mutants

        getattr(push_mutants, mutant)()
    world.publish()
    kinds = streams("key" if kind == "keyed" else "read_back")
    with patched(PUSHES, kinds):
        world.push(Keyed(world.books, kinds) if kind == "keyed" else world.erp())
