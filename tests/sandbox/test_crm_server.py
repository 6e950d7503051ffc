"""The CRM over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import pytest
import requests

from sandbox.crm import TOKEN
from sandbox.servers import Running, running

Doc = dict[str, Any]


class Crm:
    def __init__(self, handle: Running) -> None:
        self.handle, self.url = handle, handle.crm
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {TOKEN}"

    def get(self, path: str, **params: Any) -> Any:
        answer = self.session.get(self.url + path, params=params, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def all(self, table: str, **params: Any) -> list[Doc]:
        page = self.get(f"/{table}", **params)
        records: list[Doc] = page["records"]
        while not page["done"]:
            page = self.session.get(urljoin(self.url, page["nextRecordsUrl"]), timeout=30).json()
            records += page["records"]
        assert page["totalSize"] == len(records)
        return records

    def upsert(self, table: str, key: str, *records: Doc, all_or_none: bool = False) -> list[Doc]:
        body = {"allOrNone": all_or_none, "records": list(records)}
        answer = self.session.patch(f"{self.url}/composite/{table}/{key}", json=body, timeout=30)
        assert answer.status_code == 200, answer.text
        results: list[Doc] = answer.json()
        return results


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crm]:
    with running(tmp_path_factory.mktemp("crm")) as handle:
        yield Crm(handle)


@pytest.mark.parametrize("table", ["accounts", "contacts", "orders"])
@pytest.mark.parametrize("limit", [9, 200])
def test_pages_hold_everything_once_in_order(crm: Crm, table: str, limit: int) -> None:
    records = crm.all(table, limit=limit)
    keys = [(record["LastModified"], record["Id"]) for record in records]
    assert keys == sorted(set(keys))
    assert all(len(record["Id"]) == 18 for record in records)
    middle = records[len(records) // 2]["LastModified"]
    later = crm.all(table, limit=limit, modified_since=middle)
    assert later == [record for record in records if record["LastModified"] >= middle]


def test_deleted_accounts_are_listed(crm: Crm) -> None:
    deleted = crm.handle.oddities["account_deleted"]["account"]
    assert next(record for record in crm.all("accounts") if record["Id"] == deleted)["IsDeleted"]


def test_errors_are_arrays(crm: Crm) -> None:
    stranger = requests.get(f"{crm.url}/accounts", headers={"Authorization": "Bearer x"}, timeout=30)
    assert (stranger.status_code, stranger.json()[0]["errorCode"]) == (401, "INVALID_SESSION_ID")
    for path, status, code in (
        ("/accounts?modified_since=yesterday", 400, "MALFORMED_QUERY"),
        ("/accounts?cursor=garbage", 400, "MALFORMED_QUERY"),
        ("/accounts/001000000009999AAA", 404, "NOT_FOUND"),
        ("/leads", 404, "NOT_FOUND"),
    ):
        answer = crm.session.get(crm.url + path, timeout=30)
        assert (answer.status_code, answer.json()[0]["errorCode"]) == (status, code)
    url = f"{crm.url}/composite/accounts"
    assert crm.session.patch(f"{url}/HubId", data="{", timeout=30).status_code == 400
    assert crm.session.patch(f"{url}/HubId", json={"records": [1]}, timeout=30).status_code == 400
    assert crm.session.patch(f"{url}/Email", json={"records": []}, timeout=30).json()[0]["fields"] == ["Email"]
    answer = crm.session.patch(f"{url}/HubId", json={"records": [{}] * 201}, timeout=30)
    assert answer.json()[0]["errorCode"] == "EXCEEDED_MAX_RECORDS"


def test_upsert_creates_then_updates(crm: Crm) -> None:
    wanted = {"HubId": "u1", "Name": "Berg GmbH", "Tier": "Gold", "CreditLimit": "5000.00", "CurrencyIsoCode": "EUR"}
    (made,) = crm.upsert("accounts", "HubId", wanted)
    assert (made["success"], made["created"], made["errors"]) == (True, True, [])
    (again,) = crm.upsert("accounts", "HubId", {"HubId": "u1", "CreditStatus": "Hold"})
    assert (again["id"], again["created"]) == (made["id"], False)
    (found,) = crm.get("/accounts", HubId="u1")["records"]
    assert (found["Name"], found["CreditStatus"], found["CreditLimit"]) == ("Berg GmbH", "Hold", 5000.0)
    assert crm.get(f"/accounts/{made['id']}") == found


def test_an_unchanged_record_keeps_its_stamp(crm: Crm) -> None:
    wanted = {"HubId": "u2", "Name": "Ann Lee", "OverdueAmount": 12.5}
    crm.upsert("accounts", "HubId", wanted)
    before = crm.get("/accounts", HubId="u2")["records"]
    crm.handle.control.clock(advance=60)
    crm.upsert("accounts", "HubId", wanted)
    assert crm.get("/accounts", HubId="u2")["records"] == before
    crm.upsert("accounts", "HubId", wanted | {"OverdueAmount": 13})
    assert crm.get("/accounts", HubId="u2")["records"][0]["LastModified"] > before[0]["LastModified"]


def test_an_account_gets_its_first_hub_id_by_its_id(crm: Crm) -> None:
    account = crm.handle.oddities["customer_spelled_differently"]["account"]
    before = len(crm.all("accounts"))
    (result,) = crm.upsert("accounts", "HubId", {"HubId": "u3", "Id": account})
    assert (result["id"], result["created"]) == (account, False)
    (result,) = crm.upsert("accounts", "Id", {"Id": account, "Phone": "1"})
    assert result["success"]
    assert len(crm.all("accounts")) == before
    (result,) = crm.upsert("accounts", "HubId", {"HubId": "u4", "Id": "001000000009999AAA", "Name": "X"})
    assert result["errors"][0]["statusCode"] == "NOT_FOUND"
    other = next(record["Id"] for record in crm.all("accounts") if not record["HubId"])
    (result,) = crm.upsert("accounts", "Id", {"Id": other, "HubId": "u3"})
    assert result["errors"][0]["statusCode"] == "DUPLICATE_VALUE"


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ({"Tier": "Platinum"}, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"),
        ({"Nonsense": 1}, "INVALID_FIELD"),
        ({"CreditLimit": "much"}, "INVALID_TYPE"),
        ({"CreditLimit": "NaN"}, "INVALID_TYPE"),
        ({"CurrencyIsoCode": "EURO"}, "INVALID_CURRENCY_CODE"),
        ({"Email": "nobody"}, "INVALID_EMAIL_ADDRESS"),
        ({"Name": None}, "REQUIRED_FIELD_MISSING"),
        ({"HubId": None}, "REQUIRED_FIELD_MISSING"),
    ],
)
def test_a_bad_record_costs_only_itself(crm: Crm, wanted: Doc, status: str) -> None:
    good = {"HubId": "good", "Name": "Good"}
    first, bad, last = crm.upsert(
        "accounts", "HubId", good, {"HubId": "bad", "Name": "Bad"} | wanted, good | {"HubId": "g2"}
    )
    assert (first["success"], bad["success"], last["success"]) == (True, False, True)
    assert (bad["id"], bad["errors"][0]["statusCode"]) == (None, status)
    assert crm.get("/accounts", HubId="bad")["totalSize"] == 0


def test_all_or_none_and_the_same_key_twice(crm: Crm) -> None:
    good, bad = {"HubId": "n1", "Name": "Good"}, {"HubId": "n2"}
    results = crm.upsert("accounts", "HubId", good, bad, all_or_none=True)
    codes = [result["errors"][0]["statusCode"] for result in results]
    assert codes == ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "REQUIRED_FIELD_MISSING"]
    assert crm.get("/accounts", HubId="n1")["records"] == []
    first, second = crm.upsert("accounts", "HubId", good, good)
    assert (first["success"], second["errors"][0]["statusCode"]) == (True, "DUPLICATE_VALUE")


def test_orders_refer_to_accounts(crm: Crm) -> None:
    crm.upsert("accounts", "HubId", {"HubId": "o1", "Name": "Buyer"})
    order = {"OrderNumber": "9001", "Status": "Open", "TotalAmount": "35.58", "EffectiveDate": "2026-11-18"}
    (made,) = crm.upsert("orders", "OrderNumber", order | {"Account": {"HubId": "o1"}})
    assert made["created"]
    (found,) = crm.get("/orders", OrderNumber="9001")["records"]
    assert found["AccountId"] == crm.get("/accounts", HubId="o1")["records"][0]["Id"]
    assert found["TotalAmount"] == 35.58
    unknown, missing, by_id = crm.upsert(
        "orders",
        "OrderNumber",
        {"OrderNumber": "9002", "Account": {"HubId": "nobody"}},
        {"OrderNumber": "9003"},
        {"OrderNumber": "9004", "AccountId": found["AccountId"]},
    )
    assert unknown["errors"][0]["statusCode"] == "INVALID_FIELD"
    assert missing["errors"][0]["fields"] == ["AccountId"]
    assert by_id["success"]


def test_quota(crm: Crm) -> None:
    crm.handle.control.call("crm", "POST", "quota", {"left": 1})
    try:
        assert crm.get("/accounts", limit=1)
        refused = crm.session.get(f"{crm.url}/accounts", timeout=30)
        assert (refused.status_code, refused.json()[0]["errorCode"]) == (403, "REQUEST_LIMIT_EXCEEDED")
    finally:
        crm.handle.control.call("crm", "POST", "quota", {"left": None})
    assert crm.get("/accounts", limit=1)
