"""What is peculiar to the sandbox's systems, against the running sandbox and its faults."""

from __future__ import annotations

import hashlib
import json
from itertools import count

import pytest
import zstandard

import connectors
from hub.connector import Change, Connection
from hub.errors import CrossdockError, TransientError
from hub.http import HttpSession
from hub.secrets import Secret
from hub.soap import soap_transient

_numbers = count(1)


@pytest.fixture
def faults(sandbox):
    sandbox.control.clear()
    yield sandbox.control.fault
    sandbox.control.clear()


@pytest.fixture
def cart(sandbox):
    return connectors.load("sandbox_cart")(Connection("cart", sandbox.cart, password=Secret("sandbox-cart-token")))


@pytest.fixture
def crm(sandbox):
    kind = connectors.load("sandbox_crm")
    made = kind(Connection("crm", sandbox.crm, password=Secret("sandbox-crm-token")))
    made.transport = HttpSession(made.connection, attempts=3, sleep=lambda _: None, transient=made.is_transient)
    made.log_in(made.transport)
    return made


@pytest.fixture
def erp(sandbox):
    connection = Connection(
        "erp", sandbox.erp, login="crossdock", password=Secret("sandbox-erp-password"), timezone="Europe/Berlin"
    )
    session = HttpSession(connection, attempts=3, sleep=lambda _: None, transient=soap_transient)
    return connectors.load("sandbox_erp")(connection, session)


def change(operation, payload, id=None, key=None):
    key = key or f"own-{next(_numbers)}"
    return Change(operation, key, payload, f"intent-{key}", id=id)


def record(connector, stream, **wanted):
    for page in connector.pull(stream):
        for raw in page.records:
            found = json.loads(raw)
            if all(found[name] == value for name, value in wanted.items()):
                return found
    raise AssertionError(wanted)


def calls(sandbox, system, method=None):
    found = sandbox.control.calls(system)
    return [call for call in found if method in (None, call["method"])]


# The cart


def test_the_cart_finds_by_our_key_when_it_does_not_know_the_id(cart):
    order = record(cart, "orders", fulfillment_status=None, cancelled_at=None)
    (done,) = cart.push("orders", [change("fulfil", {"erp_order_number": "0004711"}, key=order["number"])])
    assert (done.status, done.id) == ("applied", str(order["id"]))
    assert cart.get(f"orders/{order['id']}")["erp_order_number"] == "0004711"
    assert done.version == cart.get(f"orders/{order['id']}")["updated_at"]
    (lost,) = cart.push("orders", [change("fulfil", {}, key="no such number")])
    assert (lost.status, lost.message) == ("rejected", "the cart has no such record in orders")


@pytest.mark.parametrize(
    ("stock", "status"), [("7.000000", "applied"), (7, "applied"), ("7.5", "rejected"), ("many", "rejected")]
)
def test_stock_is_a_whole_number(cart, stock, status):
    product = record(cart, "products")
    (done,) = cart.push("products", [change("change", {"stock": stock}, key=product["sku"])])
    assert done.status == status


def test_the_carts_words_for_a_refusal_are_kept(cart):
    order = record(cart, "orders")
    bad = change("change", {"fulfillment_status": "lost"}, id=str(order["id"]))
    assert "fulfillment_status: " in cart.push("orders", [bad])[0].message
    assert "C112" in cart.push("orders", [change("change", {}, id="1")])[0].message


def test_cancelled_orders_are_pulled_too(cart):
    assert any(json.loads(raw)["cancelled_at"] for page in cart.pull("orders") for raw in page.records)


def test_a_limit_of_the_cart_is_waited_out(cart, faults, sandbox):
    faults("cart", "limit", path="GET /api/products", times=1, retry_after=0.2)
    assert len(next(iter(cart.pull("products"))).records) > 0


def test_a_page_that_comes_twice_costs_nothing(cart, faults):
    once = [json.loads(raw)["id"] for page in cart.pull("orders") for raw in page.records]
    faults("cart", "duplicate_page", path="GET /api/orders", times=1)
    twice = [json.loads(raw)["id"] for page in cart.pull("orders") for raw in page.records]
    assert len(twice) > len(once)
    assert set(twice) == set(once)


# The CRM


