"""The Vendure connector against the real server: what it reads, above all what no date tells, and what it writes."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest

from hub.connector import Change
from hub.errors import AuthenticationError, StreamError

_numbers = itertools.count(1)


def change(operation: Any, key: str, payload: dict[str, Any], **more: Any) -> Change:
    return Change(operation, key, payload, f"{operation}-{key}", **more)


def pulled(connector: Any, stream: str, since: Any = None) -> tuple[list[dict[str, Any]], Any]:
    cursor, rows = since, []
    for page in connector.pull(stream, since):
        rows += [json.loads(record) for record in page.records]
        cursor = page.cursor if page.cursor is not None else cursor
    return rows, cursor


def as_if_long_ago(cursor: dict[str, Any]) -> dict[str, Any]:
    """The position, moved on so far that no date brings anything again."""
    return {**cursor, "at": "2999-01-01T00:00:00+00:00"}


def test_login_and_schema_are_checked(vendure: Any) -> None:
    from connectors.vendure import Vendure
    from hub.secrets import Secret

    assert vendure.connector().check() == []
    wrong = replace(vendure.connection(), password=Secret("not the password"))
    (finding,) = Vendure(wrong).check()
    assert (finding.code, "INVALID_CREDENTIALS_ERROR" in finding.what) == ("C105", True)
    with pytest.raises(AuthenticationError):
        list(Vendure(wrong).pull("orders"))


def test_an_expired_session_is_opened_again(vendure: Any) -> None:
    connector = vendure.connector()
    assert connector.check() == []
    connector.session.headers["Authorization"] = "Bearer gone"
    assert pulled(connector, "products")[0]


def test_an_error_inside_200_is_an_error(vendure: Any) -> None:
    with pytest.raises(StreamError, match="totl") as raised:
        vendure.connector().ask("{ orders { items { totl } } }")
    assert raised.value.code in ("C112", "C401")  # 400 where the document is wrong, else 200


def test_an_order_is_read_whole(vendure: Any) -> None:
    placed = vendure.place_order({"WIDGET-1": 3, "GADGET-2": 1}, "whole@example.com")
    (order,) = [row for row in pulled(vendure.connector(), "orders")[0] if row["code"] == placed["code"]]
    assert (order["state"], order["currencyCode"], order["totalWithTax"]) == ("PaymentSettled", "EUR", 7425)
    assert [(line["productVariant"]["sku"], line["proratedLinePrice"]) for line in order["lines"]] == [
        ("WIDGET-1", 3750),
        ("GADGET-2", 1999),
    ]
    assert (order["shipping"], order["shippingWithTax"]) == (490, 583)
    assert order["shippingAddress"]["city"] == "Berlin"
    (customer,) = [row for row in pulled(vendure.connector(), "customers")[0] if row["id"] == order["customer"]["id"]]
    assert (customer["emailAddress"], customer["user"]) == ("whole@example.com", None)


def test_a_basket_is_no_order(vendure: Any) -> None:
    shop = type(vendure.admin)(f"{vendure.url}/shop-api")
    variant = vendure.variants()["BOLT-M8"]["id"]
    shop("mutation($v: ID!) { addItemToOrder(productVariantId: $v, quantity: 1) { __typename } }", v=variant)
    assert "AddingItems" not in {row["state"] for row in pulled(vendure.connector(), "orders")[0]}


@pytest.mark.parametrize("event", ["note", "deliver", "refund"])
def test_what_no_date_tells_is_seen(vendure: Any, event: str) -> None:
    connector = vendure.connector()
    placed = vendure.place_order({"WIDGET-1": 1}, f"{event}@example.com")
    _, cursor = pulled(connector, "orders")
    before = vendure.order(placed["id"])["updatedAt"]
    assert pulled(connector, "orders", as_if_long_ago(cursor))[0] == []
    if event == "note":
        vendure.admin(
            'mutation($id: ID!) { addNoteToOrder(input: {id: $id, note: "x", isPublic: false}) { id } }',
            id=placed["id"],
        )
    elif event == "deliver":
        vendure.deliver(placed["id"])
    else:
        vendure.refund(placed["id"], 100)
    assert vendure.order(placed["id"])["updatedAt"] == before
    rows, cursor = pulled(connector, "orders", as_if_long_ago(cursor))
    assert [row["code"] for row in rows] == [placed["code"]]
    assert pulled(connector, "orders", as_if_long_ago(cursor))[0] == []


def test_a_closed_order_is_watched_for_a_while_only(vendure: Any) -> None:
    placed = vendure.place_order({"WIDGET-1": 1}, "closed@example.com")
    _, cursor = pulled(vendure.connector(), "orders")
    vendure.deliver(placed["id"])
    hasty = vendure.connector(watch_days=0)
    rows, cursor = pulled(hasty, "orders", as_if_long_ago(cursor))
    assert [row["state"] for row in rows] == ["Delivered"]
    assert placed["id"] not in cursor["watch"]


def test_everything_is_read_again_once_a_day(vendure: Any) -> None:
    connector = vendure.connector()
    everything, cursor = pulled(connector, "customers")
    later = as_if_long_ago(cursor)
    assert pulled(connector, "customers", later)[0] == []
    yesterday = {**later, "full": "2020-01-01T00:00:00+00:00"}
    again, cursor = pulled(connector, "customers", yesterday)
    assert len(again) == len(everything)
    assert cursor["full"] > yesterday["full"]
    assert pulled(vendure.connector(full_days=0), "customers", yesterday)[0] == []


def test_pages_lose_nothing_where_many_changed_in_one_second(vendure: Any) -> None:
    for _ in range(5):
        vendure.place_order({"BOLT-M8": 1}, f"second-{next(_numbers)}@example.com")
    connector = vendure.connector()
    everything = {row["id"] for row in pulled(connector, "orders")[0]}
    small = type("Small", (type(connector),), {"streams": tuple(replace(s, page_size=2) for s in connector.streams)})
    got, cursor = set(), None
    for _ in range(len(everything)):
        page = next(iter(small(connector.connection).pull("orders", cursor)), None)
        if page is None or "window" not in (cursor := page.cursor):
            break
        got |= {json.loads(record)["id"] for record in page.records}
    got |= {json.loads(record)["id"] for record in page.records} if page else set()
    assert got == everything


# Writing


def test_the_erp_number_is_written_once(vendure: Any) -> None:
    connector = vendure.connector()
    placed = vendure.place_order({"WIDGET-1": 1}, "number@example.com")
    for _ in range(2):
        (outcome,) = connector.push("orders", [change("fulfil", placed["code"], {"erp_number": "SO-17"})])
        assert (outcome.status, outcome.id) == ("applied", placed["id"]), outcome.message
    order = vendure.order(placed["id"])
    assert (order["notes"], order["state"]) == (["ERP order SO-17"], "PaymentSettled")


def test_what_is_shipped_is_fulfilled_once(vendure: Any) -> None:
    connector = vendure.connector()
    placed = vendure.place_order({"WIDGET-1": 3, "GADGET-2": 2}, "ship@example.com")
    part = {"fulfilment_status": "partial", "lines": [{"sku": "WIDGET-1", "quantity": "2.000000"}]}
    whole = {"fulfilment_status": "fulfilled", "carrier": "DHL", "tracking_code": "TRK1"}
    for payload, state in (
        (part, "PartiallyShipped"),
        (part, "PartiallyShipped"),
        (whole, "Shipped"),
        (whole, "Shipped"),
    ):
        (outcome,) = connector.push("orders", [change("fulfil", placed["code"], payload, id=placed["id"])])
        assert (outcome.status, vendure.order(placed["id"])["state"]) == ("applied", state), outcome.message
    order = vendure.order(placed["id"])
    assert [[line["quantity"] for line in f["lines"]] for f in order["fulfillments"]] == [[2], [1, 2]]
    assert order["fulfillments"][1]["trackingCode"] == "TRK1"


def test_a_fulfilment_that_broke_off_is_taken_up(vendure: Any) -> None:
    from connectors.vendure import _FULFIL, _missing

    connector = vendure.connector()
    placed = vendure.place_order({"WIDGET-1": 1}, "broken@example.com")
    payload = {"fulfilment_status": "fulfilled"}
    order = connector._read_order(placed["id"])
    arguments = [{"name": "method", "value": "x"}, {"name": "trackingCode", "value": ""}]
    handler = {"code": "manual-fulfillment", "arguments": arguments}
    connector.ask(_FULFIL, {"input": {"lines": _missing(order, payload), "handler": handler}}, writes=True)
    (outcome,) = connector.push("orders", [change("fulfil", placed["code"], payload)])
    assert outcome.status == "applied", outcome.message
    order = vendure.order(placed["id"])
    assert (order["state"], len(order["fulfillments"])) == ("Shipped", 1)


def test_vendures_refusal_is_a_rejection(vendure: Any) -> None:
    connector = vendure.connector()
    placed = vendure.place_order({"WIDGET-1": 1}, "unpaid@example.com")
    vendure.cancel(placed["id"])
    (outcome,) = connector.push("orders", [change("change", "NO-SUCH-CODE", {"note": "x"})])
    assert (outcome.status, "no such record" in outcome.message) == ("rejected", True)
    many = change("fulfil", placed["code"], {"fulfilment_status": "fulfilled"}, id=placed["id"])
    (outcome,) = connector.push("orders", [many])
    assert outcome.status == "applied"  # nothing is left of it to ship
    (outcome,) = connector.push("products", [change("change", "X", {"stock": 5}, id="999999")])
    assert outcome.status == "rejected"
    assert outcome.message


def test_stock_is_set(vendure: Any) -> None:
    connector = vendure.connector()
    good = [change("change", "BOLT-M8", {"stock": "812.000000"}), change("change", "BOLT-M8", {"stock": 813})]
    bad = [change("change", "BOLT-M8", {"stock": "1.5"}), change("change", "BOLT-M8", {})]
    outcomes = connector.push("products", [good[0], bad[0], good[1], bad[1]])
    assert [outcome.status for outcome in outcomes] == ["applied", "rejected", "applied", "rejected"]
    assert vendure.variants()["BOLT-M8"]["stockLevels"][0]["stockOnHand"] == 813
    (row,) = [row for row in pulled(connector, "products")[0] if row["sku"] == "BOLT-M8"]
    assert row["stockLevels"][0]["stockOnHand"] == 813


def test_a_cancelled_and_an_edited_order_are_read_as_they_are(vendure: Any) -> None:
    cancelled = vendure.place_order({"WIDGET-1": 2}, "cancelled@example.com")
    edited = vendure.place_order({"WIDGET-1": 3, "GADGET-2": 1}, "edited@example.com")
    vendure.cancel(cancelled["id"])
    vendure.remove(edited["id"], 0, 1)
    rows = {row["code"]: row for row in pulled(vendure.connector(), "orders")[0]}
    assert (rows[cancelled["code"]]["state"], rows[cancelled["code"]]["totalWithTax"]) == ("Cancelled", 0)
    assert [line["quantity"] for line in rows[edited["code"]]["lines"]] == [2, 1]
    assert rows[edited["code"]]["totalWithTax"] < 7425
