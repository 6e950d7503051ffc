"""Vendure (3.x, tried with 3.7): a shop. Customers, variants, stock and orders by the admin API, which is GraphQL.

The url is that of the server; `/admin-api` is added. What is peculiar to it, and seen on the real server:

* Always HTTP 200. A refusal is a member of a union with an `errorCode`; a failure stands in `errors`.
* The login's answer carries the session in the header `vendure-auth-token`.
* Money is an integer of hundredths. Prices are net unless the name says `WithTax`.
* There is no `id >`: pages go on by (updatedAt, id) with the ids that were seen at the last instant left out.
* `updatedAt` has whole seconds, and does not move when an order is fulfilled, delivered, refunded or gets a note, nor when a
  customer's address or what is left of a variant. So each pull of `orders` also reads again all that are still open or younger than `watch_days`,
  and gives on those whose content is another than last time; the cursor holds a digest for each. Everything is read
  again from the beginning every `full_days`.
* A cancelled order has quantities and totals of 0; what was ordered stands in `orderPlacedQuantity`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
import requests

from hub import cursor, records
from hub.connector import Change, Outcome, Page, Stream
from hub.errors import AuthenticationError, CrossdockError, UnavailableError
from hub.findings import Finding
from hub.graphql import GraphQL, refused

_ADDRESS = "fullName company streetLine1 streetLine2 city province postalCode phoneNumber"
_CUSTOMER = f"""id createdAt updatedAt title firstName lastName emailAddress phoneNumber user {{ id verified }}
    groups {{ id name }} addresses {{ id {_ADDRESS} country {{ code }} defaultShippingAddress defaultBillingAddress }}"""
_VARIANT = """id createdAt updatedAt sku name enabled price priceWithTax currencyCode trackInventory
    product { id name enabled } stockLevels { id stockOnHand stockAllocated stockLocation { id name } }"""
_ORDER = f"""id code state type active createdAt updatedAt orderPlacedAt currencyCode couponCodes
    customer {{ id firstName lastName emailAddress }}
    shippingAddress {{ {_ADDRESS} countryCode }} billingAddress {{ {_ADDRESS} countryCode }}
    lines {{ id quantity orderPlacedQuantity unitPrice unitPriceWithTax linePrice proratedLinePrice
        proratedLinePriceWithTax taxRate productVariant {{ id sku name }} }}
    surcharges {{ id description sku price priceWithTax taxRate }}
    shippingLines {{ id price priceWithTax discountedPrice discountedPriceWithTax shippingMethod {{ code name }} }}
    taxSummary {{ description taxRate taxBase taxTotal }}
    subTotal subTotalWithTax shipping shippingWithTax total totalWithTax
    payments {{ id createdAt method amount state transactionId
        refunds {{ id createdAt total state reason method transactionId }} }}
    fulfillments {{ id createdAt state method trackingCode lines {{ orderLineId quantity }} }}
    notes: history(options: {{filter: {{type: {{eq: "ORDER_NOTE"}}}}, sort: {{createdAt: ASC}}, take: 100}}) {{
        items {{ id createdAt isPublic data }} }}"""
_NET, _GROSS = "money net in currencyCode", "money gross in currencyCode"
# Amounts are in minor units of the order's currency; what ends in WithTax is gross.
_ORDER_TYPES = {
    **dict.fromkeys(["subTotal", "shipping", "total", "surcharges.price", "taxSummary.taxBase"], _NET),
    **dict.fromkeys(["lines.unitPrice", "lines.linePrice", "lines.proratedLinePrice"], _NET),
    **dict.fromkeys(["shippingLines.price", "shippingLines.discountedPrice"], _NET),
    **dict.fromkeys(["subTotalWithTax", "shippingWithTax", "totalWithTax", "surcharges.priceWithTax"], _GROSS),
    **dict.fromkeys(["lines.unitPriceWithTax", "lines.proratedLinePriceWithTax"], _GROSS),
    **dict.fromkeys(["shippingLines.priceWithTax", "shippingLines.discountedPriceWithTax"], _GROSS),
    **dict.fromkeys(["payments.amount", "payments.refunds.total"], _GROSS),
    "taxSummary.taxTotal": "money tax in currencyCode",
    "customer.id": "id customer",
    "lines.productVariant.id": "id product",
    "orderPlacedAt": "instant",
}
_CLOSED = ("Delivered", "Cancelled")
_LOGIN = """mutation($name: String!, $password: String!) { login(username: $name, password: $password) {
    __typename ... on ErrorResult { errorCode message } } }"""
_NOTE = (
    """mutation($id: ID!, $note: String!) { addNoteToOrder(input: {id: $id, note: $note, isPublic: false}) { id } }"""
)
_FULFIL = """mutation($input: FulfillOrderInput!) { addFulfillmentToOrder(input: $input) {
    __typename ... on Fulfillment { id state } ... on ErrorResult { errorCode message } } }"""
_MOVE = """mutation($id: ID!, $state: String!) { transitionFulfillmentToState(id: $id, state: $state) {
    __typename ... on Fulfillment { id state }
    ... on FulfillmentStateTransitionError { errorCode message transitionError } } }"""
_SET_STOCK = (
    """mutation($input: [UpdateProductVariantInput!]!) { updateProductVariants(input: $input) { id updatedAt } }"""
)


def _list(field: str, options: str, fields: str) -> str:
    return f"query($options: {options}) {{ {field}(options: $options) {{ totalItems items {{ {fields} }} }} }}"


def _stream(name: str, field: str, kind: str, fields: str, key: str, base: dict[str, Any], **more: Any) -> Stream:
    """`key` is the filter by which our own key finds a record, `base` what every list is filtered by."""
    options = {
        "query": _list(field, f"{kind}ListOptions", fields),
        "records": f"{field}.items",
        "key": key,
        "filter": base,
    }
    return Stream(name, primary_key="id", options=options, **more)


_BY_CHANGE: dict[str, Any] = {"cursor": "keyset", "cursor_fields": ("updatedAt", "id"), "overlap": 120}


class _Head(msgspec.Struct):
    """What a pull has to know of a record."""

    id: str
    updatedAt: str  # noqa: N815
    state: str = ""
    orderPlacedAt: str | None = None  # noqa: N815


class Vendure(GraphQL):
    """`extra` knows: `watch_days` (default 30), `full_days` (default 1; 0 is never), `note_prefix` (default "ERP order ")
    and `shipped_state` (default Shipped; Delivered goes through it)."""

    name = "vendure"
    endpoint = "admin-api"
    parallel = 3
    words = ("key", "filter")
    streams = (
        _stream("customers", "customers", "Customer", _CUSTOMER, "emailAddress", {}, **_BY_CHANGE),
        _stream(
            "products",
            "productVariants",
            "ProductVariant",
            _VARIANT,
            "sku",
            {},
            writes=("change",),
            idempotency="key",
            **_BY_CHANGE,
        ),
        _stream(
            "orders",
            "orders",
            "Order",
            _ORDER,
            "code",
            {"active": {"eq": False}, "orderPlacedAt": {"isNull": False}},
            writes=("fulfil", "change"),
            idempotency="read_back",
            conditional_write="read_before_write",
            types=_ORDER_TYPES,
            **_BY_CHANGE,
        ),
    )

    # The session

    def log_in(self, session: Any) -> None:
        """Nothing yet: the first call needs an open session, and so does the first after it has expired."""

    def answer(self, document: str, variables: Any = None, *, writes: bool = False) -> requests.Response:
        if "Authorization" not in self.session.headers:
            self._open()
            return super().answer(document, variables, writes=writes)
        try:
            return super().answer(document, variables, writes=writes)
        except AuthenticationError:
            # An expired session is said with the same words as a missing permission; nothing was done in either case.
            self._open()
            return super().answer(document, variables, writes=writes)

    def _open(self) -> None:
        session = self.session
        session.headers.pop("Authorization", None)
        given = {"name": self.connection.login, "password": self.connection.password.reveal()}
        response = super().answer(_LOGIN, given)
        if said := refused(self.decoded(response)["data"]["login"]):
            raise AuthenticationError(
                "C105",
                f"the login is refused: {said}",
                place=self.connection.system,
                fix="check login and password of the connection",
            )
        token = response.headers.get("vendure-auth-token", "")
        session.keep_secret(token)
        session.headers["Authorization"] = f"Bearer {token}"

    # Reading

    def check(self) -> list[Finding]:
        found = []
        for stream in self.streams:
            try:
                self.page(stream.name, {"options": {"take": 1, "filter": stream.options["filter"]}})
            except CrossdockError as error:
                found.append(Finding.of(error))
                if isinstance(error, (AuthenticationError, UnavailableError)):
                    break  # the other streams would only say the same
        return found

    def pull(self, stream: str, since: Any = None) -> Iterator[Page]:
        from hub.http import placed

        with placed(self.connection.system, stream):
            position = since
            for page in self._sweep(self.stream(stream), since):
                position = page.cursor
                yield page
            if stream == "orders" and position:
                yield from self._watched(stream, position)

    def _sweep(self, stream: Stream, since: Any) -> Iterator[Page]:
        """All that changed, in the order of change. The cursor's `window` says where in it a page ended."""
        since = since or {}
        window = since.get("window") or self._window(stream, since)
        watch = dict(since.get("watch") or {})
        begun, last = "window" in since, False
        while not last:
            found, response = self.page(stream.name, {"options": self._asked(stream, window)})
            heads = [msgspec.json.decode(record, type=_Head) for record in found]
            last = len(found) < stream.page_size
            window["opened"] = window["opened"] or cursor.clock_of(response.headers).isoformat()
            if stream.name == "orders":
                watch |= {head.id: _digest(record) for head, record in zip(heads, found, strict=True)}
            if heads:
                at = heads[-1].updatedAt
                seen = [head.id for head in heads if head.updatedAt == at]
                window |= {"at": at, "seen": [*window["seen"], *seen] if at == window["at"] else seen}
            if heads or begun:
                begun = True
                yield Page(found, _position(since, window, watch, last))

    def _window(self, stream: Stream, since: dict[str, Any]) -> dict[str, Any]:
        """Where a sweep begins. `full` is when everything was last read from the beginning."""
        days = float(self.connection.extra.get("full_days", 1))
        now = datetime.now(UTC)
        full = since.get("full")
        due = not full or (days > 0 and datetime.fromisoformat(full) < now - timedelta(days=days))
        begin = None if due else cursor.start(stream, since).moment
        at = begin.isoformat() if begin else ""
        return {"at": at, "seen": [], "opened": "", "full": now.isoformat() if due else full}

    def _asked(self, stream: Stream, window: dict[str, Any]) -> dict[str, Any]:
        wanted = dict(stream.options["filter"])
        if window["at"]:
            # Nothing says «at or after»; and a database may keep more digits than it shows.
            before = datetime.fromisoformat(window["at"]) - timedelta(milliseconds=1)
            wanted["updatedAt"] = {"after": before.astimezone(UTC).isoformat().replace("+00:00", "Z")}
        if window["seen"]:
            wanted["id"] = {"notIn": window["seen"]}
        return {"take": stream.page_size, "sort": {"updatedAt": "ASC", "id": "ASC"}, "filter": wanted}

    def _watched(self, stream: str, position: dict[str, Any]) -> Iterator[Page]:
        """The orders that were open when they were last read, and are other now. Closed ones leave after `watch_days`."""
        edge = datetime.now(UTC) - timedelta(days=float(self.connection.extra.get("watch_days", 30)))
        watch, size = dict(position["watch"]), self.stream(stream).page_size
        ids = list(watch)
        for start in range(0, len(ids), size):
            batch = ids[start : start + size]
            found, _ = self.page(stream, {"options": {"take": len(batch), "filter": {"id": {"in": batch}}}})
            changed = []
            for record in found:
                head = msgspec.json.decode(record, type=_Head)
                if watch[head.id] != (digest := _digest(record)):
                    changed.append(record)
                    watch[head.id] = digest
                placed = datetime.fromisoformat(head.orderPlacedAt) if head.orderPlacedAt else edge
                if head.state in _CLOSED and placed <= edge:
                    del watch[head.id]
            if changed or watch != position["watch"]:
                position = {**position, "watch": dict(watch)}
                yield Page(changed, position)

    def find(self, stream: str, key: str) -> list[Outcome]:
        wanted = {self.stream(stream).options["key"]: {"eq": key}}
        found, _ = self.page(stream, {"options": {"take": 10, "filter": wanted}})
        heads = [msgspec.json.decode(record, type=_Head) for record in found]
        return [Outcome("applied", head.id, version=head.updatedAt) for head in heads]

    # Writing

    def push(self, stream: str, changes: Sequence[Change]) -> list[Outcome]:
        """Orders: `fulfil` and `change`; products: `change` (stock). What is there already is not written again."""
        return [self._push(stream, change) for change in changes]

    def _push(self, stream: str, change: Change) -> Outcome:
        from hub.http import outcome_of

        if change.operation not in self.stream(stream).writes:
            return Outcome("unsupported", message=f"Vendure cannot {change.operation} {stream}")
        try:
            id = change.id or next((found.id for found in self.find(stream, change.key)), None)
            if id is None:
                return Outcome("rejected", message=f"Vendure has no such record in {stream}")
            return self._stock(id, change.payload) if stream == "products" else self._order(id, change.payload)
        except CrossdockError as error:
            return outcome_of(error)

    def _stock(self, id: str, payload: dict[str, Any]) -> Outcome:
        """Payload: stock, a whole number: what is physically there."""
        try:
            number = Decimal(str(payload["stock"]))
            if number != number.to_integral_value():
                raise ValueError
        except (InvalidOperation, ValueError):
            return Outcome("rejected", message="stock is not a whole number")
        except KeyError:
            return Outcome("rejected", message="the change names no stock")
        given = {"input": [{"id": id, "stockOnHand": int(number)}]}
        (done,) = self.ask(_SET_STOCK, given, writes=True)["updateProductVariants"]
        return Outcome("applied", done["id"], version=done["updatedAt"])

    def _order(self, id: str, payload: dict[str, Any]) -> Outcome:
        """Payload: any of erp_number, note, fulfilment_status (partial | fulfilled), lines [{sku, quantity}] shipped so far,
        carrier, tracking_code. Reads first, and writes what is missing."""
        order = self._read_order(id)
        if order is None:
            return Outcome("rejected", message="Vendure has no such order")
        for text in self._texts(payload):
            if text not in [note["data"].get("note") for note in order["notes"]["items"]]:
                self.ask(_NOTE, {"id": id, "note": text}, writes=True)
        said = self._ship(order, payload)
        return Outcome("rejected", id, said) if said else Outcome("applied", id, version=order["updatedAt"])

    def _read_order(self, id: str) -> dict[str, Any] | None:
        found, _ = self.page("orders", {"options": {"take": 1, "filter": {"id": {"eq": id}}}})
        return records.decode(found[0]) if found else None

    def _texts(self, payload: dict[str, Any]) -> list[str]:
        prefix = self.connection.extra.get("note_prefix", "ERP order ")
        number = payload.get("erp_number")
        return [*([f"{prefix}{number}"] if number else []), *([payload["note"]] if payload.get("note") else [])]

    def _ship(self, order: dict[str, Any], payload: dict[str, Any]) -> str:
        """Fulfil what is shipped and not fulfilled yet. Returns Vendure's words where it refuses."""
        final = self.connection.extra.get("shipped_state", "Shipped")
        for begun in order["fulfillments"] or ():
            if begun["state"] == "Pending" and (said := self._move(begun["id"], final)):
                return said  # an earlier attempt that broke off between its two calls
        lines = _missing(order, payload)
        if not lines:
            return ""
        named = (("method", payload.get("carrier") or "ERP"), ("trackingCode", payload.get("tracking_code") or ""))
        handler = {
            "code": "manual-fulfillment",
            "arguments": [{"name": name, "value": str(value)} for name, value in named],
        }
        done = self.ask(_FULFIL, {"input": {"lines": lines, "handler": handler}}, writes=True)["addFulfillmentToOrder"]
        return refused(done) or self._move(done["id"], final)

    def _move(self, fulfilment: str, final: str) -> str:
        for state in ("Shipped", "Delivered")[: 2 if final == "Delivered" else 1]:
            moved = self.ask(_MOVE, {"id": fulfilment, "state": state}, writes=True)["transitionFulfillmentToState"]
            if said := refused(moved):
                return f"{said} {moved.get('transitionError', '')}".strip()
        return ""


