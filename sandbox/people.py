"""The world's customers: one person or company, and how each of the three systems spells it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from sandbox.clock import crm_text, erp_text, instant_key, shop_text
from sandbox.crm_records import make_id
from sandbox.store import Doc, Row, to_json

FIRST = [
    "Anna",
    "Björn",
    "Carla",
    "Dörte",
    "Emil",
    "Frieda",
    "Günther",
    "Hanna",
    "Ingo",
    "Jürgen",
    "Käthe",
    "Lars",
    "Mia",
    "Noah",
    "Oskar",
    "Paula",
    "Quirin",
    "Rosa",
    "Sören",
    "Tilda",
    "Ulf",
    "Vera",
    "Wanda",
    "Xaver",
    "Yara",
    "Zoé",
    "André",
    "Chloë",
    "François",
    "Łukasz",
]
LAST = [
    "Müller",
    "Schmidt",
    "Schröder",
    "Fischer",
    "Weiß",
    "Groß",
    "Jäger",
    "Köhler",
    "Böhm",
    "Krüger",
    "Lehmann",
    "Maier",
    "Özdemir",
    "Peters",
    "Richter",
    "Sauer",
    "Tönnies",
    "Ullrich",
    "Vogel",
    "Wagner",
    "Zöllner",
    "Nguyen",
    "O'Brien",
    "d'Angelo",
    "Kowalski",
]
FIRMS = [
    "Metallbau",
    "Feinkost",
    "Gartenbau",
    "Möbelhaus",
    "Bürobedarf",
    "Großhandel",
    "Elektro",
    "Café",
    "Werkzeuge",
    "Küchenstudio",
]
STREETS = [
    "Lindenstraße",
    "Hauptstraße",
    "Am",
    "Bahnhof",
    "Mühlenweg",
    "Königsallee",
    "Goethestraße",
    "Schloßplatz",
    "Ringstraße",
]
CITIES = {
    "DE": [("10115", "Berlin"), ("80331", "München"), ("50667", "Köln"), ("01067", "Dresden"), ("40213", "Düsseldorf")],
    "AT": [("1010", "Wien"), ("8010", "Graz")],
    "NL": [("1012 AB", "Amsterdam"), ("3011 AA", "Rotterdam")],
    "FR": [("75001", "Paris"), ("69001", "Lyon")],
    "US": [("10001", "New York"), ("02108", "Boston")],
}
COUNTRIES = ["DE"] * 82 + ["AT"] * 7 + ["NL"] * 4 + ["FR"] * 4 + ["US"] * 3
DIALLING = {"DE": "+49", "AT": "+43", "NL": "+31", "FR": "+33", "US": "+1"}
ASCII = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss", "é": "e", "ë": "e", "ç": "c"}
    | {"Ł": "L", "ł": "l"}
)
TIERS = {"retail": "Standard", "business": "Silver", "vip": "Gold"}


@dataclass(slots=True)
class Person:
    """`n` counts from 0 over customers and then guests. `partner` is the ERP's number, '' where the ERP has none."""

    n: int
    first: str
    last: str
    company: str | None
    email: str
    phone: str
    tax_id: str | None
    group: str
    street: str
    zip: str
    city: str
    country: str
    since: datetime
    partner: str = ""

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}".strip()

    def address(self) -> Doc:
        name = self.company or self.name
        return {"name": name, "street": self.street, "city": self.city, "zip": self.zip, "country_code": self.country}


def make_person(n: int, rng: Random, since: datetime) -> Person:
    first, last = rng.choice(FIRST), rng.choice(LAST)
    country = rng.choice(COUNTRIES)
    zip, city = rng.choice(CITIES[country])
    draw = rng.random()
    group = "business" if draw < 0.25 else "vip" if draw < 0.31 else "retail"
    company = f"{rng.choice(FIRMS)} {last} GmbH" if group == "business" else None
    tax_id = f"{country}{rng.randrange(10**8, 10**9)}" if company else None
    local = f"{first}.{last}{n}".translate(ASCII).lower().replace("'", "")
    email = f"{local}@{'example.org' if company else 'example.com'}"
    phone = f"{DIALLING[country]}{rng.randrange(10**8, 10**9)}"
    street = f"{rng.choice(STREETS)} {rng.randrange(1, 180)}"
    return Person(n, first, last, company, email, phone, tax_id, group, street, zip, city, country, since)


