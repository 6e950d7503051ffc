"""What a mapping makes of records: values, refusals, children, references, counts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.connector import Stream
from hub.entity import Model
from hub.errors import ConfigurationError
from mappings import inbound
from mappings.load import Mappings

ORDER = """
    stream: orders
    entity: sales_order
    key: id
    fields:
      number: number
      ordered_at: created_at
      customer: {ref: customer, at: customer.id}
      currency: currency
      total: total
      lifecycle_status: "'open'"
"""
GOOD: dict[str, Any] = {
    "id": 7,
    "number": "1001",
    "created_at": "2026-11-18T09:00:00+01:00",
    "customer": {"id": 8},
    "currency": "EUR",
    "total": "12.50",
}


def order(**changes: Any) -> dict[str, Any]:
    return {**GOOD, **changes}


def test_a_record_becomes_a_row(run: Callable[..., Any]) -> None:
    made = run(ORDER, [GOOD])
    columns = ("system", "source_id", "mapping", "_line", "number", "customer_ref", "total", "lifecycle_status", "note")
    assert made.rows("sales_order", *columns) == [
        ("shop", "7", "shop/things", 1, "1001", "8", Decimal("12.5000"), "open", None)
    ]
    moments = made.con.execute("SELECT epoch(ordered_at) FROM mapped.sales_order").fetchone()
    assert moments == (datetime(2026, 11, 18, 8, tzinfo=UTC).timestamp(),)
    assert made.rejects() == []
    assert made.counts() == {"staged": 1, "rejected": 0, "excluded": 0, "mapped": 1}


def test_the_noise_of_floating_point_is_no_precision(run: Callable[..., Any]) -> None:
    assert run(ORDER, [order(total=0.1 + 0.2)]).rows("sales_order", "total") == [(Decimal("0.3000"),)]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"total": "12,50"}, ("total", "cast", "12,50")),
        ({"total": "12.50001"}, ("total", "precision", "12.50001")),
        ({"total": "123456789012345678.0"}, ("total", "cast", "123456789012345678.0")),
        ({"total": 0.1 + 0.200001}, ("total", "precision", "0.300001")),
        ({"total": ""}, ("total", "required", None)),
        ({"total": None}, ("total", "required", None)),
        ({"created_at": "2026-11-18T09:00:00"}, ("ordered_at", "zone", "2026-11-18T09:00:00")),
        ({"created_at": "2026-11-18"}, ("ordered_at", "zone", "2026-11-18")),
        ({"created_at": "2026-02-30T09:00:00Z"}, ("ordered_at", "cast", "2026-02-30T09:00:00Z")),
        ({"created_at": "infinity"}, ("ordered_at", "zone", "infinity")),
        ({"customer": None}, ("customer", "required", None)),
        ({"customer": {"id": ""}}, ("customer", "required", None)),
        ({"id": None}, ("key", "required", None)),
    ],
)
def test_what_does_not_fit_is_rejected_with_its_raw_value(run: Callable[..., Any], changes: Any, wanted: Any) -> None:
    made = run(ORDER, [GOOD, order(id=9), order(**changes)])
    assert made.rejects() == [wanted]
    assert made.counts() == {"staged": 3, "rejected": 1, "excluded": 0, "mapped": 2}


def test_all_fields_of_a_record_are_told_at_once(run: Callable[..., Any]) -> None:
    made = run(ORDER, [order(total="x", currency="", created_at="soon")])
    assert [(field, rule) for field, rule, _ in made.rejects()] == [
        ("currency", "required"),
        ("ordered_at", "cast"),
        ("total", "cast"),
    ]
    row = made.con.execute(
        "SELECT entity, source_id, segment, line, code, message FROM run.rejects WHERE field = 'currency'"
    ).fetchone()
    assert row[:5] == ("sales_order", "7", "shop/orders/1.a.jsonl", 1, "M302")
    assert "currency is missing" in row[5]


@pytest.mark.parametrize(
    ("kind", "raw", "wanted"),
    [
        ("line_number", "12", 12),
        ("line_number", "12.0", 12),
        ("line_number", "12.5", "precision"),
        ("line_number", "0x1F", "precision"),
        ("line_number", "99999999999999999999", "cast"),
        ("quantity", "-1.123456", Decimal("-1.123456")),
        ("quantity", "1.1234567", "precision"),
        ("quantity", "1e-7", "precision"),
        ("unit_price", ".5", Decimal("0.5000")),
        ("unit_price", "NaN", "cast"),
        ("unit_price", "Infinity", "cast"),
    ],
)
def test_numbers_are_exact_or_refused(run: Callable[..., Any], kind: str, raw: str, wanted: Any) -> None:
    fields = {"quantity": "one", kind: "value"}
    text = f"{ORDER}    children: {{order_line: {{each: lines, key: id, fields: {{{', '.join(f'{k}: {v}' for k, v in fields.items())}}}}}}}\n"
    made = run(text, [order(lines=[{"id": 1, "one": "1", "value": raw}])])
    if isinstance(wanted, str):
        assert made.rejects() == [(f"order_line.{kind}", wanted, raw)]
        assert made.counts()["rejected"] == 1
    else:
        assert made.rows("order_line", kind) == [(wanted,)]


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (True, True),
        ("yes", True),
        ("N", False),
        (0, False),
        ("2", "cast"),
        ("on", "cast"),
        ("", None),
        (None, None),
    ],
)
def test_yes_and_no(run: Callable[..., Any], raw: Any, wanted: Any) -> None:
    text = "{stream: customers, entity: customer, key: id, fields: {name: name, guest: flag}}"
    made = run(text, [{"id": 1, "name": "A", "flag": raw}])
    if wanted == "cast":
        assert made.rejects() == [("guest", "cast", raw)]
    else:
        assert made.rows("customer", "guest") == [(wanted,)]


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        ("2026-11-19", date(2026, 11, 19)),
        ("2026-02-30", "cast"),
        ("19.11.2026", "cast"),
        ("2026-11-19T10:00:00Z", "cast"),
        ("infinity", "cast"),
    ],
)
def test_days(run: Callable[..., Any], raw: str, wanted: Any) -> None:
    made = run(f"{ORDER}      requested_date: wanted\n", [order(wanted=raw)])
    if wanted == "cast":
        assert made.rejects() == [("requested_date", "cast", raw)]
    else:
        assert made.rows("sales_order", "requested_date") == [(wanted,)]


def test_an_empty_text_is_a_missing_value_everywhere(run: Callable[..., Any]) -> None:
    text = """
        stream: customers
        entity: customer
        key: id
        fields:
          name: coalesce(company, name)
          phone: phone
          tax_id: trim(tax_id)
          email: first || '@' || host
          family_name: concat(a, b)
    """
    made = run(text, [{"id": 1, "company": "", "name": "A", "phone": "", "tax_id": "  ", "first": "x", "host": ""}])
    assert made.rows("customer", "name", "phone", "tax_id", "email", "family_name") == [("A", None, None, None, None)]


VALUES = """
    tier: {retail: standard, vip: gold}
    state: {"": active, X: blocked}
    long: {in: {a: silver, b: silver}, out: {silver: a}}
