"""The ERP's books: what may be written, and what the ERP refuses. Knows nothing of SOAP."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sandbox.clock import Clock, erp_text
from sandbox.erp_fields import FIELDS, KEYS, Doc
from sandbox.pricing import ZERO, cents
from sandbox.store import Store, Writing

FIRST_NUMBER = {
    "business_partners": 100_001,
    "sales_orders": 4_500_001,
    "invoices": 90_000_001,
    "credit_memos": 80_000_001,
}
CURRENCIES = ("EUR", "USD")


class ErpError(ValueError):
    """A refusal with its code, as the fault carries it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code} {message}")
        self.code, self.message = code, message


def put(tx: Writing, table: str, doc: Doc, stamp: tuple[str, str]) -> None:
    doc["change_date"], doc["change_time"] = stamp
    id = doc["business_partner"] if table == "credit_status" else doc["number"]
    tx.put(table, id, " ".join(stamp), doc.get(KEYS.get(table, "")) or None, doc)


def blank(type_name: str) -> Doc:
    empty: dict[str, Any] = {"text": "", "money": "0.00", "flag": False}
    return {name: empty.get(kind, []) for name, kind in FIELDS[type_name].items()}


def given(doc: Doc) -> Doc:
    """The fields that a request really carried, without those only the ERP sets."""
    own = ("number", "change_date", "change_time", "status")
    return {name: value for name, value in doc.items() if value is not None and name not in own}