def _position(since: dict[str, Any], window: dict[str, Any], watch: dict[str, str], last: bool) -> dict[str, Any]:
    """The cursor after a page. At the end it is never past the moment at which the sweep was opened: what was committed late
    while it ran is younger than that, less the overlap."""
    before = since.get("at") or ""
    seen = window["seen"][-1:] or [since.get("id")]
    if last:
        newest = min(_instant(window["at"]), _instant(window["opened"])).isoformat() if window["at"] else before
        at = max((text for text in (newest, before) if text), key=_instant, default="")
    else:
        at = before or window["at"]
    position = {"at": at, "id": seen[0], "full": window["full"], "watch": dict(watch)}
    return position if last else {**position, "window": dict(window)}


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _digest(record: bytes) -> str:
    return hashlib.blake2b(record, digest_size=6).hexdigest()


def _missing(order: dict[str, Any], payload: dict[str, Any]) -> list[dict[str, Any]]:
    """The order lines with what is shipped of them and not fulfilled yet."""
    done: dict[str, int] = {}
    for fulfilment in order["fulfillments"] or ():
        for line in fulfilment["lines"] if fulfilment["state"] != "Cancelled" else ():
            done[line["orderLineId"]] = done.get(line["orderLineId"], 0) + line["quantity"]
    shipped = {line["sku"]: int(Decimal(str(line["quantity"]))) for line in payload.get("lines") or ()}
    whole = payload.get("fulfilment_status") == "fulfilled"
    lines = []
    for line in order["lines"]:
        sku, fulfilled = line["productVariant"]["sku"], done.get(line["id"], 0)
        wanted = line["quantity"] if whole else min(line["quantity"], shipped.get(sku, 0))
        if not whole and sku in shipped:
            shipped[sku] -= wanted
        if wanted > fulfilled:
            lines.append({"orderLineId": line["id"], "quantity": wanted - fulfilled})
    return lines
