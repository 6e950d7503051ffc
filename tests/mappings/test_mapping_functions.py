"""The function table: every function has a doc and examples that are true."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import Place
from hub.findings import Finding
from mappings import once, sql
from mappings.expressions import SQL_TYPES, Compiler, Value, compile_expression
from mappings.formats import share
from mappings.function import AN_EXAMPLE
from mappings.functions import FUNCTIONS, Function
from mappings.parse import ExpressionError
from mappings.syntax import Expr
from mappings.tree import Call, Path

EXAMPLES = [(f, text, wanted) for f in FUNCTIONS.values() if not f.only_here for text, wanted in f.examples]
OF_ITEMS = [(text, wanted) for f in FUNCTIONS.values() if f.only_here for text, wanted in f.examples]


class Nothing:
    """A scope without names: examples are made of constants. What they look up is found at once."""

    def __init__(self, con: duckdb.DuckDBPyConnection | None = None) -> None:
        self.con = con
        self.units: dict[str, str] = {}

    def path(self, path: Path, compiler: Compiler) -> Value:
        raise ExpressionError("there are no names here", path.at)

    def call(self, call: Call, compiler: Compiler) -> Value | None:
        return None

    def lookup(self, function: Function, arguments: Sequence[Value], at: int) -> str:
        names = once.asked_columns(len(arguments))
        asked = ", ".join(f"{one.sql} AS {name}" for one, name in zip(arguments, names, strict=True))
        found = once.Lookup(function.name, len(names), SQL_TYPES[function.returns], f"SELECT {asked}")
        if self.con is not None:
            self.con.execute(f"DROP TABLE IF EXISTS {found.table}")
            once.fill([found], self.con.execute)
            made = self.con.execute(f"SELECT _made FROM {found.table}").fetchone()
            return "NULL::VARCHAR" if made is None or made[0] is None else sql.text(made[0])
        return "NULL"


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    made = duckdb.connect()
    made.execute("SET TimeZone = 'UTC'")
    yield made
    made.close()


def evaluate(con: duckdb.DuckDBPyConnection, text: str) -> Any:
    findings: list[Finding] = []
    value = compile_expression(Expr(text, Place("x", 1, 1)), Nothing(con), findings)
    assert value is not None, findings
    shown = f"CAST(timezone('UTC', {value.sql}) AS VARCHAR)" if value.type == "instant" else value.sql
    made = con.execute(f"SELECT {shown}").fetchone()
    result = made[0] if made else None
    if value.type == "instant" and result is not None:
        return result.replace(" ", "T") + "Z"
    return result


def holds(wanted: Any, made: Any) -> bool:
    if isinstance(made, Decimal):
        return Decimal(str(wanted)) == made
    return str(made) == wanted if isinstance(made, datetime.date) else type(made) is type(wanted) and made == wanted


@pytest.mark.parametrize(("function", "text", "wanted"), EXAMPLES, ids=[text for _, text, _ in EXAMPLES])
def test_example_is_true(con: duckdb.DuckDBPyConnection, function: Function, text: str, wanted: Any) -> None:
    made = evaluate(con, text)
    assert holds(wanted, made), f"{text} gives {made!r}, not {wanted!r}"


def of_items(run: Callable[..., Any], text: str) -> list[Decimal]:
    """What the expression gives for each item of the example, as the discount of an order's lines."""
    head = "number: id, ordered_at: \"'2026-11-18T09:00:00Z'\", customer: {ref: customer, at: id}, currency: \"'EUR'\", total: id"
    fields = f'{{quantity: "1", discount: "{text}"}}'
    made = run(
        f"stream: orders\nentity: sales_order\nkey: id\nfields: {{{head}, lifecycle_status: \"'open'\"}}\n"
        f"children: {{order_line: {{each: items, key: ordinal(), fields: {fields}}}}}\n",
        [AN_EXAMPLE],
    )
    return [discount for (discount,) in made.rows("order_line", "discount")]


