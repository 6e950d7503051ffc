"""Runs inside Tryton's own environment: fills an empty database with what a small company needs to sell.

    python bootstrap.py trytond.conf database

One company in euro with a chart of accounts, fiscal years around today, taxes of 19 and 7 %, a payment term, three
products in stock, and two services: SHIPPING, and ROUNDING for the cent by which two systems' taxes may differ.
"""

import datetime
import os
import sys
from decimal import Decimal

os.environ["TRYTOND_CONFIG"] = sys.argv[1]

from proteus import Model, config
from trytond.modules.account.tests.tools import create_chart, create_tax, get_accounts
from trytond.modules.account_invoice.tests.tools import set_fiscalyear_invoice_sequences
from trytond.modules.company.tests.tools import create_company, get_company

PRODUCTS = (("WIDGET-1", "Widget", "12.50"), ("GADGET-2", "Gadget", "19.99"), ("BOLT-M8", "Bolt M8", "0.07"))
SERVICES = (("SHIPPING", "Shipping", True), ("ROUNDING", "Rounding", False))
COUNTRIES = (("Germany", "DE", "DEU", "276"), ("Austria", "AT", "AUT", "040"), ("France", "FR", "FRA", "250"))

Type = Model.get


def fiscal_year(company, year):
    (sequence_type,) = Type("ir.sequence.type").find([("name", "=", "Account Move")], limit=1)
    sequence = Type("ir.sequence.strict")(name=f"Moves {year}", sequence_type=sequence_type, company=company)
    sequence.save()
    made = Type("account.fiscalyear")(
        name=str(year), company=company, start_date=datetime.date(year, 1, 1), end_date=datetime.date(year, 12, 31)
    )
    made.move_sequence = sequence
    set_fiscalyear_invoice_sequences(made)
    made.save()
    made.click("create_period")


def category(name, accounts, tax=None):
    made = Type("product.category")(
        name=name, accounting=True, account_revenue=accounts["revenue"], account_expense=accounts["expense"]
    )
    if tax:
        made.customer_taxes.append(tax)
    made.save()
    return made


def product(code, name, kind, price, unit, accounting):
    made = Type("product.template")(
        name=name, code=code, type=kind, default_uom=unit, salable=True, list_price=Decimal(price)
    )
    made.account_category = accounting
    made.save()
    return made.products[0]


def stock(product, quantity):
    (storage,) = Type("stock.location").find([("code", "=", "STO")])
    made = Type("stock.inventory")(location=storage)
    made.lines.new(product=product, quantity=quantity, expected_quantity=0.0)
    made.click("confirm")


def main():
    current = config.set_trytond(database=f"sqlite:///{sys.argv[2]}", config_file=sys.argv[1])
    for name, code, code3, number in COUNTRIES:
        Type("country.country")(name=name, code=code, code3=code3, code_numeric=number).save()
    euro = Type("currency.currency")(name="Euro", symbol="€", code="EUR", numeric_code="978")
    euro.save()
    own = Type("party.party")(name="Crossdock Test Company")
    own.save()
    create_company(party=own, currency=euro)
    company = get_company()
    user = Type("res.user")(current.user)
    user.companies.append(company)
    user.company = company
    user.save()
    current._context = Type("res.user").get_preferences(True, {})
    create_chart(company)
    this_year = datetime.date.today().year
    for year in (this_year - 1, this_year, this_year + 1):
        fiscal_year(company, year)
    accounts = get_accounts(company)
    taxes = {}
    for rate in ("0.19", "0.07"):
        taxes[rate] = create_tax(Decimal(rate), company)
        taxes[rate].name = taxes[rate].description = f"VAT {Decimal(rate):.0%}"
        taxes[rate].save()
    # A cart rounds tax line by line; the default here is once a document.
    accounting = Type("account.configuration")(1)
    accounting.tax_rounding = "line"
    accounting.save()
    full, free = category("19 %", accounts, taxes["0.19"]), category("No tax", accounts)
    term = Type("account.invoice.payment_term")(name="30 days")
    term.lines.new().relativedeltas.new(days=30)
    term.save()
    (unit,) = Type("product.uom").find([("name", "=", "Unit")])
    for code, name, price in PRODUCTS:
        stock(product(code, name, "goods", price, unit, full), 1000.0)
    for code, name, taxed in SERVICES:
        product(code, name, "service", "0", unit, full if taxed else free)


main()
