"""REST as data: a connector over this class says paths and names, and overrides what no table can say.

`Stream.options` knows these words, and no other but those of `words`: `path` below the connection's url; `records`, where the
list stands in a page (dotted; empty: the page is the list); `since`, the parameter that asks for changes at or after an
instant; `limit`, the parameter for the page size; `params`, always sent; `paginator`, {"kind": …} and what dlt's paginator of
that kind takes (`hub/paging.py`); without one there is a single page, and a pull stops where the answer says otherwise. `zone`
says what times without an offset are: "UTC", or "local" for the connection's timezone. `order` is "change" (the default, the oldest first), or "id" for any other
order that stays as it is while records change: then only a sequence that was read to its end moves the position, and not beyond the time at which
it began.

A stream with pages by number or offset may say `parallel`. Paging is else dlt's REST client; pages are split without decoding their records, and every call goes through the guarded session.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args
from urllib.parse import parse_qsl, quote, urlsplit
from zoneinfo import ZoneInfo

from hub import cursor, page_checks, paging, records
from hub.ahead import ahead
from hub.connector import Connector, Page, Stream
from hub.errors import AuthenticationError, CrossdockError, Place, StreamError, UnavailableError
from hub.findings import Finding, nearest, refusal
from hub.paging import NUMBERED, RESUMABLE

if TYPE_CHECKING:
    import requests

    from hub.http import HttpSession

    # A page's records, where the next one is (None: nowhere, or it cannot be said), and the answer.
    _Answer = tuple[list[bytes], str | None, requests.Response]

Auth = Literal["bearer", "basic", "oauth2", "none"]
_A_LOOK = 10  # records that `check` asks for
# What these options may say, the default first.
_CHOICES = {"order": ("change", "id"), "zone": ("UTC", "local")}


class Rest(Connector):
    """A system that speaks JSON over HTTP.

    `auth`: bearer (the connection's password is the token), basic, oauth2 (client credentials; `extra.token_url`), none.
    `rate_limit` is calls a second for the whole connection; `extra.rate_limit` overrides it.
    """

    auth: ClassVar[Auth] = "bearer"
    rate_limit: ClassVar[float | None] = None
    words: ClassVar[tuple[str, ...]] = ("path", "records", "since", "limit", "params", "paginator", "zone", "order")

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
            from hub.oauth import client_credentials

            session.auth = client_credentials(self.connection, session)
        elif self.auth not in get_args(Auth):
            raise refusal([self._no_way_in(Place(self.name))])

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

        options, place = stream.options, Place(self._place(stream))
        with placed(self.connection.system, stream.name):
            few = {options["limit"]: min(stream.page_size, _A_LOOK)} if "limit" in options else {}
            response = self._checked(
                self.session.get(self.url(options.get("path", "")), params={**options.get("params", {}), **few})
            )
            page, envelope = records.split(response.content, options.get("records", ""), str(place))
        found = page_checks.fields(stream, page, response.content, place) or [*page_checks.moments(stream, page, place)]
        if "paginator" not in options:  # with one, a look is no more than that
            found += page_checks.whole(replace(stream, page_size=_A_LOOK), page, response, envelope, place)
        return found

    @classmethod
    def odd_class(cls, place: Place) -> Iterator[Finding]:
        """A way to log in that there is not; a class that logs in by itself may call its own what it wants."""
        yield from super().odd_class(place)
        if cls.log_in is Rest.log_in and cls.auth not in get_args(Auth):
            yield cls._no_way_in(place)

    @classmethod
    def _no_way_in(cls, place: Place) -> Finding:
        return Finding("C312", f"auth '{cls.auth}' is no way to log in", place, nearest(cls.auth, get_args(Auth)))

    @classmethod
    def odd(cls, stream: Stream, place: Place) -> Iterator[Finding]:
        """Of what only this class reads: a connector with a pull of its own may mean something else."""
        yield from super().odd(stream, place)
        if cls.pull is not Rest.pull:
            return
        yield from paging.odd(stream, place)
        for word, known in _CHOICES.items():
            if (given := stream.options.get(word, known[0])) not in known:
                what = f"{word} {given!r} is none of {', '.join(known)}"
                yield Finding("C312", what, place, nearest(str(given), known))
        if stream.cursor != "none" and "since" not in stream.options and cls._first is Rest._first:
            fix = 'write "since": the name of the parameter; else all of it is read each time'
            yield Finding("C312", "a cursor, and nothing asks for what changed", place, fix, "warning")

    def pull(self, stream: str, since: Any = None) -> Iterator[Page]:
        from hub.http import placed

        spec = self.stream(stream)
        begin = cursor.start(spec, since if spec.cursor_fields else None, self._zone(spec))
        with placed(self.connection.system, stream):
            try:
                yield from self._pages(spec, begin, since)
            except _Expired:
                yield from self._pages(spec, cursor.start(spec, {"at": since["at"]}, self._zone(spec)), since)

    def _pages(self, stream: Stream, begin: cursor.Start, since: Any) -> Iterator[Page]:
        """Pages from `begin` on, each with its cursor. Raises _Expired where the address to go on from is gone."""
        numbered = stream.parallel > 1 and stream.options.get("paginator", {}).get("kind") in NUMBERED
        unsorted = stream.options.get("order") == "id" and bool(stream.cursor_fields)
        position, clock = since, None
        for page, following, response in (self._numbered if numbered else self._followed)(stream, begin):
            self._expect(stream, page, response, first=clock is None)
            clock = clock or cursor.clock_of(response.headers)
            position = self._position(stream, page, position, None if unsorted else following, response)
            if unsorted and page:
                yield Page(page, complete=False)
            elif not unsorted and (page or following is not None):
                yield Page(page, position)
        if unsorted and clock and position != since:
            yield Page([], cursor.not_after(clock, position, since, self._zone(stream)))

    def _expect(self, stream: Stream, page: list[bytes], response: requests.Response, first: bool) -> None:
        """Raises StreamError C301, D103, D114, D115 where the page is not what the stream was declared to be."""
        place = Place(self._place(stream))
        if first:
            page_checks.insist(page_checks.fields(stream, page, response.content, place))
        page_checks.insist([*page_checks.moments(stream, page, place)])

    def _followed(self, stream: Stream, begin: cursor.Start) -> Iterator[_Answer]:
        """One page after another, as dlt's paginator says where the next one is."""
        options = stream.options
        path, params = self._first(stream, begin)
        seen: set[str] = set()

        def answered(response: requests.Response, *_: Any, **__: Any) -> None:
            if begin.next and not seen and response.status_code in (400, 404, 410, 422):
                raise _Expired
            self._checked(response)

        pages = paging.client(self.url(""), self.session, options.get("records", ""), self._place(stream)).paginate(
            path,
            params=params,
            paginator=paging.paginator(stream),
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
            elif not page.paginator.has_next_page and not seen and not begin.next:
                place = Place(self._place(stream))
                page_checks.insist([*page_checks.whole(stream, page, page.response, page.response.json(), place)])
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
            moment = begin.moment
            zoned = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(self._zone(stream)))
            params[options["since"]] = self.moment(zoned)
        return self.url(options.get("path", "")), params

    def _zone(self, stream: Stream) -> str:
        """In which zone the stream's times are that have no offset."""
        return self.connection.timezone if stream.options.get("zone") == "local" else "UTC"

    def moment(self, instant: datetime) -> str:
        """An instant as the system wants it in its `since` parameter."""
        return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")

    def _following(self, page: Any, stream: Stream) -> str | None:
        """Path and query of the next page: without the host, so that a cursor survives a move of the system."""
        if not page.paginator.has_next_page or stream.options["paginator"]["kind"] not in RESUMABLE:
            return None
        import requests

        parts = urlsplit(requests.Request("GET", page.request.url, params=page.request.params).prepare().url or "")
        return f"{parts.path}?{parts.query}"

    def _position(
        self, stream: Stream, page: list[bytes], before: Any, following: str | None, response: requests.Response
    ) -> Any:
        """The cursor after a page: of its last record that has one, and only that one is decoded; unsorted, of the newest."""
        if not stream.cursor_fields:
            return before
        id_path = stream.cursor_fields[1] if len(stream.cursor_fields) > 1 else stream.primary_key
        unsorted = stream.options.get("order") == "id"
        for record in reversed(page):
            moment, id = records.fields(record, stream.cursor_fields[0], id_path)
            if moment is not None:
                try:
                    before = cursor.reached(before, moment, id, following, cursor.clock_of(response.headers))
                except (TypeError, ValueError):
                    continue
                if not unsorted:
                    break
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


class _Expired(Exception):
    """The address to go on from is not known any more."""


def own_pull(kind: type[Rest], place: Place) -> Iterator[Finding]:
    """C312 for a connector over a protocol that asks by POST and has no pull: it would be read by GET."""
    if kind.pull is Rest.pull:
        what = "there is no pull, and the one of REST would ask by GET"
        yield Finding("C312", what, place, "write the method pull")


def segment(value: Any) -> str:
    """A value as one segment of a path."""
    return quote(str(value), safe="")
