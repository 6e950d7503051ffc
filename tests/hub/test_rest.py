"""REST over a scripted server: paging, cursors, refusals, credentials, and what it costs."""

from __future__ import annotations

import json
import threading
import time
import traceback
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from hub import records
from hub.connector import Change, Stream
from hub.errors import (
    AuthenticationError,
    ConfigurationError,
    CrossdockError,
    StreamError,
    TransientError,
    UnavailableError,
)
from hub.http import HttpSession, outcome_of
from hub.rest import Rest


class Shop(Rest):
    name = "shop"
    streams = (
        Stream(
            "orders",
            primary_key="id",
            cursor="keyset",
            cursor_fields=("updated_at", "id"),
            overlap=60,
            page_size=2,
            options={
                "path": "v1/orders",
                "records": "orders",
                "since": "since",
                "limit": "limit",
                "params": {"status": "any"},
                "paginator": {"kind": "link"},
            },
        ),
        Stream("tags", primary_key="id", options={"path": "tags"}),
    )


def order(n):
    return {"id": n, "updated_at": f"2026-11-01T10:00:0{n}Z"}


def page(answer, *orders, following=None, **more):
    headers = {"Link": f'<{following}>; rel="next"'} if following else {}
    return answer(body=json.dumps({"orders": list(orders), **more}).encode(), headers=headers)


@pytest.fixture
def shop(connect):
    def make(url, **options):
        connection = connect(url, **options.pop("connection", {}))
        session = HttpSession(connection, sleep=lambda _: None, **options)
        made = Shop(connection, session)
        made.log_in(session)
        return made

    return make


def asked(call):
    parts = urlsplit(call.path)
    return parts.path, {name: values[0] for name, values in parse_qs(parts.query).items()}


def test_pages_are_followed_and_each_has_its_cursor(serve, answer, shop):
    web = serve(lambda call: page(answer, order(3)) if "p=2" in call.path else first(call))

    def first(call):
        return page(answer, order(1), order(2), following=f"{web.url}/v1/orders?p=2")

    pages = list(shop(web.url).pull("orders"))
    assert [[json.loads(r)["id"] for r in p.records] for p in pages] == [[1, 2], [3]]
    assert [asked(call) for call in web.calls] == [
        ("/v1/orders", {"status": "any", "limit": "2"}),
        ("/v1/orders", {"p": "2"}),
    ]
    assert pages[0].cursor["next"] == "/v1/orders?p=2"
    assert pages[1].cursor == {"at": "2026-11-01T10:00:03Z", "id": 3}
    assert web.calls[0].headers["Authorization"] == "Bearer s3cret-token-9"


def test_the_next_pull_asks_from_before_the_overlap(serve, answer, shop):
    web = serve(page(answer))
    list(shop(web.url).pull("orders", {"at": "2026-11-01T10:00:03+01:00", "id": 3}))
    assert asked(web.calls[0])[1]["since"] == "2026-11-01T08:59:03Z"


def test_a_killed_pull_goes_on_at_the_next_page_also_of_another_host_name(serve, answer, shop):
    web = serve(page(answer, order(3)))
    since = {"at": "2026-11-01T10:00:02Z", "id": 2, "next": "/v1/orders?p=2", "read": "2026-11-20T10:00:00+00:00"}
    (got,) = shop(web.url).pull("orders", since)
    assert asked(web.calls[0]) == ("/v1/orders", {"p": "2"})
    assert "next" not in got.cursor


@pytest.mark.parametrize("status", [400, 404, 410, 422])
def test_where_the_next_page_has_expired_it_begins_at_the_position(serve, answer, shop, status):
    web = serve(answer(status), page(answer, order(2), order(3)))
    since = {"at": "2026-11-01T10:00:02Z", "id": 2, "next": "/v1/orders?p=2", "read": "2026-11-20T10:00:00+00:00"}
    list(shop(web.url).pull("orders", since))
    assert asked(web.calls[1])[1]["since"] == "2026-11-01T09:59:02Z"


