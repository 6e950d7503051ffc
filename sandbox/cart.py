"""The cart: a shop's REST API in JSON. Bearer token, cursor pages in the Link header, 429 with Retry-After."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, g, request

from sandbox.cart_orders import Doc, Invalid, cancel, edit, pay, place, refund
from sandbox.clock import Clock, instant_key, parse_instant, shop_text
from sandbox.httpd import Answer, json_answer
from sandbox.payouts import book, settle
from sandbox.store import Store, Writing, to_json

TOKEN = "sandbox-cart-token"
LISTS = ("customers", "products", "orders", "payouts")
TABLES = dict.fromkeys((*LISTS, "transactions"), "INTEGER")
KEYS = {"customers": "email", "products": "sku", "orders": "number", "payouts": "status"}
GROUPS = ("retail", "business", "vip")
LIMIT, MAX_LIMIT = 50, 250
FIRST_ID = {"customers": 7_000_001, "products": 3_000_001, "orders": 5_000_001}
FIRST_NUMBER = 1001


class Bucket:
    """Calls a second; as many more at once as `burst`."""

    def __init__(self, rate: float, burst: float) -> None:
        self._lock = threading.Lock()
        self.limit(rate, burst)

    def limit(self, rate: float, burst: float) -> None:
        """Another limit begins with a full bucket: what was used up under the one before does not count."""
        with self._lock:
            self.rate, self.burst, self.level, self.at = rate, burst, burst, time.monotonic()

    def take(self) -> float:
        """0, or the seconds to wait."""
        with self._lock:
            now = time.monotonic()
            self.level = min(self.burst, self.level + (now - self.at) * self.rate)
            self.at = now
            if self.level < 1:
                return (1 - self.level) / self.rate
            self.level -= 1
            return 0.0


def key_of(table: str, doc: Doc) -> str | None:
    """What a record can be found by; e-mails without regard to case."""
    value = doc.get(KEYS[table])
    return str(value).strip().lower() if value and table == "customers" else value


def put(tx: Writing, table: str, doc: Doc, moment: str) -> None:
    tx.put(table, doc["id"], moment, key_of(table, doc), doc, hidden=bool(doc.get("cancelled_at")))


def too_many(wait: float) -> Answer:
    headers = [("Retry-After", f"{max(wait, 0.1):.1f}")]
    return json_answer(429, {"errors": "Exceeded the number of calls per second for this client."}, headers)


def make_app(store: Store, clock: Clock, bucket: Bucket) -> Flask:
    app = Flask("sandbox.cart")
    app.url_map.strict_slashes = False

    @app.before_request
    def guard() -> Response | None:
        wait = bucket.take()
        if wait:
            status, headers, body = too_many(wait)
            return Response(body, status, headers)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return error(401, "[API] Invalid API key or access token (unrecognized login or wrong password)")
        g.now = clock.now()
        return None

    app.register_error_handler(Invalid, lambda bad: error(422, {bad.field: [str(bad)]}))
    app.register_error_handler(404, lambda _: error(404, "Not Found"))
    app.register_error_handler(405, lambda _: error(405, "Method Not Allowed"))
    for malformed in (400, KeyError, TypeError, AttributeError):
        app.register_error_handler(malformed, lambda _: error(400, "Bad Request"))

    @app.get(f"/api/<any({', '.join(LISTS)}):table>")
    def list_records(table: str) -> Response:
        if table == "payouts" and not request.args.get("cursor"):
            settle(store, g.now)
        found = request.args.get(KEYS[table])
        if found not in (None, "any"):
            key = found.strip().lower() if table == "customers" else found
            return records(table, store.find(table, key))
        return page(store, table)

    @app.get(f"/api/<any({', '.join(LISTS)}):table>/<int:id>")
    def read(table: str, id: int) -> Response:
        text = store.get_text(table, id)
        return error(404, "Not Found") if text is None else answer(text)

    @app.post("/api/orders")
    def place_order() -> Response:
        wanted = payload()
        with store.writing() as tx:
            last = tx.last_id("orders")
            id = int(last) + 1 if last else FIRST_ID["orders"]
            number = str(FIRST_NUMBER + id - FIRST_ID["orders"])
            asked = (wanted.get("customer") or {}).get("id")
            customer = tx.get("customers", asked) if asked else None
            if asked and customer is None:
                raise Invalid("customer", "unknown customer")
            doc = place(id, number, shop_text(g.now), wanted, customer, finder(tx))
            put(tx, "orders", doc, instant_key(g.now))
            book(tx, doc)
        return answer(to_json(doc), 201)

    def change(table: str, id: int, work: Callable[[Doc, Writing], None]) -> Response:
        """Apply `work` in one transaction; a record that stays as it was keeps its updated_at."""
        with store.writing() as tx:
            doc = tx.get(table, id)
            if doc is None:
                return error(404, "Not Found")
            before, moved = to_json(doc), (doc.get("payments"), doc.get("refunds"))
            work(doc, tx)
            if table == "orders" and moved != (doc["payments"], doc["refunds"]):
                book(tx, doc)
            if to_json(doc) != before:
                doc["updated_at"] = shop_text(g.now)
                put(tx, table, doc, instant_key(g.now))
        return answer(to_json(doc))

    @app.put("/api/orders/<int:id>")
    def edit_order(id: int) -> Response:
        wanted = payload()
        return change("orders", id, lambda doc, tx: edit(doc, wanted, finder(tx)))

    @app.post("/api/orders/<int:id>/cancel")
    def cancel_order(id: int) -> Response:
        return change("orders", id, lambda doc, _: cancel(doc, shop_text(g.now)))

    @app.post("/api/orders/<int:id>/pay")
    def pay_order(id: int) -> Response:
        wanted = payload()
        return change("orders", id, lambda doc, _: pay(doc, shop_text(g.now), wanted))

    @app.post("/api/orders/<int:id>/refunds")
    def refund_order(id: int) -> Response:
        wanted = payload()
        return change("orders", id, lambda doc, _: refund(doc, shop_text(g.now), wanted))

    @app.put("/api/products/<int:id>")
    def edit_product(id: int) -> Response:
        wanted = payload()
        return change("products", id, lambda doc, _: edit_product_doc(doc, wanted))

    @app.post("/api/customers")
    def create_customer() -> Response:
        wanted = payload()
        with store.writing() as tx:
            last = tx.last_id("customers")
            id = int(last) + 1 if last else FIRST_ID["customers"]
            doc = new_customer(id, shop_text(g.now))
            edit_customer_doc(doc, wanted, tx)
            put(tx, "customers", doc, instant_key(g.now))
        return answer(to_json(doc), 201)

    @app.put("/api/customers/<int:id>")
    def edit_customer(id: int) -> Response:
        wanted = payload()
        return change("customers", id, lambda doc, tx: edit_customer_doc(doc, wanted, tx))

    return app


def answer(text: str, status: int = 200) -> Response:
    return Response(text.encode(), status, content_type="application/json; charset=utf-8")


def error(status: int, errors: object) -> Response:
    return answer(to_json({"errors": errors}), status)


def records(table: str, docs: list[str]) -> Response:
    return answer(f'{{"{table}":[{",".join(docs)}]}}')


def payload() -> Doc:
    """The request's object, bare or wrapped in its name as {"order": {…}}."""
    if not request.get_data():
        return {}
    body = request.get_json(force=True)
    if isinstance(body, dict) and len(body) == 1:
        (inner,) = body.values()
        if isinstance(inner, dict) and next(iter(body)) in ("order", "product", "customer", "refund"):
            body = inner
    if not isinstance(body, dict):
        raise Invalid("base", "must be an object")
    return body


