"""The ERP over SOAP, as zeep sees it, and its bulk answers as spyne would have written them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import requests
import zeep
from lxml import etree
from spyne.protocol.soap import Soap11
from zeep.exceptions import Fault
from zeep.wsse.username import UsernameToken

from sandbox import erp
from sandbox.erp_fields import FIELDS, LISTS, NAMESPACE, xml_of
from sandbox.servers import Running, running

Doc = dict[str, Any]


def connect(handle: Running, password: str = erp.PASSWORD) -> Any:
    return zeep.Client(f"{handle.erp}?wsdl", wsse=UsernameToken(erp.USER, password)).service


@pytest.fixture(scope="module")
def handle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("erp")) as made:
        yield made


@pytest.fixture(scope="module")
def books(handle: Running) -> Any:
    return connect(handle)


def refusal(call: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(Fault) as caught:
        call(*args, **kwargs)
    assert caught.value.code.endswith(f"Client.{caught.value.message.split()[0]}")
    detail = caught.value.detail.find(f"{{{NAMESPACE}}}ErpFault")
    code, message = (detail.findtext(f"{{{NAMESPACE}}}{name}") for name in ("code", "message"))
    assert caught.value.message == f"{code} {message}"
    return str(code)


def item(**more: Any) -> Doc:
    return {"material": "CD-00001", "quantity": 2, "net_price": "10.00", "tax_amount": "3.80", **more}


def order(**more: Any) -> Doc:
    return {"purchase_order": "X-1", "sold_to": "0000100003", "currency": "EUR", "items": [item()], **more}


def listed(service: Any, stream: str, rows: int) -> Iterator[Any]:
    date = time = after = ""
    while True:
        page = service[f"List{stream}"](changed_date=date, changed_time=time, after_number=after, max_rows=rows)
        yield from page["items"]
        if not page.more:
            return
        last = page["items"][-1]
        number = last["business_partner"] if stream == "CreditStatus" else last["number"]
        date, time, after = last.change_date, last.change_time, number


@pytest.mark.parametrize("stream", list(LISTS))
@pytest.mark.parametrize("rows", [17, 1000])
def test_lists_hold_everything_once_in_order(books: Any, stream: str, rows: int) -> None:
    found = list(listed(books, stream, rows))
    numbers = [row["business_partner"] if stream == "CreditStatus" else row["number"] for row in found]
    assert len(set(numbers)) == len(numbers) > 0
    keys = [(row.change_date, row.change_time, number) for row, number in zip(found, numbers, strict=True)]
    assert keys == sorted(keys)


def test_changed_since_is_inclusive_without_a_number_and_exclusive_with_one(books: Any) -> None:
    everything = list(listed(books, "SalesOrders", 1000))
    middle = everything[100]
    at = {"changed_date": middle.change_date, "changed_time": middle.change_time, "max_rows": 1000}
    assert books.ListSalesOrders(**at)["items"][0].number == middle.number
    beyond = books.ListSalesOrders(**at, after_number=middle.number)["items"]
    assert beyond[0].number == everything[101].number
    from_day = books.ListSalesOrders(changed_date=middle.change_date, max_rows=1000)["items"]
    assert {row.change_date for row in from_day} == {
        r.change_date for r in everything if r.change_date >= middle.change_date
    }
    assert books.ListSalesOrders(changed_date="2030-01-01")["items"] == []
    assert refusal(books.ListSalesOrders, changed_date="20.11.2026") == "ERP-422"


@pytest.mark.parametrize("stream", ["SalesOrders", "Materials", "BusinessPartners"])
def test_bulk_answers_are_what_spyne_would_write(handle: Running, stream: str) -> None:
    type_name, table = LISTS[stream]
    from sandbox.store import Store

    store = Store(handle.state / "erp.db", {})
    import json

    for _, _, text in store.page(table, None, "", 5):
        doc = json.loads(text)
        parent = etree.Element("x")
        made = erp.TYPES[type_name]
        Soap11().to_parent(None, made, erp.to_object(type_name, doc), parent, NAMESPACE, "items")
        fast = etree.fromstring(f'<e:items xmlns:e="{NAMESPACE}">{xml_of(type_name, doc)}</e:items>')
        assert plain(parent[0]) == plain(fast)
    store.close()


def plain(element: Any) -> Any:
    return element.tag, (element.text or "").strip(), [plain(child) for child in element]


def test_every_record_type_is_in_the_wsdl(handle: Running) -> None:
    client = zeep.Client(f"{handle.erp}?wsdl")
    for name, fields in FIELDS.items():
        assert [field for field, _ in client.get_type(f"{{{NAMESPACE}}}{name}").elements] == list(fields)


def test_login_is_checked(handle: Running) -> None:
    assert refusal(connect(handle, "wrong").Ping) == "ERP-401"
    assert refusal(zeep.Client(f"{handle.erp}?wsdl").service.Ping) == "ERP-401"
    assert connect(handle).Ping() == "sandbox ERP 1.0"


def test_faults_are_http_500_and_bad_xml_is_a_fault(handle: Running) -> None:
    headers = {"Content-Type": "text/xml; charset=utf-8"}
    answer = requests.post(handle.erp, data=b"<oops", headers=headers, timeout=30)
    assert (answer.status_code, b"XMLSyntaxError" in answer.content) == (500, True)
    envelope = (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        f'<ReadSalesOrder xmlns="{NAMESPACE}"><wrong/></ReadSalesOrder></s:Body></s:Envelope>'
    )
    answer = requests.post(handle.erp, data=envelope, headers=headers, timeout=30)
    assert (answer.status_code, b"SchemaValidationError" in answer.content) == (500, True)


def test_entities_are_not_expanded(handle: Running) -> None:
    bomb = (
        '<!DOCTYPE x [<!ENTITY secret SYSTEM "file:///etc/hostname">]>'
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        f'<ReadSalesOrder xmlns="{NAMESPACE}"><number>&secret;</number></ReadSalesOrder></s:Body></s:Envelope>'
    )
    answer = requests.post(handle.erp, data=bomb, headers={"Content-Type": "text/xml"}, timeout=30)
    with open("/etc/hostname") as name:
        assert answer.status_code == 500
        assert name.read().strip() not in answer.text


def test_an_order_is_created_read_changed_and_cancelled(books: Any) -> None:
    number = books.CreateSalesOrder(order=order(purchase_order="T-1", shipping="4.90", tax="4.73", total="29.63"))
    made = books.ReadSalesOrder(number)
    assert (made.status, made.total, made.net_total) == ("open", Decimal("29.63"), Decimal("20.00"))
    assert (made["items"][0].item, made["items"][0].unit) == ("000010", "ST")
    assert books.ChangeSalesOrder(number=number, order={"items": [item(quantity=3), item(material="1E5")]}) == number
    changed = books.ReadSalesOrder(number)
    assert (changed.net_total, changed.tax, changed.shipping) == (Decimal("50.00"), Decimal("7.60"), Decimal("4.90"))
    assert changed.purchase_order == "T-1"
    assert [found.number for found in books.FindSalesOrders("T-1")] == [number]
    assert books.CancelSalesOrder(number=number, reason="changed their mind") == number
    assert refusal(books.CancelSalesOrder, number=number, reason="") == "ERP-410"
    assert refusal(books.ChangeSalesOrder, number=number, order={"shipping": "0"}) == "ERP-409"


def test_nothing_is_idempotent(books: Any) -> None:
    orders = [books.CreateSalesOrder(order=order(purchase_order="T-2")) for _ in range(2)]
    assert [found.number for found in books.FindSalesOrders("T-2")] == orders
    partners = [books.CreateBusinessPartner(partner={"name": "Ann Lee", "external_id": "12"}) for _ in range(2)]
    assert [found.number for found in books.FindBusinessPartners("12")] == partners
    memos = [books.CreateCreditMemo({"sales_order": orders[0], "reference": "r-1", "amount": "1.00"}) for _ in range(2)]
    assert [found.number for found in books.FindCreditMemos("r-1")] == memos
    assert len({*orders, *partners, *memos}) == 6


def test_delivered_orders_stand(handle: Running, books: Any) -> None:
    number = books.CreateSalesOrder(order=order(purchase_order="T-3"))
    assert handle.control.deliver(number, partial=True)["status"] == "partially_delivered"
    assert books.ReadSalesOrder(number)["items"][0].delivered == 1
    assert refusal(books.ChangeSalesOrder, number=number, order={"shipping": "0"}) == "ERP-409"
    assert handle.control.deliver(number)["status"] == "delivered"
    assert refusal(books.CancelSalesOrder, number=number, reason="") == "ERP-409"
    with pytest.raises(ValueError, match="is delivered"):
        handle.control.deliver(number)
    with pytest.raises(ValueError, match="ERP-404"):
        handle.control.deliver("77")


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"sold_to": "0000000001"}, "ERP-404"),
        ({"sold_to": ""}, "ERP-404"),
        ({"items": [item(material="nope")]}, "ERP-404"),
        ({"items": [item(material="CD-00008")]}, "ERP-422"),
        ({"items": [item(quantity=0)]}, "ERP-422"),
        ({"items": [item(quantity=-2)]}, "ERP-422"),
        ({"items": [item(unit="KG")]}, "ERP-422"),
        ({"items": [item(net_amount="19.99")]}, "ERP-422"),
        ({"items": []}, "ERP-422"),
        ({"total": "23.81"}, "ERP-422"),
        ({"currency": "EURO"}, "ERP-422"),
        ({"purchase_order": ""}, "ERP-422"),
        ({"order_date": "2026-11-31"}, "ERP-422"),
    ],
)
def test_orders_that_are_refused_leave_nothing(handle: Running, books: Any, wanted: Doc, code: str) -> None:
    before = handle.control.books()
    assert refusal(books.CreateSalesOrder, order=order(**wanted)) == code
    assert handle.control.books() == before
    assert order() != order(**wanted)


def test_blocked_partners_and_credit(handle: Running, books: Any) -> None:
    arrears = handle.oddities["customer_in_arrears"]["business_partner"]
    assert refusal(books.CreateSalesOrder, order=order(sold_to=arrears)) == "ERP-423"
    partner = books.CreateBusinessPartner(partner={"name": "New", "category": "2", "email": "new@example.org"})
    number = books.CreateSalesOrder(order=order(sold_to=partner))
    handle.control.call("erp", "POST", "credit", {"business_partner": partner, "credit_limit": "500", "overdue": 20})
    invoice = handle.control.invoice(number)
    assert (invoice["payer"], invoice["open_amount"], invoice["status"]) == (partner, "23.80", "open")
    credit = next(row for row in listed(books, "CreditStatus", 500) if row.business_partner == partner)
    assert (credit.exposure, credit.overdue, credit.blocked) == (Decimal("23.80"), Decimal("20.00"), False)
    handle.control.call("erp", "POST", "block", {"business_partner": partner, "blocked": True})
    assert refusal(books.CreateSalesOrder, order=order(sold_to=partner)) == "ERP-423"


def test_partners_and_memos_are_checked(books: Any) -> None:
    assert refusal(books.CreateBusinessPartner, partner={"name": " "}) == "ERP-422"
    assert refusal(books.CreateBusinessPartner, partner={"name": "X", "category": "9"}) == "ERP-422"
    assert refusal(books.ChangeBusinessPartner, number="1", partner={"name": "X"}) == "ERP-404"
    assert books.ChangeBusinessPartner(number="0000100003", partner={"phone": "+49 1"}) == "0000100003"
    assert books.ReadBusinessPartner("0000100003").phone == "+49 1"
    number = books.CreateSalesOrder(order=order(purchase_order="T-9"))
    memo = {"sales_order": number, "reference": "r-9", "amount": "20.00", "reason": "broken"}
    assert books.CreateCreditMemo(memo)
    assert refusal(books.CreateCreditMemo, memo) == "ERP-422"
    assert refusal(books.CreateCreditMemo, memo | {"sales_order": "1"}) == "ERP-404"


def test_stock_moves(handle: Running, books: Any) -> None:
    handle.control.call("erp", "POST", "stock", {"material": "1E5", "plant": "1000", "on_hand": 7})
    material = next(row for row in listed(books, "Materials", 100) if row.number == "1E5")
    assert material.stocks[0].on_hand == 7
    assert material == list(listed(books, "Materials", 100))[-1]
    with pytest.raises(ValueError, match="no such plant"):
        handle.control.call("erp", "POST", "stock", {"material": "1E5", "plant": "9", "on_hand": 7})


def test_odd_characters_survive(books: Any) -> None:
    name = "Müller & Söhne <GmbH> \"Łódź\" 'x' ]]> 😀"
    number = books.CreateBusinessPartner(partner={"name": name, "external_id": "odd"})
    assert books.ReadBusinessPartner(number).name == name
    assert list(listed(books, "BusinessPartners", 1000))[-1].name == name
