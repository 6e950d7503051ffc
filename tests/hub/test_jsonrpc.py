"""JSON-RPC over a scripted server: errors inside 200, answers to other calls, and calls that got none."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from hub.errors import StreamError, TransientError
from hub.http import HttpSession, outcome_of
from hub.jsonrpc import JsonRpc


class Books(JsonRpc):
    name = "books"


@pytest.fixture
def books(connect):
    def make(web):
        connection = connect(web.url)
        return Books(connection, HttpSession(connection, sleep=lambda seconds: None))

    return make


def test_calls_are_numbered_and_amounts_stay_exact(serve, answer, books):
    web = serve(lambda call: answer(body=b'{"id": %d, "result": [1.10]}' % json.loads(call.body)["id"]))
    rpc = books(web)
    assert rpc.call("sum", 1, [2]) == [Decimal("1.10")]
    assert rpc.call("sum") == [Decimal("1.10")]
    assert [json.loads(call.body) for call in web.calls] == [
        {"id": 1, "method": "sum", "params": [1, [2]], "jsonrpc": "2.0"},
        {"id": 2, "method": "sum", "params": [], "jsonrpc": "2.0"},
    ]


def test_an_error_inside_200_is_an_error(serve, answer, books):
    body = {"id": 1, "error": {"code": -32601, "message": "no method of that name"}}
    with pytest.raises(StreamError, match="no method of that name") as raised:
        books(serve(answer(body=json.dumps(body).encode()))).call("summ")
    assert raised.value.code == "C401"


def test_a_secret_in_the_error_is_not_shown(serve, answer, books):
    body = {"id": 1, "error": {"message": "login with s3cret-token-9 failed"}}
    with pytest.raises(StreamError) as raised:
        books(serve(answer(body=json.dumps(body).encode()))).call("sum")
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("body", [b'{"id": 7, "result": 1}', b'{"id": 1}', b"[1]", b'"x"'])
def test_the_answer_to_another_call_is_not_taken(serve, answer, books, body):
    with pytest.raises(StreamError) as raised:
        books(serve(answer(body=body))).call("sum")
    assert raised.value.code == "D105"


def test_null_is_a_result(serve, answer, books):
    assert books(serve(answer(body=b'{"id": 1, "result": null, "error": null}'))).call("press") is None


def test_a_reading_call_is_repeated_and_a_writing_one_is_not(serve, answer, books):
    good = answer(body=b'{"id": 1, "result": 1}')
    web = serve(answer(reset=True), good)
    assert books(web).call("read") == 1
    assert len(web.calls) == 2
    for lost in (answer(reset=True), answer(504, b""), answer(body=b'{"id": 1, "resu')):
        web = serve(lost, good)
        with pytest.raises(TransientError) as raised:
            books(web).call("create", writes=True)
        assert outcome_of(raised.value).status == "unknown"
        assert len(web.calls) == 1
