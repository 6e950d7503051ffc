"""Canonical model v1: which entities and columns there are.

SQLAlchemy declarative, so that the tables carry comments and tools can read them; `entities()` gives the same as
`hub.entity` values, which the mapping compiler and the gate are handed. Names follow OASIS UBL 2.4, then OAGIS and
Microsoft CDM; the term of the standard stands with each column. System columns (hub_id, valid_from, row_hash, run_id,
deleted_at) are added by `warehouse/tables.py` and are not listed here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Boolean, Date, DateTime, Numeric, String
from sqlalchemy.orm import DeclarativeBase, MappedColumn, mapped_column

from hub.entity import Column, Entity, Kind, Model

_SQLALCHEMY: dict[Kind, Callable[[], Any]] = {
    "text": String,
    "integer": BigInteger,
    "quantity": lambda: Numeric(18, 6),
    "money": lambda: Numeric(18, 4),
    "percent": lambda: Numeric(9, 6),
    "boolean": Boolean,
    "instant": lambda: DateTime(timezone=True),
    "date": Date,
    "ref": BigInteger,
}


class Canonical(DeclarativeBase):
    """Base of the canonical tables."""


def column(
    kind: Kind,
    doc: str,
    term: str = "",
    *,
    required: bool = False,
    pii: bool = False,
    ref: str | None = None,
    values: str = "",
    currency: str | None = None,
    unit: str | None = None,
    basis: str = "",
) -> MappedColumn[Any]:
    made = _SQLALCHEMY[kind]
    meta = Column("", kind, required, pii, ref, tuple(values.split()), currency, unit, basis, term, doc)
    return mapped_column(made(), nullable=not required, comment=doc, info={"meta": meta})


def money(doc: str, term: str = "", basis: str = "", *, required: bool = False) -> MappedColumn[Any]:
    """An amount in the currency of its row; `basis` says net, gross or tax."""
    return column("money", doc, term, required=required, currency="currency", basis=basis)


class Row:
    """What every canonical table has: the hub's own id."""

    parent: ClassVar[str | None] = None
    match: ClassVar[tuple[tuple[str, ...], ...]] = ()
    term: ClassVar[str] = ""
    hub_id: MappedColumn[Any] = mapped_column(BigInteger, primary_key=True, autoincrement=False, comment="the hub's id")


class Customer(Row, Canonical):
    """A person or organisation that buys."""

    __tablename__ = "customer"
    match = (("email",), ("tax_id",))
    term = "UBL Party / OAGIS CustomerPartyMaster"
    name = column("text", "Full name, or the organisation's name", "cac:PartyName/cbc:Name", required=True, pii=True)
    given_name = column("text", "First name", "cac:Person/cbc:FirstName", pii=True)
    family_name = column("text", "Family name", "cac:Person/cbc:FamilyName", pii=True)
    kind = column("text", "Person or organisation", "CDM customerType", values="person organisation")
    email = column("text", "E-mail, lower case", "cac:Contact/cbc:ElectronicMail", pii=True)
    phone = column("text", "Telephone", "cac:Contact/cbc:Telephone", pii=True)
    tax_id = column("text", "VAT or tax number", "cac:PartyTaxScheme/cbc:CompanyID", pii=True)
    status = column("text", "May the customer buy", "CDM statecode", values="active blocked archived")
    tier = column("text", "Commercial tier", "CDM accountCategoryCode", values="standard silver gold")
    country_code = column("text", "ISO 3166-1 alpha-2 of the main address", "cac:Country/cbc:IdentificationCode")
    guest = column("boolean", "Known only from a checkout without an account")


class CustomerAddress(Row, Canonical):
    """An address of a customer."""

    __tablename__ = "customer_address"
    parent = "customer"
    term = "UBL Address"
    purpose = column("text", "What it is used for", "cbc:AddressTypeCode", values="billing shipping other")
    name = column("text", "Addressee", "cbc:Contact/Name", pii=True)
    street = column("text", "Street and number", "cbc:StreetName", pii=True)
    city = column("text", "City", "cbc:CityName", pii=True)
    postal_zone = column("text", "Postal code", "cbc:PostalZone", pii=True)
    region = column("text", "State or region", "cbc:CountrySubentity")
    country_code = column("text", "ISO 3166-1 alpha-2", "cac:Country/cbc:IdentificationCode")


