"""SOAP: zeep reads the WSDL and writes the envelopes, `hub/soap_answer.py` reads the answers, the guarded session carries both.

Lists are read in a stream (`Soap.listed`): an answer of a gigabyte takes no more memory than one of a megabyte.
`Stream.options` knows: `operation`, which lists; `max_body`, how many bytes one of its answers may have (64 MB by default).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from hub import cursor
from hub.connector import Connection, Connector, Outcome, Stream
from hub.errors import AuthenticationError, ConfigurationError, CrossdockError, StreamError, TransientError
from hub.soap_answer import Shape, SoapFault, parts, unpack

if TYPE_CHECKING:
    import requests

    from hub.http import HttpSession
    from hub.spool import Spool

_FAULT = re.compile(rb"<(?:[\w.-]+:)?Fault[\s>]")
_MAX_DEPTH = 12
_repeatable: ContextVar[bool] = ContextVar("repeatable", default=False)
_spool: ContextVar[Spool | None] = ContextVar("spool", default=None)
MAX_BODY = 64_000_000


class Listing:
    """An answer with a list in it, read to its end before the first record is given out; then record by record.

    `values` is what the response holds beside the list, once `chunks` is at its end. `body` keeps the answer as it came.
    """

    def __init__(self, service: SoapService, operation: str, body: Spool, read: datetime) -> None:
        self.body, self.read = body, read
        self._service, self._operation = service, operation
        self.digest = body.digest
        self.values: dict[str, Any] = {}

    def chunks(self, name: str, size: int) -> Iterator[tuple[list[dict[str, Any]], int, bool]]:
        """(records, the index of the first, are they the last) of the list `name`; one empty chunk where it is empty.

        Raises what `hub.soap_answer.parts` raises, also after some chunks.
        """
        found: list[dict[str, Any]] = []
        place, first = self._service.connection.system, 0
        with self.body.open() as source:
            shape = self._service.shape(self._operation)
            for part, value in parts(source, self.body.start, self.body.size, shape, self._operation, place):
                if part != name:
                    self.values[part] = value
                    continue
                if len(found) == size:  # only the next one shows that these are not the last
                    yield found, first, False
                    found, first = [], first + size
                found.append(value)
        yield found, first, True


class Soap(Connector):
    """A system that speaks SOAP. The WSDL is `<url>?wsdl`, or what `extra.wsdl` says (an address or a file).

    `extra.schema_cache` is a folder with schemas that cannot be fetched: `<host>/<path>` of their address. `login_faults`
    and `transient_faults` are beginnings of fault codes that mean refused credentials, or "try again later".
    """

    rate_limit: ClassVar[float | None] = None
    login_faults: ClassVar[tuple[str, ...]] = ("FailedAuthentication", "InvalidSecurity", "FailedCheck")
    transient_faults: ClassVar[tuple[str, ...]] = ()
    words: ClassVar[tuple[str, ...]] = ("operation", "max_body")

    @cached_property
    def service(self) -> SoapService:
        if self.transport is None:
            from hub.http import HttpSession

            rate = self.connection.extra.get("rate_limit") or self.rate_limit
            self.transport = HttpSession(self.connection, rate=float(rate) if rate else None, transient=soap_transient)
        return SoapService(self.connection, self.transport)

    def read(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """The values of an operation that only reads: it may be repeated. Faults become our errors. Raises CrossdockError."""
        try:
            return self.service.call(operation, repeatable=True, **arguments)
        except SoapFault as fault:
            raise self.error_of(fault) from None

    @contextmanager
    def listed(self, stream: Stream, **arguments: Any) -> Iterator[Listing]:
        """Call the stream's operation and read its answer in a stream, within `max_body`. Faults become our errors."""
        from hub.spool import Spool

        body = Spool(int(stream.options.get("max_body", MAX_BODY)))
        try:
            yield self.service.listing(stream.options["operation"], body, **arguments)
        except SoapFault as fault:
            raise self.error_of(fault) from None
        finally:
            body.close()

    def error_of(self, fault: SoapFault) -> CrossdockError:
        system = self.connection.system
        said = self.service.session.redact(str(fault))
        if fault.code.startswith(self.login_faults):
            fix = "check login and password of the connection"
            return AuthenticationError("C105", f"{fault.operation} is refused: {said}", place=system, fix=fix)
        if self.transient_faults and fault.code.startswith(self.transient_faults):
            return TransientError("C103", f"{fault.operation}: {said}", place=system, fix="try again later")
        return StreamError("C203", f"{fault.operation}: {said}", place=system, fix="the system refuses the call")

    def write(self, operation: str, **arguments: Any) -> tuple[Outcome | None, dict[str, Any]]:
        """Call an operation that changes something, once. (None, values) where it was done, else (outcome, {})."""
        from hub.http import outcome_of

        try:
            return None, self.service.call(operation, **arguments)
        except SoapFault as fault:
            later = (*self.login_faults, *self.transient_faults)
            said = self.service.session.redact(str(fault))
            transient = fault.code.startswith(later)
            locked_out = fault.code.startswith(self.login_faults)
            id = self.service.request_id
            return Outcome("rejected", message=said, request_id=id, transient=transient, locked_out=locked_out), {}
        except CrossdockError as error:
            return outcome_of(error), {}


