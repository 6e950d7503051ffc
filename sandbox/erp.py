"""The ERP: SOAP 1.1 by spyne. WS-Security UsernameToken, typed faults with HTTP 500, changes by date and time."""

from __future__ import annotations

import json
import logging
import re
import sys
import types
import warnings
from collections.abc import Callable, Iterable
from decimal import Decimal
from email.message import Message
from typing import Any

from lxml import etree

from sandbox.erp_books import Books, ErpError
from sandbox.erp_fields import FIELDS, LISTS, NAMESPACE, Doc, page_xml
from sandbox.httpd import Answer, Wsgi

USER, PASSWORD = "crossdock", "sandbox-erp-password"
WSSE = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd}"
TEXT_TYPE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText"
MAX_ROWS = 1000


def _import_spyne() -> None:
    """spyne 2.14 imports the module `cgi`, which Python 3.13 dropped, for one function."""
    if sys.version_info >= (3, 13) and "cgi" not in sys.modules:

        def parse_header(line: str) -> tuple[str, dict[str, str]]:
            message = Message()
            message["content-type"] = line
            pairs = message.get_params([]) or [("", "")]
            return pairs[0][0], dict(pairs[1:])

        shim = types.ModuleType("cgi")
        shim.parse_header = parse_header  # type: ignore[attr-defined]
        sys.modules["cgi"] = shim
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import spyne.server.wsgi  # noqa: F401
    # A refused call is an answer here, not news for the terminal.
    logging.getLogger("spyne").setLevel(logging.CRITICAL)


_import_spyne()

from spyne import Application, Boolean, Fault, Integer, ServiceBase, Unicode, rpc  # noqa: E402
from spyne import Decimal as DecimalType  # noqa: E402
from spyne.model.complex import ComplexModel, ComplexModelMeta  # noqa: E402
from spyne.protocol.soap import Soap11  # noqa: E402
from spyne.server.wsgi import WsgiApplication  # noqa: E402


def _types() -> dict[str, Any]:
    """spyne's classes of the record types; every field may be left out, as in real ERPs."""
    made: dict[str, Any] = {}
    kinds = {"text": Unicode, "money": DecimalType, "flag": Boolean}
    for name, fields in FIELDS.items():
        body: dict[str, Any] = {"__namespace__": NAMESPACE}
        for field, kind in fields.items():
            if kind in kinds:
                body[field] = kinds[kind](min_occurs=0)
            else:
                body[field] = made[kind].customize(min_occurs=0, max_occurs="unbounded")
        made[name] = ComplexModelMeta(name, (ComplexModel,), body)
    return made


TYPES = _types()


def to_object(type_name: str, doc: Doc) -> Any:
    values: Doc = {}
    for field, kind in FIELDS[type_name].items():
        value = doc[field]
        if kind == "money":
            value = None if value is None else Decimal(value)
        elif kind not in ("text", "flag"):
            value = [to_object(kind, inner) for inner in value]
        values[field] = value
    return TYPES[type_name](**values)


def to_doc(type_name: str, given: Any) -> Doc:
    """What a request carried; None where it was left out."""
    if given is None:
        raise ErpError("ERP-422", f"the {type_name} is missing")
    doc: Doc = {}
    for field, kind in FIELDS[type_name].items():
        value = getattr(given, field)
        if value is not None and kind == "money":
            value = format(value, "f")
        elif kind not in ("text", "flag") and kind != "money":
            value = None if value is None else [to_doc(kind, inner) for inner in value]
        doc[field] = value
    return doc


def fault(code: str, message: str) -> Fault:
    """A SOAP fault whose detail carries the type: <ErpFault><code/><message/></ErpFault>."""
    detail = etree.Element(f"{{{NAMESPACE}}}ErpFault", nsmap={"e": NAMESPACE})
    etree.SubElement(detail, f"{{{NAMESPACE}}}code").text = code
    etree.SubElement(detail, f"{{{NAMESPACE}}}message").text = message
    return Fault(f"Client.{code}", f"{code} {message}", detail=detail)


def check_login(ctx: Any) -> None:
    for header in ctx.in_header_doc or ():
        token = header.find(f"{WSSE}UsernameToken") if header.tag == f"{WSSE}Security" else None
        if token is None:
            continue
        password = token.find(f"{WSSE}Password")
        plain = password is not None and password.get("Type", TEXT_TYPE) == TEXT_TYPE
        if plain and (token.findtext(f"{WSSE}Username"), password.text) == (USER, PASSWORD):
            return
    raise fault("ERP-401", "user name or password is wrong")


