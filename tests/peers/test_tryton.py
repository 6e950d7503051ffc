"""The Tryton connector against the real server: what it reads, and what becomes of a sale."""

from __future__ import annotations

import itertools
import json
from decimal import Decimal
from typing import Any

import pytest

from hub.connector import Change
from hub.errors import AuthenticationError

_numbers = itertools.count(1)


def change(operation: Any, key: str, payload: dict[str, Any], **more: Any) -> Change:
    return Change(operation, key, payload, f"{operation}-{key}", **more)


def pulled(connector: Any, stream: str, since: Any = None) -> tuple[list[dict[str, Any]], Any]:
    cursor, rows = since, []
    for page in connector.pull(stream, since):
        rows += [json.loads(record) for record in page.records]
        cursor = page.cursor if page.cursor is not None else cursor
    return rows, cursor


class World:
    """A customer of its own, and orders for it."""

    def __init__(self, tryton: Any) -> None:
        self.books, self.connector = tryton, tryton.connector()
        self.party = tryton.party("Jörg Müller", f"world-{next(_numbers)}@example.com")
        self.products = tryton.products()

    def line(self, code: str, quantity: Any, price: str) -> dict[str, Any]:
        return {"product": str(self.products[code]), "quantity": quantity, "unit_price": price}

    def payload(self, number: str, *lines: dict[str, Any], total: str | None = None, **more: Any) -> dict[str, Any]:
        given = {"reference": number, "party": str(self.party), "currency": "EUR", "lines": list(lines), **more}
        return given | ({"total_amount": total} if total else {})

    def create(self, *lines: dict[str, Any], total: str | None = None) -> tuple[str, str]:
        """The number and the id of a sale that is processing."""
        number = f"T-{next(_numbers)}"
        (outcome,) = self.connector.push("sales", [change("create", number, self.payload(number, *lines, total=total))])
        assert outcome.status == "applied", outcome.message
        return number, outcome.id or ""

    def push(self, operation: str, number: str, id: str, payload: dict[str, Any]) -> Any:
        (outcome,) = self.connector.push("sales", [change(operation, number, payload, id=id)])
        return outcome

    def sale(self, number: str) -> dict[str, Any]:
        (found,) = self.books.sales(number)
        return found  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def world(tryton: Any) -> World:
    return World(tryton)


def test_login_and_schema_are_checked(tryton: Any) -> None:
    from dataclasses import replace

    from connectors.tryton import Tryton
    from hub.secrets import Secret

    assert tryton.connector().check() == []
    wrong = replace(tryton.connection(), password=Secret("not the password"))
    (finding,) = Tryton(wrong).check()
    assert finding.code == "C105"
    with pytest.raises(AuthenticationError):
        list(Tryton(wrong).pull("parties"))


def test_an_expired_session_is_opened_again(tryton: Any) -> None:
    connector = tryton.connector()
    assert connector.check() == []
    connector.session.headers["Authorization"] = "Session " + "YWRtaW46MToxMjM="
    assert pulled(connector, "products")[0]


def test_values_become_plain_text(world: World) -> None:
    number, _ = world.create(world.line("WIDGET-1", 2, "12.50"))
    (row,) = [row for row in pulled(world.connector, "sales")[0] if row["reference"] == number]
    assert row["total_amount"] == "29.75"
    assert row["lines"][0]["unit_price"] == "12.50"
    assert row["lines"][0]["product"]["code"] == "WIDGET-1"
    assert row["sale_date"][:2] == "20"
    assert row["last_modified_at"].endswith("Z")
    assert "__class__" not in json.dumps(row)
    (stock,) = [row for row in pulled(world.connector, "stock")[0] if row["code"] == "WIDGET-1"]
    assert stock["warehouse"]["code"] == "WH"
    # Other tests ship from the same shelf; what was just sold has not left it.
    assert 900.0 < stock["quantity"] <= 1000.0
    assert stock["forecast_quantity"] <= stock["quantity"] - 2


def test_a_new_record_and_a_change_of_a_part_are_seen(tryton: Any) -> None:
    """`write_date` is null on the one; neither date of the party moves with the other."""
    connector = tryton.connector()
    party = tryton.party("Ann Lee", "ann@example.com")
    _, cursor = pulled(connector, "parties")
    # As if it had been long ago: past the overlap nothing comes again.
    later = {**cursor, "at": "2999-01-01T00:00:00.000000Z"}
    assert pulled(connector, "parties", later) == ([], later)
    new = tryton.party("Bo Berg", "bo@example.com")
    assert {party, new} <= {row["id"] for row in pulled(connector, "parties", cursor)[0]}
    (row,) = tryton.rpc("party.party.read", [party], ["addresses", "last_modified_at"])
    tryton.rpc("party.address.write", row["addresses"], {"city": "Bonn"})
    (again,) = tryton.rpc("party.party.read", [party], ["last_modified_at"])
    assert again["last_modified_at"] == row["last_modified_at"]
    address = tryton.rpc("party.address.read", row["addresses"], ["last_modified_at"])[0]["last_modified_at"]
    from connectors.tryton import plain

    overlap = 300
    assert overlap == connector.stream("parties").overlap
    moment = _later(plain(address), overlap)  # so that only the address is young enough
    found, _ = pulled(connector, "parties", {"at": moment, "id": 0})
    assert [row["id"] for row in found] == [party]


