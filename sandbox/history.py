"""The world's orders: placed in the cart, typed into the ERP by hand, delivered, invoiced, some of them odd."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from sandbox import cart_orders, payouts
from sandbox.cart import FIRST_ID, FIRST_NUMBER
from sandbox.clock import crm_text, erp_text, instant_key, shop_text
from sandbox.crm_records import make_id
from sandbox.erp_books import FIRST_NUMBER as ERP_FIRST
from sandbox.erp_books import make_invoice
from sandbox.goods import Product
from sandbox.people import Person
from sandbox.pricing import ZERO, Line, cents
from sandbox.store import Doc, Row, to_json

CENT = Decimal("0.01")
Rows = dict[tuple[str, str], list[Row]]  # (system, table) → rows


@dataclass
class Plan:
    """What is to become of one order; the oddities set what differs from the usual."""

    placed: datetime
    state: str  # paid, pending, authorized, voided
    in_erp: bool
    delivered: str = ""  # '', partially_delivered, delivered: in the ERP
    fulfilled: str | None = None  # in the cart
    cancelled: bool = False  # in the cart
    cancelled_in_erp: bool = False
    refund: Decimal | None = None  # as a share of the total
    memo: bool = True  # the ERP knows of the refund
    refunded_at: datetime | None = None
    noted: bool = True  # the cart knows the ERP's number
    shipped_free: bool = False


@dataclass
class Counters:
    sales_orders: int = ERP_FIRST["sales_orders"]
    invoices: int = ERP_FIRST["invoices"]
    credit_memos: int = ERP_FIRST["credit_memos"]
    business_partners: int = ERP_FIRST["business_partners"]
    guests: int = 0
    accounts: int = 1
    contacts: int = 1
    orders: int = 1

    def next(self, name: str) -> str:
        n: int = getattr(self, name)
        setattr(self, name, n + 1)
        return f"{n:010d}"


@dataclass
class History:
    """Makes orders in batches. `customers` may be drawn for any order, `partners` are those the ERP knows."""

    rng: Random
    now: datetime
    go_live: datetime
    start: datetime
    count: int
    products: list[Product]
    customers: list[Person]
    partners: list[Person]
    counters: Counters
    guest: Callable[[datetime], tuple[Person, Callable[[datetime], Row]]]
    account_of: dict[int, str]  # a customer's n → the id of its CRM account
    odd: dict[int, str]  # position → name of the oddity
    found: dict[str, Doc] = field(default_factory=dict)  # oddity → where it is
    waiting: list[str] = field(default_factory=list)  # first paid orders after go-live
    moved: list[Doc] = field(default_factory=list)  # on the balance of the provider of card payments

    def __post_init__(self) -> None:
        self.weighed = {product.sku for product in self.products if product.unit == "KGM"}

    def batch(self, first: int, last: int) -> Rows:
        rows: Rows = defaultdict(list)
        for i in range(first, last):
            self._order(i, rows)
        return rows

    def _plan(self, i: int) -> Plan:
        share = (i + self.rng.random() * 0.9) / self.count
        placed = self.start + timedelta(
            seconds=int((self.now - timedelta(minutes=20) - self.start).total_seconds() * share)
        )
        draw, age = self.rng.random(), (self.now - placed) / timedelta(days=1)
        if placed >= self.go_live:
            state = "paid" if draw < 0.85 else "pending" if draw < 0.95 else "authorized"
            return Plan(placed, state, in_erp=False)
        if draw < 0.04:
            return Plan(placed, "pending", in_erp=False)
        if draw < 0.06:
            return Plan(placed, "authorized", in_erp=False)
        if draw < 0.10:
            return Plan(placed, "voided", in_erp=False, cancelled=True)
        plan = Plan(placed, "paid", in_erp=True, noted=self.rng.random() < 0.97)
        if draw < 0.11:
            plan.cancelled = plan.cancelled_in_erp = True
            return plan
        if age > 5:
            plan.delivered, plan.fulfilled = "delivered", "fulfilled"
        elif age > 4 and draw > 0.5:
            plan.delivered, plan.fulfilled = "partially_delivered", "partial"
        elif age > 3.2 and draw > 0.8:
            plan.delivered = "delivered"
        if draw < 0.13 and age > 20:
            plan.refund = Decimal(1) if draw < 0.115 else Decimal("0.25")
        return plan

    def _odd_plan(self, name: str, plan: Plan) -> Plan:
        """A paid order that the ERP knows, changed so that exactly one thing is odd."""
        usual = Plan(plan.placed, "paid", in_erp=True)
        if (self.now - plan.placed) > timedelta(days=5):
            usual.delivered, usual.fulfilled = "delivered", "fulfilled"
        if name in ("never_reached_erp", "negative_quantity", "total_mismatch", "currency_euro", "impossible_date"):
            usual.in_erp, usual.delivered, usual.fulfilled = False, "", None
        elif name == "cancelled_after_erp":
            usual.delivered, usual.fulfilled, usual.cancelled = "", None, True
        elif name == "refunded":
            usual.refund, usual.memo = Decimal("0.5"), False
            usual.refunded_at = self.now - timedelta(hours=40)
        elif name == "delivered_not_fulfilled":
            usual.delivered, usual.fulfilled = "delivered", None
        elif name == "erp_number_missing":
            usual.noted = False
        elif name == "shipping":
            usual.shipped_free = True
        return usual

    def _order(self, i: int, rows: Rows) -> None:
        name = self.odd.get(i, "")
        plan = self._plan(i)
        if name:
            plan = self._odd_plan(name, plan)
        person, is_guest, partner_row = self._buyer(plan, name)
        doc = self._cart_doc(i, plan, person, is_guest, name)
        changed, cancelled = plan.placed, plan.placed + timedelta(hours=3)
        if plan.in_erp:
            typed = plan.placed + timedelta(seconds=self.rng.randrange(3600, 60_000))
            if partner_row:
                rows["erp", "business_partners"].append(partner_row(typed))
            changed = self._erp_order(doc, plan, person, typed, rows, name)
            cancelled = changed + timedelta(hours=2)
        if plan.cancelled:
            changed = cancelled
            doc |= {"cancelled_at": shop_text(cancelled)}
        doc["updated_at"] = shop_text(changed)
        self.moved += payouts.transactions(doc)
        if name:
            spoil(name, doc)
            self.found[name] = {"system": "cart", "order": doc["number"], "erp_order": doc.get("_erp")}
        elif plan.state == "paid" and plan.placed >= self.go_live and len(self.waiting) < 50:
            self.waiting.append(doc["number"])
        for kind, holds in (("guest", is_guest), ("usd", doc["currency"] == "USD")):
            if holds and plan.in_erp and not plan.cancelled:
                self.found.setdefault(kind, {"system": "cart", "order": doc["number"], "erp_order": doc.get("_erp")})
        doc.pop("_erp", None)
        row = (doc["id"], instant_key(changed), doc["number"], int(plan.cancelled), to_json(doc))
        rows["cart", "orders"].append(row)
        if plan.delivered == "delivered" and not is_guest and person.n in self.account_of:
            self._crm_order(doc, person, plan.placed, rows)

    def _buyer(self, plan: Plan, name: str) -> tuple[Person, bool, Callable[[datetime], Row] | None]:
        """Who buys; for a guest whom the ERP will know, also how the ERP gets to know them."""
        if not name and self.rng.random() < 0.1:
            person, row = self.guest(plan.placed)
            if plan.in_erp:
                person.partner = self.counters.next("business_partners")
            return person, True, row if plan.in_erp else None
        pool = self.partners if plan.in_erp else self.customers
        person = self.rng.choice(pool)
        while name and person.country != "DE":
            person = self.rng.choice(pool)
        return person, False, None

    def _lines(self, currency: str, name: str) -> list[Line]:
        if name == "negative_quantity":
            product = self.products[0]
            return [product.line(3), product.line(-1)]
        lines = []
        for product in self.rng.sample(self.products, self.rng.choice((1, 1, 2, 2, 2, 3, 3, 4, 5))):
            amount = cents(product.price * cart_orders.USD_PER_EUR) if currency == "USD" else product.price
            line = product.line(self.rng.choice((1, 1, 1, 2, 2, 3, 6)), amount)
            if self.rng.random() < 0.05:
                line = Line(line.sku, line.title, line.quantity, amount, cents(amount / 10), line.reduced)
            lines.append(line)
        return lines

    def _cart_doc(self, i: int, plan: Plan, person: Person, is_guest: bool, name: str) -> Doc:
        rng = self.rng
        currency = "USD" if person.country == "US" else "EUR"
        lines = self._lines(currency, name)
        net = sum((line.price * line.quantity - line.discount for line in lines), ZERO)
        codes = [("HERBST10", cents(net / 10))] if rng.random() < 0.12 and name != "shipping" else []
        fee = None if net > 250 and not plan.shipped_free else ("STANDARD", "Standardversand", Decimal("4.90"))
        gateway = rng.choice(
            ("card", "card", "paypal", "transfer") if plan.state == "paid" else ("invoice", "transfer")
        )
        if plan.state == "authorized":
            gateway = "card"
        elif name in SPOILED:
            gateway = "transfer"  # its payment waits with it: by card it would be odd in the payout once more
        doc = cart_orders.order_doc(
            FIRST_ID["orders"] + i,
            str(FIRST_NUMBER + i),
            shop_text(plan.placed),
            lines,
            email=person.email if is_guest or rng.random() < 0.9 else person.email.capitalize(),
            customer=None if is_guest else FIRST_ID["customers"] + person.n,
            name=person.name,
            address=person.address(),
            currency=currency,
            codes=codes,
            shipping=fee,
            gateway=gateway,
            payment={"paid": "captured", "authorized": "authorized"}.get(plan.state, "pending"),
            reference=f"{gateway}-{rng.randrange(10**9, 10**10)}",
            note="Bitte klingeln" if rng.random() < 0.05 else None,
        )
        if plan.state == "voided":
            doc["financial_status"] = "voided"
            doc["payments"][0]["status"] = "failed"
        return doc

    def _erp_order(self, doc: Doc, plan: Plan, person: Person, typed: datetime, rows: Rows, name: str) -> datetime:
        """The order as somebody typed it into the ERP; returns when the cart's order changed last."""
        number = self.counters.next("sales_orders")
        order = erp_order(doc, number, person.partner, erp_text(typed)[0], self.weighed)
        changed, seen = typed, typed + timedelta(minutes=5)
        if name == "rounding":
            shift(order, "tax", CENT)
            order["items"][0]["tax_amount"] = str(Decimal(order["items"][0]["tax_amount"]) - CENT)
        elif name == "shipping":
            shift(order, "shipping", Decimal(order["shipping"]))
        if plan.cancelled_in_erp:
            changed = typed + timedelta(hours=4)
            order["status"] = "cancelled"
        elif plan.delivered:
            changed = typed + timedelta(seconds=self.rng.randrange(20 * 3600, 48 * 3600))
            deliver(order, plan.delivered)
            if plan.delivered == "delivered":
                self._invoice(order, changed, rows)
        order["change_date"], order["change_time"] = stamp = erp_text(changed)
        rows["erp", "sales_orders"].append((number, " ".join(stamp), doc["number"], 0, to_json(order)))
        doc["_erp"] = number
        if plan.noted:
            doc["erp_order_number"] = number
        if plan.fulfilled:
            doc["fulfillment_status"] = plan.fulfilled
            seen = changed + timedelta(minutes=10)
        if plan.refund:
            seen = self._refund(doc, plan, number, changed, rows)
        return seen

    def _invoice(self, order: Doc, at: datetime, rows: Rows) -> None:
        date, time = stamp = erp_text(at + timedelta(minutes=30))
        invoice = make_invoice(self.counters.next("invoices"), order, date, paid=True)
        invoice |= {"change_date": date, "change_time": time}
        rows["erp", "invoices"].append((invoice["number"], " ".join(stamp), order["number"], 0, to_json(invoice)))

    def _refund(self, doc: Doc, plan: Plan, number: str, after: datetime, rows: Rows) -> datetime:
        at = plan.refunded_at or after + timedelta(days=3)
        amount = cents(Decimal(doc["total_price"]) * (plan.refund or 1))
        cart_orders.refund(doc, shop_text(at), {"amount": str(amount), "reason": "Ware beschädigt"})
        if plan.memo:
            date, time = stamp = erp_text(at + timedelta(hours=1))
            reference = str(doc["refunds"][0]["id"])
            memo: Doc = {"number": self.counters.next("credit_memos"), "sales_order": number, "reference": reference}
            memo |= {"currency": doc["currency"], "amount": str(amount), "reason": "Ware beschädigt"}
            memo |= {"change_date": date, "change_time": time}
            rows["erp", "credit_memos"].append((memo["number"], " ".join(stamp), reference, 0, to_json(memo)))
        return at

    def _crm_order(self, doc: Doc, person: Person, placed: datetime, rows: Rows) -> None:
        if placed > self.go_live - timedelta(days=30) or self.rng.random() < 0.5:
            return
        id, at = make_id("orders", self.counters.orders), placed + timedelta(days=5)
        order: Doc = {"Id": id, "OrderNumber": doc["number"], "AccountId": self.account_of[person.n]}
        order |= {"Status": "Completed", "ErpOrderNumber": doc["erp_order_number"]}
        order |= {"TotalAmount": float(doc["total_price"]), "CurrencyIsoCode": doc["currency"]}
        order |= {"EffectiveDate": erp_text(placed)[0], "LastModified": crm_text(at)}
        self.counters.orders += 1
        rows["crm", "orders"].append((id, instant_key(at), doc["number"], 0, to_json(order)))


