"""The sandbox's shopping cart: REST and JSON, cursor pages in the Link header, 429 with Retry-After."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from hub.connector import Change, Outcome, Stream
from hub.errors import CrossdockError
from hub.rest import Rest, segment

if TYPE_CHECKING:
    import requests


# What the amounts of an order are; all of them are in the order's currency, and line prices are without tax.
_NET, _GROSS, _TAX = (f"money {basis} in currency" for basis in ("net", "gross", "tax"))
_ORDER = {
    **dict.fromkeys(["subtotal", "total_discounts", "total_shipping", "discount_codes.amount"], _NET),
    **dict.fromkeys(["line_items.price", "line_items.discount", "line_items.total", "shipping_lines.price"], _NET),
    **dict.fromkeys(["total_tax", "line_items.tax_amount", "shipping_lines.tax_amount", "tax_lines.price"], _TAX),
    **dict.fromkeys(["total_price", "total_refunded", "refunds.amount"], _GROSS),
    "tax_lines.taxable_amount": _NET,
    "payments.amount": "money gross in payments.currency",
    "payments.fee": "money in payments.currency",
    "customer.id": "id customer",
    "created_at": "instant",
    "cancelled_at": "instant",
}
_PAYOUT = {
    **dict.fromkeys(["amount", "fee_total"], "money in currency"),
    "gross_total": "money gross in currency",
    "transactions.amount": "money gross in transactions.currency",
    **dict.fromkeys(["transactions.fee", "transactions.net"], "money in transactions.currency"),
    **dict.fromkeys(["created_at", "arrives_at", "transactions.processed_at"], "instant"),
}


def _list(name: str, key: str = "", **more: Any) -> Stream:
    """`key` is the parameter by which our own key finds a record."""
    return Stream(
        name,
        primary_key="id",
        cursor="keyset",
        cursor_fields=("updated_at", "id"),
        overlap=300,
        version_field="updated_at",
        version_trusted=True,
        page_size=250,
        options={
            "path": name,
            "records": name,
            "since": "updated_at_min",
            "limit": "limit",
            "paginator": {"kind": "link"},
            "params": {"status": "any"} if name == "orders" else {},  # else cancelled orders are left out
            "key": key,
        },
        **more,
    )


class SandboxCart(Rest):
    name = "sandbox_cart"
    parallel = 3
    words = ("key",)
    streams = (
        _list("customers", "email"),
        _list("products", "sku", writes=("change",), idempotency="key"),
        _list("orders", "number", writes=("fulfil", "change"), idempotency="key", types=_ORDER),
        _list("payouts", types=_PAYOUT),
    )

    def push(self, stream: str, changes: Sequence[Change]) -> list[Outcome]:
        """PUT by the cart's own id, looked up by number or SKU where it is not known: a repeat changes nothing."""
        if not self.stream(stream).writes:
            return super().push(stream, changes)
        return [self._put(stream, change) for change in changes]

    def _put(self, stream: str, change: Change) -> Outcome:
        from hub.http import outcome_of, request_id

        if change.operation not in self.stream(stream).writes:
            return Outcome("unsupported", message=f"the cart cannot {change.operation} {stream}")
        try:
            id = change.id or next((found.id for found in self.find(stream, change.key)), None)
            if id is None:
                return Outcome("rejected", message=f"the cart has no such record in {stream}")
            payload = dict(change.payload)
            if "stock" in payload:
                payload["stock"] = whole(payload["stock"])
            response = self.write("PUT", f"{stream}/{segment(id)}", payload)
            if refused := self.said(response):  # also with status 200
                return Outcome("rejected", message=refused, request_id=request_id(response))
            record = self.answered(response, "id", "updated_at")
            return Outcome("applied", str(record["id"]), request_id=request_id(response), version=record["updated_at"])
        except CrossdockError as error:
            return outcome_of(error)
        except (InvalidOperation, ValueError):
            return Outcome("rejected", message="stock is not a whole number")

    def find(self, stream: str, key: str) -> list[Outcome]:
        found = self.search(stream, **{self.stream(stream).options["key"]: key})
        return [Outcome("applied", str(one["id"]), version=one["updated_at"]) for one in found]

    def said(self, response: requests.Response) -> str:
        """`{"errors": "text"}` or `{"errors": {"field": ["text"]}}`."""
        try:
            errors = response.json().get("errors")
        except (ValueError, AttributeError):
            return ""
        if isinstance(errors, dict):
            return "; ".join(f"{field}: {', '.join(map(str, texts))}" for field, texts in errors.items())
        return str(errors or "")


def whole(value: Any) -> int:
    """Stock as the cart wants it: `12` of `"12.000000"`; ValueError where something would be cut off."""
    number = Decimal(str(value))
    if number != number.to_integral_value():
        raise ValueError("not whole")
    return int(number)
