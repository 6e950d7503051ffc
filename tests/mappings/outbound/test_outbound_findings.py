"""What is wrong with a push is said with its code and its place, all of it at once, and nothing is compiled."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from hub.errors import ConfigurationError
from hub.findings import Finding
from mappings import load, outbound
from mappings.codes import CODES
from warehouse.model import entities

MODEL = entities()
HEAD = """
stream: accounts
entity: customer
key: Id
fields:
  name: Name
  email: lower(Email)
  phone: Phones[0]
  tier: {at: Tier, values: tier}
  kind: {at: Kind, values: kind}
children:
  customer_address: {each: Addresses, key: Id, fields: {city: City, name: record.Name}}
push:
"""
VALUES = """
tier: {Standard: standard, Silver: silver, Gold: gold}
kind: {P: person, O: organisation, C: organisation}
"""


def findings(tmp_path: Path, push: str) -> list[Finding]:
    folder = tmp_path / "crm"
    folder.mkdir(exist_ok=True)
    (folder / "values.yaml").write_text(VALUES)
    (folder / "accounts.yaml").write_text(HEAD + textwrap.indent(textwrap.dedent(push), "  "))
    loaded = load.load([tmp_path], MODEL)
    assert loaded.findings == []
    mapping = loaded["crm/accounts"]
    return [finding for push in mapping.push for finding in outbound.check(mapping, push, MODEL)[1]]


BROKEN = {
    "no such entity": ("M201", "{operation: create, entity: custumer, fields: [name]}", "did you mean 'customer'?"),
    "a child alone": ("M201", "{operation: create, entity: order_line, fields: [{sku: {at: x}}]}", "there are"),
    "no such child": (
        "M201",
        "{operation: create, fields: [name], children: {order_line: {each: x, fields: []}}}",
        "address",
    ),
    "no such column": ("M202", "{operation: create, fields: [nam]}", "did you mean 'name'?"),
    "no such column with a place": (
        "M202",
        "{operation: create, fields: [{emial: {at: Email}}]}",
        "did you mean 'email'?",
    ),
    "no place": ("M203", "{operation: create, fields: [{email: {at: 'Emails[0]'}}]}", "names with dots"),
    "an expression as a place": (
        "M203",
        "{operation: create, fields: [{email: {at: lower(Email)}}]}",
        "names with dots",
    ),
    "one place twice": ("M204", "{operation: create, fields: [name, {email: {at: Name}}]}", "the other is at line"),
    "a place inside another": ("M204", "{operation: create, fields: [name, {email: {at: Name.first}}]}", ""),
    "not read here": ("M205", "{operation: create, fields: [tax_id]}", "write tax_id: {at"),
    "read by an expression": ("M206", "{operation: create, fields: [email]}", "say the way out"),
    "read from a list": ("M206", "{operation: create, fields: [phone]}", "say the way out"),
    "read from around": (
        "M206",
        "{operation: create, fields: [], children: {customer_address: {each: A, fields: [name]}}}",
        "say the way out",
    ),
    "read by an ambiguous map": ("M206", "{operation: create, fields: [kind]}", "say the way out"),
    "an ambiguous map": ("M207", "{operation: create, fields: [{kind: {at: Kind, values: kind}}]}", "write out:"),
    "a reference sent plainly": (
        "M208",
        "{operation: create, entity: sales_order, fields: [{customer: {at: AccountId}}]}",
        "write ref: customer",
    ),
    "a reference to another entity": (
        "M208",
        "{operation: create, entity: sales_order, fields: [{customer: {at: AccountId, ref: product}}]}",
        "there are: customer (customer)",
    ),
    "since when": ("M209", "{operation: create, since: name, fields: [name]}", "an instant or a day"),
    "no such name": ("M210", "{operation: create, when: emial is null, fields: [name]}", "did you mean 'email'?"),
    "no such name of the target": ("M210", "{operation: change, when: target.nam is null, fields: [name]}", "'name'"),
    "no such name of a reference": (
        "M210",
        "{operation: create, entity: sales_order, when: customer.mail is null, fields: [{number: {at: Number}}]}",
        "did you mean 'email'?",
    ),
    "a list": ("M211", "{operation: create, when: 'email[0] is null', fields: [name]}", "total, any"),
    "many without a function": ("M212", "{operation: create, when: sales_order.number = '1', fields: [name]}", "any"),
    "over two entities": (
        "M212",
        "{operation: create, when: any(sales_order.number = invoice.number), fields: [name]}",
        "there are: ",
    ),
    "over what does not refer here": (
        "M212",
        "{operation: create, when: any(order_line.sku = 'x'), fields: [name]}",
        "",
    ),
    "over nothing": ("M212", "{operation: create, when: any(true), fields: [name]}", "there are: "),
    "inside one another": (
        "M212",
        "{operation: create, when: any(total(sales_order.total) > 1), fields: [name]}",
        "",
    ),
    "in a child": (
        "M212",
        "{operation: create, fields: [], children: {customer_address: {each: A, when: any(sales_order.total > 1), fields: [city]}}}",
        "",
    ),
    "bound what": ("M213", "{operation: create, when: bound(name), fields: [name]}", "there are: none"),
    "no such function": ("M121", "{operation: create, when: totl(name) is null, fields: [name]}", ""),
    "two types": ("M124", "{operation: create, when: total(sales_order.number) and true, fields: [name]}", ""),
}


@pytest.mark.parametrize(("code", "push", "fix"), BROKEN.values(), ids=BROKEN.keys())
def test_each_mistake_has_its_code(tmp_path: Path, code: str, push: str, fix: str) -> None:
    found = findings(tmp_path, push)
    assert [finding.code for finding in found] == [code]
    assert fix in found[0].fix
    assert found[0].place.where.endswith("crm/accounts.yaml")
    assert (found[0].place.line or 0) >= 14
    assert code in CODES


def test_a_warning_does_not_stop_it(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, "{operation: change, fields: [{tier: {at: Tier, value: upper(tier)}}]}")
    assert (found.code, found.severity) == ("M214", "warning")


def test_all_findings_are_said_at_once(tmp_path: Path) -> None:
    push = "{operation: create, when: emial is null, since: name, fields: [nam, email, {phone: {at: Name}}]}"
    assert sorted(finding.code for finding in findings(tmp_path, push)) == ["M202", "M206", "M209", "M210"]


@pytest.mark.parametrize(
    "push",
    [
        "{operation: upsert, fields: [name, tier, {email: {at: Contact.Email}}, {phone: {at: Contact.Phone}}]}",
        "{operation: create, fields: [name], children: {customer_address: {each: Lines.Address, fields: [city]}}}",
        "{operation: change, when: target.name <> name and any(sales_order.total > 1), fields: [name]}",
        "{operation: create, entity: sales_order, fields: [{customer: {at: Account, ref: customer}}]}",
        "{operation: create, entity: sales_order, when: bound(customer) or customer.guest, fields: [{number: {at: Number}}]}",
        "{operation: create, entity: invoice, since: issued_on, fields: [{number: {at: Number}}]}",
    ],
)
def test_what_is_right_has_no_findings(tmp_path: Path, push: str) -> None:
    assert findings(tmp_path, push) == []


def test_compile_raises_with_every_finding(tmp_path: Path) -> None:
    findings(tmp_path, "{operation: create, fields: [nam, email]}")
    mapping = load.load([tmp_path], MODEL)["crm/accounts"]
    with pytest.raises(ConfigurationError) as raised:
        outbound.compile(mapping, mapping.push[0], MODEL)
    assert "M202" in str(raised.value)
    assert "M206" in str(raised.value)


@pytest.mark.parametrize(
    "expression",
    ["(select 1)", "name; drop table x", "read_text('/etc/passwd')", "name -- x", "$target", "getenv('HOME')"],
)
def test_nothing_but_the_language_gets_into_the_sql(tmp_path: Path, expression: str) -> None:
    found = findings(tmp_path, f'{{operation: create, fields: [{{x: {{at: x, value: "{expression}"}}}}]}}')
    assert found


def test_texts_of_the_mapping_stay_texts(tmp_path: Path) -> None:
    push = """{operation: create, fields: [{x: {at: "a", value: "'it''s'' || (select 1)'"}}], hold: [{when: true, reason: "it's.hold"}]}"""
    assert findings(tmp_path, push) == []
    mapping = load.load([tmp_path], MODEL)["crm/accounts"]
    made = outbound.compile(mapping, mapping.push[0], MODEL)
    assert "'it''s'' || (select 1)'" in made.sql
    assert "THEN 'it''s.hold'" in made.sql
