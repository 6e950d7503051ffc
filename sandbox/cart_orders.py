"""The cart's orders: how one is placed, edited, paid, refunded, cancelled. Records are the JSON documents themselves.

Every function returns a new or changed document, or raises Invalid with the field and the reason; amounts are strings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from sandbox import payouts
from sandbox.pricing import ZERO, Line, cents, price

Doc = dict[str, Any]
FindProduct = Callable[[str], Doc | None]
GATEWAYS = ("card", "paypal", "invoice", "transfer")
SHIPPING = ("STANDARD", "Standardversand", "4.90")
USD_PER_EUR = Decimal("1.08")


class Invalid(Exception):
    """The request asks for what the shop does not do; `field` and the message go into the answer."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def money(field: str, value: object) -> Decimal:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        raise Invalid(field, "is not a number") from None
    if not amount.is_finite() or amount != cents(amount) or amount < 0:
        raise Invalid(field, "must be an amount of at least 0 with at most two decimals")
    return cents(amount)


def order_doc(
    id: int,
    number: str,
    created: str,
    lines: Sequence[Line],
    *,
    email: str | None,
    customer: int | None,
    name: str,
    address: Doc,
    currency: str = "EUR",
    codes: Sequence[tuple[str, Decimal]] = (),
    shipping: tuple[str, str, Decimal] | None = None,
    gateway: str = "card",
    payment: str = "captured",
    reference: str = "",
    note: str | None = None,
) -> Doc:
    """A whole order as of its creation. `payment` is the status of its one payment: captured, authorized or pending."""
    doc: Doc = {"id": id, "number": number, "email": email, "created_at": created, "updated_at": created}
    doc |= {"cancelled_at": None, "currency": currency, "customer": {"id": customer} if customer else None}
    doc |= {"customer_name": name, "financial_status": "paid" if payment == "captured" else payment}
    doc |= {"fulfillment_status": None, "taxes_included": False, "total_refunded": "0.00"}
    doc["discount_codes"] = [{"code": code, "amount": str(amount)} for code, amount in codes]
    doc["shipping_lines"] = []
    if shipping:
        code, title, amount = shipping
        doc["shipping_lines"] = [{"id": id * 10 + 1, "code": code, "title": title, "price": str(amount)}]
    doc |= {"payments": [], "refunds": [], "shipping_address": address, "note": note, "erp_order_number": None}
    reprice(doc, [(id * 100 + position, line) for position, line in enumerate(lines, 1)])
    paid = {"id": id * 10 + 2, "gateway": gateway, "amount": doc["total_price"], "currency": currency}
    doc["payments"] = [with_fee({**paid, "status": payment, "reference": reference, "processed_at": created})]
    return doc


def with_fee(payment: Doc) -> Doc:
    """With what the provider will keep of it: agreed for cards only, the other means settle elsewhere."""
    by_card = payment["gateway"] == "card" and payment["status"] == "captured"
    return {**payment, "fee": str(payouts.fee(Decimal(payment["amount"]))) if by_card else None}


def reprice(doc: Doc, lines: Sequence[tuple[int, Line]]) -> None:
    """Set lines, taxes and totals from (line id, line), the order's discount codes, shipping and country."""
    discount = sum((Decimal(code["amount"]) for code in doc["discount_codes"]), ZERO)
    shipping = sum((Decimal(line["price"]) for line in doc["shipping_lines"]), ZERO)
    priced = price([line for _, line in lines], discount, shipping, doc["shipping_address"].get("country_code") or "")
    if discount > priced.subtotal:
        raise Invalid("discount_codes", "exceed the subtotal")
    doc["line_items"] = [
        {
            "id": id,
            "sku": line.sku,
            "title": line.title,
            "quantity": line.quantity,
            "price": str(line.price),
            "discount": str(line.discount),
            "total": str(total),
            "tax_amount": str(tax),
        }
        for (id, line), total, tax in zip(lines, priced.totals, priced.taxes, strict=True)
    ]
    for line in doc["shipping_lines"]:
        line["tax_amount"] = str(priced.shipping_tax)
    doc["tax_lines"] = [
        {
            "title": f"USt {(Decimal(rate) * 100).normalize():f} %",
            "rate": rate,
            "price": str(tax),
            "taxable_amount": str(base),
        }
        for rate, tax, base in priced.tax_lines
    ]
    doc |= {"subtotal": str(priced.subtotal), "total_discounts": str(discount), "total_shipping": str(shipping)}
    doc |= {"total_tax": str(priced.tax), "total_price": str(priced.total)}