def test_an_error_in_mid_sequence_leaves_the_pages_before_it(serve, answer, shop):
    def script(call):
        if "p=2" in call.path:
            return answer(body=b'{"orders": [{"id": 3, "upd')
        return page(answer, order(1), order(2), following=f"{web.url}/v1/orders?p=2")

    web = serve(script)
    got = []
    with pytest.raises(TransientError) as caught:
        got.extend(shop(web.url).pull("orders"))
    assert (caught.value.code, str(caught.value.place)) == ("D102", "shop.orders")
    assert [p.cursor["id"] for p in got] == [2]


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (200, b"<html>we will be back</html>", TransientError, "D101"),
        (200, b'{"orders": [{"id": 1', TransientError, "D102"),
        (200, b'{"data": []}', StreamError, "D103"),
        (401, b'{"errors": "no"}', AuthenticationError, "C105"),
        (403, b'{"errors": "no"}', AuthenticationError, "C105"),
        (404, b"<html>nothing here</html>", StreamError, "C112"),
        (422, b'{"errors": "no"}', StreamError, "C112"),
        (503, b"busy", TransientError, "C103"),
    ],
)
def test_bad_answers_have_a_code_and_a_place(serve, answer, shop, status, body, kind, code):
    web = serve(answer(status, body))
    with pytest.raises(kind) as caught:
        list(shop(web.url, attempts=2).pull("orders"))
    assert (caught.value.code, str(caught.value.place)) == (code, "shop.orders")
    (finding, *_) = shop(web.url, attempts=2).check()
    assert finding.code == code


def test_a_system_that_is_down(shop):
    with pytest.raises(UnavailableError) as caught:
        list(shop("http://127.0.0.1:9", attempts=2).pull("orders"))
    assert (caught.value.code, str(caught.value.place)) == ("C102", "shop.orders")
    assert [finding.code for finding in shop("http://127.0.0.1:9", attempts=2).check()] == ["C102"]


def test_a_next_page_on_another_host_is_refused(serve, answer, shop):
    other = serve(page(answer, order(9)))
    web = serve(page(answer, order(1), following=f"{other.url}/v1/orders?p=2"))
    with pytest.raises(ConfigurationError) as caught:
        list(shop(web.url).pull("orders"))
    assert (caught.value.code, other.calls) == ("C106", [])


def test_pages_in_a_circle_end(serve, answer, shop):
    web = serve(lambda call: page(answer, order(1), following=f"{web.url}/v1/orders?p=2"))
    with pytest.raises(StreamError) as caught:
        list(shop(web.url).pull("orders"))
    assert caught.value.code == "D104"


def test_an_odd_last_record_does_not_cost_the_position(serve, answer, shop):
    web = serve(page(answer, order(1), {"id": 2}, {"id": 3, "updated_at": "soon"}))
    (got,) = shop(web.url).pull("orders")
    assert (len(got.records), got.cursor["id"]) == (3, 1)


def test_a_stream_without_a_cursor_is_read_whole(serve, answer, shop):
    web = serve(answer(body=b'[{"id":1},{"id":2}]'))
    (got,) = shop(web.url).pull("tags")
    assert (got.records, got.cursor) == ([b'{"id":1}', b'{"id":2}'], None)


def test_an_empty_page_moves_nothing(serve, answer, shop):
    web = serve(page(answer))
    assert list(shop(web.url).pull("orders")) == []


def test_check_says_which_field_is_missing(serve, answer, shop):
    def script(call):
        return answer(body=b'[{"id":1}]') if "tags" in call.path else page(answer, {"number": 1})

    web = serve(script)
    assert [(f.code, f.what) for f in shop(web.url).check()] == [
        ("C301", "records have no 'id'"),
        ("C301", "records have no 'updated_at'"),
        ("C301", "records have no 'id'"),
    ]


def test_check_says_where_the_list_is_that_was_taken_for_a_record(serve, answer, shop):
    web = serve(lambda _: answer(body=b'{"page": 1, "data": [{"id": 1, "updated_at": "2026-11-18T09:00:00Z"}]}'))
    found = [finding for finding in shop(web.url).check() if finding.place.where == "shop.tags"]
    assert [(f.code, '"records": "data"' in f.fix) for f in found] == [("D103", True)]