def test_a_composite_call_takes_two_hundred_and_each_has_its_outcome(crm, sandbox):
    changes = [
        change("upsert", {"Name": f"Account {n}", **({"Tier": "Iron"} if n % 100 == 7 else {})}) for n in range(401)
    ]
    before = len(calls(sandbox, "crm", "PATCH"))
    outcomes = crm.push("accounts", changes)
    assert len(calls(sandbox, "crm", "PATCH")) - before == 3
    assert [n for n, outcome in enumerate(outcomes) if outcome.status == "rejected"] == [7, 107, 207, 307]
    assert "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST" in outcomes[7].message
    assert "(Tier)" in outcomes[7].message
    assert crm.find("accounts", changes[400].key)[0].id == outcomes[400].id


def test_the_same_key_twice_goes_into_two_calls(crm):
    first = change("upsert", {"Name": "First"})
    outcomes = crm.push("accounts", [first, change("upsert", {"Name": "Second"}, key=first.key), change("create", {})])
    assert [outcome.status for outcome in outcomes] == ["applied", "applied", "unsupported"]
    assert outcomes[0].id == outcomes[1].id
    assert crm.get("accounts", {"HubId": first.key})["records"][0]["Name"] == "Second"


def test_the_daily_limit_is_no_matter_of_permissions(crm, faults):
    faults("crm", "limit", path="accounts", times=50)
    with pytest.raises(TransientError) as caught:
        list(crm.pull("accounts"))
    assert caught.value.code == "C103"
    (outcome,) = crm.push("accounts", [change("upsert", {"Name": "x"})])
    assert (outcome.status, outcome.transient) == ("rejected", True)
    assert "REQUEST_LIMIT_EXCEEDED" in outcome.message or "C103" in outcome.message


@pytest.mark.parametrize("fault", ["reset_before", "reset_after", "500", "502", "html", "bad_json", "truncate"])
def test_a_whole_batch_without_an_answer_is_unknown(crm, faults, fault):
    faults("crm", fault, path="composite", times=1)
    changes = [change("upsert", {"Name": "A"}), change("upsert", {"Name": "B"})]
    assert [outcome.status for outcome in crm.push("accounts", changes)] == ["unknown"] * 2
    # A repeat is harmless: there is one account for each key.
    assert [outcome.status for outcome in crm.push("accounts", changes)] == ["applied"] * 2
    assert [len(crm.find("accounts", one.key)) for one in changes] == [1, 1]


# The ERP


@pytest.fixture
def partner(erp):
    (made,) = erp.push("business_partners", [change("create", {"name": "Berg GmbH"})])
    return made.id


@pytest.fixture
def order(erp, partner):
    material = record(erp, "materials", status="")["number"]

    def make():
        made = change("create", {})
        item = {"item": "000010", "material": material, "quantity": "2", "net_price": "12.50"}
        payload = {"purchase_order": made.key, "sold_to": partner, "currency": "EUR", "items": [item]}
        return Change("create", made.key, payload, made.idempotency_key)

    return make


EFFECT = [("reset_before", {}, 0), ("reset_after", {}, 1), ("truncate", {}, 1), ("html", {}, 0), ("bad_json", {}, 0)]
EFFECT += [("500", {}, 0), ("500", {"effect": True}, 1), ("502", {"effect": True}, 1)]


@pytest.mark.parametrize(("fault", "options", "landed"), EFFECT, ids=[f"{f}-{n}" for f, _, n in EFFECT])
def test_a_create_without_an_answer_is_unknown_and_find_tells(erp, order, faults, sandbox, fault, options, landed):
    wanted = order()
    faults("erp", fault, path="CreateSalesOrder", times=1, **options)
    assert [outcome.status for outcome in erp.push("sales_orders", [wanted])] == ["unknown"]
    assert len(erp.find("sales_orders", wanted.key)) == landed
    booked = [o for o in sandbox.control.books()["orders"] if o["purchase_order"] == wanted.key]
    assert len(booked) == landed


def test_too_many_sessions_is_a_refusal_that_may_be_tried_again(erp, order, faults):
    faults("erp", "limit", path="CreateSalesOrder", times=1, retry_after=0.1)
    wanted = order()
    (outcome,) = erp.push("sales_orders", [wanted])
    assert (outcome.status, outcome.transient) == ("rejected", True)
    assert erp.find("sales_orders", wanted.key) == []


