"""The promise of docs/adr/0007: whatever the records hold, no expression stops a statement; and where one fails, it says so."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import Place
from mappings import asked, once, sql
from mappings.expressions import Value, compile_expression
from mappings.formats import share
from mappings.functions import FUNCTIONS
from mappings.levels import Level
from mappings.shapes import Shape
from mappings.syntax import Expr

RAW = [
    *(
        None,
        "",
        " ",
        "0",
        "-0",
        "1",
        "12.50",
        "-3",
        "7.123456789012",
        "1e400",
        "1e-30",
        "NaN",
        "Infinity",
        "0x1F",
        "1_000",
    ),
    *(
        "99999999999999999",
        "-99999999999999999.9999999999",
        "9223372036854775807",
        "170141183460469231731687303715884105728",
    ),
    *(
        "2026-11-18",
        "2026-02-30",
        "126327",
        "999999",
        "/Date(253402214400000-9999)/",
        "/Date(-999999999999999+0000)/",
        "PT99H99M99S",
        "235959",
        "4006381333931",
        "+49 30 901820",
        "DE136695976",
        "EUR",
        "DE",
        "Germany",
        "ann@example.com",
        "&amp;",
        "12345-",
        "9999-12-31",
        "0001-01-01",
        "infinity",
        "epoch",
        "31.12.2026",
        "20261231",
        "00000000",
    ),
    *(
        "2026-11-18T09:00:00+01:00",
        "2026-11-18 09:00:00",
        "9999-12-31T23:59:59-15:59",
        "2026-11-18T25:00:00Z",
        "10:30:00",
    ),
    *("true", "X", "no", "maybe", "abc", "Größe", "a,b", "1.234,50", "-", "+", "%", "\\", "'", "{}", "[]", "x" * 300),
]
PATHS = st.sampled_from(["a", "b", "s.a", "s.b", "l[0].a", "l[a = 'X'].b", "l[number(a) > 1].b", "j.a"])
TEXT = st.sampled_from(["'x'", "'12.5'", "'2026-11-18'", "'%'", "null"])
NUMBER = st.sampled_from(["0", "1", "0.5", "100", "123456789.123", "99999999999999999"])


def _grown(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    two, three = st.tuples(parts, parts), st.tuples(parts, parts, parts)

    def of(form: str, many: st.SearchStrategy[tuple[str, ...]]) -> st.SearchStrategy[str]:
        return many.map(lambda t: form.format(*t))

    one = parts.map(lambda p: (p,))
    return st.one_of(
        *(of(f"(({{0}})::number {op} ({{1}})::number)", two) for op in "+-*/"),
        *(of(f"(({{0}})::integer {op} ({{1}})::integer)", two) for op in "+-*"),
        *(of(f"({{0}} {op} {{1}})", two) for op in ("||", "=", "<", "<>")),
        of("(({0})::boolean and ({1})::boolean)", two),
        of("(({0})::boolean or not ({1})::boolean)", two),
        of("case when ({0})::boolean then {1} else {2} end", three),
        of("case {0} when {1} then {2} end", three),
        *(
            of(f"{name}({{0}}, {{1}})", two)
            for name in ("coalesce", "nullif", "greatest", "least", "concat", "contains")
        ),
        of("if(({0})::boolean, {1}, {2})", three),
        of("({0} is null)", one),
        of("({0} in ({1}, 'x'))", two),
        *(
            of(f"{name}({{0}})", one)
            for name in ("lower", "trim", "length", "alpha_in", "flag", "decimal_comma", "text")
        ),
        *(
            of(f"{name}({{0}})", one)
            for name in ("abs", "floor", "ceil", "integer", "number", "date", "instant", "boolean")
        ),
        *(of(f"{name}({{0}})", one) for name in ("epoch_seconds", "epoch_millis", "minor_units", "iso", "round")),
        of("round({0}, 2)", one),
        of("divide({0}, {1}, 4)", two),
        of("substr({0}, 2, 3)", one),
        of("split_part({0}, ',', 2)", one),
        of("lpad({0}, 12, '0')", one),
        of("alpha_out({0}, 10)", one),
        of("regexp_replace({0}, '([0-9])', '\\1')", one),
        of("regexp_extract({0}, '[0-9]+')", one),
        of("replace({0}, {1}, {2})", three),
        of("{0} like {1}", two),
        of("parse_date({0}, 'DD.MM.YYYY')", one),
        of("instant({0}, 'Europe/Berlin')", one),
        of("local_instant({0}, {1}, 'Europe/Berlin')", two),
        of("local_date({0}, 'Pacific/Apia')", one),
        of("format_date({0}, 'YYYYMMDD')", one),
        of("format_instant({0}, 'YYYY-MM-DD hh:mm:ss', 'Asia/Kathmandu')", one),
        of("(-{0})", one),
        *(of(form.replace("{}", "{0}", 1).replace("{}", "{1}", 1), two) for forms in FORMS for form in forms),
    )


# Each form with the place of a first and a second part; those with Python behind them are looked up.
FORMS = (
    ("squeeze({})", "strip_accents({})", "email({})", "sap_number({})", "implied_decimals({}, 6)", "currency({})", "gtin({})"),
    ("from_minor({}, {})", "from_minor({}, 'EUR')", "to_minor({}, {})", "to_minor({}, 'CLF')", "to_minor({}, currency({}))"),
    ("sap_date({})", "jde_date({})", "odata_date({})", "odata_instant({})", "iso(odata_instant({}))", "clock({})"),
    ("local_instant(sap_date({}), clock({}), 'Asia/Tokyo')", "parse_instant({}, 'YYYYMMDD hhmm', 'Europe/Berlin')"),
    ("parse_instant({}, 'YYYY-MM-DDThh:mm:ss', 'America/New_York')", "format_date(jde_date({}), 'YYYY-MM-DD')"),
    ("phone({})", "phone({}, {})", "phone({}, 'DE')", "country({})", "country({}, 'de')", "region({}, {})", "vat({})"),
    ("vat({}, {})", "html_unescape({})", "phone(html_unescape({}), country({}))", "rtrim({}, '.')", "ltrim({})"),
    ("upper({})", "left({}, 3)", "right({}, 3)", "rpad({}, 9)", "concat_ws({}, {})", "starts_with({}, {})", "ends_with({}, {})"),
)  # fmt: skip
EXPRESSIONS = st.recursive(st.one_of(PATHS, PATHS, TEXT, NUMBER), _grown, max_leaves=6)


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    made = duckdb.connect(config={"threads": 1})
    made.execute("SET TimeZone = 'UTC'")
    struct = "STRUCT(a VARCHAR, b VARCHAR)"
    made.execute(f"CREATE TABLE staged (a VARCHAR, b VARCHAR, s {struct}, l {struct}[], j VARCHAR)")
    for number, a in enumerate(RAW):
        b = RAW[(number * 7 + 3) % len(RAW)]
        pair = {"a": a, "b": b}
        listed = [[pair, {"a": b, "b": a}], [], None][number % 3]
        made.execute("INSERT INTO staged VALUES (?, ?, ?, ?, ?)", [a, b, pair, listed, a])
    yield made
    made.close()


def scope() -> Level:
    level = Level("record", "shop.things", Shape("object"), None)
    level.loose = frozenset(["j"])
    return level


def compiled(text: str, level: Level) -> Value | None:
    return compile_expression(Expr(text, Place("x", 1, 1)), level, [])


def result(con: duckdb.DuckDBPyConnection, selects: list[str], level: Level) -> tuple[str, list[tuple[Any, ...]]]:
    """The query and its rows, after what it looks up was filled in."""
    read = ", ".join(f"{text} AS {sql.name(name)}" for name, text in level.columns.items()) or "1 AS one"
    ctes = [("read", f"SELECT {read} FROM staged AS record")]
    once.fill(asked.lookups_at(level.asked, ctes, "read"), con.execute)
    query = f"WITH read AS ({ctes[0][1]}) SELECT {', '.join(selects)} FROM {asked.joined(level.asked, 'read')}"
    return query, con.execute(query).fetchall()


@settings(max_examples=60, deadline=None)
@given(first=EXPRESSIONS, second=EXPRESSIONS)
def test_no_record_stops_a_statement(con: duckdb.DuckDBPyConnection, first: str, second: str) -> None:
    """Two of them side by side: what both hold is computed once, and that is where TRY and CASE were lost."""
    level = scope()
    values = [value for text in (first, second, first) if (value := compiled(text, level)) is not None]
    if not values:
        return
    query, rows = result(con, [part for value in values for part in (value.sql, value.failed or "false")], level)
    assert len(rows) == len(RAW)
    for row in rows:
        assert all(failed in (True, False) for failed in row[1::2]), query


NEW = [form for forms in FORMS for form in forms]


@pytest.mark.parametrize("form", NEW)
@pytest.mark.parametrize("path", ["a", "s.b", "l[0].a", "substr(a, 2, 20)", "a || b"])
def test_no_function_stops_a_statement(con: duckdb.DuckDBPyConnection, form: str, path: str) -> None:
    """Each alone, over each odd value, and twice, so that the engine computes it once in front of what guards it."""
    level = scope()
    value = compiled(form.format(path, "b"), level)
    assert value is not None
    failed = value.failed or "false"
    _, rows = result(con, [value.sql, failed, f"CASE WHEN NOT ({failed}) THEN {value.sql} END"], level)
    assert len(rows) == len(RAW)
    assert all(row[1] in (True, False) and row[0] == row[2] for row in rows)


@pytest.mark.parametrize("weight", ["a", "s.b", "a * s.b", "b + l[0].a", "-a"])
@pytest.mark.parametrize("amount", ["b", "a", "99999999999999999", "-0.01"])
def test_no_share_stops_a_statement(con: duckdb.DuckDBPyConnection, amount: str, weight: str) -> None:
    """All odd values as the items of one record, and each as the only one of its own."""
    level = scope()
    of, by = (compiled(f"({text})::number", level) for text in (amount, weight))
    assert of is not None
    assert by is not None
    level.columns |= {"_ordinal": "record.rowid", "_seq": "0"}
    for owner in ("_seq", "_ordinal"):
        _, rows = result(con, [share(of.sql, by.sql, 2, owner), of.sql], level)
        assert len(rows) == len(RAW)
        parts = [part for part, _ in rows]
        if owner == "_seq" and amount[-1].isdigit() and None not in parts:
            assert sum(parts) == rows[0][1]


def test_a_function_that_raises_would_be_noticed(
    con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken twin: a cast instead of an attempt at one, even behind a condition."""
    raising = replace(FUNCTIONS["gtin"], duckdb="CASE WHEN {0} <> '' THEN CAST({0} AS BIGINT)::VARCHAR END")
    monkeypatch.setitem(FUNCTIONS, "gtin", raising)
    level = scope()
    value = compiled("gtin(s.b)", level)
    assert value is not None
    with pytest.raises(duckdb.Error):
        result(con, [value.sql], level)


