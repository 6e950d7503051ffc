"""Rule files: what is wrong with them is found, all of it, with its place and the nearest name."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hub.entity import Model
from quality import gate, kinds
from quality.checks import Allowed, Compare, Range, Sum
from quality.codes import CODES
from quality.modelled import with_model
from quality.rules import Rules, load

WRONG = """entity: sales_order
ownr: order desk
rules:
  total_adds_up:
    sum: {total: totl, plus: [line_total]}
    message: adds up
  two_kinds:
    required: number
    unique: number
    message: which
  none:
    severity: warn
    message: nothing
  Bad-Name:
    required: number
    severity: warning
    message: x
  no_message:
    required: currency
  cheap:
    range: {column: currency, least: 0}
    message: of a text
  paid:
    required: total
    when: {payment_status: payed}
    message: typo
  share:
    required: total
    threshold: 20
    message: too much
  coded:
    required: total
    code: Q999
    message: ours
  strangers:
    sum: {total: total, plus: product.name}
    message: no relation
  looks:
    pattern: {column: number, matches: "(?=a)b"}
    message: RE2
"""


def test_everything_wrong_is_found_at_once(write_rules: Callable[..., Rules]) -> None:
    rules = write_rules(sales_order=WRONG)
    said = [str(finding) for finding in rules.findings]
    assert not rules.all
    assert "quality/sales_order.yaml:2:1 Q103 unknown setting 'ownr'; did you mean 'owner'?" in said
    assert "quality/sales_order.yaml:5:18 Q102 unknown column 'totl' in sales_order; did you mean 'total'?" in said
    assert any("25:28 Q115 payment_status is never 'payed'; did you mean 'paid'?" in text for text in said)
    found = {finding.code for finding in rules.findings}
    assert found == {"Q102", "Q103", "Q106", "Q107", "Q108", "Q109", "Q110", "Q111", "Q113", "Q114", "Q115", "Q116"}
    assert all(finding.place.line and finding.place.column for finding in rules.findings)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "Q101"),
        ("entity: customer\n", "Q101"),
        ("entity: custmer\nrules:\n  a: {required: name, message: m}\n", "Q104"),
        ("rules:\n  a: {required: name, message: m}\n", "Q104"),
        ("entity: product\nrules:\n  a: {required: name, message: m}\n", "Q105"),
        ("entity: customer\nrules:\n  a: {range: {column: name}, message: m}\n", "Q113"),
        ("entity: customer\nrules:\n  a: {allowed: {column: name}, message: m}\n", "Q112"),
        ("entity: customer\nrules:\n  a: {required: [name], message: m}\n", "Q112"),
        ("entity: order_line\nrules:\n  a: {range: {column: quantity, least: 10, most: 1}, message: m}\n", "Q112"),
        ("entity: order_line\nrules:\n  a: {range: {column: quantity, above: 1, most: 1}, message: m}\n", "Q112"),
        (
            'entity: sales_order\nrules:\n  a: {range: {column: ordered_at, least: "2026-02-01", below: "2026-01-01"}, message: m}\n',
            "Q112",
        ),
        ("entity: customer\nrules:\n  a: {required: name, message: m}\n  a: {required: email, message: m}\n", "F109"),
    ],
)
def test_a_broken_file_is_a_finding(write_rules: Callable[..., Rules], text: str, code: str) -> None:
    assert code in [finding.code for finding in write_rules(customer=text).findings]


def test_a_reference_may_only_warn(write_rules: Callable[..., Rules]) -> None:
    text = "entity: payment\nrules:\n  o: {reference_exists: sales_order, severity: %s, message: m}\n"
    assert [f.code for f in write_rules(payment=text % "quarantine").findings] == ["Q108"]
    assert not write_rules(payment=text % "warn").findings


@pytest.mark.parametrize(
    ("entity", "kind", "code"),
    [
        ("sales_order", "freshness: {column: ordered_at, hours: 24}, severity: quarantine", "Q108"),
        ("sales_order", "freshness: {column: total, hours: 24}", "Q113"),
        ("sales_order", "freshness: {column: ordered_at, hours: 0}", "Q112"),
        ("sales_order", "freshness: {column: ordered_at, hours: 24}, when: {total: 1}", "Q103"),
        ("sales_order", "volume: {days: 3}", "Q112"),
        ("sales_order", "volume: {least: 0.5}, threshold: 0.2", "Q103"),
        ("order_line", "volume: {least: 0.5}", "Q114"),
        ("customer", "distribution: {column: name, most: 0.2}", "Q113"),
        ("customer", "distribution: {column: tier, most: half}", "Q112"),
    ],
)
def test_a_rule_about_the_batch_is_held_to_what_a_batch_has(write_rules: Callable[..., Rules], entity: str, kind: str, code: str) -> None:  # fmt: skip
    text = f"entity: {entity}\nrules:\n  a: {{{kind}, message: m}}\n"
    assert [finding.code for finding in write_rules(**{entity: text}).findings] == [code]


def test_what_a_rule_says(write_rules: Callable[..., Rules]) -> None:
    rules = write_rules(
        sales_order="""entity: sales_order