class AccountCredit(Row, Canonical):
    """Credit standing of a customer in the books."""

    __tablename__ = "account_credit"
    match = (("customer",),)
    term = "OAGIS CustomerCredit, CreditStatus"
    customer = column("ref", "Whose credit this is", "cac:AccountingCustomerParty", ref="customer", required=True)
    currency = column("text", "ISO 4217", "cbc:DocumentCurrencyCode", required=True)
    credit_limit = money("Limit", "CreditLimit")
    exposure = money("Used of the limit", "CreditUsed")
    available = money("Left of the limit", "CreditAvailable")
    overdue_amount = money("Open and past due", "OverdueAmount")
    hold = column("boolean", "No more deliveries on credit", "CDM creditOnHold")
    terms = column("text", "Payment terms", "cac:PaymentTerms/cbc:Note")
    as_of = column("instant", "When the books said so")


class Product(Row, Canonical):
    """Something that is sold, as it is stocked."""

    __tablename__ = "product"
    match = (("sku",), ("gtin",))
    term = "UBL Item"
    sku = column("text", "Seller's item number", "cac:SellersItemIdentification/cbc:ID", required=True)
    gtin = column("text", "GTIN (EAN)", "cac:StandardItemIdentification/cbc:ID")
    name = column("text", "Name", "cbc:Name", required=True)
    unit = column("text", "UN/ECE Rec 20 unit code", "cbc:QuantityUnitCode")
    status = column("text", "Is it sold", values="active discontinued")
    offered_quantity = column(
        "quantity", "What a channel shows as still for sale; stock itself is inventory_level", unit="unit"
    )


class Price(Row, Canonical):
    """A price of a product on a list."""

    __tablename__ = "price"
    term = "UBL Price"
    product = column("ref", "What is priced", "cac:Item", ref="product", required=True)
    list_name = column("text", "Price list", "cac:PricingReference", required=True)
    currency = column("text", "ISO 4217", "cbc:PriceAmount/@currencyID", required=True)
    amount = money("Unit price, net of tax", "cbc:PriceAmount", "net", required=True)
    minimum_quantity = column("quantity", "From this quantity on", "cbc:MinimumQuantity")
    valid_from_date = column("date", "First day", "cac:ValidityPeriod/cbc:StartDate")
    valid_to_date = column("date", "Last day", "cac:ValidityPeriod/cbc:EndDate")


class Location(Row, Canonical):
    """A place where goods are kept."""

    __tablename__ = "location"
    match = (("code",),)
    term = "UBL Location"
    code = column("text", "Short code", "cbc:ID", required=True)
    name = column("text", "Name", "cbc:Name")


class InventoryLevel(Row, Canonical):
    """Stock of a product at a location."""

    __tablename__ = "inventory_level"
    match = (("product", "location_code"),)
    term = "OAGIS InventoryBalance"
    product = column("ref", "What is stocked", "cac:Item", ref="product", required=True)
    location_code = column("text", "Where; the systems' common code", "cac:Location/cbc:ID", required=True)
    on_hand = column("quantity", "Physically there", "OnHandQuantity")
    reserved = column("quantity", "Promised already", "AllocatedQuantity")
    available = column("quantity", "May still be promised", "AvailableQuantity")
    incoming = column("quantity", "Ordered from suppliers", "OnOrderQuantity")
    safety_stock = column("quantity", "Never promise below this", "SafetyStockQuantity")


class SalesOrder(Row, Canonical):
    """An order of a customer. Totals follow UBL LegalMonetaryTotal."""

    __tablename__ = "sales_order"
    match = (("number",),)
    term = "UBL Order"
    number = column("text", "The order's number where it was placed; every system quotes it", "cbc:ID", required=True)
    seller_number = column("text", "The number in the books", "cbc:SalesOrderID")
    customer_po = column("text", "The customer's own reference", "cbc:CustomerReference")
    channel = column("text", "Where it was placed", "CDM salesOrderOrigin", values="web phone store edi partner")
    ordered_at = column("instant", "When it was placed", "cbc:IssueDate, cbc:IssueTime", required=True)
    requested_date = column("date", "When the customer wants it", "cac:RequestedDeliveryPeriod")
    customer = column("ref", "Who buys", "cac:BuyerCustomerParty", ref="customer", required=True)
    currency = column("text", "ISO 4217", "cbc:DocumentCurrencyCode", required=True)
    line_total = money("Sum of the lines, net of tax", "cbc:LineExtensionAmount", "net")
    discount_total = money("Sum of document allowances, net of tax, positive", "cbc:AllowanceTotalAmount", "net")
    charge_total = money("Sum of document charges, e.g. shipping, net of tax", "cbc:ChargeTotalAmount", "net")
    tax_total = money("All tax", "cac:TaxTotal/cbc:TaxAmount", "tax")
    total = money("What is to be paid, with tax", "cbc:PayableAmount", "gross", required=True)
    refunded_total = money("Refunded so far, with tax", "", "gross")
    tax_included = column("boolean", "Line prices include tax", "cbc:TaxIncludedIndicator")
    lifecycle_status = column("text", "Life cycle", "CDM statecode", values="open completed cancelled", required=True)
    payment_status = column("text", "Payment", values="unpaid authorised paid partially_refunded refunded")
    fulfilment_status = column("text", "Fulfilment", values="unfulfilled partial fulfilled")
    return_status = column("text", "Return", values="none requested received")
    credit_status = column("text", "Credit check", values="open approved held")
    cancelled_at = column("instant", "When it was cancelled")
    ship_to_name = column("text", "Addressee of the delivery", "cac:Delivery/cac:DeliveryParty", pii=True)
    ship_to_street = column("text", "Street of the delivery", "cbc:StreetName", pii=True)
    ship_to_city = column("text", "City of the delivery", "cbc:CityName", pii=True)
    ship_to_postal_zone = column("text", "Postal code of the delivery", "cbc:PostalZone", pii=True)
    ship_to_country_code = column("text", "Country of the delivery", "cac:Country/cbc:IdentificationCode")
    note = column("text", "Note for people", "cbc:Note", pii=True)