class SoapService:
    """The operations of one WSDL, called at the connection's own url (a WSDL often names an address from before).

    `request_id` is the system's own name for the newest call, where it gives one.
    """

    def __init__(self, connection: Connection, session: HttpSession) -> None:
        self.connection, self.session = connection, session
        self.request_id = ""

    @cached_property
    def _client(self) -> Any:
        from zeep import Client, Settings
        from zeep.wsse.username import UsernameToken

        wsdl = str(self.connection.extra.get("wsdl") or f"{self.connection.url}?wsdl")
        token = (
            UsernameToken(self.connection.login, self.connection.password.reveal()) if self.connection.login else None
        )
        with _readable(self.connection, wsdl):
            return Client(
                wsdl,
                wsse=token,
                transport=_transport(self.connection, self.session, wsdl),
                settings=Settings(
                    strict=True, raw_response=True, forbid_dtd=True, forbid_entities=True, force_https=False
                ),
                service_name=self.connection.extra.get("service"),
                port_name=self.connection.extra.get("port"),
            )

    @cached_property
    def _proxy(self) -> Any:
        with _readable(self.connection, "the WSDL"):
            return self._client.create_service(self._client.service._binding.name, self.connection.url)

    @cached_property
    def operations(self) -> frozenset[str]:
        return frozenset(self._proxy._binding.all())

    def shape(self, operation: str) -> Shape:
        """What the operation's response element holds, as the schema says."""
        found = self._proxy._binding.get(operation).output.body
        return _shape(found.type, 0) if found is not None else {}

    def call(self, operation: str, *, repeatable: bool = False, **arguments: Any) -> dict[str, Any]:
        """The values of one answer. Raises SoapFault, or CrossdockError: C101 no answer, C204 unknown operation, C205 arguments that do
        not fit the schema (nothing was sent)."""
        return self._reply(operation, self._answer(operation, repeatable, None, arguments), repeatable)

    def listing(self, operation: str, body: Spool, **arguments: Any) -> Listing:
        """One call that only reads, its answer in `body`. Raises as `call` does."""
        response = self._answer(operation, True, body, arguments)
        if response.status_code != 200:
            self._reply(operation, response, True)  # raises: a list comes with 200 only
        return Listing(self, operation, body, cursor.clock_of(response.headers))

    def _answer(
        self, operation: str, repeatable: bool, spool: Spool | None, arguments: dict[str, Any]
    ) -> requests.Response:
        import zeep.exceptions

        from hub.http import request_id

        self.request_id = ""
        if operation not in self.operations:
            raise ConfigurationError(
                "C204",
                f"the WSDL has no operation {operation}",
                place=self.connection.system,
                fix="is it the right WSDL?",
            )
        tokens = _repeatable.set(repeatable), _spool.set(spool)
        try:
            response: requests.Response = self._proxy[operation](**{n: _plain(value) for n, value in arguments.items()})
            self.request_id = request_id(response)
            return response
        except (zeep.exceptions.Error, TypeError, ValueError, ArithmeticError) as error:
            raise StreamError(
                "C205",
                f"what is to be sent does not fit {operation}: {self.session.redact(str(error))[:300]}",
                place=self.connection.system,
                fix="correct the mapping's push",
            ) from None
        finally:
            _repeatable.reset(tokens[0])
            _spool.reset(tokens[1])

    def _reply(self, operation: str, response: requests.Response, repeatable: bool) -> dict[str, Any]:
        from hub.http import no_answer, refusal, unclear

        try:
            values = unpack(response.content, self.shape(operation), operation, self.connection.system)
        except CrossdockError as error:
            if not repeatable and (response.ok or unclear(response)):
                raise no_answer(self.session, response, f"the answer to {operation} cannot be read") from None
            if response.ok:
                raise error from None
            raise refusal(self.session, response, operation) from None
        if not response.ok:  # an error status with neither a fault nor a web page
            raise refusal(self.session, response, operation)
        return values


