"""One guarded HTTP session for every connector: it waits, repeats, limits and refuses, so that no connector has to.

What it promises: every call has timeouts and a size limit (also after decompression); what is transient is repeated with
full jitter, `Retry-After` obeyed; all streams of a connection share one rate budget; only the hosts of the connection
are called, at the addresses they resolved to first; credentials go to the configured origin and nowhere else; no error
holds a secret. A POST or PATCH that got no answer is never repeated here: it raises TransientError C101, and the
connector answers `Outcome("unknown")`.
"""

from __future__ import annotations

import base64
import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin, urlsplit

import requests
import urllib3.exceptions
from requests.adapters import BaseAdapter
from requests.hooks import default_hooks, dispatch_hook
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from hub import tls
from hub.connector import Connection, Outcome
from hub.errors import (
    AuthenticationError,
    ConfigurationError,
    CrossdockError,
    ForbiddenError,
    Place,
    StreamError,
    TransientError,
    UnavailableError,
)
from hub.network import Addresses, PinnedAdapter, TokenBucket, allowed_origins, budget, origin
from hub.secrets import Secret, redact

if TYPE_CHECKING:
    from hub.spool import Spool

_log = logging.getLogger("crossdock.http")
# Its debug lines show whole addresses, with the e-mails and tokens in their queries; ours do not.
logging.getLogger("urllib3").setLevel(logging.INFO)

TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
NO_ANSWER = "C101"
# Something came that cannot be read: too large, a web page, cut off. It does not say whether a write was done.
_UNREADABLE = ("C108", "D101", "D102")
_CREDENTIAL_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})
_SECRET_NAMES = ("password", "secret", "token", "key")
_MAX_HOPS = 5
_CHUNK = 65_536


def is_transient(response: requests.Response) -> bool:
    """The usual answer to "may the same call succeed later?"; a system with its own signs passes its own predicate."""
    return response.status_code in TRANSIENT_STATUS