def test_typed_faults_keep_their_code_and_words(erp, order, sandbox):
    (made,) = erp.push("sales_orders", [order()])
    sandbox.control.deliver(made.id)
    unknown = order()
    unknown.payload["items"][0]["material"] = "no such thing"
    outcomes = erp.push(
        "sales_orders",
        [
            change("change", {"currency": "USD"}, id=made.id),
            change("cancel", {"reason": "x"}, id=made.id),
            unknown,
            change("change", {"currency": "USD"}),
            change("fulfil", {}),
        ],
    )
    assert [outcome.status for outcome in outcomes] == ["rejected"] * 4 + ["unsupported"]
    assert outcomes[0].message.startswith("ERP-409 ")
    assert outcomes[1].message.startswith("ERP-409 ")
    assert outcomes[2].message.startswith("ERP-404 ")
    assert "number" in outcomes[3].message


def test_cancelling_what_is_cancelled_is_what_was_wanted(erp, order):
    (made,) = erp.push("sales_orders", [order()])
    cancel = change("cancel", {"reason": "changed my mind"}, id=made.id)
    first, second = erp.push("sales_orders", [cancel]), erp.push("sales_orders", [cancel])
    assert [outcome.status for outcome in first + second] == ["applied", "applied"]


def test_what_is_found_says_its_status(erp, order):
    wanted = order()
    (made,) = erp.push("sales_orders", [wanted])
    (found,) = erp.find("sales_orders", wanted.key)
    assert (found.id, found.message) == (made.id, "open")
    assert erp.find("sales_orders", "") == []
    with pytest.raises(NotImplementedError):
        erp.find("materials", "A-1")


def test_two_of_one_key_are_both_found(erp):
    twice = change("create", {"name": "Ann Lee", "external_id": "twin-1"})
    erp.push("business_partners", [twice, twice])
    assert len(erp.find("business_partners", "twin-1")) == 2


def test_the_original_answer_is_kept_and_named_by_its_records(erp):
    pages = erp.pull("materials")
    page = next(pages)
    body = page.body.open().read()
    assert page.digest == hashlib.sha256(body).hexdigest()
    found = [json.loads(raw) for raw in page.records]
    assert [record["_offset"] for record in found] == list(range(len(found)))
    assert {record["_body"] for record in found} == {page.digest}
    assert found[3]["number"].encode() in body
    assert zstandard.ZstdDecompressor().stream_reader(page.body.compressed()).read() == body
    assert isinstance(found[3]["stocks"], list)


def test_an_answer_in_chunks_gives_what_it_gives_at_once(erp, monkeypatch):
    """Only the last chunk can be gone on from, and it is the one that brings the answer itself."""
    whole = list(erp.pull("sales_orders"))
    monkeypatch.setattr("connectors.sandbox_erp._CHUNK", 7)
    chunks = list(erp.pull("sales_orders"))
    assert [r for page in chunks for r in page.records] == [r for page in whole for r in page.records]
    assert [page.cursor["at"] for page in chunks if page.complete] == [page.cursor["at"] for page in whole]
    assert all(page.complete == (page.cursor is not None) == (page.body is not None) for page in chunks)
    assert max(len(page.records) for page in chunks) == 7


def test_an_answer_that_is_no_envelope_keeps_the_position(erp, faults):
    faults("erp", "html", path="ListMaterials", times=1)
    with pytest.raises(CrossdockError) as caught:
        list(erp.pull("materials"))
    assert (caught.value.code, str(caught.value.place)) == ("D101", "erp.materials")


def test_a_page_of_the_erp_that_comes_twice_is_passed_over(erp, faults):
    once = [json.loads(raw)["number"] for page in erp.pull("sales_orders") for raw in page.records]
    faults("erp", "duplicate_page", path="ListSalesOrders", skip=1, times=1)
    twice = [json.loads(raw)["number"] for page in erp.pull("sales_orders") for raw in page.records]
    assert set(twice) == set(once)


def test_a_wsdl_without_an_operation_is_found_by_check(erp):
    assert erp.check() == []
    erp.service.operations = frozenset({"Ping"})
    assert {finding.code for finding in erp.check()} == {"C204"}
