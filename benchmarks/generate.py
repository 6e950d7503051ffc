"""Input that is the same on every machine: nested orders of a cart and its customers, each from its number.

    python benchmarks/generate.py 100000 DIR

    orders/00000.jsonl     pages of 1,000 orders as Shopify sends them, 1 to 5 lines, 4.9 kB each, one record a line
    customers/00000.jsonl  the shop's customers, one for four orders
    erp/customers.csv      the same customers as an ERP drops them: semicolons, empty texts for what is missing
    erp/customers.xml      and as its SOAP service answers (ListBusinessPartners of the sandbox's ERP)

Of 1,000 orders 10 are newer versions of orders of the page before, and 5 came before just as they are: systems deliver at
least once. Decimals are texts, and instants carry the offset of the shopper.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from random import Random

PAGE = 1_000
VERSION = 2  # of what is generated: another one is another folder
_CHANGED, _AGAIN = 10, 5
_OFFSETS = ("+01:00", "-05:00", "+00:00", "+05:30", "-08:00")
_CURRENCIES = ("EUR", "USD", "GBP", "CHF")
_CITIES = ("Hamburg", "Lyon", "Graz", "Leeds", "Porto", "Malmö", "Gdańsk", "Basel")
_COUNTRIES = ("DE", "FR", "AT", "GB", "PT", "SE", "PL", "CH")
_NAMES = ("Ada", "Björn", "Chloé", "Dai", "Eva", "Finn", "Grace", "Hugo", "Inés", "Jonas")
_FAMILIES = ("Adler", "Berg", "Costa", "Dubois", "Ek", "Fuchs", "Garcia", "Horváth", "Ito", "Jensen")
_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def order(number: int, version: int, customers: int) -> str:
    """One order as a line of JSON. A later version is paid and fulfilled."""
    rng = Random(number)
    pick = rng.randrange
    currency = _CURRENCIES[pick(4)]
    lines = [_line(rng, number, position, currency) for position in range(1, (1, 1, 1, 2, 2, 3, 4, 5)[pick(8)] + 1)]
    subtotal = sum(total for _, total, _ in lines)
    discount = pick(subtotal // 10 + 1) if pick(3) == 0 else 0
    shipping = (0, 490, 990)[pick(3)]
    tax = sum(cents for _, _, cents in lines)
    day, seconds = pick(28) + 1, pick(86_400)
    placed = f"2026-{pick(10) + 1:02d}-{day:02d}T{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    offset = _OFFSETS[pick(5)]
    customer = pick(customers) + 1
    paid, fulfilled = ("paid", '"fulfilled"') if version else ("authorized", "null")
    cancelled = f'"2026-11-{day:02d}T12:00:00{offset}"' if pick(50) == 0 else "null"
    total = subtotal - discount + shipping + tax
    address = _address(rng, customer)
    codes = f'[{{"code":"SPRING","amount":"{money(discount)}","type":"fixed_amount"}}]' if discount else "[]"
    note = '"Please ring twice, the bell is \\"soft\\""' if pick(4) == 0 else "null"
    return (
        f'{{"id":{number + 4_500_000_000},"admin_graphql_api_id":"gid://shopify/Order/{number + 4_500_000_000}","app_id":580111,'
        f'"browser_ip":"192.0.2.{pick(255)}","buyer_accepts_marketing":{("true", "false")[pick(2)]},"cancel_reason":null,'
        f'"cancelled_at":{cancelled},"cart_token":"{pick(1 << 62):016x}{number:016x}","checkout_id":{number + 901_414_060},'
        f'"client_details":{{"accept_language":"de-DE,de;q=0.9","browser_height":1080,"browser_width":1920,"user_agent":"{_AGENT}"}},'
        f'"closed_at":null,"confirmed":true,"created_at":"{placed}{offset}","currency":"{currency}",'
        f'{_set("current_total_price", total, currency)},'
        f'"customer":{{"id":{customer},"email":"shopper{customer}@example.com","orders_count":{pick(9) + 1},"state":"enabled","tags":""}},'
        f'"customer_locale":"de","discount_codes":{codes},"estimated_taxes":false,"financial_status":"{paid}",'
        f'"fulfillment_status":{fulfilled},"gateway":"stripe","landing_site":"/collections/all?utm_source=mail&utm_campaign={pick(99)}",'
        f'"name":"#{number}","note":{note},"note_attributes":[{{"name":"gift","value":"no"}},{{"name":"po","value":"PO-{pick(99_999)}"}}],'
        f'"number":{number},"order_number":{number + 1000},"erp_order_number":"{number:010d}","payment_gateway_names":["stripe"],"phone":null,'
        f'"po_number":"PO-{pick(99_999)}","presentment_currency":"{currency}","processed_at":"{placed}{offset}","referring_site":"https://www.example.com/",'
        f'"requested_date":"2026-12-{day:02d}","source_name":"web",'
        f'"subtotal_price":"{money(subtotal)}","tags":"new, web","taxes_included":false,"test":false,"token":"{pick(1 << 62):016x}",'
        f'"total_discounts":"{money(discount)}","total_line_items_price":"{money(subtotal)}",'
        f'"total_outstanding":"0.00","total_price":"{money(total)}","total_refunded":"0.00",'
        f'"total_shipping":"{money(shipping)}","total_tax":"{money(tax)}","total_weight":{pick(9_000)},'
        f'"tax_lines":[{{"title":"VAT","rate":"0.19","price":"{money(tax)}",{_set("price", tax, currency)}}}],'
        f'"updated_at":"2026-11-{20 + version}T08:{number // 60 % 60:02d}:{number % 60:02d}.{number % 1000:03d}Z",'
        f'"billing_address":{address},"shipping_address":{address},"fulfillments":[],"line_items":[{",".join(text for text, _, _ in lines)}],'
        f'"shipping_lines":[{{"id":{number + 31},"code":"DHL","title":"Parcel","price":"{money(shipping)}",{_set("price", shipping, currency)},"tax_lines":[]}}]}}'
    )  # fmt: skip


def _set(name: str, cents: int, currency: str) -> str:
    held = f'{{"amount":"{money(cents)}","currency_code":"{currency}"}}'
    return f'"{name}_set":{{"shop_money":{held},"presentment_money":{held}}}'


def _line(rng: Random, number: int, position: int, currency: str) -> tuple[str, int, int]:
    """A line as JSON, its total and its tax in cents."""
    product, quantity, price = rng.randrange(20_000), rng.randrange(1, 6), rng.randrange(100, 50_000)
    discount = price * quantity // 20 if rng.randrange(4) == 0 else 0
    total = price * quantity - discount
    tax = total * 19 // 100
    text = (
        f'{{"id":{number * 8 + position + 9_000_000_000},"admin_graphql_api_id":"gid://shopify/LineItem/{number * 8 + position}",'
        f'"fulfillable_quantity":{quantity},"fulfillment_service":"manual","fulfillment_status":null,"gift_card":false,"grams":{product % 900},'
        f'"name":"Product {product} - large","price":"{money(price)}",{_set("price", price, currency)},"product_exists":true,'
        f'"product_id":{product},"properties":[],"quantity":{quantity},"requires_shipping":true,"sku":"SKU-{product:05d}","taxable":true,'
        f'"title":"Product {product}","unit":"C62","discount":"{money(discount)}","total":"{money(total)}","tax_amount":"{money(tax)}",'
        f'"variant_id":{product + 70_000},"variant_title":"large","vendor":"Crossdock Supplies",'
        f'"tax_lines":[{{"title":"VAT","rate":"0.19","price":"{money(tax)}",{_set("price", tax, currency)}}}],"discount_allocations":[]}}'
    )  # fmt: skip
    return text, total, tax


def _address(rng: Random, customer: int) -> str:
    place = rng.randrange(8)
    first, family = _NAMES[customer % 10], _FAMILIES[customer // 10 % 10]
    return (
        f'{{"first_name":"{first}","last_name":"{family}","name":"{first} {family}","address1":"High Street {customer % 200}","address2":null,'
        f'"phone":"+4940{customer:07d}","city":"{_CITIES[place]}","zip":"{10_000 + customer % 80_000}","province":null,"country":"{_COUNTRIES[place]}",'
        f'"company":null,"latitude":53.55,"longitude":9.99,"country_code":"{_COUNTRIES[place].lower()}","province_code":null}}'
    )


def customer(number: int) -> dict[str, str]:
    """What there is to say of one customer."""
    business = number % 7 == 0
    first, family = _NAMES[number % 10], _FAMILIES[number // 10 % 10]
    return {
        "id": str(number),
        "first_name": first,
        "last_name": family,
        "company": f"{family} {number} Ltd" if business else "",
        "email": f" Shopper{number}@Example.com",
        "phone": f"+4940{number:07d}",
        "vat_number": f"DE{number:09d}" if business else "",
        "state": ("enabled", "disabled")[number % 40 == 0],
        "group": ("retail", "business", "vip")[number % 3],
        "country": _COUNTRIES[number % 8].lower(),
    }


def shop_customer(number: int) -> str:
    one = customer(number)
    text = {name: f'"{value}"' if value else "null" for name, value in one.items()}
    return (
        f'{{"id":{number},"email":{text["email"]},"accepts_marketing":false,"created_at":"2026-01-01T09:00:00+01:00",'
        f'"updated_at":"2026-11-20T09:00:00Z","first_name":{text["first_name"]},"last_name":{text["last_name"]},"company":{text["company"]},'
        f'"state":{text["state"]},"customer_group":{text["group"]},"verified_email":true,"tax_exempt":false,"phone":{text["phone"]},'
        f'"vat_number":{text["vat_number"]},"tags":"","currency":"EUR","guest":false,"default_address":{{"id":{number},"city":"Hamburg","country_code":{text["country"]}}}}}'
    )


_CSV = ("id", "first_name", "last_name", "company", "email", "phone", "vat_number", "state", "group", "country")
_SOAP = '<soap11env:Envelope xmlns:soap11env="http://schemas.xmlsoap.org/soap/envelope/" xmlns:e="urn:sandbox:erp"><soap11env:Body>'


def erp_row(number: int) -> str:
    """A customer as a line of CSV."""
    one = customer(number)
    return ";".join(one[name] for name in _CSV)


def erp_partner(number: int) -> str:
    """A customer as an element of the ERP's list answer; what is missing is left out."""
    one = customer(number)
    names = (one["company"], "") if one["company"] else (one["first_name"], one["last_name"])
    said = {
        "number": f"{number:010d}",
        "name": names[0],
        "name2": names[1],
        "category": "2" if one["company"] else "1",
        "email": one["email"],
        "phone": one["phone"],
        "tax_number": one["vat_number"],
        "street": f"High Street {number % 200}",
        "city": _CITIES[number % 8],
        "postal_code": str(10_000 + number % 80_000),
        "country": one["country"].upper(),
        "blocked": "true" if one["state"] == "disabled" else "false",
        "change_date": "2026-11-20",
        "change_time": "09:00:00",
    }
    inner = "".join(f"<e:{name}>{value}</e:{name}>" for name, value in said.items() if value)
    return f"<e:items>{inner}</e:items>"