def _plain(value: Any) -> Any:
    """A payload as zeep wants it: XML knows no exponents, so a Decimal is written out."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def soap_transient(response: requests.Response) -> bool:
    """A fault with status 500 is an answer, unless it says when to come again."""
    from hub.http import is_transient

    if response.status_code == 500 and _FAULT.search(response.content[:20_000]):
        return "Retry-After" in response.headers
    return is_transient(response)


def _shape(kind: Any, depth: int) -> Shape:
    """Element → (repeats, inner shape) of a zeep type; recursive types end at a depth."""
    if depth > _MAX_DEPTH:
        return {}
    found: dict[str, tuple[bool, Any]] = {}
    for name, element in getattr(kind, "elements", ()):
        inner = getattr(element, "type", None)
        if name and inner is not None:
            nested = _shape(inner, depth + 1) if getattr(inner, "elements", None) else None
            found[name] = (bool(element.accepts_multiple), nested)
    return found


@contextmanager
def _readable(connection: Connection, wsdl: str) -> Iterator[None]:
    """Whatever zeep makes of a WSDL that cannot be read becomes C201, C202 or D107."""
    import requests
    import zeep.exceptions

    try:
        yield
    except CrossdockError:
        raise
    except (zeep.exceptions.DTDForbidden, zeep.exceptions.EntitiesForbidden):
        raise StreamError(
            "D107", "the WSDL declares a document type or entities", place=connection.system, fix="it is not read"
        ) from None
    except (
        zeep.exceptions.Error,
        requests.RequestException,
        OSError,
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
    ) as error:
        raise ConfigurationError(
            "C201",
            f"the WSDL cannot be read: {type(error).__name__}",
            place=connection.system,
            fix=f"look at {urlsplit(wsdl)._replace(query='wsdl' if 'wsdl' in wsdl else '').geturl()} with a browser",
            detail=str(error)[:300],
        ) from None


def _transport(connection: Connection, session: HttpSession, wsdl: str) -> Any:
    """zeep's transport over our session. It logs nothing: zeep's own logs whole envelopes, password and all."""
    from zeep.transports import Transport

    cache = connection.extra.get("schema_cache")
    local = None if urlsplit(wsdl).scheme in ("http", "https") else Path(wsdl).resolve().parent

    class Guarded(Transport):
        def __init__(self) -> None:
            # Not zeep's own __init__: it would mount an adapter that reads local files.
            self.session, self.cache, self._close_session = session, None, False
            self.load_timeout = self.operation_timeout = None

        def load(self, url: str) -> bytes:
            kept = _kept(cache, url)
            if kept is not None and kept.is_file():
                return kept.read_bytes()
            if urlsplit(url).scheme in ("http", "https"):
                return self._fetch(url, kept)
            path = Path(url.removeprefix("file://")).resolve()
            if local is None or not path.is_relative_to(local):
                raise ConfigurationError(
                    "C202", "the WSDL wants to read a local file", place=connection.system, fix="it is not read"
                )
            return path.read_bytes()

        def _fetch(self, url: str, kept: Path | None) -> bytes:
            from hub.http import refusal

            try:
                response = session.get(url)
            except ConfigurationError as error:
                if error.code != "C106":
                    raise
                where = str(kept) if kept else f"<schema_cache>/{_file_of(url)}"
                raise ConfigurationError(
                    "C202",
                    f"the WSDL imports {url.split('?')[0]}, which is another host",
                    place=connection.system,
                    fix=f"put the schema at {where}, and name the folder in the connection's extra.schema_cache",
                ) from None
            if not response.ok:
                raise refusal(session, response, f"GET {urlsplit(url).path}")
            if response.content.lstrip()[:15].lower().startswith((b"<html", b"<!doctype html")):
                raise ConfigurationError(
                    "C201",
                    "a web page came instead of the WSDL",
                    place=connection.system,
                    fix="correct the connection's url, or name the WSDL in extra.wsdl",
                )
            return response.content

        def get(self, address: str, params: Any, headers: Any) -> Any:
            return session.get(address, params=params, headers=headers)

        def post(self, address: str, message: Any, headers: Any) -> Any:
            return session.request(
                "POST", address, data=message, headers=headers, repeatable=_repeatable.get(), spool=_spool.get()
            )

    return Guarded()


def _file_of(url: str) -> str:
    parts = urlsplit(url)
    path = parts.path.strip("/") or "index"
    return f"{parts.hostname}/{path}{'/index' if parts.path.endswith('/') else ''}.xml".replace("..", "_")


def _kept(cache: Any, url: str) -> Path | None:
    return Path(str(cache)) / _file_of(url) if cache and urlsplit(url).hostname else None