class Books:
    def __init__(self, store: Store, clock: Clock) -> None:
        self.store, self.clock = store, clock

    def stamp(self) -> tuple[str, str]:
        return erp_text(self.clock.now())

    def _next(self, tx: Writing, table: str) -> str:
        last = tx.last_id(table)
        return f"{int(last) + 1 if last else FIRST_NUMBER[table]:010d}"

    def _must(self, tx: Writing, table: str, id: str | None, what: str) -> Doc:
        doc = tx.get(table, id or "")
        if doc is None:
            raise ErpError("ERP-404", f"unknown {what} {id or ''}".strip())
        return doc

    def create_partner(self, wanted: Doc) -> str:
        """A repeat makes a second one: external_id is not unique here."""
        with self.store.writing() as tx:
            doc = blank("BusinessPartner") | {"category": "1"} | given(wanted)
            self._check_partner(doc)
            doc["number"] = self._next(tx, "business_partners")
            put(tx, "business_partners", doc, self.stamp())
        return str(doc["number"])

    def change_partner(self, number: str, wanted: Doc) -> str:
        with self.store.writing() as tx:
            doc = self._must(tx, "business_partners", number, "business partner")
            changed = doc | given(wanted)
            self._check_partner(changed)
            if changed != doc:
                put(tx, "business_partners", changed, self.stamp())
        return number

    def _check_partner(self, doc: Doc) -> None:
        if not doc["name"].strip():
            raise ErpError("ERP-422", "a business partner needs a name")
        if doc["category"] not in ("1", "2"):
            raise ErpError("ERP-422", f"category {doc['category']!r} is neither 1 nor 2")

    def create_order(self, wanted: Doc) -> str:
        """Not idempotent: the same purchase order twice is two orders."""
        with self.store.writing() as tx:
            doc = blank("SalesOrder") | {"order_type": "OR", "order_date": self.stamp()[0], "currency": "EUR"}
            self._fill_order(tx, doc, given(wanted))
            doc["number"], doc["status"] = self._next(tx, "sales_orders"), "open"
            put(tx, "sales_orders", doc, self.stamp())
        return str(doc["number"])

    def change_order(self, number: str, wanted: Doc) -> str:
        """What is given replaces what was there, the items as a whole."""
        with self.store.writing() as tx:
            doc = self._must(tx, "sales_orders", number, "sales order")
            self._must_be_open(doc)
            before = dict(doc)
            self._fill_order(tx, doc, given(wanted))
            if doc != before:
                put(tx, "sales_orders", doc, self.stamp())
        return number

    def cancel_order(self, number: str, reason: str) -> str:
        with self.store.writing() as tx:
            doc = self._must(tx, "sales_orders", number, "sales order")
            if doc["status"] == "cancelled":
                raise ErpError("ERP-410", f"order {number} is already cancelled")
            self._must_be_open(doc)
            put(tx, "sales_orders", doc | {"status": "cancelled"}, self.stamp())
        return number

    def _must_be_open(self, doc: Doc) -> None:
        if doc["status"] == "cancelled":
            raise ErpError("ERP-409", f"order {doc['number']} is cancelled")
        if any(Decimal(item["delivered"]) for item in doc["items"]):
            raise ErpError("ERP-409", f"order {doc['number']} is already shipped")

    def _fill_order(self, tx: Writing, doc: Doc, wanted: Doc) -> None:
        totals: set[str] = {name for name in ("net_total", "discount", "shipping", "tax", "total") if name in wanted}
        doc |= wanted
        if not doc["purchase_order"]:
            raise ErpError("ERP-422", "an order needs a purchase order")
        if doc["currency"] not in CURRENCIES:
            raise ErpError("ERP-422", f"currency {doc['currency']!r} is none of {', '.join(CURRENCIES)}")
        _check_date("order_date", doc["order_date"])
        partner = self._must(tx, "business_partners", doc["sold_to"], "business partner")
        if partner["blocked"]:
            raise ErpError("ERP-423", f"business partner {doc['sold_to']} is blocked")
        if not doc["items"]:
            raise ErpError("ERP-422", "an order needs items")
        doc["items"] = [self._item(tx, n, item) for n, item in enumerate(doc["items"], 1)]
        _total(doc, totals, "items" in wanted)

    def _item(self, tx: Writing, n: int, wanted: Doc) -> Doc:
        material = self._must(tx, "materials", wanted.get("material"), "material")
        name, unit = wanted["material"], material["base_unit"]
        if material["status"] == "X":
            raise ErpError("ERP-422", f"material {name} is discontinued")
        if (wanted.get("unit") or unit) != unit:
            raise ErpError("ERP-422", f"material {name} is sold by {unit}, not by {wanted['unit']}")
        quantity, price = _number(wanted, "quantity"), _number(wanted, "net_price")
        if quantity <= 0:
            raise ErpError("ERP-422", f"quantity {quantity} of material {name} is not positive")
        discount = _number(wanted, "discount")
        amount = cents(quantity * price - discount)
        if wanted.get("net_amount") is not None and _number(wanted, "net_amount") != amount:
            raise ErpError("ERP-422", f"net amount {wanted['net_amount']} of material {name} is not {amount}")
        texts = {
            "item": wanted.get("item") or f"{n * 10:06d}",
            "material": name,
            "quantity": str(quantity),
            "unit": unit,
        }
        money = {"net_price": price, "discount": discount, "net_amount": amount}
        money["tax_amount"] = _number(wanted, "tax_amount")
        return texts | {key: str(cents(value)) for key, value in money.items()} | {"delivered": "0"}

    def create_memo(self, wanted: Doc) -> str:
        """Not idempotent either; together the memos of an order never exceed its total."""
        with self.store.writing() as tx:
            doc = blank("CreditMemo") | given(wanted)
            order = self._must(tx, "sales_orders", doc["sales_order"], "sales order")
            doc["currency"] = doc["currency"] or order["currency"]
            if doc["currency"] != order["currency"]:
                raise ErpError("ERP-422", f"order {order['number']} is in {order['currency']}")
            earlier = map(json.loads, self.store.search("credit_memos", "sales_order", order["number"]))
            left = Decimal(order["total"]) - sum((Decimal(memo["amount"]) for memo in earlier), ZERO)
            amount = _number(doc, "amount")
            if not 0 < amount <= left:
                raise ErpError("ERP-422", f"amount {amount} is not between 0 and what is left of the order, {left}")
            doc["amount"], doc["number"] = str(cents(amount)), self._next(tx, "credit_memos")
            put(tx, "credit_memos", doc, self.stamp())
        return str(doc["number"])

    def deliver(self, number: str, partial: bool = False) -> Doc:
        """Goods leave: all of it, or half of the first item that can be halved."""
        with self.store.writing() as tx:
            doc = self._must(tx, "sales_orders", number, "sales order")
            if doc["status"] in ("cancelled", "delivered"):
                raise ValueError(f"order {number} is {doc['status']}")
            whole = [{**item, "delivered": item["quantity"]} for item in doc["items"]]
            if partial:
                if len(whole) == 1 and Decimal(whole[0]["quantity"]) <= 1:
                    raise ValueError(f"order {number} has one piece only")
                half = max(Decimal(whole[0]["quantity"]) // 2, Decimal(1))
                whole = [{**whole[0], "delivered": str(half)}, *doc["items"][1:]]
            doc |= {"items": whole, "status": "partially_delivered" if partial else "delivered"}
            put(tx, "sales_orders", doc, self.stamp())
        return doc

    def invoice(self, number: str, paid: bool = False) -> Doc:
        """The order's total, due in 14 days; unless paid it counts as exposure of a known credit."""
        with self.store.writing() as tx:
            order = self._must(tx, "sales_orders", number, "sales order")
            if order["status"] == "cancelled":
                raise ValueError(f"order {number} is cancelled")
            doc = make_invoice(self._next(tx, "invoices"), order, self.stamp()[0], paid)
            put(tx, "invoices", doc, self.stamp())
            credit = tx.get("credit_status", order["sold_to"])
            if credit and not paid:
                credit["exposure"] = str(Decimal(credit["exposure"]) + Decimal(order["total"]))
                put(tx, "credit_status", credit, self.stamp())
        return doc

    def set_stock(self, material: str, plant: str, **amounts: str) -> Doc:
        """on_hand, reserved, incoming, safety of one plant."""
        with self.store.writing() as tx:
            doc = self._must(tx, "materials", material, "material")
            stocks = {stock["plant"]: stock for stock in doc["stocks"]}
            if plant not in stocks or set(amounts) - set(FIELDS["Stock"]):
                raise ValueError(f"no such plant or field: {plant} {', '.join(amounts)}")
            stocks[plant] |= {name: str(Decimal(str(value))) for name, value in amounts.items()}
            put(tx, "materials", doc, self.stamp())
        return doc

    def set_credit(self, business_partner: str, **values: Any) -> Doc:
        """credit_limit, exposure, overdue, blocked, payment_terms; makes the record when there is none."""
        with self.store.writing() as tx:
            self._must(tx, "business_partners", business_partner, "business partner")
            doc = tx.get("credit_status", business_partner)
            doc = doc or blank("CreditStatus") | {"business_partner": business_partner, "currency": "EUR"}
            if set(values) - set(FIELDS["CreditStatus"]):
                raise ValueError(f"unknown fields in {', '.join(values)}")
            kinds = FIELDS["CreditStatus"]
            doc |= {n: str(cents(Decimal(str(v)))) if kinds[n] == "money" else v for n, v in values.items()}
            put(tx, "credit_status", doc, self.stamp())
        return doc

    def shown(self) -> dict[str, list[Doc]]:
        """Everything that counts for "nothing lost, nothing twice", in the order it was written."""

        def rows(table: str, *fields: str) -> list[Doc]:
            columns = ", ".join(f"json_extract(doc, '$.{field}')" for field in fields)
            with self.store.reading() as con:
                found = con.execute(f"select {columns} from {table} order by id").fetchall()
            return [dict(zip(fields, row, strict=True)) for row in found]

        return {
            "orders": rows("sales_orders", "number", "purchase_order", "sold_to", "status", "currency", "total"),
            "business_partners": rows("business_partners", "number", "external_id", "name", "email", "blocked"),
            "credit_memos": rows("credit_memos", "number", "sales_order", "reference", "amount"),
            "invoices": rows("invoices", "number", "sales_order", "total", "open_amount"),
        }


def make_invoice(number: str, order: Doc, day: str, paid: bool) -> Doc:
    due = (date.fromisoformat(day) + timedelta(days=14)).isoformat()
    doc = {"number": number, "sales_order": order["number"], "payer": order["sold_to"], "invoice_date": day}
    doc |= {"due_date": due, "currency": order["currency"], "tax": order["tax"], "total": order["total"]}
    return doc | {"open_amount": "0.00" if paid else order["total"], "status": "paid" if paid else "open"}


def _number(doc: Doc, field: str) -> Decimal:
    return Decimal(doc.get(field) or 0)


def _check_date(field: str, text: str) -> None:
    try:
        date.fromisoformat(text)
    except ValueError:
        raise ErpError("ERP-422", f"{field} {text!r} is not a date YYYY-MM-DD") from None


def _total(doc: Doc, told: set[str], items_told: bool) -> None:
    """Totals that were told must be right to the cent; the others follow from the items."""
    net = sum((Decimal(item["net_amount"]) for item in doc["items"]), ZERO)
    if "tax" not in told and (items_told or not Decimal(doc["tax"])):
        doc["tax"] = str(sum((Decimal(item["tax_amount"]) for item in doc["items"]), ZERO))
    total = net - Decimal(doc["discount"]) + Decimal(doc["shipping"]) + Decimal(doc["tax"])
    for name, value in (("net_total", net), ("total", total)):
        if name in told and Decimal(doc[name]) != value:
            raise ErpError("ERP-422", f"{name} {doc[name]} is not the sum of its parts, {value}")
        doc[name] = str(cents(value))
    for name in ("discount", "shipping", "tax"):
        doc[name] = str(cents(Decimal(doc[name])))