"""


@pytest.mark.parametrize(
    ("field", "raw", "wanted"),
    [
        ("{at: x, values: tier}", "vip", "gold"),
        ("{at: x, values: tier}", None, None),
        ("{at: x, values: tier}", "new", "unmapped"),
        ("{at: x, values: tier, unmapped: quarantine}", "new", "unmapped"),
        ("{at: x, values: tier, unmapped: default, default: standard}", "new", "standard"),
        ("{at: x, values: tier, unmapped: default, default: standard}", None, "standard"),
        ("{at: x, values: tier, default: silver}", None, "silver"),
        ("{at: x, values: tier, default: silver}", "new", "unmapped"),
        ("{at: x, values: tier, unmapped: pass}", "silver", "silver"),
        ("{at: x, values: tier, unmapped: pass}", "new", "picklist"),
        ("{at: lower(x), values: tier}", "VIP", "gold"),
        ("{at: x, values: long}", "b", "silver"),
        ("x", "gold", "gold"),
        ("x", "brass", "picklist"),
        ("{at: x, default: gold}", "", "gold"),
        ("{at: x, required: true}", "", "required"),
        ("case when x = 'v' then 'gold' else 'silver' end", "v", "gold"),
    ],
)
def test_picklists(run: Callable[..., Any], field: str, raw: Any, wanted: Any) -> None:
    text = f"{{stream: customers, entity: customer, key: id, fields: {{name: name, tier: {field}}}}}"
    made = run(
        text.replace("'", "''") if "case" not in text else text, [{"id": 1, "name": "A", "x": raw}], values=VALUES
    )
    if wanted in ("unmapped", "picklist", "required"):
        assert [(f, rule) for f, rule, _ in made.rejects()] == [("tier", wanted)]
    else:
        assert made.rows("customer", "tier") == [(wanted,)]


def test_a_missing_value_may_mean_something(run: Callable[..., Any]) -> None:
    text = "{stream: customers, entity: customer, key: id, fields: {name: name, status: {at: x, values: state}}}"
    made = run(text, [{"id": n, "name": "A", "x": x} for n, x in enumerate(["", None, "X"])], values=VALUES)
    assert made.rows("customer", "status") == [("active",), ("active",), ("blocked",)]


def test_computed_values_fail_row_by_row_and_show_what_they_read(run: Callable[..., Any]) -> None:
    text = ORDER.replace("total: total", "total: round(quantity * price, 2)")
    records = [
        order(id=1, quantity="3", price="1.115"),
        order(id=2, quantity="three", price="1.10"),
        order(id=3, quantity="", price="1"),
        order(id=4, quantity="9999999999", price="99999999999"),
        order(id=5, quantity="1e30", price="1e30"),
    ]
    made = run(text, records)
    assert made.rows("sales_order", "source_id", "total") == [("1", Decimal("3.3500"))]
    assert made.rejects() == [
        ("total", "expression", "quantity=three, price=1.10"),
        ("total", "required", "price=1"),
        ("total", "expression", "quantity=9999999999, price=99999999999"),
        ("total", "expression", "quantity=1e30, price=1e30"),
    ]


def test_decimals_that_a_computation_makes_are_not_rounded_in_silence(run: Callable[..., Any]) -> None:
    text = ORDER.replace("total: total", "total: quantity * price")
    made = run(text, [order(quantity="0.001", price="0.015")])
    assert made.rejects() == [("total", "precision", "quantity=0.001, price=0.015")]


def test_when_excludes_and_is_counted(run: Callable[..., Any]) -> None:
    text = f"{ORDER}    when: state = 'paid' and number(paid) > 0\n"
    records = [
        order(id=1, state="paid", paid="1"),
        order(id=2, state="open", paid="1"),
        order(id=3, paid="1"),
        order(id=4, state="paid", paid="much"),
        order(id=5, state="paid", paid="0", total="broken, but nobody asks"),
    ]
    made = run(text, records)
    assert made.rows("sales_order", "source_id") == [("1",)]
    assert made.rejects() == [("when", "expression", None)]
    assert made.counts() == {"staged": 5, "rejected": 1, "excluded": 3, "mapped": 1}


LINES = f"""{ORDER}
    children:
      order_line:
        each: lines
        key: id
        when: kind = 'item'
        fields:
          line_number: ordinal()
          quantity: quantity
          currency: record.currency
          sku: sku
      allowance_charge:
        - {{each: coupons, key: "'coupon-' || code", fields: {{charge: false, amount: value}}}}
        - {{key: "'shipping'", when: number(shipping) > 0, fields: {{charge: true, amount: shipping}}}}