def _later(moment: str, seconds: int) -> str:
    from datetime import datetime, timedelta

    return (datetime.fromisoformat(moment) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def test_a_party_is_created_once_and_found_by_our_key(tryton: Any) -> None:
    connector = tryton.connector()
    address = {"street": "Ring 1", "postal_code": "89073", "city": "Ulm", "country": "DE"}
    payload = {"name": "Berg GmbH", "email": "ap@example.org", "phone": "+49 30 901820", "addresses": [address]}
    first, second = (connector.push("parties", [change("upsert", "4711", payload)])[0] for _ in range(2))
    assert (first.status, second.status) == ("applied", "applied")
    assert first.id == second.id
    assert [found.id for found in connector.find("parties", "4711")] == [first.id]
    assert connector.find("parties", "47") == []
    record = connector.read("parties", int(first.id or 0))
    assert (record["email"], len(record["addresses"]), record["addresses"][0]["city"]) == ("ap@example.org", 1, "Ulm")


def test_a_party_is_changed_without_taking_anything_away(tryton: Any) -> None:
    connector = tryton.connector()
    party = tryton.party("Cy Dee", "cy@example.com")
    payload = {
        "name": "Cy Dee-Fox",
        "email": "CY@example.com",
        "addresses": [{"street": "Weg 3", "postal_code": "53111", "city": "Bonn", "country": "DE"}],
    }
    for _ in range(2):
        (outcome,) = connector.push("parties", [change("change", "4712", payload, id=str(party))])
        assert outcome.status == "applied", outcome.message
    record = connector.read("parties", party)
    assert record["name"] == "Cy Dee-Fox"
    assert [address["city"] for address in record["addresses"]] == ["Berlin", "Bonn"]
    assert len(record["contact_mechanisms"]) == 1


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(tryton: Any) -> None:
    connector = tryton.connector()
    party = tryton.party("Eve Fox")
    version = connector.read("parties", party)["_timestamp"]
    tryton.rpc("party.party.write", [party], {"name": "Eve Fox-Gray"})
    stale = change("change", "4713", {"name": "Eve"}, id=str(party), version=version)
    (outcome,) = connector.push("parties", [stale])
    assert outcome.status == "rejected"
    assert "modified in the meanwhile" in outcome.message
    assert connector.read("parties", party)["name"] == "Eve Fox-Gray"


def test_a_refusal_is_said_in_trytons_words(tryton: Any) -> None:
    connector = tryton.connector()
    payload = {"name": "X", "tax_identifier": "DE1", "addresses": []}
    (outcome,) = connector.push("parties", [change("create", "4714", payload)])
    assert outcome.status == "rejected"
    assert "is not valid" in outcome.message
    payload = {"name": "X", "addresses": [{"street": "A", "city": "B", "country": "XX"}]}
    (outcome,) = connector.push("parties", [change("create", "4715", payload)])
    assert (outcome.status, outcome.message) == ("rejected", "Tryton does not know the country XX")


# What becomes of a sale


def test_a_sale_is_created_with_customer_lines_and_total(world: World) -> None:
    number = f"T-{next(_numbers)}"
    payload = world.payload(
        number,
        world.line("WIDGET-1", 2, "12.50"),
        world.line("GADGET-2", 1, "19.99"),
        charges=[{"product_code": "SHIPPING", "quantity": 1, "unit_price": "4.90"}],
        shipment_address={"name": "Ann", "street": "Weg 9", "postal_code": "53111", "city": "Bonn", "country": "DE"},
        total="59.37",
    )
    for _ in range(2):  # twice is once
        (outcome,) = world.connector.push("sales", [change("create", number, payload)])
        assert outcome.status == "applied", outcome.message
    sale = world.sale(number)
    assert (sale["state"], sale["party"], str(sale["id"])) == ("processing", world.party, outcome.id)
    assert (sale["untaxed_amount"], sale["tax_amount"]) == (Decimal("49.89"), Decimal("9.48"))
    assert sale["total_amount"] == Decimal("59.37")
    assert sale["lines"] == {
        "WIDGET-1": (2.0, Decimal("12.5")),
        "GADGET-2": (1.0, Decimal("19.99")),
        "SHIPPING": (1.0, Decimal("4.90")),
    }
    address = world.books.rpc("party.address.read", [sale["shipment_address"]], ["city"])[0]
    assert address["city"] == "Bonn"
    assert [found.id for found in world.connector.find("sales", number)] == [outcome.id]


def test_a_cent_of_rounding_has_a_line_of_its_own(world: World) -> None:
    """3 × 12.50 at 19 %: 7.125 is 7.13 in Vendure and 7.12 in Tryton, which rounds to even."""
    number, _ = world.create(world.line("WIDGET-1", 3, "12.50"), total="44.63")
    sale = world.sale(number)
    assert sale["total_amount"] == Decimal("44.63")
    assert sale["lines"]["ROUNDING"] == (1.0, Decimal("0.01"))


def test_a_total_that_differs_by_more_creates_nothing(world: World) -> None:
    number = f"T-{next(_numbers)}"
    payload = world.payload(number, world.line("WIDGET-1", 2, "12.50"), total="25.00")
    (outcome,) = world.connector.push("sales", [change("create", number, payload)])
    assert outcome.status == "rejected"
    assert outcome.message.startswith("Tryton comes to 29.75, the order to 25.00")
    assert world.books.sales(number) == []


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"party": "999999"}, "don't exist"),
        ({"lines": [{"product": "999999", "quantity": 1, "unit_price": "1"}]}, "don't exist"),
        ({"lines": [{"product_code": "NO-SUCH", "quantity": 1, "unit_price": "1"}]}, "NO-SUCH"),
        ({"currency": "XTS"}, "XTS"),
        ({"lines": []}, ""),
    ],
)
def test_an_impossible_sale_leaves_nothing_behind(world: World, broken: dict[str, Any], said: str) -> None:
    number = f"T-{next(_numbers)}"
    payload = world.payload(number, world.line("WIDGET-1", 1, "12.50")) | broken
    (outcome,) = world.connector.push("sales", [change("create", number, payload)])
    assert outcome.status == "rejected", outcome
    assert said in outcome.message
    assert world.books.sales(number) == []