def place(id: int, number: str, now: str, wanted: Doc, customer: Doc | None, find_product: FindProduct) -> Doc:
    """POST /orders: prices come from the products, never from the client."""
    currency = wanted.get("currency") or "EUR"
    if currency not in ("EUR", "USD"):
        raise Invalid("currency", "is neither EUR nor USD")
    email = wanted.get("email") or (customer or {}).get("email")
    if not email:
        raise Invalid("email", "can't be blank")
    address = wanted.get("shipping_address") or (customer or {}).get("default_address") or {}
    if not address.get("country_code"):
        raise Invalid("shipping_address", "country_code can't be blank")
    gateway = wanted.get("gateway") or "card"
    if gateway not in GATEWAYS:
        raise Invalid("gateway", f"is none of {', '.join(GATEWAYS)}")
    name = wanted.get("customer_name") or " ".join(filter(None, _names(customer))) or address.get("name") or ""
    return order_doc(
        id,
        number,
        now,
        [_line(item, currency, find_product) for item in _items(wanted)],
        email=email,
        customer=customer["id"] if customer else None,
        name=name,
        address={field: address.get(field, "") for field in ("name", "street", "city", "zip", "country_code")},
        currency=currency,
        codes=[
            (str(code["code"]), money("discount_codes", code["amount"])) for code in wanted.get("discount_codes") or ()
        ],
        shipping=_shipping(wanted),
        gateway=gateway,
        payment="captured" if wanted.get("paid", True) else "pending",
        reference=str(wanted.get("reference") or f"{gateway}-{number}"),
        note=wanted.get("note"),
    )


def _names(customer: Doc | None) -> tuple[str, str]:
    return ((customer or {}).get("first_name") or "", (customer or {}).get("last_name") or "")


def _items(wanted: Doc) -> list[Doc]:
    items = wanted.get("line_items")
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        raise Invalid("line_items", "must have at least one item")
    return items


def _shipping(wanted: Doc) -> tuple[str, str, Decimal] | None:
    given = wanted.get("shipping_lines")
    if given == []:
        return None
    line = given[0] if given else dict(zip(("code", "title", "price"), SHIPPING, strict=True))
    return str(line["code"]), str(line.get("title", line["code"])), money("shipping_lines", line["price"])


def _line(item: Doc, currency: str, find_product: FindProduct) -> Line:
    product = find_product(str(item.get("sku")))
    if product is None:
        raise Invalid("line_items", f"unknown sku {item.get('sku')!r}")
    quantity = item.get("quantity")
    if not isinstance(quantity, int) or isinstance(quantity, bool) or quantity < 1:
        raise Invalid("line_items", "quantity must be a whole number of at least 1")
    amount = Decimal(product["price"])
    if currency == "USD":
        amount = cents(amount * USD_PER_EUR)
    discount = money("line_items", item.get("discount", "0"))
    if discount > amount * quantity:
        raise Invalid("line_items", "discount exceeds the line")
    return Line(product["sku"], product["title"], quantity, amount, discount, product.get("tax_class") == "reduced")


