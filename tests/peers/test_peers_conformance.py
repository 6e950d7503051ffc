"""Both connectors keep every promise of hub/conformance.py, against the real servers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from hub.conformance import Sample, Subject, certify
from hub.connector import Change, Operation
from hub.secrets import Secret

_numbers = itertools.count(1)
Behind = Callable[[str], AbstractContextManager[Any]]


def change(operation: Operation, key: str, payload: dict[str, Any], id: str | None = None) -> Change:
    return Change(operation, key, payload, f"conformance-{next(_numbers)}", id)


def test_tryton(tryton: Any, behind: Behind) -> None:
    products = tryton.products()
    party = tryton.party("Conformance")
    connector = tryton.connector()

    def payload(number: str, quantity: int = 1, **more: Any) -> dict[str, Any]:
        line = {"product": str(products["WIDGET-1"]), "quantity": quantity, "unit_price": "12.50"}
        return {"reference": number, "party": str(party), "lines": [line], **more}

    def sale() -> tuple[str, str]:
        number = f"C-{next(_numbers)}"
        (made,) = connector.push("sales", [change("create", number, payload(number))])
        return number, made.id

    def person(operation: Operation, **more: Any) -> Change:
        key = str(1000 + next(_numbers))
        return change(operation, key, {"name": f"Person {key}", "addresses": [], **more})

    def known(**more: Any) -> Change:
        made = person("change", **more)
        return replace(made, id=str(tryton.party("Somebody")))

    def create(**more: Any) -> Change:
        number = f"C-{next(_numbers)}"
        return change("create", number, payload(number, **more))

    def edit(quantity: int) -> Change:
        number, id = sale()
        return change("change", number, payload(number, quantity), id)

    def shipped() -> tuple[str, str]:
        number, id = sale()
        tryton.ship(tryton.sales(number)[0])
        return number, id

    def edit_shipped() -> Change:
        number, id = shipped()
        return change("change", number, payload(number, 9), id)

    def cancel(made: tuple[str, str]) -> Change:
        return change("cancel", made[0], {"reason": "conformance"}, made[1])

    def credit(amount: str) -> Change:
        number, id = sale()
        return change("create", f"R-{number}", {"sale": id, "reference": f"R-{number}", "amount": amount})

    bad_tax = {"tax_identifier": "DE1"}
    samples: dict[tuple[str, Operation], Sample] = {
        ("parties", "create"): Sample(lambda: person("create"), lambda: person("create", **bad_tax)),
        ("parties", "upsert"): Sample(lambda: person("upsert"), lambda: person("upsert", **bad_tax)),
        ("parties", "change"): Sample(known, lambda: known(**bad_tax)),
        ("sales", "create"): Sample(create, lambda: create(total_amount="1.00")),
        ("sales", "change"): Sample(lambda: edit(2), edit_shipped),
        ("sales", "cancel"): Sample(lambda: cancel(sale()), lambda: cancel(shipped())),
        ("credits", "create"): Sample(lambda: credit("14.88"), lambda: credit("1.00")),
    }
    last_step = {
        ("parties", "create"): r"party\.party\.create",
        ("parties", "upsert"): r"party\.party\.create",
        ("parties", "change"): r"party\.party\.write",
        ("sales", "create"): r"sale\.sale\.confirm",
        ("sales", "change"): r"validate_amendment",
        ("sales", "cancel"): r"validate_amendment",
        ("credits", "create"): r"sale\.sale\.confirm",
    }
    with behind(tryton.url) as proxy:
        connection = replace(tryton.connection(), url=proxy.url)
        subject = Subject(
            kind=type(connector),
            connection=connection,
            wrong=replace(connection, password=Secret("not-the-password")),
            samples=samples,
            lose_answer=lambda stream, operation: proxy.lose(last_step[stream, operation]),
            page_size=8,
        )
        found = [str(finding) for finding in certify(subject)]
        assert not found, "\n".join(found)


def test_vendure(vendure: Any, behind: Behind) -> None:
    for number in range(4):
        vendure.place_order({"BOLT-M8": 1}, f"conformance-{number}@example.com")

    def fulfil(payload: dict[str, Any]) -> Change:
        placed = vendure.place_order({"WIDGET-1": 1}, f"conformance-{next(_numbers)}@example.com")
        return change("fulfil", placed["code"], payload, placed["id"])

    def sold_out() -> Change:
        vendure.stock("GADGET-2", 100)
        placed = vendure.place_order({"GADGET-2": 1}, f"conformance-{next(_numbers)}@example.com")
        vendure.stock("GADGET-2", 0)
        return change("fulfil", placed["code"], {"fulfilment_status": "fulfilled"}, placed["id"])

    def note(text: str) -> Change:
        made = fulfil({"note": text})
        return replace(made, operation="change")

    samples: dict[tuple[str, Operation], Sample] = {
        ("orders", "fulfil"): Sample(lambda: fulfil({"fulfilment_status": "fulfilled"}), sold_out),
        ("orders", "change"): Sample(
            lambda: note("please ring"), lambda: change("change", "NO-SUCH-CODE", {"note": "please ring"})
        ),
        ("products", "change"): Sample(
            lambda: change("change", "GADGET-2", {"stock": 900 + next(_numbers)}),
            lambda: change("change", "NO-SUCH-SKU", {"stock": 1}),
        ),
    }
    last_step = {
        ("orders", "fulfil"): r"transitionFulfillmentToState",
        ("orders", "change"): r"addNoteToOrder",
        ("products", "change"): r"updateProductVariants",
    }
    with behind(vendure.url) as proxy:
        connection = replace(vendure.connection(), url=proxy.url)
        subject = Subject(
            kind=type(vendure.connector()),
            connection=connection,
            wrong=replace(connection, password=Secret("not-the-password")),
            samples=samples,
            lose_answer=lambda stream, operation: proxy.lose(last_step[stream, operation]),
            page_size=8,
        )
        found = [str(finding) for finding in certify(subject)]
    vendure.stock("GADGET-2", 1000)  # the shop is shared by the session
    assert not found, "\n".join(found)