def test_a_creation_that_broke_off_is_taken_up(world: World) -> None:
    number = f"T-{next(_numbers)}"
    payload = world.payload(number, world.line("WIDGET-1", 3, "12.50"), total="44.63")
    from connectors._tryton_sales import Sales

    Sales(world.connector)._draft(payload)
    assert world.connector.find("sales", number) == []  # it did not land as a whole
    (outcome,) = world.connector.push("sales", [change("create", number, payload)])
    assert outcome.status == "applied"
    assert world.sale(number)["state"] == "processing"
    assert world.sale(number)["total_amount"] == Decimal("44.63")


def test_two_sales_with_our_number_wait_for_a_person(world: World) -> None:
    number, _ = world.create(world.line("WIDGET-1", 1, "12.50"))
    _, id = world.create(world.line("WIDGET-1", 1, "12.50"))
    world.books.rpc("sale.sale.write", [int(id)], {"reference": number})
    (outcome,) = world.connector.push("sales", [change("create", number, world.payload(number))])
    assert outcome.status == "rejected"
    assert "2 sales carry the reference" in outcome.message
    assert len(world.connector.find("sales", number)) == 2


def test_a_processing_sale_is_changed_by_an_amendment(world: World) -> None:
    number, id = world.create(world.line("WIDGET-1", 2, "12.50"), world.line("GADGET-2", 1, "19.99"))
    payload = world.payload(number, world.line("WIDGET-1", 5, "12.00"), total="71.40")
    for _ in range(2):
        outcome = world.push("change", number, id, payload)
        assert outcome.status == "applied", outcome.message
    sale = world.sale(number)
    assert sale["lines"] == {"WIDGET-1": (5.0, Decimal("12")), "GADGET-2": (0.0, Decimal("19.99"))}
    assert (sale["state"], sale["total_amount"]) == ("processing", Decimal("71.40"))
    assert len(world.books.rpc("sale.amendment.search", [["sale", "=", int(id)]], 0, None, None)) == 1
    assert world.books.sales(f"{number} (trial)") == []


def test_a_line_cannot_be_added_to_a_processing_sale(world: World) -> None:
    number, id = world.create(world.line("WIDGET-1", 2, "12.50"))
    lines = [world.line("WIDGET-1", 2, "12.50"), world.line("BOLT-M8", 9, "0.07")]
    outcome = world.push("change", number, id, world.payload(number, *lines))
    assert outcome.status == "rejected"
    assert "cannot be added" in outcome.message
    assert world.sale(number)["lines"] == {"WIDGET-1": (2.0, Decimal("12.5"))}


