"""The world the sandbox starts with: deterministic from its seed, and full of what real life is full of.

Most orders agree between cart and ERP to the cent. `ODDITIES` names those that do not, and all else that a test or the
demo wants to point at; where each one is (order numbers, customers) stands in DIR/sandbox.json under "oddities".
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from sandbox import cart, crm_records, erp_fields, goods, payouts
from sandbox.clock import SHOP_ZONE, erp_text
from sandbox.drop import make_drop
from sandbox.erp_books import make_invoice
from sandbox.history import Counters, History, Rows, deliver
from sandbox.people import (
    Person,
    account_row,
    cart_row,
    contact_row,
    credit_row,
    days_before,
    erp_row,
    make_person,
)
from sandbox.store import Doc, Row, Store, to_json

BATCH = 5_000


@dataclass(frozen=True)
class World:
    """What a world is made from; the same values make the same bytes."""

    customers: int = 300
    orders: int = 400
    products: int = 60
    seed: int = 7
    now: str = "2026-11-20T12:00:00+00:00"
    days: float = 60
    recent_days: float = 2.5  # orders this young never reached the ERP: they are the push's work

    def __post_init__(self) -> None:
        if self.customers < 30 or self.orders < 100 or self.products < 20:
            raise ValueError("a world needs at least 30 customers, 100 orders and 20 products")
        if self.days < 40 or not 2 <= self.recent_days <= self.days / 2:
            raise ValueError("a world needs at least 40 days, of which between 2 and half are recent")

    @property
    def end(self) -> datetime:
        return datetime.fromisoformat(self.now).astimezone(UTC)

    @property
    def go_live(self) -> datetime:
        """The shop's midnight before the recent days."""
        local = (self.end - timedelta(days=self.recent_days)).astimezone(SHOP_ZONE)
        return local.replace(hour=0, minute=0, second=0)


@dataclass(frozen=True)
class Oddity:
    """`at` is where in the cart's orders it stands, as a share of their number; None for what is no order."""

    what: str
    at: float | None = None


ODDITIES: dict[str, Oddity] = {
    "never_reached_erp": Oddity("an old paid order that nobody typed into the ERP", 0.50),
    "rounding": Oddity("the ERP's total is 0.01 lower: tax rounded another way", 0.55),
    "shipping": Oddity("the ERP's order lacks the shipping charge of 4.90", 0.60),
    "refunded": Oddity("a paid and delivered order, half refunded after go-live; the ERP has no credit memo", 0.85),
    "cancelled_after_erp": Oddity("cancelled in the cart after it reached the ERP, where it is still open", 0.90),
    "delivered_not_fulfilled": Oddity("delivered by the ERP; the cart does not know", 0.93),
    "erp_number_missing": Oddity("in the ERP; the cart does not know the ERP's number", 0.75),
    "impossible_date": Oddity("created_at is the 31st of November", 0.30),
    "currency_euro": Oddity("the currency is EURO", 0.40),
    "negative_quantity": Oddity("a line of -1 pieces; a recent paid order", 0.97),
    "total_mismatch": Oddity("total_price is 10.00 more than its parts; a recent paid order", 0.98),
    "guest": Oddity("a guest checkout: no customer, only e-mail and name"),
    "usd": Oddity("an order in US dollars"),
    "waiting": Oddity("paid orders after go-live that the ERP does not know: the push's work (at most 50 listed)"),
    "unknown_to_cart": Oddity("an ERP order by telephone, delivered, invoiced, unpaid: the cart does not know it"),
    "payout_lacks_payment": Oddity("a card payment that no payout contains"),
    "payout_fee": Oddity("a card payment of which the provider kept 2.9 %, not the agreed 1.5 %"),
    "payout_held": Oddity("a payout that is in transit for more than a week: its payments did not arrive"),
    "customer_in_arrears": Oddity("overdue and blocked in the ERP; OK in the CRM"),
    "customer_spelled_differently": Oddity("Jürgen Müller, spelled in three ways in three systems"),
    "customer_without_name": Oddity("neither e-mail nor name in the cart"),
    "customer_without_address": Oddity("default_address and addresses are [] instead of an object and a list"),
    "customer_unknown_to_erp": Oddity("has an account in the cart only"),
    "account_deleted": Oddity("a CRM account with IsDeleted"),
    "sku_like_a_number": Oddity("the SKU 1E5"),
    "sku_with_leading_zeros": Oddity("the SKU 000420"),
    "product_discontinued": Oddity("archived in the cart, status X in the ERP"),
    "product_unknown_to_erp": Oddity("sold by the cart, no material in the ERP"),
    "price_unreadable": Oddity("a price of 12,5O, with the letter O, in the newest price list"),
}
SPELLED, ARREARS, NAMELESS = 2, 11, 20


