"""A declaration that the answers contradict stops a pull before it moves its position, and `check` says so."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from hub.connector import Stream
from hub.errors import StreamError
from hub.rest import Rest

AT = "2026-11-01T10:00:0{}"


class Shop(Rest):
    name = "shop"
    streams = (
        Stream(
            "orders",
            primary_key="id",
            cursor="timestamp",
            cursor_fields=("changed",),
            page_size=3,
            options={"path": "orders", "since": "since", "limit": "limit", "paginator": {"kind": "link"}},
        ),
    )


def rows(*numbers, end="Z"):
    return [{"id": n, "changed": AT.format(n) + end} for n in numbers]


@pytest.fixture
def pulled(serve, answer, connect):
    """What a pull gives of pages that are scripted; and what check says of the first."""

    def pull(*pages, since=None, headers=(), connection=(), drop=(), call=None, **options):
        answers = [answer(body=json.dumps(page).encode(), headers=dict(headers)) for page in pages]
        web = serve(call or (lambda asked: answers[min(len(web.calls) - 1, len(answers) - 1)]))
        shop = Shop(connect(web.url, **dict(connection)))
        (stream,) = shop.streams
        kept = {name: value for name, value in {**stream.options, **options}.items() if name not in drop}
        shop.streams = (replace(stream, options=kept),)
        return web, shop, lambda: list(shop.pull("orders", since))

    return pull


def stopped(pulled, *pages, **how):
    """The code with which both stop."""
    _, shop, pull = pulled(*pages, **how)
    with pytest.raises(StreamError) as caught:
        pull()
    assert str(caught.value.place) == "shop.orders"
    _, shop, _ = pulled(*pages, **how)
    assert [finding.code for finding in shop.check()][:1] == [caught.value.code]
    return caught.value


@pytest.mark.parametrize(
    ("headers", "page", "records", "kind"),
    [
        ({"Link": '<http://x/orders?p=2>; rel="next"'}, rows(1), "", "link"),
        ({"X-WP-TotalPages": "2"}, rows(1), "", "page"),
        ({}, {"rows": rows(1), "meta": {"next": "abc"}}, "rows", "json_cursor"),
        ({}, {"rows": rows(1), "next": "/orders?p=2"}, "rows", "json_link"),
        ({}, {"rows": rows(1), "has_more": True}, "rows", "…"),
    ],
)
def test_a_first_page_that_says_there_are_more(pulled, headers, page, records, kind):
    more = {"records": records} if records else {}
    error = stopped(pulled, page, headers=headers, drop=("paginator",), **more)
    assert (error.code, f'"kind": {kind}' in error.fix.replace(f'"{kind}"', kind)) == ("D113", True)
    _, _, pull = pulled(page, headers=headers, paginator={"kind": "single"}, **more)
    assert len(pull()) == 1


def test_a_page_as_full_as_it_may_be_and_no_paginator(pulled):
    _, _, pull = pulled(rows(1, 2, 3), drop=("paginator",))
    with pytest.raises(StreamError, match="as full as it may be, with 3 records"):
        pull()
    assert len(pulled(rows(1, 2), drop=("paginator",))[2]()) == 1


def test_another_paginator_than_the_systems(pulled):
    _, _, pull = pulled({"rows": rows(1), "next": "/orders?p=2"}, records="rows")
    with pytest.raises(StreamError) as caught:
        pull()
    assert (caught.value.code, "the page has 'next'" in caught.value.what) == ("D113", True)


def test_the_last_of_several_pages_may_say_how_many_there_are(pulled, answer):
    def call(asked):
        second = "p=2" in asked.path
        link = {} if second else {"Link": f'<http://{asked.headers["Host"]}/orders?p=2>; rel="next"'}
        return answer(body=json.dumps(rows(2 if second else 1)).encode(), headers={"X-Total-Pages": "2", **link})

    _, _, pull = pulled(call=call)
    assert len(pull()) == 2
    since = {"at": AT.format(1) + "Z", "id": 1, "next": "/orders?p=2", "read": "2026-11-20T10:00:00+00:00"}
    assert len(pulled(call=call, since=since)[2]()) == 1  # taken up again at the last one


def test_the_newest_first(pulled):
    assert stopped(pulled, rows(3, 2, 1)).code == "D114"
    assert len(pulled(rows(1, 1, 1))[2]()) == 1


@pytest.mark.parametrize("value", [1793527201, "01.11.2026 10:00"])
def test_what_is_no_time(pulled, value):
    assert stopped(pulled, [{"id": 1, "changed": value}]).code == "D115"


def test_a_time_without_an_offset(pulled):
    assert stopped(pulled, rows(1, end="")).code == "D115"


@pytest.mark.parametrize(("zone", "asked"), [("UTC", "10:00:01"), ("local", "09:00:01")])
@pytest.mark.parametrize("machine", ["UTC", "America/New_York"])
def test_a_zone_says_what_is_meant_whatever_the_machines_is(pulled, monkeypatch, zone, asked, machine):
    import time

    monkeypatch.setenv("TZ", machine)
    time.tzset()
    try:
        since = {"at": AT.format(1), "id": 1}
        web, _, pull = pulled(rows(1, end=""), since=since, zone=zone, connection={"timezone": "Europe/Berlin"})
        pull()
        assert f"since=2026-11-01T{asked.replace(':', '%3A')}Z" in web.calls[0].path
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("page", [[{"number": 1, "changed": AT.format(1) + "Z"}], [{"id": 1}, {"id": 2}]])
def test_a_field_that_no_record_has(pulled, page):
    assert stopped(pulled, page).code == "C301"


def test_a_field_that_is_null_is_there(pulled):
    (got,) = pulled([{"id": 1, "changed": None}])[2]()
    assert got.cursor is None


@pytest.mark.parametrize("page", [{"data": []}, {"error": "no such list"}])
def test_an_object_where_a_list_should_be_is_no_record(pulled, page):
    assert stopped(pulled, page).code == "D103"


# Sorted by id


def test_in_another_order_only_the_whole_sequence_moves_the_position(pulled, answer, monkeypatch):
    """The newest stands in the middle; and what changes while pages are read is not left behind by a later one."""
    clocks = iter([datetime(2026, 11, 1, 10, 0, 5, tzinfo=UTC)])
    monkeypatch.setattr("hub.cursor.clock_of", lambda headers: next(clocks, datetime(2026, 11, 1, 11, tzinfo=UTC)))

    def call(asked):
        second = "p=2" in asked.path
        link = {} if second else {"Link": f'<http://{asked.headers["Host"]}/orders?p=2>; rel="next"'}
        return answer(body=json.dumps(rows(9, 2) if second else rows(4, 3, 1)).encode(), headers=link)

    _, _, pull = pulled(call=call, order="id")
    *pages, last = pull()
    assert [(page.complete, page.cursor) for page in pages] == [(False, None)] * 2
    assert (last.records, last.complete, last.cursor["at"]) == ([], True, "2026-11-01T10:00:05+00:00")


def test_a_sequence_that_breaks_off_has_moved_nothing(pulled, answer):
    def call(asked):
        if "p=2" in asked.path:
            return answer(body=b"[{")
        return answer(
            body=json.dumps(rows(4, 3)).encode(),
            headers={"Link": f'<http://{asked.headers["Host"]}/orders?p=2>; rel="next"'},
        )

    _, shop, _ = pulled(call=call, order="id")
    got = []
    with pytest.raises(Exception, match="cut off"):
        got.extend(shop.pull("orders"))
    assert [(page.complete, page.cursor) for page in got] == [(False, None)]


def test_the_position_never_goes_back(pulled):
    since = {"at": AT.format(7) + "Z", "id": 7}
    _, _, pull = pulled(rows(5, 2), since=since, order="id")
    assert [page.cursor for page in pull() if page.complete] == []