class OrderLine(Row, Canonical):
    """A line of an order."""

    __tablename__ = "order_line"
    parent = "sales_order"
    match = (("sku",), ("product",))
    term = "UBL LineItem"
    line_number = column("integer", "Position", "cbc:ID")
    product = column("ref", "What is ordered", "cac:Item", ref="product")
    sku = column("text", "Item number as the system wrote it", "cac:SellersItemIdentification/cbc:ID")
    description = column("text", "Text of the line", "cbc:Description")
    quantity = column("quantity", "How many", "cbc:Quantity", required=True, unit="unit")
    unit = column("text", "UN/ECE Rec 20 unit code", "cbc:Quantity/@unitCode")
    currency = column("text", "ISO 4217", "cbc:LineExtensionAmount/@currencyID")
    unit_price = money("Price of one, net of tax", "cac:Price/cbc:PriceAmount", "net")
    discount = money("Discount on the line, net of tax, positive", "cac:AllowanceCharge/cbc:Amount", "net")
    line_total = money("Net of tax, after discount", "cbc:LineExtensionAmount", "net")
    tax_amount = money("Tax of the line", "cbc:TotalTaxAmount", "tax")
    fulfilled_quantity = column("quantity", "Shipped so far", "cbc:DeliveredQuantity", unit="unit")


class AllowanceCharge(Row, Canonical):
    """A discount or a charge of a whole order."""

    __tablename__ = "allowance_charge"
    parent = "sales_order"
    term = "UBL AllowanceCharge"
    charge = column("boolean", "True: a charge; false: a discount", "cbc:ChargeIndicator", required=True)
    reason = column("text", "Why", "cbc:AllowanceChargeReason", values="shipping discount coupon handling other")
    code = column("text", "Coupon or method", "cbc:AllowanceChargeReasonCode")
    currency = column("text", "ISO 4217", "cbc:Amount/@currencyID")
    amount = money("Amount, net of tax, positive", "cbc:Amount", "net", required=True)
    tax_amount = money("Tax of it", "cac:TaxTotal/cbc:TaxAmount", "tax")


class TaxLine(Row, Canonical):
    """Tax of an order at one rate."""

    __tablename__ = "tax_line"
    parent = "sales_order"
    term = "UBL TaxSubtotal"
    title = column("text", "Name of the tax", "cac:TaxCategory/cbc:Name")
    rate = column("percent", "0.19 is 19 %", "cbc:Percent ÷ 100")
    currency = column("text", "ISO 4217", "cbc:TaxAmount/@currencyID")
    taxable_amount = money("What is taxed", "cbc:TaxableAmount", "net")
    amount = money("Tax", "cbc:TaxAmount", "tax", required=True)


class Payment(Row, Canonical):
    """Money that came in for an order."""

    __tablename__ = "payment"
    term = "UBL Payment"
    sales_order = column("ref", "What is paid", "cac:OrderReference", ref="sales_order", required=True)
    means = column("text", "How", "cbc:PaymentMeansCode", values="card wallet transfer invoice cash other")
    currency = column("text", "ISO 4217", "cbc:PaidAmount/@currencyID", required=True)
    amount = money("Amount, with tax", "cbc:PaidAmount", "gross", required=True)
    paid_at = column("instant", "When", "cbc:PaidDate, cbc:PaidTime")
    status = column("text", "State", values="pending authorised captured failed voided")
    reference = column("text", "The provider's reference", "cbc:PaymentID")
    fee = money("What the provider keeps of it, as agreed", "ISO 20022 TtlChrgsAndTaxAmt")
    net_amount = money("What has to arrive: amount less fee", "ISO 20022 NetAmt")


