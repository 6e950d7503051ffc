"""The CRM's records: fields, picklists, and what becomes of one record of a composite upsert."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

from sandbox.clock import crm_text, instant_key
from sandbox.store import Doc, Writing

# Field → kind: text, number, flag, date, account (id of an account), or the values of a picklist.
OBJECTS: dict[str, dict[str, Any]] = {
    "accounts": {
        **dict.fromkeys(["Name", "Email", "Phone", "TaxNumber", "HubId"], "text"),
        "Tier": ("Standard", "Silver", "Gold"),
        "CreditStatus": ("OK", "Hold", "Overdue"),
        "CreditLimit": "number",
        "OverdueAmount": "number",
        "CurrencyIsoCode": "currency",
        "BillingCountryCode": "text",
        "IsDeleted": "flag",
    },
    "contacts": {"AccountId": "account", **dict.fromkeys(["FirstName", "LastName", "Email", "Phone", "HubId"], "text")},
    "orders": {
        "OrderNumber": "text",
        "AccountId": "account",
        "Status": ("Open", "Shipped", "Completed", "Cancelled"),
        "ErpOrderNumber": "text",
        "TotalAmount": "number",
        "CurrencyIsoCode": "currency",
        "EffectiveDate": "date",
    },
}
TABLES = dict.fromkeys(OBJECTS, "TEXT")
EXTERNAL_ID = {"accounts": "HubId", "contacts": "HubId", "orders": "OrderNumber"}
REQUIRED = {"accounts": ("Name",), "contacts": ("LastName", "AccountId"), "orders": ("OrderNumber", "AccountId")}
PREFIX = {"accounts": "001", "contacts": "003", "orders": "801"}


@dataclass
class Refusal(Exception):
    """Why one record was not written, as the answer says it."""

    status: str
    message: str
    fields: list[str] = field(default_factory=list)

    def shown(self) -> Doc:
        return {"statusCode": self.status, "message": self.message, "fields": self.fields}


def make_id(table: str, n: int) -> str:
    return f"{PREFIX[table]}{n:012d}AAA"


def next_id(tx: Writing, table: str) -> str:
    last = tx.last_id(table)
    return make_id(table, int(str(last)[3:15]) + 1 if last else 1)


def blank(table: str) -> Doc:
    return {"Id": "", **{name: False if kind == "flag" else None for name, kind in OBJECTS[table].items()}}


def put(tx: Writing, table: str, doc: Doc, now: Any) -> None:
    doc["LastModified"] = crm_text(now)
    tx.put(table, doc["Id"], instant_key(now), doc[EXTERNAL_ID[table]] or None, doc)


def upsert(tx: Writing, table: str, key: str, given: Doc, now: Any) -> tuple[str, bool]:
    """(id, created). The record is found by `key` (the external id field or Id), else by an Id it carries itself."""
    external = EXTERNAL_ID[table]
    value = given.get(key)
    if value in (None, ""):
        raise Refusal("REQUIRED_FIELD_MISSING", f"{key} is missing", [key])
    found = [str(value)] if key == "Id" else [str(id) for id in tx.find_ids(table, str(value))]
    if len(found) > 1:
        raise Refusal("DUPLICATE_EXTERNAL_ID", f"{key} is specified on more than one record", [key])
    id = found[0] if found else given.get("Id")
    doc = tx.get(table, str(id)) if id else None
    if id and doc is None:
        raise Refusal("NOT_FOUND", f"no record {id}", ["Id"])
    if doc and doc.get("IsDeleted"):
        raise Refusal("ENTITY_IS_DELETED", "entity is deleted", [])
    created = doc is None
    before = dict(doc or {})
    doc = (doc or blank(table)) | checked(tx, table, given)
    missing = [name for name in REQUIRED[table] if not doc[name]]
    if missing:
        raise Refusal("REQUIRED_FIELD_MISSING", f"Required fields are missing: [{', '.join(missing)}]", missing)
    if doc[external] and any(other != doc["Id"] for other in tx.find_ids(table, str(doc[external]))):
        raise Refusal("DUPLICATE_VALUE", f"duplicate value found: {external}", [external])
    if created:
        doc["Id"] = next_id(tx, table)
    if doc != before:
        put(tx, table, doc, now)
    return str(doc["Id"]), created


def recycle_one(tx: Writing, table: str, id: str, now: Any) -> None:
    doc = tx.get(table, id)
    if doc is None or "IsDeleted" not in doc:
        raise Refusal("NOT_FOUND", f"no record {id} that can be deleted", ["Id"])
    if doc["IsDeleted"]:
        raise Refusal("ENTITY_IS_DELETED", "entity is deleted", [])
    doc["IsDeleted"] = True
    put(tx, table, doc, now)


def checked(tx: Writing, table: str, given: Doc) -> Doc:
    """The fields given, each of its kind; {"Account": {"HubId": …}} becomes an AccountId."""
    kinds = OBJECTS[table]
    values: Doc = {}
    for name, value in given.items():
        if name in ("Id", "LastModified", "attributes"):
            continue
        if name == "Account" and "AccountId" in kinds:
            values["AccountId"] = _account_of(tx, value)
        elif name not in kinds or kinds[name] == "flag":
            raise Refusal("INVALID_FIELD", f"No such column '{name}' on {table}", [name])
        else:
            values[name] = None if value is None else _value(tx, name, kinds[name], value)
    return values


def _account_of(tx: Writing, value: Any) -> str:
    hub_id = str(value.get("HubId")) if isinstance(value, dict) else ""
    found = tx.find_ids("accounts", hub_id)
    if len(found) != 1:
        raise Refusal("INVALID_FIELD", f"Foreign key external ID: {hub_id} not found for field HubId in Account", [])
    return str(found[0])


def _value(tx: Writing, name: str, kind: Any, value: Any) -> Any:
    if isinstance(kind, tuple):
        if value not in kind:
            message = f"{name}: bad value for restricted picklist field: {value}"
            raise Refusal("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, [name])
        return value
    if kind == "number":
        return _amount(name, value)
    text = str(value)
    if kind == "date" and not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        raise Refusal("INVALID_TYPE", f"{name}: not a date: {text}", [name])
    if kind == "currency" and text not in ("EUR", "USD", "CHF"):
        raise Refusal("INVALID_CURRENCY_CODE", f"{name}: not a valid currency: {text}", [name])
    if kind == "account" and tx.get("accounts", text) is None:
        raise Refusal("INVALID_CROSS_REFERENCE_KEY", f"{name}: no account {text}", [name])
    if name == "Email" and text and not re.fullmatch(r"[^@\s]+@[^@\s]+", text):
        raise Refusal("INVALID_EMAIL_ADDRESS", f"{name}: invalid email address", [name])
    return text


def _amount(name: str, value: Any) -> float:
    """Numbers are JSON numbers here, as CRMs have them."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or isinstance(value, bool):
        raise Refusal("INVALID_TYPE", f"{name}: not a number: {value}", [name])
    return number