def edit(doc: Doc, wanted: Doc, find_product: FindProduct) -> None:
    """PUT /orders/{id}: note, erp_order_number, fulfillment_status, shipping_address, email, line_items."""
    unknown = set(wanted) - {"id", *EDITABLE}
    if unknown:
        raise Invalid(min(unknown), "cannot be changed")
    status = wanted.get("fulfillment_status", doc["fulfillment_status"])
    if status not in (None, "partial", "fulfilled"):
        raise Invalid("fulfillment_status", "is none of null, partial, fulfilled")
    if status != doc["fulfillment_status"] and doc["cancelled_at"]:
        raise Invalid("fulfillment_status", "order is cancelled")
    if "line_items" in wanted:
        _edit_lines(doc, _items(wanted), find_product)
    doc.update({field: wanted[field] for field in EDITABLE if field in wanted and field != "line_items"})


EDITABLE = ("note", "erp_order_number", "fulfillment_status", "shipping_address", "email", "line_items")


def _edit_lines(doc: Doc, items: list[Doc], find_product: FindProduct) -> None:
    """The items given are the new lines: by `id` or `sku` of a line it keeps its price, another sku is added."""
    if doc["cancelled_at"] or doc["fulfillment_status"]:
        raise Invalid("line_items", "order is cancelled or already fulfilled")
    old = {line["id"]: line for line in doc["line_items"]}
    by_sku = {line["sku"]: line for line in doc["line_items"]}
    next_id = max(old) + 1
    lines: list[tuple[int, Line]] = []
    for item in items:
        kept = old.get(item.get("id", 0)) or by_sku.get(str(item.get("sku")))
        line = _line({"sku": kept["sku"] if kept else "", **item}, doc["currency"], find_product)
        if kept:
            amount, discount = Decimal(kept["price"]), Decimal(str(item.get("discount", kept["discount"])))
            line = Line(kept["sku"], kept["title"], line.quantity, amount, discount, line.reduced)
        lines.append((kept["id"] if kept else next_id, line))
        next_id += 0 if kept else 1
    reprice(doc, lines)
    # The shop captures the new total again: what was paid stays what is owed.
    doc["payments"] = [with_fee({**doc["payments"][0], "amount": doc["total_price"]}), *doc["payments"][1:]]


def cancel(doc: Doc, now: str) -> None:
    """A paid order stays paid until somebody refunds it; a repeated cancel changes nothing."""
    if doc["cancelled_at"]:
        return
    if doc["fulfillment_status"]:
        raise Invalid("fulfillment_status", "order is already fulfilled")
    doc["cancelled_at"] = now
    if doc["financial_status"] in ("pending", "authorized"):
        doc["financial_status"] = "voided"
        doc["payments"] = [{**payment, "status": "failed"} for payment in doc["payments"]]


def pay(doc: Doc, now: str, wanted: Doc) -> None:
    """Capture what is owed; a repeated pay changes nothing."""
    if doc["financial_status"] == "paid":
        return
    if doc["cancelled_at"] or doc["financial_status"] not in ("pending", "authorized"):
        raise Invalid("financial_status", f"order is {doc['financial_status']}")
    payment = {**doc["payments"][0], "status": "captured", "processed_at": now, "amount": doc["total_price"]}
    payment |= {field: wanted[field] for field in ("gateway", "reference") if wanted.get(field)}
    doc["payments"] = [with_fee(payment)]
    doc["financial_status"] = "paid"


def refund(doc: Doc, now: str, wanted: Doc) -> None:
    """Give money back: all that is left without an amount."""
    if doc["financial_status"] not in ("paid", "partially_refunded"):
        raise Invalid("financial_status", f"order is {doc['financial_status']}")
    total, refunded = Decimal(doc["total_price"]), Decimal(doc["total_refunded"])
    amount = money("amount", wanted.get("amount", str(total - refunded)))
    if not amount or amount > total - refunded:
        raise Invalid("amount", f"must be more than 0 and at most {total - refunded}")
    id = doc["id"] * 10 + 3 + len(doc["refunds"])
    made = {"id": id, "amount": str(amount), "reason": str(wanted.get("reason") or ""), "created_at": now}
    doc["refunds"] = [*doc["refunds"], made]
    doc["total_refunded"] = str(refunded + amount)
    doc["financial_status"] = "refunded" if refunded + amount == total else "partially_refunded"
