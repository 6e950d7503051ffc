"""REST as data: a connector over this class says paths and names, and overrides what no table can say.

`Stream.options` knows these words: `path` below the connection's url; `records`, where the list stands in a page (dotted;
empty: the page is the list); `since`, the parameter that asks for changes at or after an instant; `limit`, the parameter
for the page size; `params`, always sent; `paginator`, {"kind": …} and what dlt's paginator of that kind takes; `item`, the
path of one record's own resource if it is not `path`.

A stream with pages by number or offset may say `parallel`. Paging is else dlt's REST client; pages are split without decoding their records, and every call goes through the guarded session.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import parse_qsl, quote, urlsplit

from hub import cursor, records
from hub.ahead import ahead
from hub.connector import Connection, Connector, Page, Stream
from hub.errors import AuthenticationError, CrossdockError, Place, StreamError, UnavailableError
from hub.findings import Finding

if TYPE_CHECKING:
    import requests

    from hub.http import HttpSession

    # A page's records, where the next one is (None: nowhere, or it cannot be said), and the answer.
    _Answer = tuple[list[bytes], str | None, requests.Response]

Auth = Literal["bearer", "basic", "oauth2", "none"]
# Kind → dlt's class. `link` and `json_link` follow addresses, so a pull can go on from the last one.
PAGINATORS: Mapping[str, str] = {
    "link": "HeaderLinkPaginator",
    "json_link": "JSONLinkPaginator",
    "json_cursor": "JSONResponseCursorPaginator",
    "offset": "OffsetPaginator",
    "page": "PageNumberPaginator",
    "single": "SinglePagePaginator",
}
_RESUMABLE = ("link", "json_link", "json_cursor")
# Kind → the parameter that says which page, by default. Only these can be asked for before the page in front of them is there.
NUMBERED: Mapping[str, str] = {"offset": "offset_param", "page": "page_param"}


class Rest(Connector):
    """A system that speaks JSON over HTTP.

    `auth`: bearer (the connection's password is the token), basic, oauth2 (client credentials; `extra.token_url`), none.
    `rate_limit` is calls a second for the whole connection; `extra.rate_limit` overrides it.
    """

    auth: ClassVar[Auth] = "bearer"
    rate_limit: ClassVar[float | None] = None

    @property
    def session(self) -> HttpSession:
        """The guarded session; the transport that was handed in, or one made on first use."""
        if self.transport is None:
            from hub.http import HttpSession

            rate = self.connection.extra.get("rate_limit") or self.rate_limit
            self.transport = HttpSession(
                self.connection, rate=float(rate) if rate else None, transient=self.is_transient
            )
            self.log_in(self.transport)
        session: HttpSession = self.transport
        return session

    def log_in(self, session: HttpSession) -> None:
        """Give the session what every call needs. Override for a system with a way of its own."""
        password = self.connection.password.reveal()
        if self.auth == "bearer" and password:
            session.headers["Authorization"] = f"Bearer {password}"
        elif self.auth == "basic":
            session.auth = (self.connection.login, password)
        elif self.auth == "oauth2":
            session.auth = _client_credentials(self.connection, session)

    def is_transient(self, response: requests.Response) -> bool:
        """May the same call succeed later? Override where a system has signs of its own."""
        from hub.http import is_transient

        return is_transient(response)

    def said(self, response: requests.Response) -> str:
        """What the system says went wrong, in its own words; empty where it says nothing. Override it."""
        return ""

    def url(self, path: str) -> str:
        return f"{self.connection.url.rstrip('/')}/{path.lstrip('/')}".rstrip("/")

    # Reading

    def check(self) -> list[Finding]:
        found: list[Finding] = []
        for stream in self.streams:
            try:
                found += self._check_stream(stream)
            except CrossdockError as error:
                found.append(Finding.of(error))
                if isinstance(error, (AuthenticationError, UnavailableError)):
                    break  # the other streams would only say the same
        return found

    def _check_stream(self, stream: Stream) -> list[Finding]:
        from hub.http import placed

        with placed(self.connection.system, stream.name):
            options = stream.options
            params = {**options.get("params", {}), **({options["limit"]: 1} if "limit" in options else {})}
            response = self._checked(self.session.get(self.url(options.get("path", "")), params=params))
            page, _ = records.split(response.content, options.get("records", ""), self._place(stream))
        wanted = [stream.primary_key, *stream.cursor_fields]
        missing = [name for name in wanted if page and records.fields(page[0], name) == (None,)]
        lists = [] if options.get("records") or len(page) != 1 else records.lists(page[0])
        fix = (
            f'the page is an object with the list \'{lists[0]}\': write options={{"records": "{lists[0]}", …}} of the stream'
            if lists
            else "has the API changed? the stream's primary_key or cursor_fields name it"
        )
        return [Finding("C301", f"records have no '{name}'", Place(self._place(stream)), fix) for name in missing]

    def pull(self, stream: str, since: Any = None) -> Iterator[Page]:
        from hub.http import placed

        spec = self.stream(stream)
        begin = cursor.start(spec, since if spec.cursor_fields else None)
        with placed(self.connection.system, stream):
            try:
                yield from self._pages(spec, begin, since)
            except _Expired:
                yield from self._pages(spec, cursor.start(spec, {"at": since["at"]}), since)

    def _pages(self, stream: Stream, begin: cursor.Start, since: Any) -> Iterator[Page]:
        """Pages from `begin` on, each with its cursor. Raises _Expired where the address to go on from is gone."""
        numbered = stream.parallel > 1 and stream.options.get("paginator", {}).get("kind") in NUMBERED
        position = since
        for page, following, response in (self._numbered if numbered else self._followed)(stream, begin):
            position = self._position(stream, page, position, following, response)
            if page or following is not None:
                yield Page(page, position)

    def _followed(self, stream: Stream, begin: cursor.Start) -> Iterator[_Answer]:
        """One page after another, as dlt's paginator says where the next one is."""
        options = stream.options
        path, params = self._first(stream, begin)
        seen: set[str] = set()

        def answered(response: requests.Response, *_: Any, **__: Any) -> None:
            if begin.next and not seen and response.status_code in (400, 404, 410, 422):
                raise _Expired
            self._checked(response)

        pages = _client(self.url(""), self.session, options.get("records", ""), self._place(stream)).paginate(
            path,
            params=params,
            paginator=_paginator(options.get("paginator", {"kind": "single"})),
            data_selector="$",
            hooks={"response": [answered]},
        )
        for page in pages:
            following = self._following(page, stream)
            if following is not None:
                if following in seen:
                    raise StreamError(
                        "D104",
                        "the pages go round in a circle",
                        place=self._place(stream),
                        fix="a defect of the system",
                    )
                seen.add(following)
            yield list(page), following, page.response

    def _numbered(self, stream: Stream, begin: cursor.Start) -> Iterator[_Answer]:
        """Pages by number or offset, `parallel` of them at a time, up to the first that is empty or the total that is told."""
        path, params = self._first(stream, begin)
        paginator = stream.options["paginator"]
        kind = paginator["kind"]
        base = paginator.get("offset" if kind == "offset" else "base_page", 0)

        def ask(at: int) -> tuple[list[bytes], dict[str, Any], requests.Response]:
            asked = {**params, paginator.get(NUMBERED[kind], kind): at}
            response = self._checked(self.session.get(path, params=asked))
            return *records.split(response.content, stream.options.get("records", ""), self._place(stream)), response

        first, envelope, response = ask(base)
        yield first, None, response
        step = len(first) if kind == "offset" else 1  # a system may give fewer records a page than it was asked for
        total = records.at(envelope, paginator["total_path"]) if paginator.get("total_path") else None
        count = None if total is None else -(-int(total) // max(step, 1))
        further = ahead(lambda number: ask(base + number * step), count, stream.parallel, begin=1)
        for page, _, response in further if first else ():
            if not page:
                return
            yield page, None, response

    def _first(self, stream: Stream, begin: cursor.Start) -> tuple[str, dict[str, Any]]:
        """Path and parameters of the first call."""
        if begin.next:
            parts = urlsplit(begin.next)
            home = urlsplit(self.connection.url)
            return f"{home.scheme}://{home.netloc}{parts.path}", dict(parse_qsl(parts.query, keep_blank_values=True))
        options = stream.options
        params = dict(options.get("params", {}))
        if "limit" in options:
            params[options["limit"]] = stream.page_size
        if begin.moment and "since" in options:
            params[options["since"]] = self.moment(begin.moment)
        return self.url(options.get("path", "")), params

    def moment(self, instant: datetime) -> str:
        """An instant as the system wants it in its `since` parameter."""
        return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")

    def _following(self, page: Any, stream: Stream) -> str | None:
        """Path and query of the next page: without the host, so that a cursor survives a move of the system."""
        if not page.paginator.has_next_page or stream.options["paginator"]["kind"] not in _RESUMABLE:
            return None
        import requests

        parts = urlsplit(requests.Request("GET", page.request.url, params=page.request.params).prepare().url or "")
        return f"{parts.path}?{parts.query}"

    def _position(
        self, stream: Stream, page: list[bytes], before: Any, following: str | None, response: requests.Response
    ) -> Any:
        """The cursor after a page: of its last record that has one. Only that record is decoded."""
        if not stream.cursor_fields:
            return before
        id_path = stream.cursor_fields[1] if len(stream.cursor_fields) > 1 else stream.primary_key
        for record in reversed(page):
            moment, id = records.fields(record, stream.cursor_fields[0], id_path)
            if moment is not None:
                try:
                    return cursor.reached(before, moment, id, following, cursor.clock_of(response.headers))
                except (TypeError, ValueError):
                    continue
        return before

    def _checked(self, response: requests.Response) -> requests.Response:
        """The response, unless it is a refusal. Raises what `hub.http.refusal` makes of it."""
        if response.ok:
            return response
        from hub.http import refusal

        what = f"{response.request.method} {urlsplit(response.url).path}"
        raise refusal(self.session, response, what, self.said(response))

    def _place(self, stream: Stream) -> str:
        return f"{self.connection.system}.{stream.name}"

    # Writing

    def write(self, method: str, path: str, payload: Any, *, repeatable: bool | None = None) -> requests.Response:
        """Send one change. Raises CrossdockError; `hub.http.outcome_of` says what it came to."""
        from hub.http import no_answer, unclear

        response = self.session.request(
            method,
            self.url(path),
            data=None if payload is None else records.encode(payload),
            headers={"Content-Type": "application/json"},
            repeatable=repeatable,
        )
        if not (repeatable or method in ("PUT", "DELETE")) and unclear(response):
            raise no_answer(self.session, response)
        return self._checked(response)

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """One JSON document, decoded; None where it is not there (404). Raises CrossdockError."""
        response = self.session.get(self.url(path), params=dict(params or {}))
        if response.status_code == 404:
            return None
        return self.decoded(self._checked(response))

    def search(self, stream: str, **params: Any) -> list[dict[str, Any]]:
        """The records of a stream that `params` find, decoded. An answer without a list is an error and not "none": on the
        strength of this a call is made again. Raises CrossdockError.
        """
        spec = self.stream(stream)
        options = spec.options
        asked = {**options.get("params", {}), **params}
        response = self._checked(self.session.get(self.url(options.get("path", "")), params=asked))
        found, _ = records.split(response.content, options.get("records", ""), self._place(spec))
        return [records.decode(record) for record in found]

    def answered(self, response: requests.Response, *fields: str) -> dict[str, Any]:
        """The body of an answer to a write, with these fields in it. Raises TransientError C101 where it says something else,
        D101, D102: it is then not known what became of the call.
        """
        from hub.http import no_answer

        value = self.decoded(response)
        if not isinstance(value, dict) or any(value.get(name) is None for name in fields):
            raise no_answer(self.session, response, f"the answer does not say {' and '.join(fields)}")
        return value

    def decoded(self, response: requests.Response) -> Any:
        """The body of an answer. Raises TransientError D101, D102."""
        import msgspec

        try:
            return records.decode(response.content)
        except (msgspec.DecodeError, RecursionError) as error:
            raise records.unreadable(response.content, self.connection.system, str(error)) from None


def _client_credentials(connection: Connection, session: HttpSession) -> Any:
    """dlt's OAuth 2 client credentials. The token's host has a session of its own, so it never sees the system's."""
    from dlt.sources.helpers.rest_client.auth import OAuth2ClientCredentials

    url = str(connection.extra["token_url"])
    asking = session.beside(replace(connection, url=url))

    class Credentials(OAuth2ClientCredentials):
        def obtain_token(self) -> None:
            """dlt's own would take an answer without a token for the token "None"."""
            self.access_token, seconds = _token(asking, url, self.build_access_token_request())
            self.token_expiry = datetime.now(UTC) + timedelta(seconds=seconds)
            session.keep_secret(str(self.access_token))

        def is_token_expired(self) -> bool:
            return datetime.now(UTC) >= self.token_expiry

    return Credentials(
        access_token_url=url, client_id=connection.login, client_secret=connection.password.reveal(), session=asking
    )


def _token(session: HttpSession, url: str, request: Mapping[str, Any]) -> tuple[str, float]:
    """A new token and the seconds it lives. Asking twice is harmless. Raises what `hub.http.refusal` makes of a refusal,
    TransientError D101, D102, AuthenticationError C105.
    """
    import msgspec

    from hub.http import refusal, request_id

    response = session.request("POST", url, repeatable=True, **request)
    if not response.ok:
        raise refusal(session, response, "logging in")
    try:
        said = records.decode(response.content)
    except (msgspec.DecodeError, RecursionError) as error:
        raise records.unreadable(response.content, session.system, str(error)) from None
    token = said.get("access_token") if isinstance(said, dict) else None
    if not isinstance(token, str) or not token:
        raise AuthenticationError(
            "C105",
            "the answer to logging in holds no access_token",
            place=session.system,
            fix="is extra.token_url of the connection right?",
            request_id=request_id(response),
        )
    try:
        return token, max(0.0, float(said.get("expires_in", 3600)))
    except (TypeError, ValueError):
        return token, 3600.0


class _Expired(Exception):
    """The address to go on from is not known any more."""


def segment(value: Any) -> str:
    """A value as one segment of a path."""
    return quote(str(value), safe="")


def _paginator(options: Mapping[str, Any]) -> Any:
    from dlt.sources.helpers.rest_client import paginators

    given = dict(options)
    return getattr(paginators, PAGINATORS[given.pop("kind")])(**given)


def _client(url: str, session: HttpSession, path: str, place: str) -> Any:
    """dlt's REST client, which leaves the records undecoded and shows paginators the rest of the page."""
    from dlt.common.configuration.specs.runtime_configuration import RuntimeConfiguration
    from dlt.sources.helpers.rest_client import RESTClient

    class Client(RESTClient):
        def extract_response(self, response: Any, data_selector: Any) -> list[Any]:
            found, envelope = records.split(response.content, path, place)
            response.json = lambda **_: envelope
            return found

    # With a configuration of its own dlt does not go and look for one (in Airflow, too: nine seconds).
    return Client(url, session=session, config=RuntimeConfiguration())
