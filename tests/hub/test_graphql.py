"""GraphQL over a scripted server: where its errors stand, and what a call that got no answer comes to."""

from __future__ import annotations

import json

import pytest

from hub.connector import Stream
from hub.errors import AuthenticationError, StreamError, TransientError
from hub.graphql import GraphQL, refused
from hub.http import HttpSession, outcome_of

LIST = "query { orders { items { id } } }"


class Shop(GraphQL):
    name = "shop"
    streams = (Stream("orders", primary_key="id", options={"query": LIST, "records": "orders.items"}),)


@pytest.fixture
def shop(connect):
    def make(web):
        connection = connect(web.url)
        return Shop(connection, HttpSession(connection, sleep=lambda seconds: None))

    return make


def said(answer, status=200, **body):
    return answer(status, json.dumps(body).encode())


def test_records_of_a_page_stay_the_bytes_that_came(serve, answer, shop):
    web = serve(answer(body=b'{"data": {"orders": {"totalItems": 2, "items": [{"id": 1, "total": 1.50}, {"id":2}]}}}'))
    found, response = shop(web).page("orders", {"take": 2})
    assert found == [b'{"id": 1, "total": 1.50}', b'{"id":2}']
    assert response.status_code == 200
    assert json.loads(web.calls[0].body) == {"query": LIST, "variables": {"take": 2}}
    assert web.calls[0].path == "/graphql"


@pytest.mark.parametrize(
    ("code", "kind", "ours"),
    [
        ("FORBIDDEN", AuthenticationError, "C105"),
        ("UNAUTHENTICATED", AuthenticationError, "C105"),
        ("THROTTLED", TransientError, "C103"),
        ("INTERNAL_SERVER_ERROR", StreamError, "C401"),
        ("", StreamError, "C401"),
    ],
)
def test_errors_inside_200_are_errors(serve, answer, shop, code, kind, ours):
    errors = [{"message": "no field 'totl'", "extensions": {"code": code}}]
    web = serve(said(answer, errors=errors, data=None))
    with pytest.raises(kind, match="totl") as raised:
        shop(web).ask(LIST)
    assert raised.value.code == ours


def test_data_beside_errors_is_not_taken(serve, answer, shop):
    web = serve(said(answer, errors=[{"message": "half of it"}], data={"orders": {"items": []}}))
    with pytest.raises(StreamError, match="half of it"):
        shop(web).page("orders", {})


def test_a_document_that_does_not_fit_is_said_also_with_400(serve, answer, shop):
    web = serve(said(answer, status=400, errors=[{"message": "Cannot query field totl"}]))
    with pytest.raises(StreamError, match="Cannot query field totl"):
        shop(web).ask(LIST)


def test_an_answer_of_another_kind_is_said(serve, answer, shop):
    with pytest.raises(StreamError) as raised:
        shop(serve(said(answer, items=[]))).ask(LIST)
    assert raised.value.code == "D103"
    with pytest.raises(TransientError) as raised:
        shop(serve(answer(body=b"<html>maintenance"))).ask(LIST)
    assert raised.value.code == "D101"


def test_a_query_is_repeated_and_a_mutation_is_not(serve, answer, shop):
    good = said(answer, data={"orders": {"items": []}})
    web = serve(answer(reset=True), good)
    assert shop(web).ask(LIST) == {"orders": {"items": []}}
    assert len(web.calls) == 2
    for lost in (answer(reset=True), answer(502, b""), answer(body=b'{"data": {"no')):
        web = serve(lost, good)
        with pytest.raises(TransientError) as raised:
            shop(web).ask("mutation { pay }", writes=True)
        assert outcome_of(raised.value).status == "unknown"
        assert len(web.calls) == 1


def test_a_member_of_a_union_can_be_a_refusal():
    assert refused({"__typename": "Fulfillment", "id": "1"}) == ""
    assert refused(None) == ""
    assert refused({"__typename": "X", "errorCode": "NO_STOCK", "message": "none left"}) == "NO_STOCK: none left"
    assert refused({"__typename": "NoStockError"}) == "NoStockError: refused without a reason"