@pytest.mark.parametrize(("text", "wanted"), OF_ITEMS, ids=[text for text, _ in OF_ITEMS])
def test_example_about_items_is_true(run: Callable[..., Any], text: str, wanted: list[str]) -> None:
    assert of_items(run, text) == [Decimal(one) for one in wanted]


def test_an_untrue_example_about_items_is_noticed(run: Callable[..., Any]) -> None:
    assert of_items(run, "ordinal() + 1") != [Decimal(one) for one in OF_ITEMS[-1][1]]


SHARED = st.tuples(
    st.integers(-(10**10), 10**10),
    st.lists(st.decimals(0, 10**6, places=4) | st.none(), min_size=1, max_size=12),
    st.integers(0, 4),
)


@settings(max_examples=100, deadline=None)
@given(SHARED)
def test_shares_add_up_whatever_the_weights_are(con: duckdb.DuckDBPyConnection, given: Any) -> None:
    units, weights, digits = given
    amount = Decimal(units).scaleb(-digits)
    rows = ", ".join(f"({n}, {'NULL' if w is None else w}::DECIMAL(27,10))" for n, w in enumerate(weights))
    text = share(f"{amount:f}", "w", digits, "owner")
    made = con.execute(
        f"SELECT {text}, w FROM (SELECT 1 AS owner, * FROM (VALUES {rows}) AS r (_ordinal, w))"
    ).fetchall()
    total = sum(w or 0 for w in weights)
    if total == 0 and units != 0:
        assert {part for part, _ in made} == {None}
        return
    assert sum(part for part, _ in made) == amount
    for part, weight in made:  # none is further than one unit from its exact share
        assert abs(part - amount * (weight or 0) / (total or 1)) < Decimal(1).scaleb(-digits) + Decimal("1e-9")


@pytest.mark.parametrize(
    ("text", "wanted"), [("-(-2)", 2), ("-(-(-2.5))", "-2.5"), ("1 - -2", 3), ("-(2::number) * -3", 6)]
)
def test_two_signs_are_no_comment(con: duckdb.DuckDBPyConnection, text: str, wanted: Any) -> None:
    assert holds(wanted, evaluate(con, text))


CONSTANTS = ["99999999999999999", "-99999999999999999.9999999999", "0.0000000001", "0", "'1e30'", "'x'"]
CONSTANTS += [
    "99999999999999999*99999999999999999",
    "99999999999999999+99999999999999999",
    "'9223372036854775807'::integer",
]
OVER = "round({},2) floor({}) abs({}) minor_units({},6) from_minor({},'CLF') from_minor({},upper('jpy')) to_minor({},'CLF')"
OVER += (
    " to_minor({},upper('clf')) divide({},3,10) divide(1,{},10) {}*{} -({}) epoch_seconds({}) implied_decimals({},6)"
)


@pytest.mark.parametrize("form", OVER.split())
def test_no_constant_stops_a_statement(con: duckdb.DuckDBPyConnection, form: str) -> None:
    """The engine computes constants before anything else, and narrower than columns."""
    for constant in CONSTANTS:
        value = compile_expression(Expr(form.replace("{}", constant), Place("x", 1, 1)), Nothing(con), [])
        if value is not None:
            assert len(con.execute(f"SELECT {value.sql}, {value.failed or 'false'} FROM range(2)").fetchall()) == 2


def test_an_untrue_example_is_noticed(con: duckdb.DuckDBPyConnection) -> None:
    assert not holds("ann", evaluate(con, "lower('AnN@X.com')"))
    assert not holds(2, evaluate(con, "length('Größe')"))
    assert not holds(None, evaluate(con, "trim(' a ')"))


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=list(FUNCTIONS))
def test_function_is_documented(function: Function) -> None:
    assert len(function.doc) > 10
    assert any(function.name in text for text, _ in function.examples)
    assert function.name == function.name.lower()