def erp_order(doc: Doc, number: str, partner: str, day: str, weighed: set[str]) -> Doc:
    """The cart's order as the ERP books it: the same lines, the same cents. `weighed` are the SKUs sold by the KG."""
    items = [
        {
            "item": f"{n * 10:06d}",
            "material": line["sku"],
            "quantity": str(line["quantity"]),
            "unit": "KG" if line["sku"] in weighed else "ST",
            "net_price": line["price"],
            "discount": line["discount"],
            "net_amount": line["total"],
            "tax_amount": line["tax_amount"],
            "delivered": "0",
        }
        for n, line in enumerate(doc["line_items"], 1)
    ]
    return {
        "number": number,
        "purchase_order": doc["number"],
        "sold_to": partner,
        "order_date": day,
        "order_type": "OR",
        "currency": doc["currency"],
        "status": "open",
        "net_total": doc["subtotal"],
        "discount": doc["total_discounts"],
        "shipping": doc["total_shipping"],
        "tax": doc["total_tax"],
        "total": doc["total_price"],
        "items": items,
        "change_date": "",
        "change_time": "",
    }


def deliver(order: Doc, status: str) -> None:
    order["status"] = status
    items = order["items"] if status == "delivered" else order["items"][:1]
    for item in items:
        item["delivered"] = item["quantity"]
    if status == "partially_delivered" and len(order["items"]) == 1:
        order["items"][0]["delivered"] = "1"
        if order["items"][0]["quantity"] == "1":
            order["status"], order["items"][0]["delivered"] = "open", "0"


def shift(order: Doc, part: str, amount: Decimal) -> None:
    """Take `amount` off one part of the total and off the total."""
    for name in (part, "total"):
        order[name] = str(Decimal(order[name]) - amount)


SPOILED = ("negative_quantity", "total_mismatch", "currency_euro", "impossible_date")


def spoil(name: str, doc: Doc) -> None:
    """The rows that must be quarantined, each wrong in one way (the negative quantity is in the lines)."""
    if name == "total_mismatch":
        doc["total_price"] = str(Decimal(doc["total_price"]) + 10)
    elif name == "currency_euro":
        doc["currency"] = "EURO"
    elif name == "impossible_date":
        doc["created_at"] = "2026-11-31T09:15:00+01:00"
