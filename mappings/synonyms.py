"""What other systems call our columns, for drafts of mappings. Words of ERPs, carts and CRMs in general, of no mapping in particular."""

from __future__ import annotations

import re
from functools import cache, lru_cache

# Words that mean the same, and other spellings: each becomes the first.
_SAME = """
quantity qty quantities menge
postal zip postcode plz postalcode zipcode pstlz
phone telephone tel phonenumber mobile telefon telf1
email mail
address addr addresses adr
ship shipping shipment shipto delivery deliver
bill billing invoicing billto
currency curr waers waehrung currencies
price preis
amount amt value sum
description desc text bezeichnung maktx
number no nr num
identifier ident
tax vat
discount rebate reduction
customer client buyer shopper kunnr kunde
city ort ort01
street stras strasse
product item material article variant matnr artikel
line position row entry
created creation create
updated modified changed change update modification
cancelled canceled cancel cancellation
fulfilment fulfillment
status state
first given fore
last family sur
company organisation organization firm
country land land1
region province county subdivision
comment remark memo note notes
total grand
subtotal untaxed net
limit ceiling
overdue arrears
barcode gtin ean upc
"""
_STOP = frozenset(["the", "of", "a", "is", "c", "sap", "gmt", "utc", "custom", "field", "info", "details", "data"])
# Words that say little by themselves.
WEAK = frozenset(
    ["id", "code", "number", "name", "amount", "total", "date", "at", "value", "type", "key", "time", "to"]
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

# Column (or entity.column): phrases that other systems use for it. The column's own name is always one of them.
ALIASES: dict[str, str] = {
    "name": "name, full name, display name, company name, customer name, label",
    "product.name": "name, title, product name, item name, description, short description",
    "customer_address.name": "name, full name, recipient, addressee, company, contact name",
    "given_name": "first name, given name, forename",
    "family_name": "last name, family name, surname",
    "customer.kind": "kind, customer type, category, party type",
    "email": "email, email address, contact email",
    "phone": "phone, phone number, mobile phone, billing address phone",
    "tax_id": "tax id, tax number, vat number, vat id, tax identifier, vat registration",
    "tier": "tier, customer group, price group, level, segment",
    "country_code": "country code, country, country iso, billing country code, billing address country code, default address country code",
    "guest": "guest, is guest",
    "purpose": "purpose, type, address type, usage",
    "street": "street, street line, line 1, address line, address 1, street name, thoroughfare",
    "city": "city, town, locality",
    "postal_zone": "postal zone, postal code, zip",
    "region": "region, state, region code",
    "sku": "sku, item number, product code, material, product sku, code",
    "gtin": "gtin, gtin code, identifier code",
    "unit": "unit, unit of measure, base unit, uom, unit code",
    "offered_quantity": "offered quantity, stock, stock quantity, inventory quantity, stock on hand",
    "product": "product, product id, material",
    "list_name": "list name, price list, price book, preisliste",
    "price.amount": "amount, price, unit price, list price",
    "minimum_quantity": "minimum quantity, from quantity, min qty, scale quantity, ab menge",
    "valid_from_date": "valid from, start date, from date, gueltig ab",
    "valid_to_date": "valid to, end date, to date, until, gueltig bis",
    "location_code": "location code, location, warehouse, plant, store, warehouse code, location id",
    "on_hand": "on hand, quantity, stock on hand, physical quantity, quantity on hand",
    "reserved": "reserved, allocated, committed, stock allocated, reserved quantity",
    "available": "available, available quantity, forecast quantity, saleable quantity",
    "incoming": "incoming, on order, incoming quantity, open purchase quantity",
    "safety_stock": "safety stock, safety, reorder level, minimum stock",
    "sales_order.number": "number, order number, purchase order, order name, reference, order code, code",
    "seller_number": "seller number, erp order number, erp number, sales order number",
    "customer_po": "customer po, po number, customer reference",
    "channel": "channel, source, origin, sales channel, created via",
    "ordered_at": "ordered at, created at, created, order date, order placed at, placed at, create date, date created, processed at, effective date",
    "requested_date": "requested date, requested delivery date, delivery date",
    "customer": "customer, customer id, party, sold to, account id, account, payer, partner, bill to, business partner, user id",
    "currency": "currency, currency code, currency iso code, order currency",
    "sales_order.line_total": "line total, subtotal, net total, subtotal price, net amount, untaxed amount",
    "order_line.line_total": "line total, total, amount, net amount, line amount, line price",
    "discount_total": "discount total, total discounts, discount, discount amount",
    "charge_total": "charge total, total shipping, shipping, shipping total, shipping amount, freight",
    "tax_total": "tax total, total tax, tax, tax amount",
    "total": "total, total price, grand total, total amount, order total, total with tax",
    "refunded_total": "refunded total, total refunded, refund amount",
    "tax_included": "tax included, taxes included, prices include tax",
    "lifecycle_status": "lifecycle status, status, order status, state",
    "payment_status": "payment status, financial status, invoice state, payment state",
    "fulfilment_status": "fulfilment status, delivery status, shipment state, shipping status",
    "return_status": "return status, return state",
    "credit_status": "credit status, credit state",
    "cancelled_at": "cancelled at, cancel date, cancellation date",
    "ship_to_name": "ship to name, shipping address name, shipping address full name, ship address recipient",
    "ship_to_street": "ship to street, shipping address street, shipping address line 1, shipping address 1, shipping address street line",
    "ship_to_city": "ship to city, shipping address city",
    "ship_to_postal_zone": "ship to postal zone, shipping address postal code",
    "ship_to_country_code": "ship to country code, shipping address country code, shipping address country",
    "note": "note, comment, customer note, remarks",
    "line_number": "line number, position, item, sequence, line item number",
    "description": "description, title, name, product name",
    "quantity": "quantity, ordered quantity, amount ordered",
    "unit_price": "unit price, price, net price, price each",
    "order_line.discount": "discount, discount amount, total discount, line discount",
    "tax_amount": "tax amount, tax, total tax, tax total",
    "fulfilled_quantity": "fulfilled quantity, delivered, delivered quantity, shipped quantity, quantity shipped",
    "allowance_charge.code": "code, coupon code, method code, title, method id",
    "allowance_charge.amount": "amount, price, total, discounted price",
    "title": "title, name, description, label, rate code",
    "rate": "rate, tax rate, percent, rate percent",
    "taxable_amount": "taxable amount, tax base, base amount, net",
    "tax_line.amount": "amount, price, tax amount, tax total, total",
    "sales_order": "sales order, order id, order",
    "means": "means, gateway, method, payment method, payment type",
    "payment.amount": "amount, paid amount, total",
    "paid_at": "paid at, processed at, payment date, date paid, created at",
    "payment.status": "status, state, payment status",
    "payment.reference": "reference, transaction id, provider reference, charge id",
    "refund.number": "number, refund number, reference, id",
    "refund.amount": "amount, total, refund amount",
    "refunded_at": "refunded at, created at, refund date, date created, processed at",
    "reason": "reason, note, cause",
    "invoice.number": "number, invoice number, document number",
    "issued_on": "issued on, invoice date, issue date, billing date, document date",
    "due_on": "due on, due date, payment due date, payment term date",
    "open_amount": "open amount, amount to pay, amount due, balance, outstanding",
    "invoice.status": "status, state, invoice status",
    "credit_limit": "credit limit, limit",
    "exposure": "exposure, credit used, credit exposure",
    "overdue_amount": "overdue amount, overdue",
    "hold": "hold, blocked, on hold, credit hold, locked",
    "terms": "terms, payment terms",
    "as_of": "as of, changed at",
    "product.status": "status, state, active, product status",
    "customer.status": "status, state, active, blocked, account status",
}
LISTS: dict[str, str] = {
    "order_line": "lines, line items, items, order lines, order items, positions, entries",
    "customer_address": "addresses, address book, customer addresses",
    "allowance_charge": "shipping lines, discount codes, coupon lines, fee lines, charges, discounts, surcharges, discount lines",
    "tax_line": "tax lines, taxes, tax summary, tax totals",
}
KEYS = ("id", "number", "key", "code", "sku", "uuid", "guid")


@lru_cache(maxsize=20_000)
def words(text: str) -> tuple[str, ...]:
    """`shippingAddress.postalCode` as words, each in the spelling that stands for all: ship address postal code."""
    return tuple(word for part in _WORD.findall(text) if (word := one_word(part.lower())) not in _STOP)


@cache
def one_word(word: str) -> str:
    known = _canonical()
    for form in (word, word.removesuffix("s"), word.removesuffix("es")):
        if form in known:
            return known[form]
    return word.removesuffix("s") if len(word) > 3 and not word.endswith(("ss", "us")) else word


@cache
def _canonical() -> dict[str, str]:
    return {word: line.split()[0] for line in _SAME.strip().splitlines() for word in line.split()}


@cache
def phrases(entity: str, column: str) -> tuple[tuple[str, ...], ...]:
    """What the column may be called, as words."""
    said = ALIASES.get(f"{entity}.{column}", ALIASES.get(column, ""))
    return tuple(dict.fromkeys(words(phrase) for phrase in (column, *said.split(", ")) if phrase))
