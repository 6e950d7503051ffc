"""The grammar: what can be written, what cannot, and that nothing else gets through."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.functions import FUNCTIONS
from mappings.parse import MAX_OPERATORS, ExpressionError, parse
from mappings.tree import Binary, Call, Case, Cast, Filter, In, Index, IsNull, Literal, Name, Node, Path, Unary, walk


def shape(node: Node) -> str:
    """The tree with all parentheses, for comparing."""
    match node:
        case Path():
            return str(node)
        case Literal():
            return f"'{node.value}'" if node.kind == "text" else node.value or "null"
        case Binary():
            return f"({shape(node.left)} {node.op} {shape(node.right)})"
        case Unary():
            return f"({node.op} {shape(node.operand)})"
        case IsNull():
            return f"({shape(node.operand)} is {'not ' if node.negated else ''}null)"
        case In():
            return f"({shape(node.operand)} {'not ' if node.negated else ''}in {','.join(map(shape, node.options))})"
        case Case():
            branches = "".join(f" {shape(c)}:{shape(r)}" for c, r in node.branches)
            return f"case{'' if node.subject is None else ' ' + shape(node.subject)}{branches}" + (
                "" if node.default is None else f" else:{shape(node.default)}"
            )
        case Cast():
            return f"({shape(node.operand)}::{node.type})"
        case Call():
            return f"{node.function}({', '.join(map(shape, node.args))})"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a.b[0].c", "a.b[0].c"),
        ("order", "order"),
        ("end", "end"),
        ("true", "true"),
        ("null", "null"),
        ("a or b and not c = 'x'", "(a or (b and (not (c = 'x'))))"),
        ("a + b * c - d", "((a + (b * c)) - d)"),
        ("a || b + c", "(a || (b + c))"),
        ("-a::number", "(- (a::number))"),
        ("a != 'x' or a <> 'y'", "((a <> 'x') or (a <> 'y'))"),
        ("a is null and b is not null", "((a is null) and (b is not null))"),
        ("a not in ('x', 'y')", "(a not in 'x','y')"),
        ("a between 1 and 2 and b", "(((a >= 1) and (a <= 2)) and b)"),
        ("a not like 'x%'", "(not like(a, 'x%'))"),
        ("case when a then 'b' else c end", "case a:'b' else:c"),
        ("case a when 'x' then 1 end", "case a 'x':1"),
        ("cast(a as date)", "(a::date)"),
        ("LOWER(a)", "lower(a)"),
        ("'it''s'", "'it's'"),
        (".5", "0.5"),
        ('"Größe"."a""b"', 'Größe.a"b'),
        ("(a)", "a"),
        ("ordinal()", "ordinal()"),
        ("a[b = 'x'].c", "a[…].c"),
    ],
)
def test_reads(text: str, wanted: str) -> None:
    assert shape(parse(text)) == wanted


def test_steps_of_a_path() -> None:
    path = parse("a[type = 'billing'][2].\"x y\"")
    assert isinstance(path, Path)
    assert [type(step) for step in path.steps] == [Name, Filter, Index, Name]
    assert path.steps[3] == Name("x y", 23, quoted=True)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", 0),
        ("a b", 2),
        ("a; drop table x", 1),
        ("a -- comment", 2),
        ("a /* c */", 2),
        ("(select 1)", 1),
        ("select a", 0),
        ("a in (select 1)", 6),
        ("exists(select 1)", 7),
        ("a -> b", 3),
        ("a ->> b", 3),
        ("{'a': 1}", 0),
        ("[1, 2]", 0),
        ("$1", 0),
        ("?", 0),
        (":x", 0),
        ("*", 0),
        ("a.*", 2),
        ("count(*)", 6),
        ("'open", 0),
        ('"open', 0),
        ("lower(a", 0),
        ("case when a then b", 18),
        ("case a end", 0),
        ("a::timestamp", 3),
        ("a::decimal(18,4)", 10),
        ("a % b", 2),
        ("a[1:2]", 3),
        ("a[1.5]", 2),
        ("a[-1]", 1),
        ("1e5", 1),
        ("--a", 0),
        ("a = ", 4),
        ("a is 'x'", 5),
        ("a collate x", 2),
        ("sum(a) over ()", 7),
        ("(a).b", 3),
        ("interval 1", 0),
        ("a['b']", 1),
        ("a\0b", 1),
        ("'a\nb'", 0),
        ("größe", 2),
        ("a" * 5_000, 0),
        ("(" * 100 + "a" + ")" * 100, None),
        (" || ".join(["a"] * (MAX_OPERATORS + 2)), 0),
        ("not " * 500 + "a", 0),
    ],
)
def test_refuses(text: str, at: int | None) -> None:
    with pytest.raises(ExpressionError) as caught:
        list(walk(parse(text)))
    assert caught.value.what
    if at is not None:
        assert caught.value.at == at


def refused_at(text: str) -> int:
    """Where it is refused, 0 where it is read."""
    try:
        assert list(walk(parse(text)))
    except ExpressionError as error:
        return error.at
    return 0


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    assert 0 <= refused_at(text) <= len(text)


TOKENS = st.sampled_from(
    [
        *"abcx().,[]=<>+-*/|:;'\"%$?{}",
        "lower(",
        "case",
        "when",
        "then",
        "end",
        "and",
        "not",
        "in",
        "select",
        "'x'",
        "1",
        " ",
    ]
)


@settings(max_examples=500)
@given(st.lists(TOKENS, max_size=25))
def test_any_tokens_are_read_or_refused(tokens: list[str]) -> None:
    text = " ".join(tokens)
    assert 0 <= refused_at(text) <= len(text)


# -- the language is a part of DuckDB's SQL: sqlglot reads the same expression, and nothing in it but what we know

NAMES = st.sampled_from(
    ["a", "b", "total_price", "customer.id", "line_items[0].sku", "addresses[kind = 'x'].city", '"Odd Name"']
)
TEXTS = st.text(alphabet="ab '%;-/*\\\"$(", max_size=8).map(lambda t: "'" + t.replace("'", "''") + "'")
NUMBERS = st.sampled_from(["0", "12", "1.50", "0.001"])


def _more(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(inner, inner)
    return st.one_of(
        st.tuples(inner, st.sampled_from(["=", "<>", "<", "and", "or", "||", "+", "-", "*", "/"]), inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        pair.map(lambda t: f"coalesce({t[0]}, {t[1]})"),
        pair.map(lambda t: f"case when {t[0]} then {t[1]} end"),
        inner.map(lambda t: f"lower({t})"),
        inner.map(lambda t: f"(not {t})"),
        inner.map(lambda t: f"({t} is not null)"),
        inner.map(lambda t: f"({t})::date"),
        pair.map(lambda t: f"({t[0]} in ({t[1]}, 'x'))"),
        inner.map(lambda t: f"(-{t})"),
    )


EXPRESSIONS = st.recursive(st.one_of(NAMES, TEXTS, NUMBERS), _more, max_leaves=12)


@settings(max_examples=200, deadline=None)
@given(EXPRESSIONS)
def test_what_is_read_is_one_harmless_expression_of_duckdb(text: str) -> None:
    from sqlglot import exp
    from sqlglot import parse as parse_sql

    parse(text)
    statements = parse_sql(text, read="duckdb")
    assert len(statements) == 1
    forbidden = (
        exp.Query,
        exp.Subquery,
        exp.Command,
        exp.DDL,
        exp.DML,
        exp.Window,
        exp.Star,
        exp.Placeholder,
        exp.Alias,
    )
    for node in statements[0].walk():
        assert not isinstance(node, forbidden), node
        if isinstance(node, exp.Anonymous):
            assert node.name.lower() in FUNCTIONS
