"""Pages over dlt's REST client: which kinds there are, and how an answer gives away that it is not all there is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hub.errors import Place
from hub.findings import Finding, nearest

if TYPE_CHECKING:
    import requests

    from hub.connector import Stream
    from hub.http import HttpSession

# Kind → dlt's class. `link` and `json_link` follow addresses, so a pull can go on from the last one.
PAGINATORS: Mapping[str, str] = {
    "link": "HeaderLinkPaginator",
    "json_link": "JSONLinkPaginator",
    "json_cursor": "JSONResponseCursorPaginator",
    "offset": "OffsetPaginator",
    "page": "PageNumberPaginator",
    "single": "SinglePagePaginator",
}
RESUMABLE = ("link", "json_link", "json_cursor")
# Kind → the parameter that says which page, by default. Only these can be asked for before the page in front of them is there.
NUMBERED: Mapping[str, str] = {"offset": "offset_param", "page": "page_param"}
_COUNTED = ("total_path", "stop_after_empty_page", "has_more_path")
_OFFSET = ("limit", "offset", "offset_param", "limit_param", "maximum_offset", "offset_body_path", "limit_body_path")
# What dlt's paginator of a kind takes; here, so that lint knows it without importing dlt. A test compares the two.
WORDS: Mapping[str, tuple[str, ...]] = {
    "link": ("links_next_key",),
    "json_link": ("next_url_path",),
    "json_cursor": ("cursor_path", "cursor_param", "cursor_body_path", "stop_after_empty_page", "has_more_path"),
    "offset": (*_OFFSET, *_COUNTED),
    "page": ("base_page", "page", "page_param", "maximum_page", *_COUNTED, "page_body_path"),
    "single": (),
}
# Where systems say in a page that there is more, beside the list.
_MORE: tuple[str, ...] = (
    "next",
    "nextLink",
    "next_page",
    "nextPage",
    "next_page_url",
    "next_url",
    "nextRecordsUrl",
    "@odata.nextLink",
)
_MORE += ("next_cursor", "nextCursor", "nextPageToken", "next_page_token", "has_more", "hasMore")
_WITHIN = ("", "links.", "_links.", "paging.", "pagination.", "meta.", "meta.pagination.", "page_info.", "pageInfo.")
_PAGES = ("X-WP-TotalPages", "X-Total-Pages", "X-Pagination-Page-Count")


def odd(stream: Stream, place: Place) -> Iterator[Finding]:
    """C312 for what of the paginator's declaration means nothing."""
    if "paginator" not in stream.options:
        return
    given = dict(stream.options["paginator"])
    if (kind := given.pop("kind", None)) not in PAGINATORS:
        yield Finding("C312", f"there is no paginator of kind {kind!r}", place, nearest(str(kind), PAGINATORS))
        return
    for word in sorted(set(given) - set(WORDS[kind])):
        yield Finding("C312", f"the paginator '{kind}' knows no '{word}'", place, nearest(word, WORDS[kind]))
    if kind == "page" and not given.keys() & {"base_page", "page"}:
        yield Finding("C312", "the paginator 'page' does not say its first page", place, 'write "base_page": 1, or 0')
    if kind in NUMBERED and stream.cursor != "none" and stream.options.get("order") != "id":
        what = "pages by number in the order of changes: what changes while they are read moves another record onto a page that was read"
        yield Finding("C312", what, place, 'sort by id in params, and write "order": "id"', "warning")


def paginator(stream: Stream) -> Any:
    """dlt's paginator of the stream. Pages by number or offset end with the first empty one, unless a total is told."""
    from dlt.sources.helpers.rest_client import paginators

    given = dict(stream.options.get("paginator", {"kind": "single"}))
    kind = given.pop("kind")
    if kind in NUMBERED:
        given.setdefault("total_path", None)
    if kind == "offset":
        given.setdefault("limit", stream.page_size)
    return getattr(paginators, PAGINATORS[kind])(**given)


def client(url: str, session: HttpSession, path: str, place: str) -> Any:
    """dlt's REST client, which leaves the records undecoded and shows paginators the rest of the page."""
    from dlt.common.configuration.specs.runtime_configuration import RuntimeConfiguration
    from dlt.sources.helpers.rest_client import RESTClient

    from hub import records

    class Client(RESTClient):
        def extract_response(self, response: Any, data_selector: Any) -> list[Any]:
            found, envelope = records.split(response.content, path, place)
            response.json = lambda **_: envelope
            return found

    # With a configuration of its own dlt does not go and look for one (in Airflow, too: nine seconds).
    return Client(url, session=session, config=RuntimeConfiguration())


def more(response: requests.Response, envelope: Mapping[str, Any]) -> tuple[str, str]:
    """How an answer says that another page follows, and the paginator that finds it; empty texts where it does not."""
    from hub import records

    if response.links.get("next"):
        return "the header Link names a next page", '{"kind": "link"}'
    for name in _PAGES:
        if (told := response.headers.get(name, "")).isdigit() and int(told) > 1:
            return f"the header {name} says {told} pages", '{"kind": "page", "base_page": 1}'
    for place in (within + name for within in _WITHIN for name in _MORE):
        if (found := records.at(envelope, place)) and (found is True or isinstance(found, (str, dict, int))):
            return f"the page has '{place}'", _finding(place, found)
    return "", ""


def _finding(place: str, said: Any) -> str:
    """The paginator for what a page says at `place`."""
    if not isinstance(said, str):
        return '{"kind": …}'
    if "/" in said:
        return f'{{"kind": "json_link", "next_url_path": "{place}"}}'
    return f'{{"kind": "json_cursor", "cursor_path": "{place}", "cursor_param": …}}'
