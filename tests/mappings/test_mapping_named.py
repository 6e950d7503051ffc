"""Functions of a project's own: what they do in both directions, each rule with what breaks and what keeps it, and their bounds."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from hub.connector import Stream
from hub.entity import Model
from hub.errors import shown
from hub.findings import Finding
from mappings import examples, inbound, named_examples, outbound, trial
from mappings.codes import CODES
from mappings.coverage import cover
from mappings.expressions import Compiler
from mappings.lint import lint
from mappings.load import Mappings, load
from mappings.mutants import mutate
from mappings.named import MAX_SIZE, unused_by_all

Write = Callable[[str, str], Path]
FULL = """
full_name:
  doc: First and last name, without blanks around them.
  arguments: [first, last]
  is: concat_ws(' ', trim(first), trim(last))
  examples:
    - {given: [" Ann", Lee], expect: Ann Lee}
    - {given: [~, ~], expect: ~}
"""
ALL = """
taxed:
  arguments: {price: money net, tax: money tax}
  is: round(price + tax, 2)
  examples: [{given: ["10.005", "1.90"], expect: 11.91}, {given: [many, 1], fails: true}]
"""


def customer(name: str, more: str = "") -> str:
    return f'stream: people\nentity: customer\nkey: id\nfields: {{name: "{name}"}}\n{more}'


CALLS = customer("full_name(first, last)")


def functions(said: str, name: str = "f") -> str:
    return f"{name}: {{arguments: [a, b], {said}}}\n"


TRUE = "examples: [{given: [x, z], expect: xz}]"
GOOD = functions(f"is: a || b, {TRUE}")
# code: (functions that break it, functions that keep it, what is called, what the finding says)
RULES: dict[str, list[tuple[str, str, str, str]]] = {
    "M170": [(functions(f"is: a || c, {TRUE}"), GOOD, "f(x, z)", "'c' is no argument of f"), (functions(f"is: a || b.c, {TRUE}"), GOOD, "f(x, z)", "'b.c'")],
    "M171": [
        (functions(f"is: a || b, {TRUE}", "lower"), GOOD, "x", "'lower' is a word of the language"),
        (functions(f"is: a || b, {TRUE}", "total"), GOOD, "x", "'total' is a word of the language"),
        (functions(f"is: a || b, {TRUE}", '"f x"'), GOOD, "x", "'f x' is no name of a function"),
    ],
    "M172": [
        (functions("is: a || b"), GOOD, "f(x, z)", "'f' has no example"),
        (functions("is: a || b, examples: [{given: [x, z], expect: zx}]"), GOOD, "f(x, z)", "f('x', 'z') is 'xz', expected 'zx'"),
        (functions("is: a || b, examples: [{given: [x, z], fails: true}]"), GOOD, "f(x, z)", "expected that it fails"),
        (functions("is: a || b, examples: [{given: [x], expect: x}]"), GOOD, "f(x, z)", "not as many values as arguments"),
        (functions("is: a || b, examples: [{given: [x, z]}]"), GOOD, "f(x, z)", "an example says given"),
        (functions("is: number(a) + b, examples: [{given: [x, 1], expect: 1}]"), functions("is: number(a) + b, examples: [{given: [x, 1], fails: true}]"), "f(x, z)", "cannot be computed"),
    ],
    "M173": [
        (functions(f"is: 'f(a, b)', {TRUE}"), GOOD, "f(x, z)", "f calls itself"),
        (functions(f"is: 'g(a, b)', {TRUE}") + functions(f"is: 'f(b, a)', {TRUE}", "g"), GOOD, "f(x, z)", "g calls itself"),
    ],
    "M174": [(GOOD + functions(f"is: a || b, {TRUE}", "g"), GOOD + functions(f"is: 'f(a, b)', {TRUE}", "g"), "f(x, z)", "nothing calls g")],
    "M121": [(GOOD, GOOD, "ff(x, z)", "did you mean 'f'?"), (functions(f"is: 'nope(a, b)', {TRUE}"), GOOD, "f(x, z)", "no function 'nope' (within f, ")],
    "M120": [(functions(f"is: 'a |', {TRUE}"), GOOD, "f(x, z)", "'|' does not belong")],
    "M122": [(GOOD, GOOD, "f(x)", "f is called with 1 values; f(a, b)")],
    "M123": [(functions(f"is: lpad(a, b), {TRUE}".replace("lpad(a, b)", "'lpad(a, b)'")), GOOD, "f(x, z)", "has to be written out")],
    "M124": [
        ("f: {arguments: {a: date, b: text}, is: \"text(a) || b\", examples: [{given: ['2026-01-02', x], expect: 2026-01-02x}]}", GOOD, "f(epoch_seconds(x), z)", "an instant is no date"),
        (functions(f"is: a || b, {TRUE}"), GOOD, "f(epoch_seconds(x), z)", "an instant is no text by itself (within f, "),
    ],
    "M150": [("f: {arguments: {a: nett, b: text}, is: a || b, " + TRUE + "}", GOOD, "f(x, z)", "'nett' is no type")],
    "M101": [("f: a || b", GOOD, "f(x, z)", "'f' holds arguments"), ("f: {arguments: a, is: a, " + TRUE + "}", GOOD, "f(x, z)", "'arguments' are names")],
    "M102": [(functions(f"iss: a, is: a || b, {TRUE}"), GOOD, "f(x, z)", "did you mean 'is'?")],
    "M103": [(functions(TRUE), GOOD, "f(x, z)", "nothing says what 'f' is")],
}  # fmt: skip
CASES = [(code, *case) for code, cases in RULES.items() for case in cases]


def check(folder: Path, model: Model, text: str, call: str) -> list[Finding]:
    (folder / "shop").mkdir(parents=True)
    (folder / "shop" / "functions.yaml").write_text(text)
    (folder / "shop" / "people.yaml").write_text(customer(call))
    loaded = load([folder], model)
    return [*loaded.findings, *lint(loaded, model, {"shop": [Stream("people", "id")]})]


@pytest.mark.parametrize(
    ("code", "breaks", "keeps", "call", "says"), CASES, ids=[f"{c}-{n}" for n, (c, *_) in enumerate(CASES)]
)
def test_rule(tmp_path: Path, model: Model, code: str, breaks: str, keeps: str, call: str, says: str) -> None:
    broken = [finding for finding in check(tmp_path / "broken", model, breaks, call) if finding.code == code]
    assert any(says in str(finding) for finding in broken), check(tmp_path / "again", model, breaks, call)
    assert all(finding.fix and finding.place.line and finding.place.column for finding in broken)
    right = "f(x, g(x, z))" if "g: " in keeps else "f(x, z)"
    assert check(tmp_path / "kept", model, keeps, right) == []


def test_every_rule_is_tried() -> None:
    assert {code for code in CODES if code.startswith("M17")} <= set(RULES)


def test_it_is_compiled_as_if_it_stood_there(run: Callable[..., Any], write: Write, folder: Path, model: Model) -> None:
    write("shop/functions.yaml", FULL)
    made = run(CALLS.replace("people", "things"), [{"id": 1, "first": " Ann", "last": "Lee "}, {"id": 2, "first": " "}])
    assert made.rows("customer", "name") == [("Ann Lee",)]
    assert made.rejects() == [("name", "required", "first= ")]
    write("shop/things.yaml", CALLS.replace("full_name(first, last)", "concat_ws(' ', trim(first), trim(last))"))
    assert inbound.compile(load([folder], model)["shop/things"], model).sql.replace("people", "things") == made.made.sql


def both(folder: Path, write: Write, model: Model) -> Mappings:
    write("functions.yaml", ALL + FULL)
    write(
        "shop/functions.yaml",
        'shown: {arguments: [a, b], is: "full_name(b, a)", examples: [{given: [Lee, Ann], expect: Ann Lee}]}\n',
    )
    fields = '[{x: {at: X, value: "shown(family_name, given_name)"}}, {z: {at: Z, value: "total(taxed(order_line.line_total, order_line.tax_amount))"}}]'
    push = f"push: {{operation: create, fields: {fields.replace('total(taxed(order_line.line_total, order_line.tax_amount))', 'name')}}}\n"
    write("shop/people.yaml", customer("shown(last, first)", push))
    return load([folder], model)


def test_both_directions_and_both_files(folder: Path, write: Write, model: Model) -> None:
    loaded = both(folder, write, model)
    assert [*loaded.findings, *lint(loaded, model, {})] == []
    mapping = loaded["shop/people"]
    made = outbound.compile(mapping, mapping.push[0], model)
    assert trial.push(made, model, {"given_name": "Ann", "family_name": "Lee", "name": "A"}) == {
        "X": "Ann Lee",
        "Z": "A",
    }
    assert [one.holds for one in named_examples.outcomes(list(loaded.functions["shop"].values()))] == [True] * 5
    assert next(str(one) for one in unused_by_all([folder], shown)).endswith("M174 nothing calls taxed; remove it")


def test_its_arguments_are_typed_in_trade(tmp_path: Path, model: Model) -> None:
    head = 'stream: orders\nentity: sales_order\nkey: id\ntypes: {net: money net EUR, tax: money tax EUR, all: money gross EUR}\nfields: {number: number, ordered_at: at, customer: {ref: customer, at: c}, currency: "\'EUR\'", lifecycle_status: "\'open\'", total: "%s"}\n'
    for number, (call, codes) in enumerate(
        {"taxed(net, tax)": [], "taxed(all, tax)": ["M152"], "taxed(net, net)": ["M152"]}.items()
    ):
        folder = tmp_path / str(number)
        (folder / "shop").mkdir(parents=True)
        (folder / "functions.yaml").write_text(ALL)
        (folder / "shop" / "orders.yaml").write_text(head % call)
        loaded = load([folder], model)
        assert [one.code for one in (*loaded.findings, *lint(loaded, model, {}))] == codes


def test_an_own_function_stands_before_that_of_all(folder: Path, write: Write, model: Model) -> None:
    write(
        "functions.yaml",
        FULL + "greet: {arguments: [a], is: \"full_name('Dear', a)\", examples: [{given: [Ann], expect: Dear Ann}]}\n",
    )
    write("shop/functions.yaml", "full_name: {arguments: [a, b], is: b, examples: [{given: [x, z], expect: z}]}\n")
    write("shop/people.yaml", customer("full_name(greet(first), last)"))
    loaded = load([folder], model)
    assert [*loaded.findings, *lint(loaded, model, {})] == []  # greet() still means the one of its own file


def test_what_python_computes_can_be_called(folder: Path, write: Write, model: Model) -> None:
    write(
        "shop/functions.yaml",
        "called: {arguments: [a], is: \"'tel:' || phone(a, 'DE')\", examples: [{given: [030 901820], expect: 'tel:+4930901820'}, {given: [many], fails: true}]}\n",
    )
    write("shop/people.yaml", customer("called(p)"))
    loaded = load([folder], model)
    assert [*loaded.findings, *lint(loaded, model, {})] == []
    assert len(inbound.compile(loaded["shop/people"], model).lookups) == 1


def doubling(levels: int) -> str:
    made = functions("is: a || b, examples: [{given: [x, z], expect: xz}]", "f0")
    return made + "".join(
        functions(f"is: 'f{n - 1}(a, b) || f{n - 1}(b, a)', {TRUE}", f"f{n}") for n in range(1, levels + 1)
    )


def test_twenty_levels_that_double_are_refused_at_once(
    tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = [0]
    value = Compiler.value

    def counted(self: Compiler, node: Any) -> Any:
        compiled[0] += 1
        return value(self, node)

    monkeypatch.setattr(Compiler, "value", counted)
    found = check(tmp_path, model, doubling(20), "f20(x, z)")
    assert 0 < compiled[0] < 10 * MAX_SIZE  # compiled to the end they would be a million
    large = [one for one in found if one.code == "M173"]
    assert any(f"at most {MAX_SIZE} are read" in one.fix for one in large)
    assert not any("f3 has" in one.what for one in large)  # what is small is used


def test_many_calls_of_large_functions_are_refused(tmp_path: Path, model: Model) -> None:
    text = doubling(5)
    found = check(tmp_path, model, text, "concat(" + ", ".join(["f5(x, z)"] * 150) + ")")
    assert [one.what for one in found if one.code == "M173"] == [
        "the functions that the mapping calls have more than 20,000 parts"
    ]


def test_arguments_that_double_are_refused(tmp_path: Path, model: Model) -> None:
    nested = "f(" * 20 + "x" + ", z)" * 20
    found = check(tmp_path, model, functions("is: a || a || b, examples: [{given: [x, z], expect: xxz}]"), nested)
    assert {one.code for one in found} == {"M120"}
    assert "too large" in found[0].what


def test_numbers_of_examples_are_exact(tmp_path: Path, model: Model) -> None:
    text = "f: {arguments: {a: number, b: integer}, is: a / b, examples: [{given: [1, 3], expect: 0.3333333333}, {given: [1.5, 0], fails: true}]}"
    assert check(tmp_path, model, text, "text(f(x, z))") == []
    assert Decimal("0.3333333333") * 3 != 1


def test_branches_and_mutants_that_call_one_are_tried(folder: Path, write: Write, model: Model) -> None:
    write("shop/functions.yaml", FULL)
    name = "case when full_name(first, last) = 'Ann Lee' then 'A' else 'B' end"
    value = "if(full_name(given_name, family_name) = 'Ann Lee', 'A', 'B')"
    write(
        "shop/people.yaml",
        customer(
            name,
            f'push: {{operation: create, fields: [{{x: {{at: X, value: "{value}"}}}}]}}\n'
            "examples:\n  - {given: {id: 1, first: Ann, last: Lee}, expect: {name: A}}\n"
            "  - {push: create, given: {given_name: Ann, family_name: Lee, name: A}, expect: {X: A}}\n",
        ),
    )
    mapping = load([folder], model)["shop/people"]
    covered = cover(mapping, model)
    assert [(one.about, one.what) for one in covered.missed] == [("name", "else"), ("push create: x", "if not")]
    assert covered.points == 6
    report = mutate(mapping, model)
    assert report.tried > len(report.unnoticed) > 0


@pytest.mark.parametrize("broken", ["connect", "execute"])
def test_an_engine_without_memory_is_told(
    tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def hardened(folder: Path) -> Any:
        if broken == "connect":
            raise duckdb.OutOfMemoryException("Out of Memory Error: Allocation failure\nmore")
        return SimpleNamespace(execute=_fails, close=lambda: None)

    monkeypatch.setattr(examples, "hardened", hardened)
    (found,) = check(tmp_path, model, GOOD, "f(x, z)")
    assert (found.code, found.what) == ("M172", "the example cannot be tried: Out of Memory Error: Allocation failure")


def _fails(*said: Any) -> Any:
    raise duckdb.OutOfMemoryException("Out of Memory Error: Allocation failure")
