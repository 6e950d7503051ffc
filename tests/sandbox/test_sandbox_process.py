"""The sandbox as a process: start, stop, restart, being killed, and many clients at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import zeep
from zeep.wsse.username import UsernameToken

from sandbox import cart, crm, erp
from sandbox.clock import Clock, erp_text
from sandbox.servers import running

CART = {"Authorization": f"Bearer {cart.TOKEN}"}
CRM = {"Authorization": f"Bearer {crm.TOKEN}"}
SMALL = {"orders": 100, "customers": 30, "products": 20}


@contextmanager
def process(state: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    command = [sys.executable, "-m", "sandbox", "start", "--state", str(state), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as made:
        try:
            assert made.stdout
            yield made, json.loads(made.stdout.readline())
        finally:
            made.kill()


def place(url: str, **more: Any) -> dict[str, Any]:
    body = {"customer": {"id": 7_000_003}, "line_items": [{"sku": "CD-00001", "quantity": 1}]} | more
    answer = requests.post(f"{url}/orders", json=body, headers=CART, timeout=30)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def find(url: str, number: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]]
    found = requests.get(f"{url}/orders", params={"number": number}, headers=CART, timeout=30).json()["orders"]
    return found


def erp_service(url: str) -> Any:
    return zeep.Client(f"{url}?wsdl", wsse=UsernameToken(erp.USER, erp.PASSWORD)).service


def erp_order(**more: Any) -> dict[str, Any]:
    items = [{"material": "CD-00001", "quantity": 1, "net_price": "1.00"}]
    return {"purchase_order": "P-1", "sold_to": "0000100003", "items": items, **more}


def test_start_stop_and_start_again(tmp_path: Path) -> None:
    shape = ("--orders", "100", "--customers", "30", "--products", "20", "--seed", "3")
    with process(tmp_path, *shape) as (made, told):
        assert list(told) == ["cart", "erp", "crm", "drop", "pid"]
        assert told["pid"] == made.pid
        assert Path(told["drop"]).is_dir()
        stored = json.loads((tmp_path / "sandbox.json").read_text())
        assert told.items() <= stored.items()
        assert stored["go_live"] == "2026-11-18T00:00:00+01:00"
        assert stored["oddities"]["rounding"]["order"]
        order = place(told["cart"])
        made.send_signal(signal.SIGTERM)
        assert made.wait(20) == 0
        assert made.stderr
        assert made.stderr.read() == ""
    assert json.loads((tmp_path / "sandbox.json").read_text())["pid"] is None
    with running(tmp_path) as handle:
        assert find(handle.cart, order["number"]) == [order]
        assert int(place(handle.cart)["number"]) == int(order["number"]) + 1


def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    with process(tmp_path, "--orders", "100", "--customers", "30", "--products", "20") as (made, told):
        order = place(told["cart"])
        number = erp_service(told["erp"]).CreateSalesOrder(order=erp_order())
        body = {"records": [{"HubId": "k1", "Name": "Ann Lee"}]}
        url = f"{told['crm']}/composite/accounts/HubId"
        (account,) = requests.patch(url, json=body, headers=CRM, timeout=30).json()
        os.kill(made.pid, signal.SIGKILL)
        made.wait(20)
    with running(tmp_path) as handle:
        assert find(handle.cart, order["number"]) == [order]
        assert erp_service(handle.erp).ReadSalesOrder(number).purchase_order == "P-1"
        assert requests.get(f"{handle.crm}/accounts/{account['id']}", headers=CRM, timeout=30).status_code == 200


def test_a_killed_creation_is_begun_again(tmp_path: Path) -> None:
    with running(tmp_path, **SMALL) as handle:
        place(handle.cart)
    (tmp_path / "world.json").unlink()  # as a kill before the end of the creation leaves it
    with running(tmp_path, **SMALL) as handle:
        assert find(handle.cart, "1101") == []
        assert find(handle.cart, "1100") != []


def test_another_world_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from sandbox.__main__ import main

    with running(tmp_path, **SMALL), pytest.raises(ValueError, match="is running on"), running(tmp_path):
        pass
    assert main(["start", "--state", str(tmp_path), "--orders", "101"]) == 2
    assert "holds a world made with {'orders': 100}" in capsys.readouterr().err


def test_a_stopped_sandbox_answers_nobody(tmp_path: Path) -> None:
    with requests.Session() as session:
        with running(tmp_path, **SMALL) as handle:
            assert session.get(f"{handle.cart}/products", headers=CART, timeout=30).status_code == 200
        with pytest.raises(requests.ConnectionError):
            session.get(f"{handle.cart}/products", headers=CART, timeout=30)


def test_many_clients_at_once(tmp_path: Path) -> None:
    """Numbers are given once, nothing is lost, and readers page on while writers write."""
    with running(tmp_path, **SMALL) as handle, ThreadPoolExecutor(8) as pool:
        before = len(handle.control.books()["orders"])
        services = [erp_service(handle.erp) for _ in range(4)]
        orders = [pool.submit(place, handle.cart) for _ in range(40)]
        wanted = [
            pool.submit(services[n % 4].CreateSalesOrder, order=erp_order(purchase_order=f"M-{n}")) for n in range(40)
        ]
        reads = [pool.submit(find, handle.cart, "1001") for _ in range(40)]
        pages = [pool.submit(services[n].ListSalesOrders, max_rows=50) for n in range(4)]
        assert len({order.result()["number"] for order in orders}) == 40
        assert len({number.result() for number in wanted}) == 40
        assert all(len(read.result()) == 1 for read in reads)
        assert all(len(page.result()["items"]) == 50 for page in pages)
        books = handle.control.books()["orders"]
        assert len(books) == before + 40
        assert {order["purchase_order"] for order in books} >= {f"M-{n}" for n in range(40)}


def test_upserts_of_one_account_at_once_make_one(tmp_path: Path) -> None:
    with running(tmp_path, **SMALL) as handle, ThreadPoolExecutor(8) as pool:
        body = {"records": [{"HubId": "one", "Name": "Ann Lee"}]}
        url = f"{handle.crm}/composite/accounts/HubId"
        sent = [pool.submit(requests.patch, url, json=body, headers=CRM, timeout=30) for _ in range(24)]
        results = [answer.result().json()[0] for answer in sent]
        assert len({result["id"] for result in results}) == 1
        assert sum(result["created"] for result in results) == 1


def test_the_clock_is_one_for_all(tmp_path: Path) -> None:
    with running(tmp_path, **SMALL) as handle:
        assert handle.control.clock(now="2027-03-01T08:00:00Z", frozen=True) == "2027-03-01T08:00:00Z"
        assert place(handle.cart)["created_at"] == "2027-03-01T09:00:00+01:00"
        service = erp_service(handle.erp)
        made = service.ReadSalesOrder(service.CreateSalesOrder(order=erp_order()))
        assert (made.change_date, made.change_time, made.order_date) == ("2027-03-01", "09:00:00", "2027-03-01")
        assert handle.control.clock(advance=90) == "2027-03-01T08:01:30Z"
        handle.control.clock(now=None)
        with pytest.raises(ValueError, match="offset"):
            handle.control.clock(now="2027-03-01T08:00:00")


def test_new_writes_are_newer_than_the_world_on_a_slow_clock() -> None:
    future = datetime.now(UTC) + timedelta(days=400)
    assert Clock(future).now() >= future.replace(microsecond=0)
    assert Clock(datetime(2026, 1, 1, tzinfo=UTC)).now() > datetime(2026, 6, 1, tzinfo=UTC)


def test_the_autumn_hour_is_doubled_in_the_erp() -> None:
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert erp_text(first) == erp_text(first + timedelta(hours=1)) == ("2026-10-25", "02:30:00")


def test_it_imports_nothing_of_the_product() -> None:
    code = (
        "import sys, sandbox.servers, sandbox.__main__;"
        "print([n for n in sys.modules if n.split('.')[0] in"
        " ('hub','connectors','mappings','quality','warehouse','flow','duckdb','sqlalchemy','zeep')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_thousands_of_orders_start_and_page_quickly(tmp_path: Path) -> None:
    """A generous bound on wall time, since the machine is shared: the point is that nothing is quadratic."""
    import time

    started = time.monotonic()
    with running(tmp_path, orders=6_000, customers=1_000) as handle:
        assert time.monotonic() - started < 20
        started, seen, url = time.monotonic(), 0, f"{handle.cart}/orders?limit=250&status=any"
        with requests.Session() as session:
            while url:
                answer = session.get(url, headers=CART, timeout=30)
                seen += answer.content.count(b'"financial_status"')
                url = answer.links.get("next", {}).get("url", "")
        assert seen == 6_000
        assert time.monotonic() - started < 20