def test_a_quotation_is_edited_line_by_line(world: World) -> None:
    number = f"T-{next(_numbers)}"
    from connectors._tryton_sales import Sales

    sales = Sales(world.connector)
    id = sales._draft(world.payload(number, world.line("WIDGET-1", 2, "12.50")))
    world.books.rpc("sale.sale.quote", [id])
    lines = [world.line("WIDGET-1", 3, "12.50"), world.line("BOLT-M8", 9, "0.07")]
    outcome = world.push("change", number, str(id), world.payload(number, *lines, total="45.38"))
    assert outcome.status == "applied", outcome.message
    sale = world.sale(number)
    assert (sale["state"], sale["total_amount"]) == ("processing", Decimal("45.38"))
    assert sale["lines"]["BOLT-M8"] == (9.0, Decimal("0.07"))


def test_a_quotation_is_cancelled(world: World) -> None:
    from connectors._tryton_sales import Sales

    number = f"T-{next(_numbers)}"
    id = Sales(world.connector)._draft(world.payload(number, world.line("WIDGET-1", 2, "12.50")))
    world.books.rpc("sale.sale.quote", [id])
    for _ in range(2):
        outcome = world.push("cancel", number, str(id), {"reason": "changed her mind"})
        assert (outcome.status, world.sale(number)["state"]) == ("applied", "cancelled")


def test_a_processing_sale_is_cancelled_by_amending_it_to_nothing(world: World) -> None:
    number, id = world.create(world.line("WIDGET-1", 3, "12.50"), total="44.63")
    for _ in range(2):
        outcome = world.push("cancel", number, id, {"reason": "changed her mind"})
        assert outcome.status == "applied", outcome.message
    sale = world.sale(number)
    assert (sale["state"], sale["total_amount"], sale["shipments"], sale["invoices"]) == ("done", Decimal(0), [], [])


def test_without_the_module_a_processing_sale_waits_for_a_person(world: World) -> None:
    number, id = world.create(world.line("WIDGET-1", 3, "12.50"))
    connector = world.books.connector()
    connector.modules = set()
    for operation, payload in (
        ("cancel", {}),
        ("change", world.payload(number, world.line("WIDGET-1", 1, "12.50"))),
    ):
        (outcome,) = connector.push("sales", [change(operation, number, payload, id=id)])
        assert outcome.status == "rejected"
        assert outcome.message.startswith('You can not call "')
    assert world.sale(number)["state"] == "processing"


@pytest.mark.parametrize(("event", "stands"), [("pick", "is picked"), ("ship", "is done"), ("bill", "is posted")])
def test_what_has_left_the_house_waits_for_a_person(world: World, event: str, stands: str) -> None:
    number, id = world.create(world.line("WIDGET-1", 1, "12.50"))
    getattr(world.books, event)(world.sale(number))
    for operation, payload in (("cancel", {}), ("change", world.payload(number, world.line("WIDGET-1", 9, "12.50")))):
        outcome = world.push(operation, number, id, payload)
        assert outcome.status == "rejected"
        assert stands in outcome.message
    assert world.sale(number)["lines"] == {"WIDGET-1": (1.0, Decimal("12.5"))}


def test_a_whole_refund_is_a_return_and_a_part_is_not(world: World) -> None:
    number, id = world.create(world.line("WIDGET-1", 2, "12.50"))
    world.books.ship(world.sale(number))
    world.books.bill(world.sale(number))
    part = change("create", f"R-{number}", {"sale": id, "reference": f"R-{number}", "amount": "10.00"})
    (outcome,) = world.connector.push("credits", [part])
    assert outcome.status == "rejected"
    assert "10.00 of 29.75" in outcome.message
    whole = change("create", f"R-{number}", {"sale": id, "reference": f"R-{number}", "amount": "29.75"})
    for _ in range(2):
        (outcome,) = world.connector.push("credits", [whole])
        assert outcome.status == "applied", outcome.message
    credit = world.sale(f"R-{number}")
    assert (credit["total_amount"], credit["origin"]) == (Decimal("-29.75"), f"sale.sale,{id}")
    (invoice,) = world.books.rpc("account.invoice.read", credit["invoices"], ["total_amount", "state"])
    assert (invoice["total_amount"]["decimal"], invoice["state"]) == ("-29.75", "draft")
    assert [found.id for found in world.connector.find("credits", f"R-{number}")] == [outcome.id]
    assert [found.id for found in world.connector.find("sales", number)] == [id]
