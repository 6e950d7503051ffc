"""What an order costs, in Decimal: the cart's arithmetic, used to place orders and to make the world.

A line's total is price x quantity less its own discount, net of tax. A discount code is spread over the lines by their
totals, to the cent; tax is rounded a line. Exactly: total_price = subtotal - total_discounts + total_shipping
+ total_tax.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")
ZERO = Decimal("0.00")
RATES = {"DE": ("0.19", "0.07"), "AT": ("0.20", "0.10"), "NL": ("0.21", "0.09"), "FR": ("0.20", "0.055")}
EXPORT = ("0", "0")


@dataclass(frozen=True, slots=True)
class Line:
    sku: str
    title: str
    quantity: int
    price: Decimal
    discount: Decimal = ZERO
    reduced: bool = False  # taxed at the reduced rate


@dataclass(frozen=True, slots=True)
class Priced:
    totals: tuple[Decimal, ...]  # of the lines
    taxes: tuple[Decimal, ...]  # of the lines
    tax_lines: tuple[tuple[str, Decimal, Decimal], ...]  # rate, tax, taxable amount
    subtotal: Decimal
    shipping_tax: Decimal
    tax: Decimal
    total: Decimal


def cents(value: Decimal) -> Decimal:
    return value.quantize(CENT, ROUND_HALF_UP)


def spread(amount: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """Shares of `amount` in proportion to `weights`, to the cent; what rounding leaves goes to the last."""
    whole = sum(weights, ZERO)
    if not amount or not whole:
        return [ZERO] * len(weights)
    shares = [(amount * weight / whole).quantize(CENT, ROUND_DOWN) for weight in weights]
    shares[-1] += amount - sum(shares, ZERO)
    return shares


def rates_of(country: str) -> tuple[str, str]:
    """The full and the reduced rate there."""
    return RATES.get(country, EXPORT)


def price(lines: Sequence[Line], discount: Decimal, shipping: Decimal, country: str) -> Priced:
    full, reduced = rates_of(country)
    totals = [line.price * line.quantity - line.discount for line in lines]
    taxable = [total - share for total, share in zip(totals, spread(discount, totals), strict=True)]
    rates = [reduced if line.reduced else full for line in lines]
    taxes = [cents(base * Decimal(rate)) for base, rate in zip(taxable, rates, strict=True)]
    shipping_tax = cents(shipping * Decimal(full))
    by_rate: dict[str, list[Decimal]] = {}
    for rate, tax, base in zip([*rates, full], [*taxes, shipping_tax], [*taxable, shipping], strict=True):
        entry = by_rate.setdefault(rate, [ZERO, ZERO])
        entry[0] += tax
        entry[1] += base
    subtotal, tax = sum(totals, ZERO), sum(taxes, shipping_tax)
    total = subtotal - discount + shipping + tax
    tax_lines = tuple((rate, entry[0], entry[1]) for rate, entry in by_rate.items())
    return Priced(tuple(totals), tuple(taxes), tax_lines, subtotal, shipping_tax, tax, total)