owner: order desk
threshold: 0.25
rules:
  adds_up: {sum: {total: total, plus: [line_total, tax_total], minus: discount_total, tolerance: 2}, message: m}
  paid:
    compare: {left: refunded_total, is: at_most, right: {sum: payment.amount, where: {status: [captured, ~]}}}
    severity: warn
    message: m
    owner: finance
    code: ACME-7
"""
    )
    assert not rules.findings
    adds_up, paid = rules.all
    assert isinstance(adds_up.check, Sum)
    assert (adds_up.check.currency, adds_up.check.tolerance, adds_up.code) == ("currency", 2, "Q208")
    assert (adds_up.threshold, adds_up.severity, adds_up.owner) == (Decimal("0.25"), "quarantine", "order desk")
    assert isinstance(paid.check, Compare)
    assert (paid.check.right.via, paid.check.right.where[0].values) == ("sales_order", ("captured", None))
    assert (paid.threshold, paid.owner, paid.code) == (None, "finance", "ACME-7")


def test_a_day_of_an_instant_has_a_time_zone(write_rules: Callable[..., Rules]) -> None:
    text = 'entity: sales_order\nrules:\n  a: {range: {column: ordered_at, least: "2000-01-01"}, message: m}\n'
    (rule,) = write_rules(sales_order=text).all
    assert isinstance(rule.check, Range)
    assert str(rule.check.least) == "2000-01-01 00:00:00+00:00"


def test_a_file_of_the_project_replaces_the_one_of_the_same_name(tmp_path: Path, model: Model) -> None:
    own, built_in = tmp_path / "own", tmp_path / "built_in"
    for folder, column in ((own, "name"), (built_in, "email")):
        folder.mkdir()
        (folder / "customer.yaml").write_text(f"entity: customer\nrules:\n  a: {{required: {column}, message: m}}\n")
    assert [rule.check.fields for rule in load([own, built_in], model)] == [("name",)]


def test_the_shipped_rules_are_clean_and_every_kind_is_explained(shipped: Rules) -> None:
    assert not shipped.findings
    assert {"customer", "sales_order", "order_line", "product", "price", "inventory_level", "account_credit"} <= {
        rule.entity for rule in shipped
    }
    assert {"invoice", "payment", "refund"} <= {rule.entity for rule in shipped}
    assert all(rule.code in CODES and rule.owner and rule.message for rule in shipped)
    assert len(kinds.KINDS) == 12


def test_what_the_model_says_is_a_rule_without_being_written(shipped: Rules, model: Model) -> None:
    said = {rule.id: rule for rule in with_model(shipped) if rule.name.startswith("model_")}
    required = {f"{e.name}.model_requires_{c.name}" for e in model.values() for c in e if c.required}
    written = {
        f"{r.entity}.model_requires_{r.check.fields[0]}" for r in shipped if r.check.code == "Q201" and not r.when
    }
    assert {name for name in said if "requires" in name} == required - written
    assert said["sales_order.model_lists_lifecycle_status"].check == Allowed("lifecycle_status", ("open", "completed", "cancelled"))  # fmt: skip
    assert len(with_model(with_model(shipped)).all) == len(with_model(shipped).all)


def test_a_row_that_is_not_as_the_model_says_is_kept_back(shipped: Rules, model: Model, run_con: Callable[..., Any], order: Callable[..., Any]) -> None:  # fmt: skip
    con = run_con({"sales_order": [order(), order("1002", lifecycle_status="opn"), order("1003", customer_ref=None)]})
    gate.mark(con, with_model(shipped), model)
    found = con.execute("SELECT source_id, rule FROM gate.findings ORDER BY ALL").fetchall()
    assert found == [
        ("1002", "sales_order.model_lists_lifecycle_status"),
        ("1003", "sales_order.model_requires_customer"),
    ]