def _write_erp(folder: Path, customers: int) -> None:
    (folder / "erp").mkdir(parents=True, exist_ok=True)
    with (folder / "erp" / "customers.csv").open("w", encoding="utf-8") as out:
        out.write(";".join(name.upper() for name in _CSV) + "\n")
        out.writelines(f"{erp_row(number + 1)}\n" for number in range(customers))
    with (folder / "erp" / "customers.xml").open("w", encoding="utf-8") as out:
        out.write(f"<?xml version='1.0' encoding='UTF-8'?>\n{_SOAP}<e:ListBusinessPartnersResponse>")
        out.writelines(erp_partner(number + 1) for number in range(customers))
        out.write("<e:more>false</e:more></e:ListBusinessPartnersResponse></soap11env:Body></soap11env:Envelope>")


def _pages(kind: str, size: int, customers: int, page: int) -> Iterator[str]:
    first, last = page * PAGE, min((page + 1) * PAGE, size)
    for number in range(first, last):
        within = number - first
        if kind == "customers":
            yield shop_customer(number + 1)
        elif page and within < _CHANGED:
            yield order(number - PAGE + 2 * _CHANGED, 1, customers)
        elif page and within < _CHANGED + _AGAIN:
            yield order(number - PAGE + 2 * _CHANGED, 0, customers)
        else:
            yield order(number, 0, customers)


def _write_page(folder: Path, kind: str, size: int, customers: int, page: int) -> None:
    path = folder / kind / f"{page:05d}.jsonl"
    path.write_text("".join(f"{line}\n" for line in _pages(kind, size, customers, page)), encoding="utf-8")


def generate(orders: int, folder: Path) -> Path:
    """Write the input unless it is there. `orders` counts records."""
    if (folder / "done").is_file():
        return folder
    customers = max(orders // 4, 1)
    for name in ("orders", "customers"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    with get_context("spawn").Pool(2) as pool:
        for kind, size in (("orders", orders), ("customers", customers)):
            pool.map(partial(_write_page, folder, kind, size, customers), range(-(-size // PAGE)), 8)
    _write_erp(folder, customers)
    (folder / "done").touch()
    return folder


if __name__ == "__main__":
    generate(int(sys.argv[1]), Path(sys.argv[2]))