def positions(orders: int) -> dict[int, str]:
    return {int(oddity.at * orders): name for name, oddity in ODDITIES.items() if oddity.at is not None}


@dataclass
class Stores:
    cart: Store
    erp: Store
    crm: Store

    def close(self) -> None:
        for store in (self.cart, self.erp, self.crm):
            store.close()


def open_stores(folder: Path) -> Stores:
    folder.mkdir(parents=True, exist_ok=True)
    return Stores(
        Store(folder / "cart.db", cart.TABLES),
        Store(folder / "erp.db", erp_fields.TABLES),
        Store(folder / "crm.db", crm_records.TABLES),
    )


def create(folder: Path, world: World) -> None:
    """Make the world in an empty folder. `world.json` is written last: without it the folder holds nothing of worth."""
    marker = folder / "world.json"
    for name in ("cart.db", "erp.db", "crm.db"):
        for leftover in folder.glob(f"{name}*"):
            leftover.unlink()
    stores = open_stores(folder)
    try:
        oddities = _Maker(world).fill(stores, folder / "drop")
    finally:
        stores.close()
    text = json.dumps({"world": asdict(world), "oddities": oddities}, indent=1, ensure_ascii=False)
    temporary = marker.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(marker)


def read(folder: Path) -> tuple[World, dict[str, Doc]] | None:
    """The world a folder holds and its oddities; None when it holds none."""
    marker = folder / "world.json"
    if not marker.exists():
        return None
    told = json.loads(marker.read_text(encoding="utf-8"))
    return World(**told["world"]), told["oddities"]


