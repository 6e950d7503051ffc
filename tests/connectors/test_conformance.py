"""Every connector of the sandbox's systems against the conformance suite: a Subject each, and the checks come for free."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import pytest

import connectors
from hub.conformance import CHECKS, Sample, Subject
from hub.connector import Change, Connection
from hub.drops import Drops
from hub.secrets import Secret

_numbers = count(1)
TESTED = ("sandbox_cart", "sandbox_erp", "sandbox_crm", "csv_drop", "json_feed", "file_drop")


def change(operation, payload, id=None, key=None):
    key = key or f"conformance-{next(_numbers)}"
    return Change(operation, key, payload, f"intent-{key}", id=id)


def with_key(operation, field, payload):
    """A change whose own business key stands in `field` of its payload."""
    made = change(operation, payload)
    return replace(made, payload={**payload, field: made.key})


def cart(sandbox):
    connection = Connection("cart", sandbox.cart, password=Secret("sandbox-cart-token"), timezone="Europe/Berlin")
    connector = connectors.load("sandbox_cart")(connection)
    orders = [json.loads(r) for p in connector.pull("orders") for r in p.records if not json.loads(r)["cancelled_at"]]
    products = [json.loads(r) for p in connector.pull("products") for r in p.records]

    def order(operation, payload):
        record = orders[next(_numbers) % len(orders)]
        return change(operation, payload, id=str(record["id"]), key=record["number"])

    def product(payload):
        return change("change", payload, key=products[next(_numbers) % len(products)]["sku"])

    bad = {"fulfillment_status": "lost"}
    samples = {
        ("orders", "fulfil"): Sample(
            lambda: order("fulfil", {"erp_order_number": f"00{next(_numbers)}", "fulfillment_status": "partial"}),
            lambda: order("fulfil", bad),
        ),
        ("orders", "change"): Sample(
            lambda: order("change", {"erp_order_number": f"00{next(_numbers)}"}), lambda: order("change", bad)
        ),
        ("products", "change"): Sample(
            lambda: product({"stock": f"{next(_numbers)}.000000"}), lambda: product({"stock": -1})
        ),
    }
    wrong = replace(connection, password=Secret("not-the-cart-token"))
    return Subject(
        type(connector), connection, wrong, samples, loser(sandbox, "cart", "PUT /api/{stream}"), page_size=50
    )


def loser(sandbox, system, path):
    def lose(stream, operation):
        sandbox.control.fault(system, "reset_after", path=path.format(stream=stream), times=1)

    return lose


def erp(sandbox):
    connection = Connection(
        "erp", sandbox.erp, login="crossdock", password=Secret("sandbox-erp-password"), timezone="Europe/Berlin"
    )
    connector = connectors.load("sandbox_erp")(connection)
    materials = [json.loads(r) for p in connector.pull("materials") for r in p.records]
    material = next(m["number"] for m in materials if not m["status"])
    (made,) = connector.push("business_partners", [change("create", {"name": "Berg GmbH", "external_id": "c-1"})])
    partner = made.id

    def order(sold_to=partner):
        item = {"item": "000010", "material": material, "quantity": "2", "net_price": "12.50"}
        return with_key("create", "purchase_order", {"sold_to": sold_to, "currency": "EUR", "items": [item]})

    def placed():
        (outcome,) = connector.push("sales_orders", [order()])
        return outcome.id

    samples = {
        ("business_partners", "create"): Sample(
            lambda: with_key("create", "external_id", {"name": "Ann Lee"}),
            lambda: with_key("create", "external_id", {"name": ""}),
        ),
        ("business_partners", "change"): Sample(
            lambda: change("change", {"city": f"Ulm {next(_numbers)}"}, id=partner),
            lambda: change("change", {"city": "Ulm"}, id="0000999999"),
        ),
        ("sales_orders", "create"): Sample(order, lambda: order("0000999999")),
        ("sales_orders", "change"): Sample(
            lambda: change("change", {"currency": "USD"}, id=placed()),
            lambda: change("change", {"sold_to": "0000999999"}, id=placed()),
        ),
        ("sales_orders", "cancel"): Sample(
            lambda: change("cancel", {"reason": "changed my mind"}, id=placed()),
            lambda: change("cancel", {"reason": "who?"}, id="0009999999"),
        ),
        ("credit_memos", "create"): Sample(
            lambda: with_key("create", "reference", {"sales_order": placed(), "currency": "EUR", "amount": "1.50"}),
            lambda: with_key("create", "reference", {"sales_order": "0009999999", "currency": "EUR", "amount": "1.50"}),
        ),
    }
    wrong = replace(connection, password=Secret("not-the-erp-password"))
    return Subject(type(connector), connection, wrong, samples, erp_loser(sandbox), page_size=50)


def erp_loser(sandbox):
    names = {"business_partners": "BusinessPartner", "sales_orders": "SalesOrder", "credit_memos": "CreditMemo"}

    def lose(stream, operation):
        sandbox.control.fault("erp", "reset_after", path=f"^{operation.title()}{names[stream]}$", times=1)

    return lose


def crm(sandbox):
    connection = Connection("crm", sandbox.crm, password=Secret("sandbox-crm-token"))
    connector = connectors.load("sandbox_crm")(connection)
    (made,) = connector.push("accounts", [change("upsert", {"Name": "Berg GmbH"})])

    def order(status):
        payload = {"AccountId": made.id, "Status": status, "TotalAmount": "35.58", "CurrencyIsoCode": "EUR"}
        return with_key("upsert", "OrderNumber", payload)

    def account():
        (made,) = connector.push("accounts", [change("upsert", {"Name": "Ann Lee"})])
        return made.id

    samples = {
        ("accounts", "archive"): Sample(
            lambda: change("archive", {}, id=account()), lambda: change("archive", {}, id="001000000999999AAA")
        ),
        ("accounts", "upsert"): Sample(
            lambda: change("upsert", {"Name": "Ann Lee"}), lambda: change("upsert", {"Name": "Ann Lee", "Tier": "Iron"})
        ),
        ("contacts", "upsert"): Sample(
            lambda: change("upsert", {"LastName": "Lee", "AccountId": made.id}),
            lambda: change("upsert", {"FirstName": "A"}),
        ),
        ("orders", "upsert"): Sample(lambda: order("Open"), lambda: order("Odd")),
    }
    wrong = replace(connection, password=Secret("not-the-crm-token"))

    def lose(stream, operation):
        method = "DELETE" if operation == "archive" else "PATCH"
        loser(sandbox, "crm", f"{method} /services/composite/{{stream}}")(stream, operation)

    return Subject(type(connector), connection, wrong, samples, lose, page_size=50)


def pricelist(sandbox):
    return Subject(connectors.load("csv_drop"), Connection("pricelist", str(sandbox.drop)), page_size=25)


def dropped(folder):
    kind = connectors.load("file_drop")

    def lose(stream, operation):
        """The file lands, and whoever waits for the answer never hears of it."""
        appear = Drops._appear

        def once(self, name):
            Drops._appear = appear
            appear(self, name)
            raise TimeoutError

        Drops._appear = once

    good, bad = {"name": "Ann Lee"}, {"nmae": "Ann Lee"}
    samples = {
        ("customers", "upsert"): Sample(lambda: change("upsert", good), lambda: change("upsert", bad)),
        **{
            ("orders", word): Sample(
                lambda word=word: change(word, {"number": "1", "total": "1.50"}),
                lambda word=word: change(word, {"total": "1.50"}),
            )
            for word in ("create", "change", "cancel")
        },
    }
    return Subject(kind, Connection("drop", str(folder)), samples=samples, lose_answer=lose)


def feed(url):
    connection = Connection("stores", url, password=Secret("feed-token-5"))
    return Subject(connectors.load("json_feed"), connection, replace(connection, password=Secret("no-feed-token")))


@pytest.fixture(scope="module")
def feed_url():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            known = self.headers.get("Authorization") == "Bearer feed-token-5"
            body = json.dumps(
                [{"id": n, "name": f"store {n}"} for n in range(7)] if known else {"error": "who?"}
            ).encode()
            self.send_response(200 if known else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/stores.json"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def subjects(sandbox, feed_url, tmp_path_factory):
    made: dict[str, Subject] = {}
    own = {"json_feed": lambda: feed(feed_url), "file_drop": lambda: dropped(tmp_path_factory.mktemp("drop"))}
    makers = {"sandbox_cart": cart, "sandbox_erp": erp, "sandbox_crm": crm, "csv_drop": pricelist}

    def subject(name):
        if name not in made:
            made[name] = own[name]() if name in own else makers[name](sandbox)
        return made[name]

    return subject


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", TESTED)
def test_conformance(subjects, name, check):
    assert check(subjects(name)) == []


def test_every_connector_is_tested():
    """The two real systems have their tests in tests/peers, because they have to be installed first."""
    built_in = set(connectors.names([Path(connectors.__file__).parent]))
    assert built_in == {*TESTED, "tryton", "vendure"} & built_in
    assert set(TESTED) <= built_in


def test_the_smallest_connector_stays_under_forty_lines():
    path = Path(connectors.__file__).parent / "json_feed.py"
    assert len(path.read_text().splitlines()) < 40