class Payout(Row, Canonical):
    """Money of many payments that a provider paid out at once, less refunds and fees."""

    __tablename__ = "payout"
    match = (("number",),)
    term = "UBL RemittanceAdvice / ISO 20022 camt.054 Entry"
    number = column("text", "The provider's number of it", "cbc:ID, AcctSvcrRef", required=True)
    currency = column("text", "ISO 4217", "cbc:DocumentCurrencyCode", required=True)
    gross_total = money("Payments less refunds, before fees", "cbc:TotalCreditAmount − cbc:TotalDebitAmount", "gross")
    fee_total = money("All that the provider keeps", "ISO 20022 TtlChrgsAndTaxAmt")
    amount = money("What arrives; below zero it is collected", "cbc:TotalPaymentAmount, ISO 20022 Amt", required=True)
    arrives_at = column("instant", "When it is, or was, on the bank account", "ISO 20022 ValDt")
    status = column("text", "State", values="scheduled in_transit paid failed cancelled")


class PayoutEntry(Row, Canonical):
    """What one payment or refund is within a payout. Amounts of refunds are below zero."""

    __tablename__ = "payout_entry"
    term = "UBL RemittanceAdviceLine / ISO 20022 TransactionDetails"
    payout = column("ref", "Which payout", "cac:RemittanceAdvice", ref="payout", required=True)
    kind = column("text", "What moved", "ISO 20022 BkTxCd", values="payment refund adjustment", required=True)
    reference = column(
        "text", "The provider's reference of the payment or refund", "ISO 20022 EndToEndId", required=True
    )
    currency = column("text", "ISO 4217", "ISO 20022 Amt/@Ccy", required=True)
    amount = money("With tax, before the fee", "ISO 20022 TxAmt", "gross", required=True)
    fee = money("What the provider kept", "ISO 20022 TtlChrgsAndTaxAmt")
    net_amount = money("What it adds to the payout", "ISO 20022 NetAmt", required=True)
    settled_at = column("instant", "When its payout is, or was, on the bank account", "ISO 20022 ValDt")
    status = column("text", "State of its payout", values="scheduled in_transit paid failed cancelled")


class Refund(Row, Canonical):
    """Money that went back for an order."""

    __tablename__ = "refund"
    match = (("sales_order", "number"),)
    term = "UBL CreditNote (payment side)"
    sales_order = column("ref", "What is refunded", "cac:OrderReference", ref="sales_order", required=True)
    number = column("text", "The refund's own number where it was made", "cbc:ID", required=True)
    currency = column("text", "ISO 4217", "cbc:PaidAmount/@currencyID", required=True)
    amount = money("Amount, positive, with tax", "cbc:PaidAmount", "gross", required=True)
    refunded_at = column("instant", "When", "cbc:PaidDate")
    reason = column("text", "Why", "cbc:Note")


class Invoice(Row, Canonical):
    """A bill for an order."""

    __tablename__ = "invoice"
    match = (("number",),)
    term = "UBL Invoice"
    number = column("text", "Invoice number", "cbc:ID", required=True)
    sales_order = column("ref", "What is billed", "cac:OrderReference", ref="sales_order")
    customer = column("ref", "Who owes", "cac:AccountingCustomerParty", ref="customer", required=True)
    issued_on = column("date", "Date", "cbc:IssueDate", required=True)
    due_on = column("date", "Due", "cbc:DueDate")
    currency = column("text", "ISO 4217", "cbc:DocumentCurrencyCode", required=True)
    tax_total = money("All tax", "cac:TaxTotal/cbc:TaxAmount", "tax")
    total = money("With tax", "cbc:PayableAmount", "gross", required=True)
    open_amount = money("Still to be paid, with tax", "cbc:PayableAmount − cbc:PrepaidAmount", "gross")
    status = column("text", "State", values="open paid cancelled")


@cache
def entities() -> Model:
    """The model as `hub.entity` values, in the order in which it is written here."""
    return {
        mapper.__tablename__: Entity(
            name=mapper.__tablename__,
            columns=tuple(
                replace(m, name=c.name) for c in mapper.__table__.columns if (m := c.info.get("meta")) is not None
            ),
            parent=mapper.parent,
            match=mapper.match,
            term=mapper.term,
            doc=(mapper.__doc__ or "").strip(),
        )
        for mapper in _classes()
    }


def _classes() -> list[Any]:
    return [
        m.class_ for m in sorted(Canonical.registry.mappers, key=lambda m: list(globals()).index(m.class_.__name__))
    ]
