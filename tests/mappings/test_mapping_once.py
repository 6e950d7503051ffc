"""Functions that Python computes: once for each distinct value, over a whole run's records, and never in silence."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from hub.findings import Finding
from mappings import examples, inbound, once
from mappings.load import Mappings

Run = Callable[..., Any]
CUSTOMER = """
    stream: customers
    entity: customer
    key: id
    fields:
      name: name
      phone: {phone}
"""


def customer(phone: str = "phone(phone, 'DE')") -> str:
    return CUSTOMER.replace("{phone}", phone)


def numbers(rows: int, distinct: int) -> list[dict[str, Any]]:
    return [{"id": n, "name": "A", "phone": f"030 901{n % distinct:05}", "land": "DE"} for n in range(rows)]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, ...]]:
    """How often phone() is called with what."""
    counted: Counter[tuple[str, ...]] = Counter()
    load = once.FUNCTIONS["phone"]

    def loaded() -> once.Convert:
        convert = load()

        def count(*row: str) -> Any:
            counted[row] += 1
            return convert(*row)

        return count

    monkeypatch.setitem(once.FUNCTIONS, "phone", loaded)
    return counted


def only_once(calls: Counter[tuple[str, ...]], distinct: int) -> bool:
    return len(calls) == distinct and set(calls.values()) == {1}


def test_it_is_called_once_for_each_distinct_value(run: Run, calls: Counter[tuple[str, ...]]) -> None:
    made = run(customer(), numbers(10_000, 50))
    assert only_once(calls, 50)
    assert made.rows("customer", "phone")[:2] == [("+493090100000",), ("+493090100001",)]
    assert made.counts() == {"staged": 10_000, "rejected": 0, "excluded": 0, "mapped": 10_000}


def test_calls_for_each_row_would_be_noticed(run: Run, calls: Counter[tuple[str, ...]]) -> None:
    """The broken twin: a lookup whose SQL forgets to be distinct, and to leave out what is known."""
    made = run(customer(), numbers(200, 50))
    [lookup] = made.made.lookups
    asked = lookup.asked.partition("\nEXCEPT\n")[0]
    once.fill([once.Lookup(lookup.function, lookup.arguments, lookup.returns, asked)], made.con.execute)
    assert not only_once(calls, 50)


def test_what_another_field_or_child_asked_is_not_asked_again(run: Run, calls: Counter[tuple[str, ...]]) -> None:
    text = (
        customer("phone(phone, land)")
        + """
      email: concat_ws(' ', phone(phone, land), phone(other, land))
    children:
      customer_address: {each: places, key: ordinal(), fields: {street: "phone(number, record.land)", country_code: record.land}}
"""
    )
    records = [{**one, "other": "030 90100001", "places": [{"number": one["phone"]}]} for one in numbers(100, 10)]
    made = run(text, records)
    assert only_once(calls, 10)
    assert made.rows("customer", "email")[0] == ("+493090100000 +493090100001",)
    assert made.rows("customer_address", "street")[3] == ("+493090100003",)
    assert made.rejects() == []


def test_what_it_cannot_read_is_rejected_with_the_raw_value(run: Run) -> None:
    records = [
        {"id": 1, "name": "A", "phone": "call me"},
        {"id": 2, "name": "B", "phone": ""},
        {"id": 3, "name": "C"},
        {"id": 4, "name": "D", "phone": "030 901820"},
    ]
    made = run(customer(), records)
    assert made.rejects() == [("phone", "expression", "phone=call me")]
    assert made.rows("customer", "source_id", "phone") == [("2", None), ("3", None), ("4", "+4930901820")]


@pytest.mark.parametrize(
    ("text", "given", "wanted"),
    [
        ("phone(html_unescape(phone), country(land))", {"phone": "030&nbsp;901820", "land": "Germany"}, "+4930901820"),
        ("phone(phone(phone, 'DE'), 'US')", {"phone": "030 901820"}, "+4930901820"),
        ("if(land = 'US', phone(phone, 'US'), phone(phone, 'DE'))", {"phone": "030 901820", "land": "DE"}, "+4930901820"),
        ("coalesce(phone, phone(mobile, 'DE'))", {"phone": "as it is", "mobile": "nonsense"}, "as it is"),
        ("split_part(region(area, land), '-', 2)", {"area": "Bavaria", "land": "DE"}, None),
        ("split_part(region(area, land), '-', 2)", {"area": "Bayern", "land": "DE"}, "BY"),
        ("phone(_asked_1, _made)", {"_asked_1": "030 901820", "_made": "DE"}, "+4930901820"),
        ("phone(phone, land)", {"phone": "030 901820"}, "missing"),
    ],
)  # fmt: skip
def test_it_stands_where_any_expression_may(run: Run, text: str, given: dict[str, Any], wanted: str | None) -> None:
    made = run(customer(f'"{text}"'), [{"id": 1, "name": "A", **given}])
    if wanted is None:
        assert [(field, rule) for field, rule, _ in made.rejects()] == [("phone", "expression")]
    else:
        assert made.rows("customer", "phone") == [(None if wanted == "missing" else wanted,)]


def test_it_decides_what_is_mapped_and_under_which_key(run: Run) -> None:
    text = """
    stream: customers
    entity: customer
    key: vat(tax)
    when: country(land) = 'DE'
    fields: {name: name, phone: phone}
    children:
      customer_address:
        each: places
        key: concat_ws('-', country(land), ordinal())
        when: country(land) = record.code
        fields: {country_code: country(land)}