def finder(tx: Writing) -> Callable[[str], Doc | None]:
    def find(sku: str) -> Doc | None:
        ids = tx.find_ids("products", sku)
        return tx.get("products", ids[0]) if ids else None

    return find


def page(store: Store, table: str) -> Response:
    """A page of the list, and where the next one is. Cancelled orders are listed with status=any or cancelled only."""
    try:
        at = _position()
        limit = max(1, min(int(request.args.get("limit", LIMIT)), MAX_LIMIT))
    except ValueError:
        return error(400, "Bad Request: limit, cursor or updated_at_min cannot be read")
    after = (at["after"][0], at["after"][1]) if at["after"] else None
    rows = store.page(table, after, at["since"], limit + 1, visible_only=table == "orders" and not at["any"])
    shown = rows[:limit]
    made = records(table, [doc for _, _, doc in shown])
    following: Doc | None = None
    if request.environ.get("sandbox.duplicate_page"):
        # The same page once more under a new cursor, then the list goes on.
        following = {**at, "again": at.get("again", 0) + 1}
    elif len(rows) > limit:
        following = {**at, "after": [shown[-1][0], shown[-1][1]]}
    if following:
        cursor = base64.urlsafe_b64encode(to_json(following).encode()).decode()
        made.headers["Link"] = f'<{request.host_url}api/{table}?cursor={cursor}&limit={limit}>; rel="next"'
    return made


def _position() -> Doc:
    cursor = request.args.get("cursor")
    if cursor:
        position: Doc = json.loads(base64.urlsafe_b64decode(cursor))
        return position
    since = request.args.get("updated_at_min")
    since_key = instant_key(parse_instant(since)) if since else ""
    return {"after": None, "since": since_key, "any": request.args.get("status", "open") == "any"}


def edit_product_doc(doc: Doc, wanted: Doc) -> None:
    unknown = set(wanted) - {"id", "stock"}
    if unknown:
        raise Invalid(min(unknown), "cannot be changed")
    stock = wanted.get("stock", doc["stock"])
    if not isinstance(stock, int) or isinstance(stock, bool) or stock < 0:
        raise Invalid("stock", "must be a whole number of at least 0")
    doc["stock"] = stock


def new_customer(id: int, now: str) -> Doc:
    names: dict[str, Any] = {"id": id, "email": None, "first_name": "", "last_name": "", "company": None, "phone": ""}
    rest: dict[str, Any] = {
        "tax_id": None,
        "state": "enabled",
        "customer_group": "retail",
        "addresses": [],
        "default_address": None,
    }
    return {**names, **rest, "created_at": now, "updated_at": now}


def edit_customer_doc(doc: Doc, wanted: Doc, tx: Writing) -> None:
    unknown = set(wanted) - (set(doc) - {"created_at", "updated_at"})
    if unknown:
        raise Invalid(min(unknown), "cannot be changed")
    if wanted.get("customer_group", "retail") not in GROUPS:
        raise Invalid("customer_group", f"is none of {', '.join(GROUPS)}")
    if wanted.get("state", "enabled") not in ("enabled", "disabled"):
        raise Invalid("state", "is neither enabled nor disabled")
    doc.update({field: value for field, value in wanted.items() if field != "id"})
    email = key_of("customers", doc)
    if not email:
        raise Invalid("email", "can't be blank")
    if any(id != doc["id"] for id in tx.find_ids("customers", email)):
        raise Invalid("email", "has already been taken")
    addresses = doc["addresses"] or []
    doc["addresses"] = [{"id": doc["id"] * 10 + n, **address} for n, address in enumerate(addresses, 1)]
    if doc["addresses"] and not doc["default_address"]:
        doc["default_address"] = doc["addresses"][0]