@pytest.mark.parametrize(
    ("kind", "option", "following"),
    [
        (
            {"kind": "json_link", "next_url_path": "paging.next"},
            {"paging": {"next": "/v1/orders?p=2"}},
            "/v1/orders?p=2",
        ),
        (
            {"kind": "json_cursor", "cursor_path": "next", "cursor_param": "after"},
            {"next": "abc="},
            "/v1/orders?status=any&limit=2&after=abc%3D",
        ),
    ],
)
def test_other_paginators_of_dlt(serve, answer, shop, kind, option, following):
    def script(call):
        more = "p=2" in call.path or "after" in call.path
        return page(answer, order(3)) if more else page(answer, order(1), order(2), **option)

    web = serve(script)
    connector = shop(web.url)
    stream = connector.streams[0]
    connector.streams = (
        Stream(
            **{**{f: getattr(stream, f) for f in stream.__slots__}, "options": {**stream.options, "paginator": kind}}
        ),
    )
    pages = list(connector.pull("orders"))
    assert [len(p.records) for p in pages] == [2, 1]
    assert pages[0].cursor["next"] == following
    assert web.calls[1].path == following
    list(connector.pull("orders", {**pages[0].cursor, "read": "2026-11-20T10:00:00+00:00"}))
    assert web.calls[2].path == following


def test_offset_pages_are_read_but_not_resumed(serve, answer, shop):
    def script(call):
        start = int(asked(call)[1]["offset"])
        return page(answer, *[order(n) for n in range(1, 6)][start : start + 2])

    web = serve(script)
    connector = shop(web.url)
    stream = connector.streams[0]
    kind = {"kind": "offset", "limit": 2, "total_path": None}
    connector.streams = (
        Stream(
            **{**{f: getattr(stream, f) for f in stream.__slots__}, "options": {**stream.options, "paginator": kind}}
        ),
    )
    pages = list(connector.pull("orders"))
    assert [len(p.records) for p in pages if p.records] == [2, 2, 1]
    assert all("next" not in p.cursor for p in pages)


def numbered(shop, url, kind, **options):
    """The shop with pages by number or offset, three at a time."""
    connector = shop(url, **options)
    stream = connector.streams[0]
    connector.streams = (replace(stream, parallel=3, options={**stream.options, "paginator": kind}),)
    return connector


def test_pages_by_number_are_asked_for_together_and_come_in_their_order(serve, answer, shop):
    second = threading.Event()

    def script(call):
        number = int(asked(call)[1]["page"])
        if number == 2:
            second.set()
        if number == 1:
            assert second.wait(10)  # else they are asked for one after another
        return page(answer, *[order(n) for n in range(1, 10)][2 * number : 2 * number + 2])

    web = serve(script)
    pages = list(numbered(shop, web.url, {"kind": "page", "page_param": "page"}).pull("orders"))
    assert [[records.fields(r, "id")[0] for r in p.records] for p in pages] == [[1, 2], [3, 4], [5, 6], [7, 8], [9]]
    assert [p.cursor["id"] for p in pages] == [2, 4, 6, 8, 9]


@pytest.mark.parametrize(
    "paginator", [{"kind": "page", "total_path": "pages"}, {"kind": "offset", "total_path": "total"}]
)
def test_a_total_that_is_told_spares_the_calls_beyond_it(serve, answer, shop, paginator):
    """The shop gives two a page, whatever it is asked for: offsets go by what the first page held."""

    def script(call):
        given = asked(call)[1]
        start = int(given["offset"]) if "offset" in given else 2 * int(given["page"])
        return page(answer, *[order(n) for n in range(1, 8)][start : start + 2], total=7, pages=4)

    web = serve(script)
    connector = numbered(shop, web.url, paginator)
    connector.streams = (replace(connector.streams[0], page_size=250),)
    pages = list(connector.pull("orders"))
    assert [records.fields(r, "id")[0] for p in pages for r in p.records] == [1, 2, 3, 4, 5, 6, 7]
    assert len(web.calls) == 4


def test_a_page_that_fails_lets_those_before_it_through(serve, answer, shop):
    def script(call):
        number = int(asked(call)[1]["page"])
        return answer(404) if number == 2 else page(answer, order(2 * number + 1), order(2 * number + 2))

    web = serve(script)
    pages = numbered(shop, web.url, {"kind": "page"}).pull("orders")
    assert [next(pages).cursor["id"], next(pages).cursor["id"]] == [2, 4]
    with pytest.raises(StreamError) as caught:
        next(pages)
    assert (caught.value.code, str(caught.value.place)) == ("C112", "shop.orders")