"""
    places = [{"land": "Germany"}, {"land": "France"}, {"land": "deu"}]
    records = [
        {"id": 1, "name": "A", "tax": "DE 136695976", "land": "Germany", "code": "DE", "places": places},
        {"id": 2, "name": "B", "tax": "DE 136695976", "land": "France"},
        {"id": 3, "name": "C", "tax": "DE 136695976", "land": "Utopia"},
        {"id": 4, "name": "D", "tax": "DE 136695977", "land": "DE"},
    ]
    made = run(text, records)
    assert made.rows("customer", "source_id") == [("DE136695976",)]
    assert made.rows("customer_address", "source_id") == [("DE136695976/DE-1",), ("DE136695976/DE-3",)]
    assert [(field, rule) for field, rule, _ in made.rejects()] == [("when", "expression"), ("key", "expression")]  # fmt: skip


def test_it_reads_the_items_of_a_mapping_that_goes_through_a_list(run: Run) -> None:
    text = """
    stream: pages
    entity: customer
    key: id
    each: people
    fields: {name: name, phone: "phone(number, country(record.land))"}
    children:
      customer_address: {each: places, key: ordinal(), fields: {country_code: country(land)}}
"""
    people = [{"id": n, "name": "A", "number": f"030 90182{n}", "places": [{"land": "Italy"}]} for n in range(3)]
    made = run(text, [{"land": "Germany", "people": people}])
    assert made.rows("customer", "phone") == [(f"+493090182{n}",) for n in range(3)]
    assert made.rows("customer_address", "country_code") == [("IT",)] * 3


def test_a_library_that_gives_up_rejects_the_row(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def loaded() -> once.Convert:
        def convert(*row: str) -> Any:
            raise IndexError(row)

        return convert

    monkeypatch.setitem(once.FUNCTIONS, "phone", loaded)
    assert run(customer(), numbers(1, 1)).rejects() == [("phone", "expression", "phone=030 90100000")]


HOSTILE = [
    *(
        "",
        " ",
        " " * 100_000 + "x",
        "\0",
        "a\0b",
        "'",
        "'; drop table stage.customers; --",
        "%s",
        "{}",
        "\\",
        "𝄞" * 300,
        "x" * 100_000,
    ),
    *("+" * 300, "+49" * 90, "9" * 400, "١٢٣٤٥", "٠٣٠", "DE" + "9" * 50, "EU", "..", "../x", "__init__", "\u202e+49"),
    *(
        "&#x110000;",
        "&#0;",
        "&#1;",
        "&" * 5_000,
        "🇩🇪",
        "None",
        "-",
        "CHE",
        "EL",
        "GB",
        "NO",
        "tel:+49;ext=1",
        "0" * 251,
    ),
]


@pytest.mark.parametrize("function", list(once.FUNCTIONS))
def test_hostile_values_reject_rows_and_never_stop_a_run(run: Run, function: str) -> None:
    call = f"{function}(phone)" if function != "region" else "region(phone, land)"
    second = f"{function}(phone, land)" if function in ("phone", "vat", "region") else call
    text = customer(f"coalesce({call}, 'missing')") + f"      email: {second}\n"
    records = [{"id": n, "name": "A", "phone": one, "land": HOSTILE[-n]} for n, one in enumerate(HOSTILE)]
    made = run(text, records)
    counts = made.counts()
    assert counts["staged"] == len(HOSTILE) == counts["rejected"] + counts["mapped"]
    assert counts["rejected"] > 0


def test_it_is_refused_where_nothing_can_be_looked_up(found: Callable[..., list[Finding]], write: Any) -> None:
    text = customer("\"phones[phone(number, 'DE') = '+4930901820'].number\"")
    other = customer("phone").replace("key: id", "key: name")
    write("shop/a.yaml", text)
    write(
        "shop/b.yaml",
        other + "    push: {operation: upsert, fields: [{tel: {at: tel, value: \"phone(phone, 'DE')\"}}]}\n",
    )
    findings = found()
    assert [finding.code for finding in findings] == ["M140", "M140"]
    assert str(findings[0]).startswith(f"{findings[0].place.where}:7:17 M140 phone() is looked up")
    write("shop/a.yaml", customer("\"phone(phones[number = '030'].number, 'DE')\""))
    write("shop/b.yaml", other + "    push: {operation: upsert, fields: [{tel: {at: tel, value: phone}}]}\n")
    assert found() == []


def test_examples_of_a_mapping_look_up_too(write: Any, loaded: Callable[[], Mappings], model: Any) -> None:
    said = """
    examples:
      - {given: {id: 1, name: A, phone: 030 901820}, expect: {phone: "+4930901820"}}
      - {given: {id: 1, name: A, phone: nobody}, rejects: [phone]}