class _Maker:
    def __init__(self, world: World) -> None:
        self.world, self.rng, self.counters = world, Random(world.seed), Counters()
        self.end = world.end
        self.start = self.end - timedelta(days=world.days)
        self.oddities: dict[str, Doc] = {}
        self.account_of: dict[int, str] = {}

    def fill(self, stores: Stores, drop: Path) -> dict[str, Doc]:
        rng, world = self.rng, self.world
        products = goods.make_products(world.products, rng)
        people = self._people()
        with stores.cart.loading() as to_cart, stores.erp.loading() as to_erp, stores.crm.loading() as to_crm:
            into = {"cart": to_cart, "erp": to_erp, "crm": to_crm}
            sold, stocked = goods.rows(products, cart.FIRST_ID["products"], self.end, rng)
            to_cart("products", sold)
            to_erp("materials", stocked)
            self._customers(people, into)
            self._phone_order(people[ARREARS], products, into)
            history = self._history(people, products)
            for first in range(0, world.orders, BATCH):
                batch = history.batch(first, min(first + BATCH, world.orders))
                for (system, table), rows in batch.items():
                    into[system](table, rows)
            moved, paid_out, odd = payouts.history(history.moved, self.end)
            to_cart("transactions", moved)
            to_cart("payouts", paid_out)
        make_drop(drop, products, self.end, rng)
        self._name_products(products)
        waiting = {"system": "cart", "orders": history.waiting}
        found = {**self.oddities, **history.found, **odd, "waiting": waiting}
        return {name: found[name] for name in ODDITIES if name in found}

    def _people(self) -> list[Person]:
        people = []
        for n in range(self.world.customers):
            person = make_person(n, self.rng, days_before(self.start, self.rng, 1, 700))
            if self.rng.random() < 0.8 or n in (SPELLED, ARREARS):
                person.partner = self.counters.next("business_partners")
            people.append(person)
        usual = people[SPELLED]
        usual.first, usual.last, usual.company, usual.country = "Jürgen", "Müller", None, "DE"
        usual.email, usual.tax_id, usual.group, usual.phone = "juergen.mueller@example.com", None, "vip", "+49301234567"
        arrears = people[ARREARS]
        arrears.company, arrears.group, arrears.country = "Feinkost Säumig GmbH", "business", "DE"
        arrears.tax_id, arrears.email = "DE811907980", "einkauf@example.org"
        nameless = people[NAMELESS]
        nameless.first = nameless.last = nameless.email = nameless.partner = ""
        nameless.company = nameless.tax_id = None
        return people

    def _customers(self, people: list[Person], into: dict[str, Any]) -> None:
        for first in range(0, len(people), BATCH):
            rows: Rows = defaultdict(list)
            for person in people[first : first + BATCH]:
                self._customer(person, rows)
            for (system, table), made in rows.items():
                into[system](table, made)
        self._found("customer_spelled_differently", people[SPELLED])
        self._found("customer_in_arrears", people[ARREARS])
        self._found("customer_without_name", people[NAMELESS])

    def _customer(self, person: Person, rows: Rows) -> None:
        """The customer in the cart, and where the ERP and the CRM know it, there."""
        rng = self.rng
        empty = person.n % 17 == 5
        changed = days_before(self.end, rng, 3, self.world.days)
        id = cart.FIRST_ID["customers"] + person.n
        rows["cart", "customers"].append(_nameless(cart_row(person, id, changed, empty)))
        if person.partner:
            rows["erp", "business_partners"].append(self._partner_row(person))
            if person.group != "retail" or rng.random() < 0.3:
                rows["erp", "credit_status"].append(self._credit_row(person))
        if person.n in (SPELLED, ARREARS) or (person.n != NAMELESS and rng.random() < 0.6):
            self._account(person, rows)
        if empty:
            self._found("customer_without_address", person)
        if not person.partner and person.n != NAMELESS:
            self._found("customer_unknown_to_erp", person)

    def _partner_row(self, person: Person) -> Row:
        number, changed, key, hidden, doc = erp_row(
            person, days_before(self.end, self.rng, 3, self.world.days), self.rng
        )
        if person.n == SPELLED:
            doc = to_json(json.loads(doc) | {"name": "MUELLER, Juergen", "email": "Juergen.Mueller@EXAMPLE.COM "})
        elif person.n == ARREARS:
            doc = to_json(json.loads(doc) | {"blocked": True})
        return number, changed, key, hidden, doc

    def _credit_row(self, person: Person) -> Row:
        number, changed, key, hidden, doc = credit_row(person, days_before(self.end, self.rng, 1, 30), self.rng)
        if person.n == ARREARS:
            owed = {"exposure": PHONE_TOTAL, "overdue": PHONE_TOTAL, "blocked": True}
            doc = to_json(json.loads(doc) | owed)
        return number, changed, key, hidden, doc

    def _account(self, person: Person, rows: Rows) -> None:
        rng, n = self.rng, self.counters.accounts
        self.counters.accounts += 1
        changed = days_before(self.end, rng, 3, self.world.days)
        account = crm_records.make_id("accounts", n)
        deleted = n % 61 == 7 and person.n not in (SPELLED, ARREARS)
        id, key, external, hidden, doc = account_row(person, account, changed, rng, deleted)
        if person.n == SPELLED:
            doc = to_json(json.loads(doc) | {"Name": "Juergen Müller", "Email": "JUERGEN.MUELLER@example.com"})
        rows["crm", "accounts"].append((id, key, external, hidden, doc))
        if deleted:
            self.oddities.setdefault("account_deleted", {"system": "crm", "account": account})
        else:
            self.account_of[person.n] = account
        if person.company or rng.random() < 0.4:
            rows["crm", "contacts"].append(contact_row(person, self.counters.contacts, account, changed))
            self.counters.contacts += 1

    def _phone_order(self, person: Person, products: list[goods.Product], into: dict[str, Any]) -> None:
        """The order by telephone that its buyer never paid: what the arrears are made of."""
        at = self.end - timedelta(days=50)
        number, invoice_number = self.counters.next("sales_orders"), self.counters.next("invoices")
        net, tax = PHONE_NET, PHONE_TAX
        date, time = stamp = erp_text(at)
        item: Doc = {
            "item": "000010",
            "material": products[0].sku,
            "quantity": "20",
            "unit": "ST",
            "net_price": "60.00",
        }
        item |= {"discount": "0.00", "net_amount": net, "tax_amount": tax, "delivered": "0"}
        order: Doc = {"number": number, "purchase_order": "T-4711", "sold_to": person.partner, "order_date": date}
        order |= {"order_type": "TEL", "currency": "EUR", "status": "open", "net_total": net, "discount": "0.00"}
        order |= {"shipping": "0.00", "tax": tax, "total": PHONE_TOTAL, "items": [item]}
        order |= {"change_date": date, "change_time": time}
        deliver(order, "delivered")
        invoice = make_invoice(invoice_number, order, date, paid=False) | {"change_date": date, "change_time": time}
        into["erp"]("sales_orders", [(number, " ".join(stamp), "T-4711", 0, to_json(order))])
        into["erp"]("invoices", [(invoice_number, " ".join(stamp), number, 0, to_json(invoice))])
        self.oddities["unknown_to_cart"] = {"system": "erp", "order": "T-4711", "erp_order": number}

    def _history(self, people: list[Person], products: list[goods.Product]) -> History:
        rng, world = self.rng, self.world
        usual = [person for person in people if person.n not in (ARREARS, NAMELESS)]

        def guest(placed: datetime) -> tuple[Person, Any]:
            n = world.customers + self.counters.guests
            self.counters.guests += 1
            person = make_person(n, rng, placed)
            person.company = person.tax_id = None
            person.group = "retail"
            return person, lambda typed: erp_row(person, typed, rng)

        return History(
            rng, self.end, world.go_live, self.start, world.orders,
            [product for product in products if product.sold],
            usual, [person for person in usual if person.partner],
            self.counters, guest, self.account_of, positions(world.orders),
        )  # fmt: skip

    def _found(self, name: str, person: Person) -> None:
        where = {"system": "cart", "customer": cart.FIRST_ID["customers"] + person.n, "email": person.email}
        where |= {"business_partner": person.partner, "account": self.account_of.get(person.n)}
        self.oddities.setdefault(name, where)

    def _name_products(self, products: list[goods.Product]) -> None:
        named = {
            "sku_like_a_number": goods.LIKE_A_NUMBER,
            "sku_with_leading_zeros": goods.LEADING_ZEROS,
            "product_discontinued": goods.DISCONTINUED,
            "product_unknown_to_erp": goods.UNKNOWN_TO_ERP,
        }
        for name, n in named.items():
            self.oddities[name] = {"system": "cart", "product": cart.FIRST_ID["products"] + n, "sku": products[n].sku}
        self.oddities["price_unreadable"] = {"system": "pricelist", "sku": products[1].sku, "list": "AKTION"}


PHONE_NET, PHONE_TAX, PHONE_TOTAL = "1200.00", "228.00", "1428.00"


def _nameless(row: Row) -> Row:
    """A customer without a name has no e-mail either: null, as the cart says it."""
    id, changed, key, hidden, doc = row
    if key is None:
        doc = to_json(json.loads(doc) | {"email": None})
    return id, changed, key, hidden, doc