def test_pages_asked_for_together_share_the_rate_budget(serve, answer, shop):
    """At one call in 1,000 s the first is free, and each of the others is sent to a place of its own in the queue."""
    waits = []

    def script(call):
        number = int(asked(call)[1]["page"])
        return page(answer, *([order(1), order(2)] if number < 5 else []))

    web = serve(script)
    session = HttpSession(shop(web.url).connection, rate=0.001, sleep=waits.append)
    connector = numbered(shop, web.url, {"kind": "page"})
    connector.transport = session
    list(connector.pull("orders"))
    assert len(web.calls) >= 6
    assert sorted(round(wait / 1000) for wait in waits) == list(range(1, len(web.calls)))


def test_client_credentials_are_dlts(serve, answer, connect):
    def script(call):
        if call.path == "/token":
            assert b"client_id=ann" in call.body
            return answer(
                body=b'{"access_token":"t-123456","expires_in":3600}', headers={"Content-Type": "application/json"}
            )
        return answer(200 if call.headers.get("Authorization") == "Bearer t-123456" else 401, b"[]")

    web = serve(script)

    class Modern(Shop):
        auth = "oauth2"

    connection = connect(web.url, extra={"token_url": web.url + "/token"})
    assert list(Modern(connection).pull("tags")) == []
    assert [call.path for call in web.calls] == ["/token", "/tags"]
    assert "Authorization" not in web.calls[0].headers


def test_refused_client_credentials(serve, answer, connect):
    web = serve(answer(401, b'{"error":"invalid_client"}'))

    class Modern(Shop):
        auth = "oauth2"

    with pytest.raises(AuthenticationError) as caught:
        list(Modern(connect(web.url, extra={"token_url": web.url + "/token"})).pull("tags"))
    assert (caught.value.code, len(web.calls)) == ("C105", 1)


# Writing


@pytest.mark.parametrize(
    ("method", "status", "outcome", "transient"),
    [
        ("POST", 500, "unknown", False),
        ("POST", 502, "unknown", False),
        ("POST", 503, "rejected", True),
        ("POST", 429, "rejected", True),
        ("POST", 422, "rejected", False),
        ("POST", 401, "rejected", True),
        ("PUT", 500, "rejected", True),
        ("PUT", 404, "rejected", False),
    ],
)
def test_what_a_refused_write_comes_to(serve, answer, shop, method, status, outcome, transient):
    web = serve(answer(status, b'{"errors":"no"}'))
    with pytest.raises(CrossdockError) as caught:
        shop(web.url, attempts=2).write(method, "v1/orders/1", {"note": "x"})
    got = outcome_of(caught.value)
    assert (got.status, got.transient) == (outcome, transient)


def test_streams_are_read_only_unless_declared(shop):
    change = Change("create", "1", {}, "k")
    assert [o.status for o in shop("http://127.0.0.1:9").push("tags", [change, change])] == ["unsupported"] * 2


def test_no_error_shows_the_token(serve, answer, shop):
    def script(call):
        return answer(401, f"bad {call.headers['Authorization']}".encode())

    web = serve(script)
    for attempt in (lambda s: list(s.pull("orders")), lambda s: s.write("POST", "x", {}), lambda s: s.get("x")):
        with pytest.raises(CrossdockError) as caught:
            attempt(shop(web.url))
        shown = "".join(traceback.format_exception(caught.value)) + str(caught.value.__dict__)
        assert "s3cret-token-9" not in shown


# Speed


def test_a_page_over_the_wire_costs_less_than_decoding_it_twice(serve, answer, shop):
    """The connector's CPU for a page of 250 orders of 2 kB, transport included; the scripted server's is not counted."""
    line = {"sku": "A-1", "title": "a thing of some length " * 3, "price": "12.50"}
    orders = [{"id": n, "updated_at": "2026-11-01T10:00:00Z", "lines": [line] * 18} for n in range(250)]
    web = serve(page(answer, *orders))
    connector = shop(web.url)
    list(connector.pull("orders"))  # imports
    body = json.dumps({"orders": orders})
    pulled = decoded = 1.0
    for _ in range(5):
        began = time.thread_time()
        (got,) = connector.pull("orders")
        middle = time.thread_time()
        json.loads(body)
        pulled, decoded = min(pulled, middle - began), min(decoded, time.thread_time() - middle)
    assert len(got.records) == 250
    assert records.fields(got.records[7], "id") == (7,)
    assert pulled < 2 * decoded
