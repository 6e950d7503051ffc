"""What a connector says of itself: words that nothing reads, and what cannot be."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from hub.connector import Connection, Connector, Page, Stream
from hub.declaration import judged, unread_extra
from hub.drops import Drops
from hub.errors import ConfigurationError
from hub.files import Files
from hub.graphql import GraphQL
from hub.jsonrpc import JsonRpc
from hub.paging import PAGINATORS, WORDS
from hub.rest import Rest

GOOD = {"path": "orders", "since": "changed_after", "limit": "size", "paginator": {"kind": "link"}}


def shop(
    base: type[Connector] = Rest, options: dict[str, Any] | None = None, own: dict[str, Any] | None = None, **more: Any
) -> type[Connector]:
    words = {"cursor": "timestamp", "cursor_fields": ("changed",), **more}
    stream = Stream("orders", "id", options={**GOOD, **(options or {})}, **words)
    return type("Shop", (base,), {"name": "shop", "streams": (stream,), **(own or {})})


def said(kind: type[Connector]) -> list[tuple[str, str, str]]:
    return [(finding.code, finding.severity, finding.what) for finding in judged(kind)]


def test_what_is_as_it_should_be_is_not_talked_about():
    assert said(shop()) == []


def test_no_streams():
    assert said(type("Shop", (Rest,), {"name": "shop", "stream": ()})) == [("C311", "error", "there are no streams")]


@pytest.mark.parametrize(
    ("options", "what", "fix"),
    [
        ({"paginater": {}}, "there is no option 'paginater'", "did you mean 'paginator'?"),
        (
            {"xyz": 1},
            "there is no option 'xyz'",
            "there are: limit, order, paginator, params, path, records, since, zone",
        ),
        ({"per_page": 5}, "'per_page' is called 'page_size' here", "write page_size"),
        ({"paginator": {}}, "there is no paginator of kind None", "there are: link"),
        ({"paginator": {"kind": "links"}}, "there is no paginator of kind 'links'", "did you mean 'link'?"),
        (
            {"paginator": {"kind": "json_link", "next_path": "x"}},
            "the paginator 'json_link' knows no 'next_path'",
            "next_url_path",
        ),
        ({"paginator": {"kind": "page"}}, "the paginator 'page' does not say its first page", 'write "base_page": 1'),
        ({"zone": "Europe/Berlin"}, "zone 'Europe/Berlin' is none of UTC, local", ""),
        ({"order": "ids"}, "order 'ids' is none of change, id", "did you mean 'id'?"),
    ],
)
def test_a_word_that_nothing_reads_is_an_error(options, what, fix):
    (finding,) = [one for one in judged(shop(options=options)) if one.severity == "error"]
    assert (finding.code, finding.severity, finding.what, str(finding.place)) == ("C312", "error", what, "shop.orders")
    assert fix in finding.fix


def test_a_class_names_the_words_that_it_reads_itself():
    assert said(shop(options={"key": "sku"}, own={"words": ("key",)})) == []


def test_a_cursor_that_nothing_asks_by_is_read_whole_each_time():
    kind = shop()
    (stream,) = kind.streams
    del stream.options["since"]
    assert said(kind) == [("C312", "warning", "a cursor, and nothing asks for what changed")]


def test_a_pull_of_its_own_may_mean_something_else():
    def pull(self: Any, stream: str, since: Any = None) -> Any:
        yield Page([])

    assert said(shop(options={"paginator": {"kind": "by_hand"}}, own={"pull": pull})) == []
    assert [code for code, *_ in said(shop(options={"paginater": {}}, own={"pull": pull}))] == ["C312"]


@pytest.mark.parametrize(
    "more", [{"cursor_fields": ()}, {"cursor": "none"}, {"version_trusted": True}, {"parallel": 2}]
)
def test_what_contradicts_itself_is_a_warning(more):
    assert [(code, severity) for code, severity, _ in said(shop(**more))] == [("C312", "warning")]


@pytest.mark.parametrize("kind", PAGINATORS)
def test_the_words_of_paginators_are_those_of_dlt(kind):
    from dlt.sources.helpers.rest_client import paginators

    assert set(WORDS[kind]) == set(inspect.signature(getattr(paginators, PAGINATORS[kind])).parameters)


@pytest.mark.parametrize(
    ("more", "what", "fix"),
    [
        ({"cursor": "timestmp"}, "cursor knows no 'timestmp'", "did you mean 'timestamp'?"),
        ({"idempotency": "keys"}, "idempotency knows no 'keys'", "did you mean 'key'?"),
        ({"writes": ("update",)}, "writes knows no 'update'", "there are: create"),
        ({"writes": "change"}, "writes is a text and no tuple", 'write writes=("change",)'),
        ({"cursor_fields": "changed"}, "cursor_fields is a text and no tuple", 'write cursor_fields=("changed",)'),
        ({"deletes": "flag"}, "deletes knows no 'flag'", "did you mean 'flagged'?"),
    ],
)
def test_a_word_that_is_none_of_those_there_are(more, what, fix):
    (finding,) = [one for one in judged(shop(**more)) if one.severity == "error"]
    assert (finding.code, finding.severity, finding.what) == ("C312", "error", what)
    assert fix in finding.fix


def test_an_attribute_that_is_nearly_one_that_is_read():
    assert said(shop(own={"auht": "basic"})) == [("C312", "warning", "nothing reads the attribute 'auht'")]
    assert said(shop(own={"auth": "basic", "endpoint": "x", "_auht": 1})) == []


def test_a_way_to_log_in_that_there_is_not():
    wrong = [("C312", "error", "auth 'Basic' is no way to log in")]
    assert said(shop(own={"auth": "Basic"})) == wrong
    assert said(shop(own={"auth": "basic"})) == []
    assert said(shop(own={"auth": "Basic", "log_in": lambda self, session: None})) == []  # it is the class's own word
    with pytest.raises(ConfigurationError, match="auth 'Basic' is no way to log in"):
        shop(own={"auth": "Basic"})(Connection("shop", "http://127.0.0.1:9")).session  # noqa: B018


@pytest.mark.parametrize("given", ["300", 0.5, True])
def test_a_number_that_is_none(given):
    assert said(shop(overlap=given)) == [("C312", "error", f"overlap {given!r} is no whole number")]
    assert said(shop(overlap=300)) == []


def test_two_streams_of_one_name():
    first, second = Stream("orders", "id"), Stream("orders", "number")
    kind = type("Shop", (Rest,), {"name": "shop", "streams": (first, second)})
    assert said(kind) == [("C312", "error", "there are 2 streams 'orders'")]


@pytest.mark.parametrize("base", [GraphQL, JsonRpc])
def test_a_protocol_that_leaves_the_pull_to_the_connector(base):
    stream = Stream("orders", "id")
    assert [what for _, _, what in said(type("Shop", (base,), {"name": "shop", "streams": (stream,)}))] == [
        "there is no pull, and the one of REST would ask by GET"
    ]


def prices(base: type[Connector] = Files, **options: Any) -> type[Connector]:
    stream = Stream("prices", "_key", cursor="token", options=options)
    return type("Prices", (base,), {"name": "prices", "streams": (stream,)})


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"encoding": "utf-8"}, "the option 'pattern' is missing"),
        ({"pattern": "*.csv"}, "the option 'encoding' is missing"),
        ({"pattern": "*.csv", "encoding": "utf8x"}, "there is no encoding 'utf8x'"),
        ({"pattern": "*.csv", "encoding": "utf-8", "key": "ID"}, "key is a text and no tuple"),
    ],
)
def test_what_a_stream_of_files_lacks(options, what):
    assert said(prices(**options)) == [("C312", "error", what)]


def test_what_a_drop_lacks():
    assert said(prices(Drops)) == [("C312", "error", "the option 'columns' is missing")]
    assert said(prices(Drops, format="ndjson")) == []


def test_pages_by_number_shift_while_records_change():
    by_number = {"paginator": {"kind": "page", "base_page": 1}}
    assert [(code, severity) for code, severity, _ in said(shop(options=by_number))] == [("C312", "warning")]
    assert said(shop(options={**by_number, "order": "id"})) == []
    assert said(shop(options=by_number, cursor="none", cursor_fields=())) == []


def test_a_word_under_extra_that_nearly_is_one():
    assert list(unread_extra({"rate_limt": 3, "company": 1, "hosts": []})) == [("rate_limt", "rate_limit")]


def test_what_is_written_and_looked_for_by_no_method():
    assert [what for _, _, what in said(shop(writes=("create",), idempotency="read_back"))] == [
        "it can create, and there is no push",
        "idempotency 'read_back', and there is no find",
    ]
    verbs = {"push": lambda self, stream, changes: [], "find": lambda self, stream, key: []}
    assert said(shop(writes=("create",), idempotency="read_back", own=verbs)) == []