@pytest.mark.parametrize(
    "text",
    [
        "parse_date('31.02.2026', 'DD.MM.YYYY')",
        "parse_date('02.01.26', 'DD.MM.YYYY')",
        "parse_date('02-MAI-2026', 'DD-MON-YYYY')",
        "parse_date('2026-01-02', 'DD.MM.YYYY')",
        "instant('2026-01-02T08:59:11')",
        "instant('2026-01-02', 'Europe/Berlin')",
        "instant('2026-01-02T08:59:11 Europe/Paris', 'Europe/Berlin')",
        "instant('infinity', 'Europe/Berlin')",
        "local_instant('2026-01-02', '25:00', 'Europe/Berlin')",
        "decimal_comma('1,234.50')",
        "decimal_comma('12.50')",
        "number('12,50')",
        "integer('12.7')",
        "integer('0x1F')",
        "boolean('maybe')",
        "flag('?')",
        "divide(1, 0, 2)",
        "1 / 0",
        "date('2026-01-02T10:00:00Z')",
        "date('infinity')",
        "number('9999999999999999999999999999') * number('9999999999999999999999999999')",
        "epoch_seconds('soon')",
        "email('ann at example.com')",
        "email('Ann <ann@example.com>')",
        "email('a@b@example.com')",
        "email('ann@localhost')",
        "sap_number('-123-')",
        "sap_number('1,5')",
        "implied_decimals('123.4', 2)",
        "implied_decimals('--5', 2)",
        "from_minor('12.5', 'EUR')",
        "from_minor(12, upper('eux'))",
        "from_minor(12, upper('xau'))",
        "to_minor('12.345', 'EUR')",
        "to_minor('1.5', 'JPY')",
        "to_minor(1, upper('eu'))",
        "to_minor(1, upper(' cl'))",
        "currency('E U')",
        "currency('EUR USD')",
        "sap_date('20260231')",
        "sap_date('2026-01-02')",
        "sap_date('0')",
        "jde_date('126366')",
        "jde_date('126000')",
        "jde_date('1')",
        "jde_date('1-6001')",
        "odata_date('2017-10-04')",
        "odata_date('/Date(999999999999999)/')",
        "odata_instant('/Date(1507075200000+01:00)/')",
        "odata_instant('/Date(15070752000000000000)/')",
        "clock('240000')",
        "clock('1061')",
        "clock('PT25H')",
        "clock('9:5')",
        "parse_instant('31.02.2026 10:00', 'DD.MM.YYYY hh:mm', 'UTC')",
        "gtin('4006381333932')",
        "gtin('400638133393')",
        "gtin('40063813339310')",
        "gtin('400638133393X')",
        "gtin('000')",
        "gtin('00000000')",
        "clock('PT')",
        "clock('PT1.5S')",
        "phone('030 901820 or 031 5', 'DE')",
        "phone('030 901820 (office)', 'DE')",
        "phone('030 901820 / 0171 1234567', 'DE')",
        "phone('030 901820')",
        "phone('12', 'DE')",
        "phone('none', 'DE')",
        "phone('+1 202-456-1111 ext. 7')",
        "country('Atlantis')",
        "country('Deutschland')",
        "country('')",
        "region('Bavaria', 'US')",
        "region('Hsinchu', 'TW')",
        "vat('DE136695977')",
        "vat('136695976')",
        "vat('../../x')",
        "vat('XX123456789')",
        "html_unescape('&#1;')",
    ],
)
def test_what_cannot_be_read_fails_and_is_never_null(con: duckdb.DuckDBPyConnection, text: str) -> None:
    findings: list[Finding] = []
    value = compile_expression(Expr(text, Place("x", 1, 1)), Nothing(con), findings)
    assert value is not None, findings
    assert value.raises
    assert con.execute(f"SELECT {value.sql}, {value.failed}").fetchone() == (None, True)


@pytest.mark.parametrize(("function", "text", "wanted"), EXAMPLES, ids=[text for _, text, _ in EXAMPLES])
def test_what_can_be_read_does_not_fail(
    con: duckdb.DuckDBPyConnection, function: Function, text: str, wanted: Any
) -> None:
    value = compile_expression(Expr(text, Place("x", 1, 1)), Nothing(con), [])
    assert value is not None
    assert con.execute(f"SELECT {value.failed or 'false'}").fetchone() == (False,)