"""
    write("shop/a.yaml", customer() + said)
    assert examples.run(loaded()["shop/a"], model) == []
    write("shop/a.yaml", customer() + said.replace("+4930901820", "030901820"))
    assert [finding.code for finding in examples.run(loaded()["shop/a"], model)] == ["M401"]


def test_the_compiler_only_writes_sql_for_a_person(write: Any, loaded: Callable[[], Mappings], model: Any) -> None:
    write("shop/a.yaml", customer())
    made = inbound.compile(loaded()["shop/a"], model)
    assert made.sql.startswith("-- phone() is asked into looked_up_phone_2 for each of\nWITH read AS (")
    assert (
        "LEFT JOIN looked_up_phone_2 AS _found_1 ON _found_1._asked_1 = phone AND _found_1._asked_2 = 'DE'" in made.sql
    )


def test_libraries_are_imported_only_where_they_are_asked(tmp_path: Path) -> None:
    """Lint and a run without such functions need none of them; each function needs its own."""
    code = """
import sys, duckdb
from pathlib import Path
from mappings import inbound, lint, load, once
from warehouse.model import entities
loaded = load.load([Path(sys.argv[1])], entities())
assert lint.lint(loaded, entities(), {}) == []
made = inbound.compile(loaded["shop/a"], entities())
con = duckdb.connect()
heavy = lambda: [name for name in ("phonenumbers", "pycountry", "stdnum") if name in sys.modules]
once.fill([], con.execute)
print(heavy())
con.execute("CREATE SCHEMA stage; CREATE TABLE stage.customers AS SELECT 'x' AS _segment, 1 AS _line, 1 AS _seq, '1' AS id, 'A' AS name, '030 901820' AS phone")
once.fill(made.lookups, con.execute)
print(heavy())
"""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "a.yaml").write_text(customer().replace("\n    ", "\n"))
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "['phonenumbers']"]


def test_it_costs_a_fraction_of_a_call_for_each_row() -> None:
    """20,000 rows with 2,000 distinct numbers: the lookup and its join against a UDF over the same table, in CPU time."""
    con = duckdb.connect(config={"threads": 1})
    con.execute(
        "CREATE TABLE record AS SELECT '030 901' || lpad((i % 2000)::VARCHAR, 5, '0') AS phone FROM range(20000) AS r (i)"
    )
    convert = once.phone()
    con.create_function("slow_phone", lambda text: convert(text, "DE"), ["VARCHAR"], "VARCHAR")
    columns = "phone AS _asked_1, 'DE' AS _asked_2"
    lookup = once.Lookup("phone", 2, "VARCHAR", f"SELECT DISTINCT {columns} FROM record")
    convert("030 901820", "DE")
    began = time.process_time()
    once.fill([lookup], con.execute)
    joined = "record LEFT JOIN looked_up_phone_2 AS found ON found._asked_1 = phone AND found._asked_2 = 'DE'"
    quick = con.execute(f"SELECT count(_made), min(_made) FROM {joined}").fetchone()
    middle = time.process_time()
    slow = con.execute("SELECT count(made), min(made) FROM (SELECT slow_phone(phone) AS made FROM record)").fetchone()
    ended = time.process_time()
    con.close()
    assert quick == slow
    assert quick is not None
    assert quick[0] == 20_000
    assert (ended - middle) > 3 * (middle - began)  # ten times as many calls


SHARES = """
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
    children:
      order_line:
        each: lines
        key: ordinal()
        fields:
          quantity: "1"
          discount: {share}
