"""The world's products: what the cart sells, what the ERP stocks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from random import Random

from sandbox.clock import erp_text, instant_key, shop_text
from sandbox.people import days_before
from sandbox.pricing import Line
from sandbox.store import Doc, Row, to_json

THINGS = [
    "Tisch",
    "Stuhl",
    "Regal",
    "Lampe",
    "Teppich",
    "Schrank",
    "Sessel",
    "Kissen",
    "Spiegel",
    "Vase",
    "Korb",
    "Bürste",
    "Schüssel",
    "Kännchen",
    "Decke",
]
KINDS = ["Eiche", "Buche", "Kirsche", "weiß", "grün", "rund", "schmal", "groß", "klein", "faltbar"]
BY_WEIGHT = ("Kaffee ganze Bohne", "Müsli lose", "Nüsse gemischt")


@dataclass(frozen=True, slots=True)
class Product:
    n: int
    sku: str
    title: str
    unit: str
    price: Decimal
    reduced: bool
    gtin: str | None
    sold: bool  # may stand in an order of the world
    in_erp: bool = True

    def line(self, quantity: int, price: Decimal | None = None) -> Line:
        return Line(self.sku, self.title, quantity, price or self.price, reduced=self.reduced)


# Positions of the odd ones, counted from 0.
LIKE_A_NUMBER, LEADING_ZEROS, DISCONTINUED, UNKNOWN_TO_ERP = 3, 4, 7, 8


def gtin13(n: int) -> str:
    body = f"4006381{n:05d}"
    odd, even = sum(map(int, body[::2])), sum(map(int, body[1::2]))
    return f"{body}{-(odd + 3 * even) % 10}"


def make_products(count: int, rng: Random) -> list[Product]:
    made = []
    for n in range(count):
        by_weight = 10 <= n < 13
        title = BY_WEIGHT[n - 10] if by_weight else f"{THINGS[n % len(THINGS)]} {KINDS[n // len(THINGS) % len(KINDS)]}"
        if n >= len(THINGS) * len(KINDS):
            title += f" {n}"
        sku = {LIKE_A_NUMBER: "1E5", LEADING_ZEROS: "000420"}.get(n, f"CD-{n + 1:05d}")
        price = Decimal(rng.randrange(400, 30000)) / 100 if not by_weight else Decimal(rng.randrange(300, 2500)) / 100
        sold = n not in (DISCONTINUED, UNKNOWN_TO_ERP)
        gtin = None if n % 11 == 6 else gtin13(n)
        unit = "KGM" if by_weight else "C62"
        made.append(
            Product(n, sku, title, unit, price.quantize(Decimal("0.01")), by_weight, gtin, sold, n != UNKNOWN_TO_ERP)
        )
    return made


def rows(products: list[Product], first_id: int, now: datetime, rng: Random) -> tuple[list[Row], list[Row]]:
    """(the cart's products, the ERP's materials). One in five has another stock in the cart than in the ERP."""
    cart, erp = [], []
    for product in products:
        stocks = [_stock(plant, rng) for plant in ("1000", "2000")]
        available = sum(max(0, int(s["on_hand"]) - int(s["reserved"]) - int(s["safety"])) for s in stocks)
        if rng.random() < 0.2:
            available += rng.randrange(1, 9)
        cart.append(_cart_row(product, first_id + product.n, available, days_before(now, rng, 1, 40)))
        if product.in_erp:
            erp.append(_material_row(product, stocks, days_before(now, rng, 0.2, 40)))
    return cart, erp


def _stock(plant: str, rng: Random) -> Doc:
    on_hand = rng.randrange(20, 400) if plant == "1000" or rng.random() < 0.5 else 0
    safety = 5 if plant == "1000" and rng.random() < 0.2 else 0
    reserved = rng.randrange(0, 15) if on_hand else 0
    numbers = {"on_hand": on_hand, "reserved": reserved, "incoming": rng.choice((0, 0, 50)), "safety": safety}
    return {"plant": plant, **{name: str(value) for name, value in numbers.items()}}


def _cart_row(product: Product, id: int, stock: int, changed: datetime) -> Row:
    doc: Doc = {
        "id": id,
        "sku": product.sku,
        "barcode": product.gtin,
        "title": product.title,
        "unit": product.unit,
        "price": str(product.price),
        "currency": "EUR",
        "tax_class": "reduced" if product.reduced else "standard",
        "status": "archived" if product.n == DISCONTINUED else "active",
        "stock": stock,
        "updated_at": shop_text(changed),
    }
    return id, instant_key(changed), product.sku, 0, to_json(doc)


def _material_row(product: Product, stocks: list[Doc], changed: datetime) -> Row:
    date, time = erp_text(changed)
    doc: Doc = {
        "number": product.sku,
        "gtin": product.gtin or "",
        "description": product.title.upper()[:40],
        "base_unit": "KG" if product.unit == "KGM" else "ST",
        "status": "X" if product.n == DISCONTINUED else "",
        "stocks": stocks,
        "change_date": date,
        "change_time": time,
    }
    return product.sku, f"{date} {time}", product.gtin, 0, to_json(doc)