def respelled_email(email: str, rng: Random) -> str:
    draw = rng.random()
    if draw < 0.25:
        return email.upper()
    if draw < 0.40:
        return email[0].upper() + email[1:]
    return f"{email} " if draw < 0.48 else email


def respelled_name(name: str, rng: Random) -> str:
    draw = rng.random()
    plain = name.translate(ASCII) if draw < 0.6 else name
    return plain.upper() if draw < 0.15 else plain


def cart_row(person: Person, id: int, changed: datetime, empty_address: bool) -> Row:
    addresses = [
        {"id": id * 10 + n, "type": kind, "region": "", **person.address()}
        for n, kind in ((1, "billing"), (2, "shipping"))
    ]
    doc: Doc = {
        "id": id,
        "email": person.email,
        "first_name": person.first,
        "last_name": person.last,
        "company": person.company,
        "phone": person.phone,
        "tax_id": person.tax_id,
        "state": "enabled",
        "customer_group": person.group,
        # PHP's empty object: an empty list where an object was promised.
        "addresses": [] if empty_address else addresses,
        "default_address": [] if empty_address else addresses[0],
        "created_at": shop_text(person.since),
        "updated_at": shop_text(changed),
    }
    return id, instant_key(changed), person.email.lower() or None, 0, to_json(doc)


def erp_row(person: Person, changed: datetime, rng: Random) -> Row:
    date, time = erp_text(changed)
    name, name2 = (person.company, person.name) if person.company else (person.name, "")
    tax = person.tax_id or ""
    if tax and rng.random() < 0.5:
        tax = f"{tax[:2]} {tax[2:5]} {tax[5:8]} {tax[8:]}"
    doc: Doc = {
        "number": person.partner,
        "name": respelled_name(name, rng),
        "name2": respelled_name(name2, rng),
        "category": "2" if person.company else "1",
        "email": respelled_email(person.email, rng),
        "phone": person.phone.replace("+", "00") if rng.random() < 0.4 else person.phone,
        "tax_number": tax,
        "external_id": "",
        "street": person.street.replace("straße", "str."),
        "city": person.city.translate(ASCII) if rng.random() < 0.3 else person.city,
        "postal_code": person.zip,
        "country": person.country,
        "blocked": False,
        "change_date": date,
        "change_time": time,
    }
    return person.partner, f"{date} {time}", None, 0, to_json(doc)


def credit_row(person: Person, changed: datetime, rng: Random) -> Row:
    date, time = erp_text(changed)
    limit = {"retail": 500, "business": 10_000, "vip": 5_000}[person.group] * rng.randrange(1, 4)
    doc: Doc = {"business_partner": person.partner, "currency": "EUR", "credit_limit": f"{limit}.00"}
    doc |= {"exposure": "0.00", "overdue": "0.00", "blocked": False}
    doc |= {"payment_terms": "NT30" if person.company else "NT14", "change_date": date, "change_time": time}
    return person.partner, f"{date} {time}", None, 0, to_json(doc)


def account_row(person: Person, id: str, changed: datetime, rng: Random, deleted: bool) -> Row:
    doc: Doc = {
        "Id": id,
        "Name": respelled_name(person.company or person.name, rng),
        "Email": respelled_email(person.email, rng).strip(),
        "Phone": person.phone,
        "TaxNumber": person.tax_id,
        "HubId": None,
        "Tier": TIERS[person.group],
        "CreditStatus": "OK",
        "CreditLimit": None,
        "OverdueAmount": None,
        "CurrencyIsoCode": "EUR",
        "BillingCountryCode": person.country,
        "IsDeleted": deleted,
        "LastModified": crm_text(changed),
    }
    return id, instant_key(changed), None, 0, to_json(doc)


def contact_row(person: Person, n: int, account: str, changed: datetime) -> Row:
    doc: Doc = {"Id": make_id("contacts", n), "AccountId": account, "FirstName": person.first, "LastName": person.last}
    doc |= {"Email": person.email, "Phone": person.phone, "HubId": None, "LastModified": crm_text(changed)}
    return doc["Id"], instant_key(changed), None, 0, to_json(doc)


def days_before(moment: datetime, rng: Random, least: float, most: float) -> datetime:
    """A whole second between `most` and `least` days before."""
    return moment - timedelta(seconds=rng.randrange(int(least * 86400), int(most * 86400)))