class HttpSession(requests.Session):
    """A `requests.Session` for one connection; zeep's Transport and dlt's RESTClient take it as theirs.

    `rate` is calls a second for the whole connection, `timeouts` (connect, between two bytes) seconds, `deadline` seconds
    for one whole answer, `max_body` bytes after decompression, `max_wait` the longest pause that is waited out here.
    `extra.hosts` of the connection lists further hosts (`name` or `name:port`), `extra.ca_file` a certificate bundle.
    Raises TransientError C101 (no answer), C103 (still busy), C104 (asks for a longer pause), UnavailableError C102,
    ConfigurationError C106/C107/C109/C113, StreamError C108/C110/C111. Other statuses are returned.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        rate: float | None = None,
        transient: Callable[[requests.Response], bool] = is_transient,
        timeouts: tuple[float, float] = (10.0, 60.0),
        deadline: float = 300.0,
        max_body: int = 64_000_000,
        attempts: int = 5,
        max_wait: float = 30.0,
        adapter: BaseAdapter | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__()
        self.trust_env = False  # no netrc, no proxy from the environment: the connection says all
        self.system = connection.system
        self.transient = transient
        self.timeouts = timeouts
        self.deadline = deadline
        self.max_body = max_body
        self.attempts = attempts
        self.max_wait = max_wait
        self.verify = str(connection.extra.get("ca_file") or "") or True
        self.headers["User-Agent"] = "crossdock"
        self._sleep = sleep
        self._home = origin(connection.url)
        self._allowed = allowed_origins(connection)
        self._addresses = Addresses(connection)
        self._budget: TokenBucket | None = budget(connection, rate, sleep) if rate else None
        self._secrets = _secrets_of(connection)
        transport = adapter or PinnedAdapter(self._addresses)
        self.mount("http://", transport)
        self.mount("https://", transport)

    def beside(self, connection: Connection) -> HttpSession:
        """A session as patient as this one, for another address of the same system (where tokens are given out)."""
        return HttpSession(
            connection,
            timeouts=self.timeouts,
            deadline=self.deadline,
            max_body=self.max_body,
            attempts=self.attempts,
            max_wait=self.max_wait,
            sleep=self._sleep,
        )

    def __reduce__(self) -> Any:
        raise TypeError("a session holds credentials and is not pickled")

    def redact(self, text: str) -> str:
        """`text` without this connection's secrets."""
        return redact(text, self._secrets)

    def keep_secret(self, value: str) -> None:
        """A token that was obtained on the way (a login's answer) is redacted from now on, too."""
        self._secrets.append(Secret(value))

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """None: redirects are followed here, where hosts and credentials are looked at, and not by requests."""
        return None

    def request(  # type: ignore[override]
        self,
        method: str,
        url: str,
        *,
        repeatable: bool | None = None,
        timeout: Any = None,
        spool: Spool | None = None,
        **kwargs: Any,
    ) -> requests.Response:
        """Like requests. `repeatable` says that this POST only reads (SOAP, GraphQL) or is harmless to repeat.

        A `spool` takes the body of an answer with status 200, up to its own limit; `content` is then empty.
        """
        options = {name: kwargs.pop(name) for name in ("verify", "cert") if name in kwargs}
        for ignored in ("allow_redirects", "stream", "proxies"):
            kwargs.pop(ignored, None)
        prepared = self.prepare_request(requests.Request(method.upper(), url, **kwargs))
        return self.send(prepared, repeatable=repeatable, timeout=timeout, spool=spool, **options)

    def send(
        self,
        request: requests.PreparedRequest,
        *,
        repeatable: bool | None = None,
        spool: Spool | None = None,
        **kwargs: Any,
    ) -> requests.Response:
        """Every call passes here, also those of zeep and dlt."""
        if repeatable is None:
            repeatable = request.method in REPEATABLE
        options = {"timeout": kwargs.get("timeout") or self.timeouts, "verify": kwargs.get("verify", self.verify)}
        if kwargs.get("cert"):
            options["cert"] = kwargs["cert"]
        # Hooks would read the body without a limit: they run when it has been read.
        hooks, request.hooks = request.hooks, default_hooks()
        for _ in range(_MAX_HOPS + 1):
            response = self._answer(request, repeatable, options, spool)
            if not response.is_redirect:
                return dispatch_hook("response", hooks, response, **options)  # type: ignore[no-untyped-call]
            request = self._redirected(request, response)
        raise StreamError("C110", f"more than {_MAX_HOPS} redirects", place=self.system, fix="correct the url")

    def _answer(
        self, request: requests.PreparedRequest, repeatable: bool, options: dict[str, Any], spool: Spool | None
    ) -> requests.Response:
        """The answer to one request, repeated while that is harmless and worth while."""
        for attempt in range(1, self.attempts + 1):
            last = attempt == self.attempts
            try:
                response = self._once(request, options, spool)
            except UnavailableError:  # nothing was sent, so even a POST can be repeated
                if last:
                    raise
                self._sleep(self._pause(attempt))
                continue
            except TransientError:
                if last or not repeatable:
                    raise
                self._sleep(self._pause(attempt))
                continue
            if not self.transient(response):
                return response
            if not repeatable and response.status_code != 429:  # only 429 says that nothing was done
                return response
            asked = retry_after(response)
            if last or (asked or 0) > self.max_wait:
                raise self._busy(request, response, attempt, asked)
            self._sleep((asked or 0) + self._pause(attempt))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _pause(self, attempt: int) -> float:
        """Full jitter: seconds anywhere between nothing and a doubling bound."""
        return random.uniform(0, min(self.max_wait, 0.25 * 2**attempt))

    def _busy(
        self, request: requests.PreparedRequest, response: requests.Response, attempts: int, asked: float | None
    ) -> TransientError:
        code, said = ("C103", f"answered {response.status_code} {attempts} times")
        if (asked or 0) > self.max_wait:
            code, said = ("C104", f"answered {response.status_code} and asks for a pause of {asked:.0f} s")
        return TransientError(
            code,
            f"{self._shown(request)} {said}",
            place=self.system,
            fix="try again later",
            detail=self.redact(response.text[:500]),
            request_id=request_id(response),
            retry_after=asked,
        )

    def _once(
        self, request: requests.PreparedRequest, options: dict[str, Any], spool: Spool | None
    ) -> requests.Response:
        """One attempt, the body read within its limits, and every error of the libraries below mapped to ours."""
        self._guard(request)
        if self._budget:
            self._budget.take()
        began = time.monotonic()
        try:
            response = super().send(request, stream=True, allow_redirects=False, **options)
            size = self._read(request, response, spool if response.status_code == 200 else None)
            took = 1000 * (time.monotonic() - began)
            _log.debug(
                "%s %s %d, %d bytes, %.0f ms", self.system, self._shown(request), response.status_code, size, took
            )
            return response
        except CrossdockError:
            raise
        except requests.exceptions.SSLError as error:
            raise self._no_tls(request, error) from None
        except requests.exceptions.RequestException as error:
            raise self._unanswered(request, error) from None
        except (urllib3.exceptions.HTTPError, ValueError, OSError) as error:
            raise self._unanswered(request, error) from None

    def _unanswered(self, request: requests.PreparedRequest, error: Exception) -> CrossdockError:
        detail = self.redact(f"{type(error).__name__}: {error}")[:500]
        if _never_sent(error):
            return UnavailableError(
                "C102",
                f"cannot reach {self._host(request)}",
                place=self.system,
                fix="is the system up, and is the connection's url right?",
                detail=detail,
            )
        return TransientError(
            NO_ANSWER,
            f"{self._shown(request)} got no whole answer",
            place=self.system,
            fix="try again later",
            detail=detail,
        )

    def _no_tls(self, request: requests.PreparedRequest, error: Exception) -> CrossdockError:
        """Which of the reasons for which https fails it is: one that a person has to mend, or a line that broke."""
        if reason := tls.reason(str(error)):
            what = reason.what.format(host=self._host(request))
            detail = self.redact(str(error))
            return ConfigurationError(reason.code, what, place=self.system, fix=reason.fix, detail=detail)
        return self._unanswered(request, error)

    def _guard(self, request: requests.PreparedRequest) -> None:
        """Refuse hosts that nobody configured, pin the address, and keep credentials at home."""
        url = request.url or ""
        target = origin(url)
        if target.scheme not in ("http", "https"):
            said = f"'{target.scheme}' is no http or https address" if target.scheme else "the url has no scheme"
            raise ConfigurationError("C113", said, place=self.system, fix="correct the connection's url: https://…")
        if not any(target.reaches(allowed) for allowed in self._allowed):
            raise ConfigurationError(
                "C106",
                f"the host {target.host}:{target.port} is not one of this connection",
                place=self.system,
                fix="if it belongs to the system, list it in the connection's extra.hosts",
            )
        if not target.reaches(self._home):
            for name in [name for name, value in request.headers.items() if self._is_credential(name, value)]:
                del request.headers[name]
        self._addresses.resolve(target.host, target.port)

    def _is_credential(self, name: str, value: str | bytes) -> bool:
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        lowered = name.lower()
        return (
            lowered in _CREDENTIAL_HEADERS
            or any(word in lowered for word in _SECRET_NAMES)
            or self.redact(text) != text
        )

    def _redirected(self, request: requests.PreparedRequest, response: requests.Response) -> requests.PreparedRequest:
        """The next request of a redirect. Only reading follows one; a write that is sent elsewhere is an error."""
        url = urljoin(request.url or "", response.headers["location"])
        here, there = origin(request.url or ""), origin(url)
        if request.method not in ("GET", "HEAD") or (here.scheme == "https" and there.scheme == "http"):
            raise StreamError(
                "C110",
                f"{self._shown(request)} is redirected to {there.scheme}://{there.host}:{there.port}",
                place=self.system,
                fix="give the connection the address that the system wants",
            )
        following = request.copy()
        following.hooks = default_hooks()
        following.url = url
        return following

    def _read(self, request: requests.PreparedRequest, response: requests.Response, spool: Spool | None) -> int:
        """The body into memory or the spool, unless it is too large or too slow. Returns its size after decompression."""
        limit = spool.max_bytes if spool else self.max_body
        declared = response.headers.get("Content-Length", "")
        if request.method != "HEAD" and declared.isdigit() and int(declared) > limit:
            response.close()
            raise self._too_large(request, limit)
        # What may be larger may take longer, in proportion.
        patience = self.deadline * max(1.0, limit / self.max_body)
        chunks: list[bytes] = []
        take, size, until = chunks.append, 0, time.monotonic() + patience
        if spool:
            spool.restart()
            take = spool.write
        for chunk in response.iter_content(_CHUNK):
            size += len(chunk)
            if size > limit:
                response.close()
                raise self._too_large(request, limit)
            take(chunk)
            if time.monotonic() > until:
                response.close()
                raise TransientError(
                    NO_ANSWER,
                    f"{self._shown(request)} was still answering after {patience:.0f} s",
                    place=self.system,
                    fix="ask for smaller pages",
                )
        if spool:
            spool.finish()
        response._content = b"".join(chunks)
        return size

    def _too_large(self, request: requests.PreparedRequest, limit: int) -> StreamError:
        return StreamError(
            "C108",
            f"the answer to {self._shown(request)} is larger than {limit:,} bytes",
            place=self.system,
            fix="ask for smaller pages (page_size)",
        )

    def _shown(self, request: requests.PreparedRequest) -> str:
        # Without the query: it can hold an e-mail address or a token.
        return self.redact(f"{request.method} {urlsplit(request.url or '').path or '/'}")

    def _host(self, request: requests.PreparedRequest) -> str:
        target = origin(request.url or "")
        return f"{target.host}:{target.port}"


