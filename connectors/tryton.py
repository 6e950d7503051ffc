"""Tryton (7.4 and later, tried with 8.2): an ERP. Parties, products, stock, sales and invoices by JSON-RPC.

The url is that of the database: `https://erp.example.com/<database>`. What is peculiar to it, and seen on the real server:

* Errors are HTTP 200 with a list: `["UserError", [text, …]]` is for a person, `["UserWarning", …]` is a question to one,
  and is never answered yes from here. A wrong password is a 401, an expired session too: then we log in once more.
* `write_date` is null until the first update; `last_modified_at` is never. It does not move when an address or a line is
  written on its own, so changes are asked for on the parts, too (`touched`), in one window, by id within it.
* Decimal, date and datetime travel as `{"__class__": …}`. Records are given on with plain text in their place: "12.50",
  "2026-11-22", "2026-11-22T20:02:54.791223Z"; and `party.` (what a dotted field name is answered with) as `party`.
* A button that answers with an error may still have worked, so what became of a sale is read afterwards.
* On SQLite references are not checked: a sale for a party that is not there is taken. So they are read first.

How a sale may change after it was created is told in `_tryton_sales.py`.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from connectors._tryton_sales import Sales
from hub import cursor, records
from hub.ahead import ahead
from hub.connector import Change, Outcome, Page, Stream
from hub.errors import AuthenticationError, CrossdockError, Place, RecordError, StreamError
from hub.findings import Finding
from hub.jsonrpc import JsonRpc

_PARTY = """name code active email phone mobile lang.code tax_identifier.code identifiers.type identifiers.code
    identifiers.last_modified_at addresses.party_name addresses.street addresses.postal_code addresses.city addresses.country.code
    addresses.subdivision.code addresses.invoice addresses.delivery addresses.active addresses.last_modified_at
    contact_mechanisms.type contact_mechanisms.value contact_mechanisms.last_modified_at"""
_PRODUCT = """code name active type salable default_uom.symbol sale_uom.symbol list_price_used identifiers.type
    identifiers.code template.last_modified_at"""
_SALE = """number reference description comment state party invoice_address shipment_address.party_name
    shipment_address.street shipment_address.postal_code shipment_address.city shipment_address.country.code
    currency.code sale_date quotation_date untaxed_amount tax_amount total_amount invoice_state shipment_state origin
    lines.type lines.sequence lines.product.code lines.product.type lines.description lines.quantity lines.unit.symbol
    lines.unit_price lines.amount lines.taxes.rate lines.last_modified_at shipments.number shipments.state
    invoices.number invoices.state"""
_INVOICE = """number type state party reference invoice_date payment_term_date currency.code untaxed_amount tax_amount
    total_amount amount_to_pay sales.reference sales.number"""
_MODIFIED = "last_modified_at"
_INSTANT = "%Y-%m-%dT%H:%M:%S.%fZ"

# The amounts of a sale are in its currency; the sum of its lines' amounts is the untaxed one.
_SALE_TYPES = {
    **dict.fromkeys(["untaxed_amount", "lines.amount", "lines.unit_price"], "money net in currency.code"),
    "tax_amount": "money tax in currency.code",
    "total_amount": "money gross in currency.code",
    "party": "id customer",
    "lines.product.id": "id product",
}


def _stream(name: str, model: str, fields: str, touched: Sequence[str] = (), domain: Any = (), **more: Any) -> Stream:
    return Stream(
        name,
        primary_key="id",
        cursor="timestamp",
        cursor_fields=(_MODIFIED, "id"),
        overlap=300,
        parallel=3,
        options={
            "model": model,
            "fields": [*fields.split(), "create_date", _MODIFIED, "_timestamp"],
            "touched": [_MODIFIED, *(f"{part}.{_MODIFIED}" for part in touched)],
            "domain": list(domain),
        },
        **more,
    )


class Tryton(JsonRpc):
    """`extra` knows: `company` (id; default the user's), `rounding_product` (code, default ROUNDING) and `rounding_limit`
    (default 0.05) for the cents by which two systems' taxes differ; `identifier_prefix` (default crossdock-)."""

    name = "tryton"
    endpoint = "rpc/"
    words = ("model", "domain", "fields", "touched")
    version = None
    streams = (
        _stream(
            "parties",
            "party.party",
            _PARTY,
            ("addresses", "contact_mechanisms", "identifiers"),
            [["active", "in", [True, False]]],  # else archived ones are left out
            writes=("create", "change", "upsert"),
            idempotency="external_id",
            conditional_write="version",
        ),
        _stream("products", "product.product", _PRODUCT, ("template",), [["active", "in", [True, False]]]),
        # Every movement changes it, and no date says so: the whole of it each time.
        Stream("stock", primary_key="key", options={"model": "product.product"}),
        _stream(
            "sales",
            "sale.sale",
            _SALE,
            ("lines",),
            types=_SALE_TYPES,
            writes=("create", "change", "cancel"),
            idempotency="read_back",
            conditional_write="read_before_write",
        ),
        _stream("invoices", "account.invoice", _INVOICE, (), [["type", "=", "out"], ["number", "!=", None]]),
        Stream(
            "credits", primary_key="id", writes=("create",), idempotency="read_back", options={"model": "sale.sale"}
        ),
    )

    # The session

    _refused: AuthenticationError | None = None

    def url(self, path: str) -> str:
        return f"{self.connection.url.rstrip('/')}/{path}"  # with the slash at its end, or it is a redirect

    def log_in(self, session: Any) -> None:
        """Nothing yet: the first call needs an open session, and so does the first after it has expired."""

    @cached_property
    def context(self) -> dict[str, Any]:
        """The user's preferences (company, language), which every call is given."""
        self._open()
        found = self.call("model.res.user.get_preferences", True, {})
        company = self.connection.extra.get("company") or found.get("company")
        return {"company": int(company) if company else None, "language": "en", "employee": found.get("employee")}

    def _open(self) -> None:
        session, login = self.session, self.connection.login
        if self._refused:  # Tryton counts wrong logins, and after five of them the right one is not let in either
            raise self._refused
        session.headers.pop("Authorization", None)
        given = {"password": self.connection.password.reveal()}
        try:
            uid, token, *_ = self.call("common.db.login", login, given, "en", writes=True)
        except AuthenticationError as error:
            self._refused = error
            raise
        ticket = base64.b64encode(f"{login}:{uid}:{token}".encode()).decode()
        session.keep_secret(token)
        session.keep_secret(ticket)
        session.headers["Authorization"] = f"Session {ticket}"

    def rpc(self, method: str, *params: Any, writes: bool = False, **context: Any) -> Any:
        """The result of a method of a model (`party.party.read`). Raises RecordError C402 with Tryton's own words."""
        full = f"model.{method}" if not method.startswith("wizard.") else method
        given = {**self.context, **context}
        try:
            return self.call(full, *params, given, writes=writes)
        except AuthenticationError as error:
            # 403 is a matter of rights; only 401 says that the session has gone. Nothing was done then.
            if "401" not in error.what:
                raise
            self._open()
            return self.call(full, *params, given, writes=writes)

    def fault(self, method: str, error: Any) -> CrossdockError:
        kind, said = (error[0], error[1]) if isinstance(error, list) and len(error) > 1 else (str(error), "")
        words = said if isinstance(said, str) else " ".join(str(part) for part in said[:2] if isinstance(part, str))
        if kind == "LoginException":
            return AuthenticationError(
                "C105", "Tryton wants another way to log in", place=self.connection.system, fix="use a password"
            )
        if kind == "UserWarning":
            asked = " ".join(str(part) for part in said[1:3] if part)
            return RecordError("C402", f"Tryton asks before it goes on: {asked}".strip(), place=self.connection.system)
        if kind in ("UserError", "ConcurrencyException"):
            return RecordError("C402", words.strip(), place=self.connection.system)
        return super().fault(method, f"{kind} {words}".strip()[:500])

    # Reading

    def check(self) -> list[Finding]:
        found = []
        try:
            if not self.context["company"]:
                found.append(
                    self._finding("C403", "the user belongs to no company", "set one in the user's preferences")
                )
            for stream in self.streams:
                wanted = {name.split(".")[0] for name in stream.options.get("fields", ())} - {"_timestamp"}
                known = self.rpc(f"{stream.options['model']}.fields_get", sorted(wanted)) if wanted else {}
                found += [
                    self._finding("C301", f"{stream.options['model']} has no '{name}'", "is the module activated?")
                    for name in sorted(wanted - set(known))
                ]
        except CrossdockError as error:
            found.append(Finding.of(error))
        return found

    def _finding(self, code: str, what: str, fix: str) -> Finding:
        return Finding(code, what, Place(self.connection.system), fix)

    def pull(self, stream: str, since: Any = None) -> Iterator[Page]:
        from hub.http import placed

        with placed(self.connection.system, stream):
            if stream == "stock":
                yield from self._stock()
            elif stream == "credits":
                return  # they are sales, and come with them
            else:
                yield from self._window(self.stream(stream), since)

    def _window(self, stream: Stream, since: Any) -> Iterator[Page]:
        """All that was touched since, by id. The cursor's `window` says where in it a page ended."""
        options = stream.options
        window = (since or {}).get("window")
        begin = cursor.start(stream, since).moment if not window else _moment(window["from"])
        after, newest = (window["after"], window["newest"]) if window else (0, "")
        asked: list[Any] = [*options["domain"]]
        if begin:
            asked.append(["OR", *([path, ">=", wire(begin)] for path in options["touched"])])
        opened = window["opened"] if window else ""
        position = since
        ranges = self._ranges(stream, asked, after) if begin is None and stream.parallel > 1 else []
        if ranges:  # the clock before the first of them is read
            opened = opened or cursor.clock_of(self.headers).strftime(_INSTANT)
        for found, reached, last in self._answers(stream, asked, after, ranges):
            opened = opened or cursor.clock_of(self.headers).strftime(_INSTANT)
            rows, after = [plain(row) for row in found], reached
            newest = max([newest, *(_touched(row, options["touched"]) for row in rows)])
            if newest:
                # What changed while we read may stand behind us: never past the moment at which the window was opened.
                at = min(newest, opened) if last else (since or {}).get("at") or newest
                position = {"at": max(at, (since or {}).get("at") or ""), "id": after}
                if not last:
                    state = {"from": begin.isoformat() if begin else None, "after": after}
                    position["window"] = {**state, "newest": newest, "opened": opened}
            if rows:
                yield Page([records.encode(row) for row in rows], position)
            elif window and last and newest:
                yield Page([], position)

    def _answers(
        self, stream: Stream, asked: list[Any], after: int, ranges: list[int]
    ) -> Iterator[tuple[list[dict[str, Any]], int, bool]]:
        """(rows, the id up to which all have come, is it the last): by `ranges`, several at a time, or one page after another."""
        size = stream.page_size

        def page(*ids: list[Any]) -> list[dict[str, Any]]:
            method, order = f"{stream.options['model']}.search_read", [["id", "ASC"]]
            found: list[dict[str, Any]] = self.rpc(method, [*asked, *ids], 0, size, order, stream.options["fields"])
            return found

        def within(n: int) -> list[dict[str, Any]]:
            return page(["id", ">", ranges[n]], ["id", "<=", ranges[n] + size])

        for begin, rows in zip(ranges, ahead(within, len(ranges), stream.parallel), strict=True):
            yield rows, begin + size, begin == ranges[-1]
        last = bool(ranges)
        while not last:
            rows = page(["id", ">", after])
            after, last = rows[-1]["id"] if rows else after, len(rows) < size
            yield rows, after, last

    def _ranges(self, stream: Stream, asked: list[Any], after: int) -> list[int]:
        """Where ranges of a page's size of ids begin that cover all there is; none where they would be mostly empty."""
        model, left = stream.options["model"], [*asked, ["id", ">", after]]
        newest = self.rpc(f"{model}.search", left, 0, 1, [["id", "DESC"]])
        begins = list(range(after, newest[0], stream.page_size)) if newest else []
        dense = len(begins) > 1 and 2 * self.rpc(f"{model}.search_count", left) > newest[0] - after
        return begins if dense else []

    def _stock(self) -> Iterator[Page]:
        """Quantity on hand and forecast of each product in each warehouse."""
        fields = ["code", "quantity", "forecast_quantity"]
        houses = self.rpc("stock.location.search_read", [["type", "=", "warehouse"]], 0, None, None, ["code", "name"])
        for house in houses:
            after, size = 0, self.stream("stock").page_size
            while True:
                found = self.rpc(
                    "product.product.search_read",
                    [["id", ">", after], ["type", "=", "goods"]],
                    0,
                    size,
                    [["id", "ASC"]],
                    fields,
                    locations=[house["id"]],
                    with_childs=True,
                )
                rows = [{"key": f"{house['id']}/{row['id']}", "warehouse": house, **plain(row)} for row in found]
                if rows:
                    yield Page([records.encode(row) for row in rows])
                    after = rows[-1]["id"]
                if len(rows) < size:
                    break

    def find(self, stream: str, key: str) -> list[Outcome]:
        """A sale counts when it is past the quotation: before, the rest of its creation is still to be done."""
        model = self.stream(stream).options["model"]
        domain: list[Any] = [["reference", "=", key], ["state", "not in", ["draft", "quotation"]]]
        if stream in ("sales", "credits"):
            domain.append(["origin", "=" if stream == "sales" else "!=", None])
        if stream == "parties":
            domain = [["identifiers.code", "=", f"{self.prefix}{key}"], ["active", "in", [True, False]]]
        elif stream in ("products", "stock"):
            domain = [["code", "=", key]]
        elif stream == "invoices":
            domain = [["number", "=", key]]
        found = self.rpc(f"{model}.search_read", domain, 0, 10, [["id", "ASC"]], ["_timestamp", "rec_name"])
        return [Outcome("applied", str(row["id"]), version=row["_timestamp"]) for row in found]

    @property
    def prefix(self) -> str:
        return str(self.connection.extra.get("identifier_prefix", "crossdock-"))

    # Writing

    def push(self, stream: str, changes: Sequence[Change]) -> list[Outcome]:
        """One change at a time; parties carry our key as an identifier, sales as their reference."""
        return [self._push(stream, change) for change in changes]

    def _push(self, stream: str, change: Change) -> Outcome:
        from hub.http import outcome_of

        if change.operation not in self.stream(stream).writes:
            return Outcome("unsupported", message=f"Tryton cannot {change.operation} {stream}")
        try:
            if stream == "parties":
                return self._party(change)
            sales = Sales(self)
            if stream == "credits":
                return sales.credit(change)
            return {"create": sales.create, "change": sales.change, "cancel": sales.cancel}[change.operation](change)
        except RecordError as error:
            return Outcome("rejected", message=error.what)
        except CrossdockError as error:
            return outcome_of(error)

    def _party(self, change: Change) -> Outcome:
        """Payload: name, email, phone, tax_identifier, addresses [{name, street, postal_code, city, country}].

        What is missing in it stays as it is; an address or an e-mail that Tryton does not have yet is added, none removed.
        """
        known = change.id
        if known is None and (found := self.find("parties", change.key)):
            if len(found) > 1:
                raise RecordError("C402", f"{len(found)} parties carry the identifier {self.prefix}{change.key}")
            known = found[0].id
        if known is None:
            values = {"name": change.payload["name"], **self._parts(change.payload, None)}
            values["identifiers"] = [["create", [self._own(change.key), *self._tax(change.payload, None)]]]
            (made,) = self.rpc("party.party.create", [values], writes=True)
            return Outcome("applied", str(made))
        return self._change_party(int(known), change)

    def _change_party(self, id: int, change: Change) -> Outcome:
        have = self.read("parties", id)
        version = change.version or have["_timestamp"]
        values = self._parts(change.payload, have)
        if change.payload.get("name") and change.payload["name"] != have["name"]:
            values["name"] = change.payload["name"]
        identifiers = self._tax(change.payload, have)
        if f"{self.prefix}{change.key}" not in [found["code"] for found in have["identifiers"]]:
            identifiers.append(self._own(change.key))
        if identifiers:
            values["identifiers"] = [["create", identifiers]]
        if values:
            lock = {f"party.party,{id}": version}
            self.rpc("party.party.write", [id], values, writes=True, _timestamp=lock)
        return Outcome("applied", str(id))

    def _own(self, key: str) -> dict[str, Any]:
        return {"type": None, "code": f"{self.prefix}{key}"}

    def _tax(self, payload: dict[str, Any], have: dict[str, Any] | None) -> list[dict[str, Any]]:
        code = payload.get("tax_identifier")
        if not code or (have and code in [found["code"] for found in have["identifiers"]]):
            return []
        return [{"type": "eu_vat" if code[:2].isalpha() else None, "code": code}]

    def _parts(self, payload: dict[str, Any], have: dict[str, Any] | None) -> dict[str, Any]:
        """Contact mechanisms and addresses that Tryton does not have yet."""
        reached = {found["value"].lower() for found in have["contact_mechanisms"]} if have else set()
        contacts = [
            {"type": kind, "value": payload[kind]}
            for kind in ("email", "phone")
            if payload.get(kind) and payload[kind].lower() not in reached
        ]
        stand = [
            self.address_key(found, (found.get("country") or {}).get("code"))
            for found in (have or {}).get("addresses", ())
        ]
        missing = [a for a in payload.get("addresses") or () if self.address_key(a, a.get("country")) not in stand]
        parts: dict[str, Any] = {}
        if contacts:
            parts["contact_mechanisms"] = [["create", contacts]]
        if missing or have is None:
            # Tryton gives a new party an empty address of its own accord unless it is told which.
            parts["addresses"] = [["create", [self.address(a) for a in missing]]]
        return parts

    @staticmethod
    def address_key(address: dict[str, Any], country: str | None) -> tuple[str, ...]:
        parts = (address.get("street"), address.get("postal_code"), address.get("city"), country)
        return tuple(str(part or "").strip().casefold() for part in parts)

    def address(self, given: dict[str, Any]) -> dict[str, Any]:
        """An address as Tryton takes it. Raises RecordError where it does not know the country."""
        values = {name: given.get(name) or None for name in ("street", "postal_code", "city")}
        return {**values, "party_name": given.get("name") or None, "country": self.country(given.get("country"))}

    def country(self, code: str | None) -> int | None:
        return self._coded("country.country", "country", code) if code else None

    def currency(self, code: str) -> int:
        return self._coded("currency.currency", "currency", code)

    def _coded(self, model: str, what: str, code: str) -> int:
        """The id of what has this code. Raises RecordError where Tryton does not know it."""
        if (model, code) not in self._ids:
            found = self.rpc(f"{model}.search", [["code", "=", code]], 0, 1, None)
            if not found:
                raise RecordError("C402", f"Tryton does not know the {what} {code}")
            self._ids[model, code] = int(found[0])
        return self._ids[model, code]

    @cached_property
    def _ids(self) -> dict[tuple[str, str], int]:
        return {}

    @cached_property
    def modules(self) -> set[str]:
        """The activated modules."""
        found = self.rpc("ir.module.search_read", [["state", "=", "activated"]], 0, None, None, ["name"])
        return {row["name"] for row in found}

    def read(self, stream: str, id: int) -> dict[str, Any]:
        """A record with the fields of its stream, values as plain text. Raises RecordError where it is not there."""
        options = self.stream(stream).options
        (row,) = self.rpc(f"{options['model']}.read", [id], options["fields"])
        found: dict[str, Any] = plain(row)
        return found


def plain(value: Any) -> Any:
    """Tryton's value without its wrappers: money, dates and instants as text, `party.` as `party`."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("__class__")
    if kind is None:
        return {name.removesuffix("."): plain(item) for name, item in value.items()}
    if kind == "Decimal":
        return value["decimal"]
    if kind == "date":
        return f"{value['year']:04}-{value['month']:02}-{value['day']:02}"
    if kind == "datetime":
        day = f"{value['year']:04}-{value['month']:02}-{value['day']:02}"
        return f"{day}T{value['hour']:02}:{value['minute']:02}:{value['second']:02}.{value['microsecond']:06}Z"
    if kind == "timedelta":
        return value["seconds"]
    if kind == "bytes":
        return value["base64"]
    raise StreamError("D108", f"Tryton sent a value of an unknown kind, {kind}", fix="a newer Tryton than was tried")


def wire(value: date | datetime | Decimal) -> dict[str, Any]:
    """A value as Tryton wants it. Instants are UTC."""
    if isinstance(value, Decimal):
        return {"__class__": "Decimal", "decimal": str(value)}
    day = {"year": value.year, "month": value.month, "day": value.day}
    if not isinstance(value, datetime):
        return {"__class__": "date", **day}
    moment = value.astimezone(UTC)
    clock = {"hour": moment.hour, "minute": moment.minute, "second": moment.second, "microsecond": moment.microsecond}
    return {"__class__": "datetime", "year": moment.year, "month": moment.month, "day": moment.day, **clock}


def day(text: str) -> dict[str, Any]:
    """`2026-11-22` as Tryton wants a date."""
    return wire(date.fromisoformat(text[:10]))


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _touched(row: dict[str, Any], paths: Sequence[str]) -> str:
    """The latest moment at which the record or one of its parts was written."""
    held = [(row if "." not in path else row.get(path.split(".")[0]), path.split(".")[-1]) for path in paths]
    parts = [(part, name) for found, name in held for part in (found if isinstance(found, list) else [found])]
    return max(str((part or {}).get(name) or "") for part, name in parts)