def guarded(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except ErpError as error:
        raise fault(error.code, error.message) from None


def position(date: str | None, time: str | None, after: str | None) -> tuple[tuple[str, str] | None, str]:
    """(keyset, since) of a list request; dates and times are the ERP's local ones."""
    if date and not re.fullmatch(r"\d{4}-\d\d-\d\d", date):
        raise ErpError("ERP-422", f"changed_date {date!r} is not YYYY-MM-DD")
    if time and not re.fullmatch(r"\d\d:\d\d:\d\d", time):
        raise ErpError("ERP-422", f"changed_time {time!r} is not HH:MM:SS")
    since = f"{date} {time or '00:00:00'}" if date else ""
    return ((since, after) if after else None), since


def _services(books: Books) -> Any:
    """The service class, one operation after another; spyne reads the WSDL off it."""
    body: dict[str, Any] = {}
    for stream, (type_name, table) in LISTS.items():
        body[f"List{stream}"] = _list_operation(books, f"List{stream}", type_name, table)
    text, one = Unicode(min_occurs=0), TYPES

    def many(type_name: str) -> Any:
        return TYPES[type_name].customize(min_occurs=0, max_occurs="unbounded")

    def operation(name: str, arguments: list[Any], names: list[str], returns: Any, out: str, work: Any) -> None:
        def run(ctx: Any, *values: Any) -> Any:
            return guarded(lambda: work(*values))

        run.__name__ = name
        run.__doc__ = None
        body[name] = rpc(*arguments, _args=names, _returns=returns, _out_variable_name=out)(run)

    def writer(name: str, type_name: str, argument: str, work: Callable[[Doc], str]) -> None:
        operation(name, [one[type_name]], [argument], text, "number", lambda value: work(to_doc(type_name, value)))

    def changer(name: str, type_name: str, argument: str, work: Callable[[str, Doc], str]) -> None:
        operation(
            name, [text, one[type_name]], ["number", argument], text, "number",
            lambda number, value: work(number, to_doc(type_name, value)),
        )  # fmt: skip

    def finder(name: str, type_name: str, table: str, key: str) -> None:
        def find(value: str | None) -> list[Any]:
            return [to_object(type_name, json.loads(doc)) for doc in books.store.find(table, value or "")]

        operation(name, [text], [key], many(type_name), "items", find)

    def reader(name: str, type_name: str, table: str, out: str, what: str) -> None:
        def read(number: str | None) -> Any:
            doc = books.store.get(table, number or "")
            if doc is None:
                raise ErpError("ERP-404", f"unknown {what} {number or ''}".strip())
            return to_object(type_name, doc)

        operation(name, [text], ["number"], one[type_name], out, read)

    writer("CreateBusinessPartner", "BusinessPartner", "partner", books.create_partner)
    changer("ChangeBusinessPartner", "BusinessPartner", "partner", books.change_partner)
    reader("ReadBusinessPartner", "BusinessPartner", "business_partners", "partner", "business partner")
    finder("FindBusinessPartners", "BusinessPartner", "business_partners", "external_id")
    writer("CreateSalesOrder", "SalesOrder", "order", books.create_order)
    changer("ChangeSalesOrder", "SalesOrder", "order", books.change_order)
    operation(
        "CancelSalesOrder", [text, text], ["number", "reason"], text, "number",
        lambda number, reason: books.cancel_order(number, reason or ""),
    )  # fmt: skip
    reader("ReadSalesOrder", "SalesOrder", "sales_orders", "order", "sales order")
    finder("FindSalesOrders", "SalesOrder", "sales_orders", "purchase_order")
    writer("CreateCreditMemo", "CreditMemo", "memo", books.create_memo)
    finder("FindCreditMemos", "CreditMemo", "credit_memos", "reference")
    operation("Ping", [], [], text, "answer", lambda: "sandbox ERP 1.0")
    return type("ErpService", (ServiceBase,), body)


def _list_operation(books: Books, name: str, type_name: str, table: str) -> Any:
    text = Unicode(min_occurs=0)

    def run(ctx: Any, date: str | None, time: str | None, after: str | None, max_rows: int | None) -> Any:
        def work() -> tuple[list[Doc], bool]:
            keyset, since = position(date, time, after)
            limit = max(1, min(max_rows or 100, MAX_ROWS))
            if ctx.transport.req_env.get("sandbox.duplicate_page") and keyset:
                rows, more = books.store.page_before(table, keyset, limit), True
            else:
                rows = books.store.page(table, keyset, since, limit + 1)
                rows, more = rows[:limit], len(rows) > limit
            return [json.loads(doc) for _, _, doc in rows], more

        docs, more = guarded(work)
        # spyne leaves an answer alone that is already text.
        ctx.out_string = [page_xml(name, type_name, docs, more)]
        return [], more

    run.__name__ = name
    return rpc(
        text, text, text, Integer(min_occurs=0),
        _args=["changed_date", "changed_time", "after_number", "max_rows"],
        _returns=[TYPES[type_name].customize(min_occurs=0, max_occurs="unbounded"), Boolean(min_occurs=1)],
        _out_variable_names=["items", "more"],
    )(run)  # fmt: skip


def make_app(books: Books) -> Wsgi:
    service = _services(books)
    service.event_manager.add_listener("method_call", check_login)
    application = Application(
        [service],
        NAMESPACE,
        name="ErpService",
        in_protocol=Soap11(validator="lxml", resolve_entities=False, huge_tree=False),
        out_protocol=Soap11(),
    )
    served: Wsgi = WsgiApplication(application)

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        # The schema check trips over what a document type brings; no client needs one.
        if b"<!DOCTYPE" not in environ["wsgi.input"].getvalue():
            return served(environ, start_response)
        _, headers, body = plain_fault("Client.ERP-400", "ERP-400", "a document type is not accepted")
        start_response("500 Internal Server Error", headers)
        return [body]

    return app


def plain_fault(faultcode: str, code: str, message: str) -> Answer:
    """A fault that is given before spyne sees the request."""
    text = (
        '<soap11env:Envelope xmlns:soap11env="http://schemas.xmlsoap.org/soap/envelope/"><soap11env:Body>'
        f"<soap11env:Fault><faultcode>soap11env:{faultcode}</faultcode><faultstring>{code} {message}</faultstring>"
        f'<detail><e:ErpFault xmlns:e="{NAMESPACE}"><e:code>{code}</e:code><e:message>{message}</e:message>'
        "</e:ErpFault></detail></soap11env:Fault></soap11env:Body></soap11env:Envelope>"
    )
    return 500, [("Content-Type", "text/xml; charset=utf-8")], text.encode()


def too_many(wait: float) -> Answer:
    status, headers, body = plain_fault("Server.ERP-429", "ERP-429", "too many sessions, try again later")
    return status, [*headers, ("Retry-After", f"{wait:.1f}")], body