"""


def lines(*quantities: Any) -> list[dict[str, Any]]:
    return [{"id": n, "kind": "item", "quantity": q, "sku": f"S{n}"} for n, q in enumerate(quantities, 1)]


def test_children(run: Callable[..., Any]) -> None:
    records = [
        order(
            id=1,
            lines=[*lines("1", "2"), {"id": 9, "kind": "note"}],
            coupons=[{"code": "A", "value": "1"}],
            shipping="4.90",
        ),
        order(id=2, lines=[], coupons=None, shipping="0"),
        order(id=3, lines=lines("3")),
    ]
    made = run(LINES, records)
    columns = ("parent_source_id", "source_id", "line_number", "quantity", "currency")
    assert made.rows("order_line", *columns) == [
        ("1", "1/1", 1, Decimal(1), "EUR"),
        ("1", "1/2", 2, Decimal(2), "EUR"),
        ("3", "3/1", 1, Decimal(3), "EUR"),
    ]
    assert set(made.rows("allowance_charge", "source_id", "charge", "amount")) == {
        ("1/coupon-A", False, Decimal(1)),
        ("1/shipping", True, Decimal("4.9")),
    }
    owners = made.con.execute(
        "SELECT count(*) FROM mapped.order_line AS c JOIN mapped.sales_order AS p"
        " ON c._parent_row = p._row AND c.parent_source_id = p.source_id"
    )
    assert owners.fetchone() == (3,)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"lines": lines("1", "many")}, ("order_line.quantity", "cast", "many")),
        ({"lines": lines("1", None)}, ("order_line.quantity", "required", None)),
        ({"lines": [*lines("1"), *lines("2")]}, ("order_line.key", "duplicate", "1")),
        ({"lines": [{"kind": "item", "quantity": "1"}]}, ("order_line.key", "required", None)),
        ({"shipping": "free"}, ("allowance_charge.when", "expression", None)),
        ({"coupons": [{"code": "A", "value": "x"}]}, ("allowance_charge.amount", "cast", "x")),
        ({"coupons": [{"code": "A", "value": "1"}] * 2}, ("allowance_charge.key", "duplicate", "coupon-A")),
    ],
)
def test_a_bad_child_rejects_the_whole_record(run: Callable[..., Any], changes: Any, wanted: Any) -> None:
    bad = {"lines": lines("5"), "coupons": [], **changes}
    made = run(LINES, [order(id=1, lines=lines("1")), order(id=2, **bad)])
    assert wanted in made.rejects()
    assert {field for field, *_ in made.rejects()} <= {wanted[0], "allowance_charge.amount"}
    assert made.rows("sales_order", "source_id") == [("1",)]
    assert made.rows("order_line", "parent_source_id") == [("1",)]
    assert made.rows("allowance_charge", "source_id") == []
    assert made.counts() == {"staged": 2, "rejected": 1, "excluded": 0, "mapped": 1}


def test_children_of_an_excluded_record_are_not_looked_at(run: Callable[..., Any]) -> None:
    made = run(f"{LINES}\n    when: currency = 'USD'\n", [order(lines=lines("many"))])
    assert made.rejects() == []
    assert made.counts() == {"staged": 1, "rejected": 0, "excluded": 1, "mapped": 0}


EACH = """
    stream: orders
    entity: refund
    each: refunds
    key: record.id || '-' || id
    when: record.currency = 'EUR'
    version: record.updated_at
    fields:
      sales_order: {ref: sales_order, at: record.id}
      number: ordinal()
      currency: record.currency
      amount: amount
      reason: parent.note