"""


def shared(run: Run, share: str, amount: Any, weights: list[Any]) -> Any:
    record = {
        **{"id": 7, "number": "1", "created_at": "2026-11-18T09:00:00Z", "customer": {"id": 8}, "currency": "EUR"},
        **{"total": 1, "amount": amount, "lines": [{"w": weight, "q": 2} for weight in weights]},
    }
    return run(SHARES.replace("{share}", share), [record, {**record, "id": 8}])


@pytest.mark.parametrize(
    ("amount", "weights", "wanted"),
    [
        ("10.00", [1, 1, 1], ["3.33", "3.34", "3.33"]),
        ("-10.00", ["1", "1", "1"], ["-3.33", "-3.34", "-3.33"]),
        ("0.01", [5, 5], ["0.01", "0"]),
        ("100", ["19.99", None, "0.01"], ["99.95", "0", "0.05"]),
        ("5", [0, 7], ["0", "5"]),
        ("0", [0, 0], ["0", "0"]),
        ("7.77", ["0.333333", "0.666667"], ["2.59", "5.18"]),
    ],
)
def test_shares_add_up_to_the_cent(run: Run, amount: str, weights: list[Any], wanted: list[str]) -> None:
    made = shared(run, "share(record.amount, w)", amount, weights)
    parts = [row[0] for row in made.rows("order_line", "discount")]
    assert parts == [Decimal(one) for one in wanted] * 2
    assert sum(parts) == 2 * Decimal(amount)


def test_rounding_each_share_by_itself_would_be_noticed(run: Run) -> None:
    made = shared(run, "round(divide(record.amount, 3, 10), 2)", "10.00", [1, 1, 1])
    assert sum(row[0] for row in made.rows("order_line", "discount")) != 20


@pytest.mark.parametrize(
    ("share", "amount", "weights"),
    [
        ("share(record.amount, w)", "10.00", [0, 0]),
        ("share(record.amount, w)", "10.005", [1, 1]),
        ("share(record.amount, w)", "10.00", ["many", 1]),
        ("share(record.amount, w)", "10.00", ["99999999999999999", "1"]),
        ("share(record.amount, w)", "99999999999999999", [1, 1]),
        ("share(record.amount, w)", "10", [None, None]),
        ("share(record.amount, w, 0)", "10.5", [1, 1]),
    ],
)
def test_what_cannot_be_shared_is_rejected(run: Run, share: str, amount: str, weights: list[Any]) -> None:
    made = shared(run, share, amount, weights)
    assert {(field, rule) for field, rule, _ in made.rejects()} == {("order_line.discount", "expression")}
    assert made.counts() == {"staged": 2, "rejected": 2, "excluded": 0, "mapped": 0}


def test_the_weight_may_be_computed_and_looked_up(run: Run) -> None:
    made = shared(run, '"share(record.amount, w * q + if(country(record.currency) is null, 0, 0), 0)"', "9", [1, 2])
    assert made.rejects()  # EUR is no country
    assert shared_of(made) == []


def shared_of(made: Any) -> list[Any]:
    return [row[0] for row in made.rows("order_line", "discount")]


@pytest.mark.parametrize(
    "child",
    [
        "each: lines, key: ordinal(), when: 'share(record.total, w) > 0', fields: {quantity: w}",
        "each: lines, key: ordinal(), fields: {quantity: 'parts[share(1, w) > 0].w'}",
        "each: lines, key: ordinal(), fields: {quantity: w, sku: 'country(text(share(1, w)))'}",
        "key: id, fields: {quantity: 'share(1, w)'}",
        "each: lines, key: ordinal(), fields: {quantity: 'share(share(1, w), w)'}",
    ],
)
def test_share_is_refused_where_it_has_no_meaning(found: Callable[..., list[Finding]], write: Any, child: str) -> None:
    write("shop/a.yaml", SHARES.partition("    children:")[0] + f"    children: {{order_line: {{{child}}}}}\n")
    assert [finding.code for finding in found()] == ["M121"]


def test_share_is_refused_where_the_mapping_leaves_items_out(found: Callable[..., list[Finding]], write: Any) -> None:
    text = SHARES.partition("    children:")[0].replace("total: total", "total: share(record.total, w)")
    write("shop/a.yaml", text + "    each: parts\n    when: w > 0\n")
    assert [str(finding).partition("M121 ")[2] for finding in found()] == [
        "share() counts the rows that when: leaves out; write the condition into the brackets of each"
    ]
    write("shop/a.yaml", text + "    each: parts[w is not null]\n")
    assert found() == []
