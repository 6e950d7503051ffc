"""Each fault as a client meets it: what it sees, and whether the work was done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import zeep
from zeep.wsse.username import UsernameToken

from sandbox import cart, crm, erp
from sandbox.faults import AFTER, BEFORE, FAULTS, Fault, Faults
from sandbox.servers import Running, running

CART = {"Authorization": f"Bearer {cart.TOKEN}"}
CRM = {"Authorization": f"Bearer {crm.TOKEN}"}


@pytest.fixture(scope="module")
def module_handle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("faults")) as made:
        yield made


@pytest.fixture
def handle(module_handle: Running) -> Iterator[Running]:
    yield module_handle
    module_handle.control.clear()


def products(handle: Running, **more: Any) -> requests.Response:
    return requests.get(f"{handle.cart}/products", headers=CART, timeout=more.pop("timeout", 30), params=more)


def place(handle: Running) -> requests.Response:
    body = {"customer": {"id": 7_000_003}, "line_items": [{"sku": "CD-00001", "quantity": 1}]}
    return requests.post(f"{handle.cart}/orders", json=body, headers=CART, timeout=30)


def last_number(handle: Running) -> int:
    found = requests.get(f"{handle.cart}/orders?status=any&limit=250", headers=CART, timeout=30)
    while "next" in found.links:
        found = requests.get(found.links["next"]["url"], headers=CART, timeout=30)
    return max(int(order["number"]) for order in found.json()["orders"])


def create_order(handle: Running, purchase_order: str) -> str:
    service = zeep.Client(f"{handle.erp}?wsdl", wsse=UsernameToken(erp.USER, erp.PASSWORD)).service
    items = [{"material": "CD-00001", "quantity": 1, "net_price": "1.00"}]
    order = {"purchase_order": purchase_order, "sold_to": "0000100003", "items": items}
    return str(service.CreateSalesOrder(order=order))


def booked(handle: Running, purchase_order: str) -> int:
    return sum(order["purchase_order"] == purchase_order for order in handle.control.books()["orders"])


@pytest.mark.parametrize(("fault", "status"), [("429", 429), ("500", 500), ("502", 502), ("limit", 429)])
def test_refused_before_the_work(handle: Running, fault: str, status: int) -> None:
    before = last_number(handle)
    handle.control.fault("cart", fault, path="POST /api/orders", retry_after=2)
    answer = place(handle)
    assert answer.status_code == status
    assert answer.headers.get("Retry-After") == ("2.0" if status == 429 else None)
    assert last_number(handle) == before
    assert place(handle).status_code == 201


def test_the_limit_of_each_system_is_its_own(handle: Running) -> None:
    handle.control.fault("crm", "limit")
    answer = requests.get(f"{handle.crm}/accounts", headers=CRM, timeout=30)
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (403, "REQUEST_LIMIT_EXCEEDED")
    handle.control.fault("erp", "limit", path="CreateSalesOrder")
    with pytest.raises(zeep.exceptions.Fault, match="ERP-429"):
        create_order(handle, "L-1")
    assert booked(handle, "L-1") == 0


def test_a_failure_may_come_after_the_work(handle: Running) -> None:
    before = last_number(handle)
    handle.control.fault("cart", "502", path="orders$", effect=True)
    assert place(handle).status_code == 502
    assert last_number(handle) == before + 1


def test_reset_before_and_after_the_effect(handle: Running) -> None:
    for fault, done in (("reset_before", 0), ("reset_after", 1)):
        handle.control.fault("erp", fault, path="CreateSalesOrder")
        with pytest.raises(requests.ConnectionError):
            create_order(handle, fault)
        assert booked(handle, fault) == done
        assert handle.control.calls("erp")[-1]["status"] == 0


def test_a_reset_hits_a_kept_alive_connection_too(handle: Running) -> None:
    with requests.Session() as session:
        session.headers.update(CART)
        assert session.get(f"{handle.cart}/products", timeout=30).status_code == 200
        handle.control.fault("cart", "reset_after")
        with pytest.raises(requests.ConnectionError, match="reset"):
            session.get(f"{handle.cart}/products", timeout=30)
        assert session.get(f"{handle.cart}/products", timeout=30).status_code == 200


def test_truncated_bodies(handle: Running) -> None:
    handle.control.fault("cart", "truncate")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError), match="IncompleteRead"):
        products(handle)
    assert len(products(handle).json()["products"]) == 50


def test_html_and_bad_json_with_status_200(handle: Running) -> None:
    handle.control.fault("cart", "html")
    answer = products(handle)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    handle.control.fault("cart", "bad_json")
    answer = products(handle)
    assert "application/json" in answer.headers["Content-Type"]
    with pytest.raises(requests.JSONDecodeError):
        answer.json()
    handle.control.fault("erp", "bad_json", path="Create")
    with pytest.raises(zeep.exceptions.TransportError):
        create_order(handle, "B-1")


def test_latency_is_a_timeout_for_the_impatient(handle: Running) -> None:
    handle.control.fault("cart", "latency", seconds=0.6, times=2)
    with pytest.raises(requests.Timeout):
        products(handle, timeout=0.2)
    started = time.monotonic()
    assert products(handle).status_code == 200
    assert time.monotonic() - started >= 0.6


def test_latency_and_another_fault_add_up(handle: Running) -> None:
    handle.control.fault("cart", "latency", seconds=0.1)
    handle.control.fault("cart", "500")
    assert products(handle).status_code == 500
    assert products(handle).status_code == 200


def walk(url: str, headers: dict[str, str], table: str) -> tuple[list[Any], list[str]]:
    """All ids of a cart list in the order of delivery, and the URLs asked for."""
    ids: list[Any] = []
    urls = [url]
    while True:
        answer = requests.get(urls[-1], headers=headers, timeout=30)
        ids += [record["id"] for record in answer.json()[table]]
        if "next" not in answer.links:
            return ids, urls
        urls.append(answer.links["next"]["url"])


@pytest.mark.parametrize("skip", [0, 1, 5])
def test_a_page_of_the_cart_comes_twice(handle: Running, skip: int) -> None:
    url = f"{handle.cart}/products?limit=10"
    usual, pages = walk(url, CART, "products")
    handle.control.fault("cart", "duplicate_page", path="products", skip=skip)
    ids, urls = walk(url, CART, "products")
    assert len(urls) == len(set(urls)) == len(pages) + 1
    assert ids == [*usual[: (skip + 1) * 10], *usual[skip * 10 :]]


def test_a_page_of_the_crm_and_of_the_erp_comes_twice(handle: Running) -> None:
    root = handle.crm.removesuffix("/services")
    usual, urls = crm_walk(f"{handle.crm}/contacts?limit=50", root)
    handle.control.fault("crm", "duplicate_page", skip=1)
    again, more = crm_walk(f"{handle.crm}/contacts?limit=50", root)
    assert (len(more), len(again)) == (len(urls) + 1, len(usual) + 50)
    assert set(again) == set(usual)
    service = zeep.Client(f"{handle.erp}?wsdl", wsse=UsernameToken(erp.USER, erp.PASSWORD)).service
    first = service.ListMaterials(max_rows=10)
    last = first["items"][-1]
    after = {"changed_date": last.change_date, "changed_time": last.change_time, "after_number": last.number}
    second = service.ListMaterials(**after, max_rows=10)
    handle.control.fault("erp", "duplicate_page", path="ListMaterials")
    assert service.ListMaterials(**after, max_rows=10) == first
    assert service.ListMaterials(**after, max_rows=10) == second


def crm_walk(url: str, root: str) -> tuple[list[str], list[str]]:
    ids: list[str] = []
    urls = [url]
    while True:
        page = requests.get(urls[-1], headers=CRM, timeout=30).json()
        ids += [record["Id"] for record in page["records"]]
        if page["done"]:
            return ids, urls
        urls.append(root + page["nextRecordsUrl"])


def test_times_skip_and_path(handle: Running) -> None:
    handle.control.fault("cart", "500", path="^GET /api/products$", times=2, skip=1)
    statuses = [products(handle).status_code for _ in range(4)]
    assert statuses == [200, 500, 500, 200]
    (shown,) = handle.control.call("cart", "GET", "faults")
    assert shown["hits"] == 2
    handle.control.clear()
    handle.control.fault("cart", "500", path="orders")
    assert products(handle).status_code == 200


def test_a_probability_is_repeatable() -> None:
    def strikes() -> list[bool]:
        faults = Faults()
        faults.add(Fault.parse({"fault": "500", "probability": 0.3, "seed": 5}))
        return [bool(faults.pick("GET /x", "")) for _ in range(200)]

    assert strikes() == strikes()
    assert 30 < sum(strikes()) < 90


@pytest.mark.parametrize(
    "wrong", [{"fault": "earthquake"}, {"fault": "500", "sometimes": 1}, {"fault": "500", "path": "("}]
)
def test_a_fault_that_cannot_be(handle: Running, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="error"):
        handle.control.call("cart", "POST", "faults", wrong)
    assert handle.control.call("cart", "GET", "faults") == []


def test_every_fault_is_known_and_has_its_moment() -> None:
    assert sorted(FAULTS) == sorted(["latency", *BEFORE, *AFTER])


def test_the_log_of_calls(handle: Running) -> None:
    control = handle.control
    control.call("cart", "DELETE", "calls")
    products(handle, limit=1)
    control.fault("cart", "reset_before")
    with pytest.raises(requests.ConnectionError):
        products(handle)
    first, second = control.calls("cart")
    assert (first["method"], first["path"], first["status"]) == ("GET", "/api/products?limit=1", 200)
    assert (second["status"], second["fault"], second["n"]) == (0, "reset_before", first["n"] + 1)
    assert control.calls("cart", since=first["n"]) == [second]
    assert control.call("cart", "GET", "counts") == {"GET /api/products": 2}
    before = len(control.calls("erp"))
    create_order(handle, "C-1")
    wsdl, made = control.calls("erp")[before:]
    assert (wsdl["operation"], made["operation"], made["status"]) == ("", "CreateSalesOrder", 200)


def test_unknown_controls(handle: Running) -> None:
    with pytest.raises(ValueError, match="no control"):
        handle.control.call("cart", "GET", "books")
    under_base = requests.get(f"{handle.erp}/_control/books", timeout=30)
    assert under_base.json() == handle.control.books()