@pytest.mark.parametrize(
    "text",
    [
        "case when 'x' = 'y' then number('many') else 2 end",
        "case 'x' when 'y' then number('many') when 'x' then 2 when 'z' then number('few') end",
        "if('x' = 'y', number('many'), 2)",
        "coalesce(2, number('many'))",
        "if('x' = 'y' and number('many') > 1, 1, 2)",
        "if('x' = 'x' or number('many') > 1, 2, 1)",
    ],
)
def test_what_is_not_reached_cannot_fail(con: duckdb.DuckDBPyConnection, text: str) -> None:
    reached = text.replace("'y'", "'x'").replace("coalesce(2", "coalesce(null").replace("'x' or", "'z' or")
    for one, wanted in ((text, False), (reached, True)):
        value = compile_expression(Expr(one, Place("x", 1, 1)), Nothing(), [])
        assert value is not None
        assert con.execute(f"SELECT {value.failed}").fetchone() == (wanted,), one


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("instant('x', 'Europe/Nowhere')", "M123"),
        ("instant('x', '../../etc/passwd')", "M123"),
        ("parse_date('x', 'DD.MM')", "M123"),
        ("parse_date('x', 'YYYY-MM-DD''); drop')", "M123"),
        ("parse_date('x', upper('yyyy'))", "M123"),
        ("regexp_replace('x', '(', '')", "M123"),
        ("regexp_replace('x', '(?=a)', '')", "M123"),
        ("regexp_extract('x', 'a', 1)", "M123"),
        ("lpad('x', 0)", "M123"),
        ("lpad('x', 9, 'ab')", "M123"),
        ("round(1, 11)", "M123"),
        ("minor_units(1, 7)", "M123"),
        ("implied_decimals('1', 7)", "M123"),
        ("to_minor(1, 'EUX')", "M123"),
        ("to_minor(1, 'eur')", "M123"),
        ("phone('1', 'Germany')", "M123"),
        ("phone('1', 'de')", "M123"),
        ("phone('1', 'UK')", "M123"),
        ("vat('1', 'UK')", "M123"),
        ("region('1', 'Texas')", "M123"),
        ("country('Italia', 'xx-yy')", "M123"),
        ("country('Italia', '../../de')", "M123"),
        ("parse_instant('x', 'DD.MM.YYYY', 'UTC')", "M123"),
        ("share(1, 2)", "M121"),
        ("split_part('x', ' ')", "M122"),
        ("lower()", "M122"),
        ("lower('a', 'b')", "M122"),
        ("coalesce()", "M122"),
    ],
)
def test_wrong_calls_are_found(text: str, code: str) -> None:
    findings: list[Finding] = []
    assert compile_expression(Expr(text, Place("x", 1, 1)), Nothing(), findings) is None
    assert [finding.code for finding in findings] == [code]


def test_the_number_of_arguments_is_counted() -> None:
    assert FUNCTIONS["concat"].parameters_for(0) is None
    assert len(FUNCTIONS["concat"].parameters_for(5) or ()) == 5
    assert replace(FUNCTIONS["lower"], parameters=()).parameters_for(0) == ()


def test_the_currencies_are_those_of_the_standard() -> None:
    import pycountry

    from mappings.currencies import DECIMALS, WITHDRAWN

    without = "XAG XAU XPD XPT XBA XBB XBC XBD XDR XSU XUA XTS XXX"
    standard = {one.alpha_3 for one in pycountry.currencies}
    assert set(DECIMALS) - set(WITHDRAWN.split()) == standard - set(without.split())
    assert {DECIMALS[code] for code in ("JPY", "EUR", "BHD", "CLF")} == {0, 2, 3, 4}


def test_what_is_looked_up_is_known_to_python() -> None:
    assert {name for name, one in FUNCTIONS.items() if one.looked_up} == set(once.FUNCTIONS)
    assert {name for name, one in FUNCTIONS.items() if "{found}" in str(one.duckdb)} == set(once.FUNCTIONS)