def test_every_function_is_tried() -> None:
    """A function that is added to the table is added here too."""
    tried = inspect.getsource(_grown) + " ".join(NEW)
    missing = [name for name, one in FUNCTIONS.items() if not one.only_here and name not in tried]
    assert missing == []


@pytest.mark.parametrize(
    ("text", "raw"),
    [
        ("a::integer + 1", "many"),
        ("a::integer + a::integer", "9223372036854775807"),
        ("s.a::number * s.a::number", "99999999999999999"),
        ("case when s.a <> 'x' then s.a::integer end", "many"),
        ("instant(s.a)", "2026-11-18 09:00:00"),
        ("1 / a", "0"),
    ],
)
def test_a_failure_is_told_of_the_rows_where_it_is(con: duckdb.DuckDBPyConnection, text: str, raw: str) -> None:
    level = scope()
    value = compiled(text, level)
    assert value is not None
    read = ", ".join(f'{sql} AS "{name}"' for name, sql in level.columns.items())
    rows = con.execute(
        f"SELECT {value.failed} FROM (SELECT {read} FROM (SELECT x AS a, {{'a': x}} AS s"
        f" FROM (VALUES ('{raw}'), ('1'), ('2026-11-18T09:00:00Z'), (NULL)) AS raw (x)) AS record)"
    ).fetchall()
    assert rows[0] == (True,)
    assert rows[3] == (False,)
    assert (False,) in rows[1:3]
