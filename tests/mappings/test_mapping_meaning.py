"""What means different things in trade does not go together: each rule with a mapping that breaks it and one that keeps it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.connector import Stream, TargetField
from hub.entity import Model
from hub.findings import Finding
from mappings import inbound
from mappings.codes import CODES
from mappings.expressions import Value
from mappings.lint import lint
from mappings.load import load
from mappings.meaning import calculated, declared, differ

TYPES = {
    "total": "money gross in currency",
    "net": "money net in currency",
    "tax": "money tax in currency",
    "usd": "money USD",
    "eur": "money gross EUR",
    "weight": "quantity GRM",
    "pieces": "quantity C62",
    "state": "picklist state",
    "books_state": "picklist erp.state",
    "customer.id": "id customer",
    "books_customer": "id customer of erp",
    "order_id": "id sales_order",
    "placed": "instant",
    "day": "date",
    "lines.price": "money net in currency",
    "lines.gross": "money gross in currency",
    "lines.price_usd": "money net USD",
    "lines.weight": "quantity GRM",
    "lines.pieces": "quantity C62",
}
VALUES = """
state: {new: open, done: completed, void: cancelled}
paid: {yes: paid, no: unpaid}
refund: {full: refunded, part: partially_refunded}
"""
TAKES = {
    "create": {
        "Number": TargetField(),
        "Currency": TargetField(),
        "Gross": TargetField(type="money gross in Currency"),
        "Net": TargetField(type="money net"),
        "Usd": TargetField(type="money USD"),
        "Paid": TargetField(type="picklist paid"),
        "Items.Weight": TargetField(type="quantity KGM"),
        "Items.Price": TargetField(type="money net in Currency"),
        "Buyer": TargetField(type="id customer"),
    }
}
FIELDS = {
    "number": "number",
    "ordered_at": "\"'2026-11-18T09:00:00Z'\"",
    "customer": "{ref: customer, at: customer.id}",
    "currency": "currency",
    "total": "total",
    "lifecycle_status": "{at: state, values: state}",
}


def order(more: str = "", **fields: str) -> str:
    said = "".join(f"  {name}: {text}\n" for name, text in {**FIELDS, **fields}.items())
    return f"stream: orders\nentity: sales_order\nkey: id\nfields:\n{said}{more}"


def line(fields: str) -> str:
    return order(f"children: {{order_line: {{each: lines, key: id, fields: {{{fields}}}}}}}\n")


def push(fields: str, when: str = "number is not null") -> str:
    return order(f'push: {{operation: create, when: "{when}", fields: [{{number: {{at: Number}}}}, {fields}]}}\n')


def value(at: str, text: str) -> str:
    return push(f'{{x: {{at: {at}, value: "{text}"}}}}')


EUR = "when: currency = 'EUR'\n"
# code: (what breaks it, what keeps it, what the finding says)
RULES: dict[str, list[tuple[str, str, str]]] = {
    "M150": [
        (order("types: {a: gross money}\n"), order("types: {a: money gross}\n"), "'gross money' is no type of a field"),
        (order("types: {a: money EUX}\n"), order("types: {a: money EUR}\n"), "no currency 'EUX'"),
        (order("types: {a: money brutto}\n"), order("types: {a: money tax CHF}\n"), "is no type"),
    ],
    "M111": [(order("types: {a: picklist stat}\n"), order("types: {a: picklist state}\n"), "did you mean 'state'?")],
    "M106": [(order("types: {a: id custmer}\n"), order("types: {a: id customer}\n"), "did you mean 'customer'?")],
    "M151": [
        (order(total="eur + usd"), order(EUR, total="eur + net * 2"), "money in EUR is not money in USD"),
        (order(total="eur"), order(EUR, total="eur"), "gross money in EUR is not gross money in currency; write when: currency = 'EUR'"),
        (order(total="usd", currency="\"'EUR'\""), order(total="usd", currency="\"'USD'\""), "is not gross money in EUR"),
        (order(total="from_minor(cents, shop_currency)"), order(total="from_minor(cents, currency)"), "money in shop_currency is not gross money in currency"),
        (order(total="from_minor(usd, 'EUR')"), order(total="from_minor(usd, 'USD')", currency="\"'USD'\""), "money in USD is not money in EUR"),
        (order(total="coalesce(total, usd)"), order(total="coalesce(total, number(usd))"), "not money in USD"),
        (order(total="if(total > usd, 1, 2)"), order(total="if(total > 5, 1, 2)"), "not money in USD"),
        (line("quantity: '1', currency: record.currency, line_total: price_usd"), line("quantity: '1', currency: record.currency, line_total: price"), "in USD is not net money in currency"),
        (push("{total: {at: Usd}}"), push("{total: {at: Usd}}", "currency = 'USD' and number is not null"), "total to Usd: gross money in currency is not money in USD; write when: currency = 'USD'"),
        (push("{currency: {at: Currency, value: \"'EUR'\"}}, {total: {at: Gross}}"), push("{currency: {at: Currency}}, {total: {at: Gross}}"), "is not gross money in EUR"),
    ],
    "M152": [
        (order(total="net"), order(total="net + tax"), "total: net money in currency is not gross money in currency"),
        (order(total="total + net"), order(total="total - net + net"), "is neither net nor gross nor tax"),
        (order(total="total - tax"), order(total="net + tax"), "net money"),
        (order(total="case when number = '1' then total else net end"), order(total="case when number = '1' then total else net + tax end"), "is not net money"),
        (order(line_total="round(total, 2)"), order(line_total="round(total - tax, 2)"), "line_total: gross money"),
        (order(line_total="least(total, 5)"), order(line_total="least(net, 5)"), "line_total: gross"),
        (line("quantity: pieces, unit_price: 'gross / pieces'"), line("quantity: pieces, unit_price: 'price / pieces'"), "unit_price: gross"),
        (line("quantity: pieces, line_total: 'gross * pieces'"), line("quantity: pieces, line_total: 'gross * 0.84'"), "line_total: gross"),
        (line('quantity: pieces, discount: "share(record.total, price)"'), line('quantity: pieces, discount: "share(record.net, price)"'), "discount: gross"),
        (value("Gross", "total + line_total"), value("Gross", "line_total + tax_total"), "gross money in currency + net money in currency"),
        (push("{total: {at: Net}}"), push("{line_total: {at: Net}}"), "total to Net: gross money"),
        (value("Net", "total(payment.amount)"), value("Net", "total(order_line.line_total)"), "gross money is not net money"),
        (push("{number: {at: x}}", "total > line_total"), push("{number: {at: x}}", "total > tax_total + line_total"), "is not net"),
    ],
    "M153": [
        (line("quantity: weight, unit: \"'KGM'\""), line("quantity: weight / 1000, unit: \"'KGM'\""), "a quantity in GRM is not a quantity in KGM"),
        (line("quantity: weight + pieces"), line("quantity: weight + 5"), "is not a quantity in C62"),
        (line("quantity: pieces, unit: uom"), line("quantity: pieces"), "is not a quantity in lines.uom"),
    ],
    "M154": [
        (order(lifecycle_status="state"), order(), "lifecycle_status: a word of shop.state is not a word of sales_order.lifecycle_status"),
        (order(payment_status="{at: state, values: paid}"), order(payment_status="{at: cash, values: paid}"), "a word of shop.state is not a word of shop.paid"),
        (order(lifecycle_status="{at: books_state, values: state}"), order(lifecycle_status="{at: text(books_state), values: state}"), "a word of erp.state is not a word of shop.state"),
        (order(payment_status="{at: cash, values: paid}", credit_status="cash"), order(payment_status="{at: cash, values: paid}", credit_status="check"), "a word of shop.paid is not"),
        (order(lifecycle_status="\"if(state = books_state, 'open', 'completed')\""), order(lifecycle_status="\"if(state = 'new', 'open', 'completed')\""), "a word of shop.state is not a word of erp.state"),
        (push("{number: {at: x}}", "lifecycle_status = 'opne'"), push("{number: {at: x}}", "lifecycle_status in ('open')"), "did you mean 'open'?"),
        (push("{number: {at: x}}", "payment_status = lifecycle_status"), push("{number: {at: x}}", "payment_status <> target.payment_status"), "is not a word of sales_order.lifecycle_status"),
        (push("{payment_status: {at: Paid}}"), push("{payment_status: {at: Paid, values: paid}}"), "payment_status to Paid"),
        (push("{payment_status: {at: Paid, values: refund}}"), push("{payment_status: {at: Paid, values: paid}}"), "a word of shop.refund is not a word of shop.paid"),
        (push("{lifecycle_status: {at: x, values: paid}}"), push("{lifecycle_status: {at: x, values: state}}"), "the value map paid is about paid, unpaid"),
    ],
    "M155": [
        (order(customer="{ref: customer, at: order_id}"), order(), "an id of a sales_order in shop is not an id of a customer in shop"),
        (order(customer="{ref: customer, at: books_customer}"), order(customer="{ref: customer, at: trim(customer.id)}"), "in erp is not an id of a customer in shop"),
        (order("when: customer.id = order_id\n"), order("when: customer.id = '7'\n"), "is not an id of a sales_order"),
        (value("Buyer", "customer.hub_id"), value("Remark", "customer.hub_id"), "in the hub is not an id of a customer in shop"),
    ],
    "M156": [
        (line("quantity: price"), line("quantity: pieces"), "quantity: net money in currency is not a quantity"),
        (order(total="total + weight"), order(total="total + fee"), "is not a quantity in GRM"),
        (order(total="total * net"), order(total="total * rate"), "an amount times an amount"),
        (order(customer="{ref: customer, at: books_state}"), order(), "is not an id of a customer"),
    ],
    "M124": [
        (order(requested_date="placed"), order(requested_date="local_date(placed, 'UTC')"), "instant"),
        (order(ordered_at="day"), order(ordered_at="local_instant(day, '10:00', 'UTC')"), "gives date"),
        (order(requested_date="parse_date(total, 'YYYY') ").replace("parse_date(total, 'YYYY') ", "if(number = '1', date(placed), null)"), order(requested_date="if(number = '1', date(day), null)"), "an instant is no date"),
    ],
}  # fmt: skip
CASES = [(code, *case) for code, cases in RULES.items() for case in cases]


def check(folder: Path, model: Model, text: str, types: dict[str, str] = TYPES) -> list[Finding]:
    (folder / "shop").mkdir(parents=True)
    (folder / "shop" / "values.yaml").write_text(VALUES)
    (folder / "shop" / "orders.yaml").write_text(text)
    loaded = load([folder], model)
    stream = Stream("orders", "id", types=types, writes=("create", "change"), target_fields=TAKES)  # type: ignore[arg-type]
    return [
        finding
        for finding in (*loaded.findings, *lint(loaded, model, {"shop": [stream, Stream("items", "id")]}))
        if finding.code not in ("M222", "M205", "M208")
    ]


@pytest.mark.parametrize(
    ("code", "breaks", "keeps", "says"), CASES, ids=[f"{c}-{n}" for n, (c, *_) in enumerate(CASES)]
)
def test_rule(tmp_path: Path, model: Model, code: str, breaks: str, keeps: str, says: str) -> None:
    broken = check(tmp_path / "broken", model, breaks)
    assert {finding.code for finding in broken} == {code}, broken
    assert any(says in str(finding) for finding in broken), broken
    assert all(finding.fix and finding.place.line and finding.place.column for finding in broken), broken
    assert check(tmp_path / "kept", model, keeps) == []


def test_what_is_looked_up_in_the_hub_is_known(tmp_path: Path, model: Model) -> None:
    price = "{lookup: canonical.price, key: list, by: list_name, at: amount}"
    assert [one.code for one in check(tmp_path / "a", model, order(total=price))] == ["M152"]
    assert check(tmp_path / "b", model, order(line_total=price)) == []
    tier = "{lookup: canonical.customer, key: who, by: email, at: tier}"
    assert [one.code for one in check(tmp_path / "c", model, order(channel=tier))] == ["M154"]


def test_the_types_of_a_stream_are_not_those_of_another(tmp_path: Path, model: Model) -> None:
    items = "children: {order_line: {stream: items, parent: order_id, key: id, fields: {quantity: much, line_total: total}}}\n"
    assert check(tmp_path / "a", model, order(items)) == []
    other = "{lookup: items, key: id, by: id, at: total}"
    assert check(tmp_path / "b", model, order(line_total=other)) == []


def test_what_nobody_declared_is_plain(tmp_path: Path, model: Model) -> None:
    for number, (code, breaks, _, _) in enumerate(CASES):
        if code in ("M152", "M153", "M156") and "push:" not in breaks:
            assert check(tmp_path / str(number), model, breaks, {}) == [], breaks


def test_every_rule_is_tried() -> None:
    assert {code for code in CODES if code.startswith("M15")} <= set(RULES)


def test_a_mapping_says_it_too_and_before_the_stream(tmp_path: Path, model: Model) -> None:
    said = order("types: {total: money net in currency}\n")
    assert [finding.code for finding in check(tmp_path / "a", model, said)] == ["M152"]
    (tmp_path / "b" / "shop").mkdir(parents=True)
    (tmp_path / "b" / "shop" / "orders.sample.json").write_text('{"lines": [{"price": 1}], "currency": "EUR"}')
    wrong = "types: {lines.prise: money net in currency}\n"
    (tmp_path / "b" / "shop" / "orders.yaml").write_text(order(wrong))
    found = [str(f) for f in lint(load([tmp_path / "b"], model), model, {}) if "prise" in str(f)]
    assert len(found) == 1
    assert "M104" in found[0]
    assert "did you mean 'price'?" in found[0]


def test_the_connector_is_told_of_its_own(tmp_path: Path, model: Model) -> None:
    found = check(tmp_path, model, order(), TYPES | {"fee": "gross"})
    assert [(one.code, "the connector says of orders.fee" in one.what) for one in found] == [("M150", True)]


def test_meaning_changes_no_sql(tmp_path: Path, model: Model) -> None:
    texts = []
    for name, types in (("typed", TYPES), ("plain", {})):
        check(tmp_path / name, model, order(total="round(net + tax, 2)", line_total="total - tax"), types)
        mapping = load([tmp_path / name], model)["shop/orders"]
        texts.append(inbound.compile(mapping, model, Stream("orders", "id", types=types)).sql)
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    "text", ["", "money net gross", "quantity", "picklist", "id", "money in", "money in a..b", "id x of", "date of"]
)
def test_declarations_are_read_strictly(text: str) -> None:
    if text == "quantity":
        assert str(declared(text, "shop")) == "a quantity"
    else:
        with pytest.raises(ValueError, match="is no type of a field"):
            declared(text, "shop")


SAID = st.sampled_from(
    [None]
    + [f"money{basis}{unit}" for basis in ("", " net", " gross", " tax") for unit in ("", " EUR", " USD", " in currency")]
    + ["quantity", "quantity KGM", "quantity in unit", "picklist a", "picklist a | b", "id customer", "id product of erp", "date"]
)  # fmt: skip


@given(SAID, SAID, st.sampled_from(["+", "-", "*", "/"]))
def test_what_goes_together_does_so_both_ways_and_what_is_plain_with_all(
    one: str | None, other: str | None, op: str
) -> None:
    left, right = (Value("x", "number", meaning=declared(text, "shop") if text else None) for text in (one, other))
    if left.meaning is None or right.meaning is None:
        calculated(op, left, right, 0)
        return
    there, back = differ(left.meaning, right.meaning), differ(right.meaning, left.meaning)
    assert (there and there[0]) == (back and back[0])
    assert differ(left.meaning, left.meaning) is None
    if there is None:  # what may be put into one place may be added there, unless net or gross tells otherwise
        made = calculated("+", left, right, 0)
        assert made is None or differ(made, left.meaning) is None