def _secrets_of(connection: Connection) -> list[Secret]:
    texts = [connection.password.reveal()] + [
        value
        for name, value in connection.extra.items()
        if isinstance(value, str) and any(word in name.lower() for word in _SECRET_NAMES)
    ]
    found = [text for text in texts if text]
    forms = [f"{connection.login}:{text}" for text in found]
    found += [base64.b64encode(form.encode()).decode() for form in forms] + [quote(text, safe="") for text in found]
    return [Secret(text) for text in sorted(set(found), key=len, reverse=True)]


def _never_sent(error: Exception) -> bool:
    """True where no connection came about, so that the request cannot have had an effect."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return True
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, (NewConnectionError, ConnectTimeoutError))


def retry_after(response: requests.Response) -> float | None:
    """Seconds that the answer asks us to wait: a number, also with decimals, or an HTTP date."""
    said = response.headers.get("Retry-After", "").strip()
    if not said:
        return None
    try:
        seconds = float(said)
        return max(0.0, seconds) if seconds < float("inf") else None
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(said)
        # Against the server's own clock where it shows one: ours may be wrong.
        now = parsedate_to_datetime(response.headers["Date"]) if "Date" in response.headers else datetime.now(UTC)
        return max(0.0, (until - now).total_seconds())
    except (TypeError, ValueError):
        return None


def request_id(response: requests.Response) -> str:
    """The remote side's own name for this call, where it gives one."""
    for name in ("X-Request-Id", "X-Request-ID", "Request-Id", "X-Correlation-Id", "Sforce-Request-Id"):
        if found := response.headers.get(name):
            return str(found)[:100]
    return ""