"""


def test_one_record_may_become_several_rows(run: Callable[..., Any]) -> None:
    records = [
        {"id": 1, "currency": "EUR", "note": "n", "refunds": [{"id": 5, "amount": "1"}, {"id": 6, "amount": "2"}]},
        {"id": 2, "currency": "EUR", "refunds": []},
        {"id": 3, "currency": "USD", "refunds": [{"id": 7, "amount": "1"}]},
        {"id": 4, "currency": "EUR", "refunds": [{"id": 8, "amount": "x"}]},
    ]
    made = run(EACH, records)
    assert made.rows("refund", "source_id", "sales_order_ref", "number", "reason") == [
        ("1-5", "1", "1", "n"),
        ("1-6", "1", "2", "n"),
    ]
    assert made.rejects() == [("amount", "cast", "x")]
    assert made.counts() == {"staged": 4, "rejected": 1, "excluded": 1, "mapped": 2}


def test_lists_within_lists(run: Callable[..., Any]) -> None:
    text = """
        stream: pages
        entity: sales_order
        each: orders
        key: id
        fields:
          number: id
          ordered_at: created_at
          customer: {ref: customer, at: record.customer}
          currency: "'EUR'"
          total: total
          lifecycle_status: "'open'"
        children:
          order_line: {each: lines, key: id, fields: {quantity: quantity, sku: record.page || parent.id || sku}}
    """
    one = {"id": "A", "created_at": "2026-11-18T09:00:00Z", "total": 1, "lines": [{"id": 1, "quantity": 1, "sku": "x"}]}
    two = {**one, "id": "B", "lines": [{"id": n, "quantity": 1, "sku": "y"} for n in (1, 2)]}
    made = run(text, [{"page": "p", "customer": 8, "orders": [one, two]}])
    assert made.rows("sales_order", "source_id", "customer_ref") == [("A", "8"), ("B", "8")]
    assert made.rows("order_line", "source_id", "sku") == [("A/1", "pAx"), ("B/1", "pBy"), ("B/2", "pBy")]
    assert len(set(made.rows("order_line", "_row"))) == 3


def test_paths_with_indexes_and_filters(run: Callable[..., Any]) -> None:
    text = """
        stream: customers
        entity: customer
        key: id
        fields:
          name: names[1]
          given_name: addresses[type = 'billing' and zip is not null].name
          family_name: addresses[number(rank) > 1].parts[0].x
          email: "\\"E-Mail\\""
          phone: addresses[type = record.preferred].name
    """
    record = {
        "id": 1,
        "names": ["a", "b"],
        "E-Mail": "x@example.com",
        "preferred": "work",
        "addresses": [
            {"type": "billing", "name": "no zip", "rank": "1"},
            {"type": "billing", "zip": "1", "name": "yes", "rank": "2", "parts": [{"x": "deep"}]},
            {"type": "work", "name": "chosen", "rank": "0"},
        ],
    }
    made = run(text, [record, {"id": 2, "names": ["a", "c"], "addresses": [{"rank": "high"}]}])
    assert made.rows("customer", "name", "given_name", "family_name", "email", "phone") == [
        ("b", "yes", "deep", "x@example.com", "chosen")
    ]
    assert [(field, rule) for field, rule, _ in made.rejects()] == [("family_name", "expression")]


def test_names_that_the_views_use_themselves(run: Callable[..., Any]) -> None:
    text = """
        stream: orders
        entity: refund
        each: lines
        key: record.id || id
        fields:
          sales_order: {ref: sales_order, at: '"record".id'}
          number: item
          currency: record.item
          amount: '"parent".x.y'
          reason: '"_seq" || "_ordinal" || record._line || raw_number'
    """
    item = {"id": "b", "record": {"id": "r"}, "parent": {"x": {"y": 1}}, "item": "i", "_seq": "s", "_ordinal": "o"}
    record = {"id": "a", "item": "EUR", "_line": "l", "lines": [{**item, "raw_number": "n"}]}
    made = run(
        text.replace("_line", "line").replace("_seq", "seq"),
        [{**record, "line": "l", "lines": [{**item, "seq": "s", "raw_number": "n"}]}],
    )
    assert made.rows("refund", "source_id", "sales_order_ref", "number", "currency", "amount", "reason") == [
        ("ab", "r", "i", "EUR", Decimal(1), "soln")
    ]


def test_a_loose_field_may_be_anything(run: Callable[..., Any]) -> None:
    text = """
        {stream: customers, entity: customer, key: id, loose: [address],
         fields: {name: name, country_code: address.country, phone: "address.phones[0].n"}}
    """
    addresses = [{"country": "DE", "phones": [{"n": 12}]}, [], None, "none", {"country": ""}]
    made = run(text, [{"id": n, "name": "A", "address": a} for n, a in enumerate(addresses)])
    assert made.rows("customer", "country_code", "phone") == [("DE", "12"), *[(None, None)] * 4]


def test_version_and_hub(run: Callable[..., Any]) -> None:
    text = "{stream: customers, entity: customer, key: id, version: changed, hub: external, fields: {name: name}}"
    made = run(
        text, [{"id": 1, "name": "A", "changed": "2026-11-18T09:00:00Z", "external": "12"}, {"id": 2, "name": "B"}]
    )
    assert made.rows("customer", "version", "_hub") == [("2026-11-18T09:00:00Z", "12"), (None, None)]


@pytest.mark.parametrize(("trusted", "wanted"), [(True, "9"), (False, None)])
def test_the_streams_own_version_counts_where_it_is_trusted(
    run: Callable[..., Any], trusted: bool, wanted: Any
) -> None:
    text = "{stream: customers, entity: customer, key: id, fields: {name: name}}"
    stream = Stream("customers", "id", version_field="v", version_trusted=trusted)
    assert run(text, [{"id": 1, "name": "A", "v": 9}], stream=stream).rows("customer", "version") == [(wanted,)]


def test_a_repeated_task_changes_nothing(run: Callable[..., Any]) -> None:
    made = run(LINES, [order(id=1, lines=lines("1", "2")), order(id=2, lines=lines("x"))])
    tables = ("mapped.sales_order", "mapped.order_line", "run.rejects", "run.counts")

    def content() -> list[Any]:
        return [made.con.execute(f"SELECT * FROM {table} ORDER BY ALL").fetchall() for table in tables]

    before = content()
    for statement in made.made.statements:
        made.con.execute(statement.sql)
    assert content() == before


def test_rows_of_two_mappings_of_an_entity_do_not_share_a_number(
    write: Callable[..., Any], loaded: Callable[[], Mappings], model: Model
) -> None:
    text = "{stream: customers, entity: customer, key: id, fields: {name: name}}"
    write("shop/a.yaml", text)
    write("shop/b.yaml", text)
    first, second = (inbound.compile(one, model).statements[0].sql for one in loaded())
    assert "  _seq AS _row" in first
    assert f"  _seq + {16 * 2**48} AS _row" in second


def test_what_two_mappings_read_is_declared_together(
    write: Callable[..., Any], loaded: Callable[[], Mappings], model: Model
) -> None:
    write("shop/a.yaml", "{stream: s, entity: customer, key: id, fields: {name: who.name, phone: 'p[0].n'}}")
    write("shop/b.yaml", "{stream: s, entity: customer, key: id, fields: {name: who.company, email: 'p[k = 1].m'}}")
    write("shop/c.yaml", "{stream: s, entity: customer, key: id, fields: {name: who}}")
    a, b, c = (inbound.compile(one, model) for one in loaded())
    assert inbound.declared([a, b]) == {
        "id": "VARCHAR",
        "p": "STRUCT(k VARCHAR, m VARCHAR, n VARCHAR)[]",
        "who": "STRUCT(company VARCHAR, name VARCHAR)",
    }
    assert inbound.declared([a, b]) == inbound.declared([b, a])
    assert a.reads == {"id": "VARCHAR", "p": "STRUCT(n VARCHAR)[]", "who": "STRUCT(name VARCHAR)"}
    with pytest.raises(ConfigurationError) as caught:
        inbound.declared([a, c])
    assert caught.value.code == "M126"


# -- laws

RAW = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        ["", "12.50", "-0.0001", "1e3", "abc", "2026-11-18T09:00:00+01:00", "2026-11-18", "yes", "' or 1", "\u0000x"]
    ),
)
RECORD = st.fixed_dictionaries(
    {
        "id": RAW,
        "number": RAW,
        "created_at": RAW,
        "customer": st.fixed_dictionaries({"id": RAW}),
        "currency": RAW,
        "total": RAW,
    }
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=st.lists(RECORD, min_size=1, max_size=25))
def test_every_record_is_rejected_or_mapped_and_nothing_is_lost(records: list[dict[str, Any]], model: Model) -> None:
    """The count law, and: a column is NULL only where the record said nothing."""
    from hub.errors import Place
    from mappings import examples
    from mappings.syntax import Example, Expr, Field, Mapping

    here = Place("x", 1, 1)

    def at(name: str, path: str, ref: str | None = None) -> Field:
        return Field(name, here, Expr(path, here), ref)

    fields = (
        at("number", "number"),
        at("ordered_at", "created_at"),
        at("customer", "customer.id", "customer"),
        at("currency", "currency"),
        at("total", "total"),
        at("refunded_total", "total"),
        at("lifecycle_status", "'open'"),
    )
    given_ = tuple(Example(f"e{n}", here, record, ({},)) for n, record in enumerate(records))
    mapping = Mapping("shop/x", "shop", here, "orders", "sales_order", Expr("id", here), fields, examples=given_)
    with examples.tried(mapping, model) as (con, _, staged):
        counts = dict(con.execute("SELECT state, n FROM run.counts").fetchall())
        assert counts["staged"] == len(staged) <= len(records)
        assert counts["staged"] == counts["rejected"] + counts["excluded"] + counts["mapped"]
        rejected = {line for (line,) in con.execute("SELECT line FROM run.rejects").fetchall()}
        assert len(rejected) == counts["rejected"]
        rows = con.execute("SELECT _seq, total, refunded_total, number FROM mapped.sales_order").fetchall()
        assert {seq for seq, *_ in rows}.isdisjoint(rejected)
        for seq, total, refunded, number in rows:
            assert total == refunded is not None
            assert number is not None
            raw = records[seq]["total"]
            assert abs(Decimal(str(raw)) - total) < Decimal("1e-12")