def outcome_of(error: CrossdockError) -> Outcome:
    """What a write came to that raised `error`: unknown where no answer came, or none that can be read; else a rejection.

    Refused credentials are no fault of the record: the same call may succeed later, so that is transient, too.
    """
    if error.code in (NO_ANSWER, *_UNREADABLE):
        return Outcome("unknown", message=str(error), request_id=error.request_id)
    transient = isinstance(error, (TransientError, UnavailableError, AuthenticationError))
    locked_out = isinstance(error, AuthenticationError) and not isinstance(error, ForbiddenError)
    return Outcome(
        "rejected", message=str(error), request_id=error.request_id, transient=transient, locked_out=locked_out
    )


def unclear(response: requests.Response) -> bool:
    """An answer that does not say whether the work was done: a crash after it, or a gateway that lost the answer."""
    return response.status_code in (408, 500, 502, 504)


def no_answer(session: HttpSession, response: requests.Response, why: str = "") -> TransientError:
    """The error for a write whose answer says nothing of what became of it."""
    return TransientError(
        NO_ANSWER,
        why or f"the answer {response.status_code} does not say whether the write was done",
        place=session.system,
        fix="it is looked up before it is tried again",
        detail=session.redact(response.text[:300]),
        request_id=request_id(response),
    )


def refusal(session: HttpSession, response: requests.Response, what: str, message: str = "") -> CrossdockError:
    """The error that says why `what` was refused; `message` is the system's own text, else the body's beginning."""
    said = session.redact(message or response.text[:300]).strip()
    common: dict[str, Any] = {"place": session.system, "detail": said, "request_id": request_id(response)}
    if session.transient(response):
        return TransientError("C103", f"{what} answered {response.status_code}", fix="try again later", **common)
    if response.status_code in (401, 403):
        kind = ForbiddenError if response.status_code == 403 else AuthenticationError
        return kind(
            "C105",
            f"{what} is refused: {response.status_code} {said[:200]}".strip(),
            fix="check login, password and permissions of the connection",
            **common,
        )
    fix = "is the path of the stream right, and the connection's url?" if response.status_code == 404 else ""
    return StreamError("C112", f"{what} answered {response.status_code}: {said[:200]}", fix=fix, **common)


@contextmanager
def placed(system: str, stream: str) -> Iterator[None]:
    """Errors that leave this block say the stream, too."""
    try:
        yield
    except CrossdockError as error:
        if error.place is None or error.place == Place(system):
            error.place = Place(f"{system}.{stream}")
        raise
