"""The rules beyond reading: each code of a push (M2), of a reject (M3) and of an example (M4) has what breaks it and what keeps it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub.connector import Operation, Stream, TargetField
from hub.entity import Model
from hub.errors import ConfigurationError
from hub.findings import Finding
from mappings import examples
from mappings.codes import CODES
from mappings.lint import lint
from mappings.load import load

TEXT = TargetField()
TAKES = {
    "upsert": {
        "Name": TargetField(required=True),
        "Email": TEXT,
        "Contact": TEXT,
        "Tier": TargetField(choices=("Standard", "Silver", "Gold")),
        "Kind": TargetField(length=6),
        "Owner": TargetField(required=True, instead="OwnerKey"),
        "OwnerKey": TEXT,
        "Lines.City": TargetField(required=True),
        "Lines.Zip": TEXT,
    }
}
WRITES: tuple[Operation, ...] = ("create", "change", "upsert")
STREAM = Stream("accounts", "Id", writes=WRITES, idempotency="read_back", clears=True, target_fields=TAKES)  # type: ignore[arg-type]
VALUES = """
tier: {Standard: standard, Silver: silver, Gold: gold}
kind: {P: person, O: organisation, C: organisation}
metal: {Standard: standard, Silver: silver, Platinum: gold}
"""
HEAD = """
stream: accounts
entity: customer
key: Id
fields:
  name: Name
  email: lower(Email)
  tier: {at: Tier, values: tier}
  kind: {at: Kind, values: kind}
"""
BOSS = "{lookup: accounts, key: Boss, by: Id, at: Name}"
OWNER = "{owner: {at: Owner, value: \"'hub'\"}}"


def push(fields: str, more: str = "") -> str:
    return f"{HEAD}push: {{operation: create, fields: [{fields}]{more}}}"


def order(fields: str, more: str = "") -> str:
    return f"{HEAD}push: {{operation: create, entity: sales_order, fields: [{fields}]{more}}}"


def known(fields: str, more: str = "") -> str:
    """To a stream that declares what it takes."""
    return f"{HEAD}push: {{operation: upsert, fields: [{fields}]{more}}}"


def record(fields: str) -> str:
    return f"stream: accounts\nentity: customer\nkey: Id\nfields: {{name: Name{fields}}}\n"


def example(said: str) -> str:
    return f"{record('')}examples: [{said}]\n"


# code: (what breaks it, what keeps it); for M3 with the record that is read
PUSHES: dict[str, list[tuple[str, str]]] = {
    "M201": [(order("{sku: {at: a}}").replace("sales_order", "order_line"), order("{number: {at: a}}"))],
    "M202": [(push("nam"), push("name")), (push("{nam: {at: A}}"), push("{nam: {at: A, value: name}}"))],
    "M203": [(push("{email: {at: 'Emails[0]'}}"), push("{email: {at: Emails.first}}"))],
    "M204": [(push("name, {email: {at: Name}}"), push("name, {email: {at: Email}}"))],
    "M205": [(push("tax_id"), push("{tax_id: {at: TaxId}}"))],
    "M206": [
        (push("email"), push("{email: {at: Email}}")),
        (push("name").replace("name: Name", "name: {at: Name, when: Kind = 'P'}"), push("name")),
        (push("tax_id").replace("  name:", f"  tax_id: {BOSS}\n  name:"), push("tax_id").replace("  name:", "  tax_id: T\n  name:")),
    ],
    "M207": [(push("{kind: {at: Kind, values: kind}}"), push("{tier: {at: Tier, values: tier}}"))],
    "M208": [(order("{customer: {at: AccountId}}"), order("{customer: {at: AccountId, ref: customer}}"))],
    "M209": [(order("{number: {at: A}}", ", since: number"), order("{number: {at: A}}", ", since: ordered_at"))],
    "M210": [(push("name", ", when: nam is null"), push("name", ", when: name is null"))],
    "M211": [(push("name", ", when: 'name[0] is null'"), push("name", ", when: name is null"))],
    "M212": [
        (push("name", ", when: sales_order.total > 1"), push("name", ", when: any(sales_order.total > 1)")),
    ],
    "M213": [(order("{number: {at: A}}", ", when: bound(number)"), order("{number: {at: A}}", ", when: bound(customer)"))],
    "M214": [
        (
            push("{tier: {at: Tier, value: upper(tier)}}").replace("create", "change"),
            push("{tier: {at: Tier, values: tier}}").replace("create", "change"),
        )
    ],
    "M221": [
        (known(f"tier, {OWNER}"), known(f"name, {OWNER}")),
        (known("name"), known("name, {key: {at: OwnerKey, value: text(hub_id)}}")),
        (
            known(f"name, {OWNER}", ", children: {customer_address: {each: Lines, fields: [{postal_zone: {at: Zip}}]}}"),
            known(f"name, {OWNER}", ", children: {customer_address: {each: Lines, fields: [{city: {at: City}}]}}"),
        ),
    ],
    "M222": [
        (known(f"name, {OWNER}, {{email: {{at: Emial}}}}"), known(f"name, {OWNER}, {{email: {{at: Email}}}}")),
        (known(f"name, {OWNER}, {{email: {{at: Email.of}}}}").replace("Email.of", "Mail.of"), known(f"name, {OWNER}, {{email: {{at: Contact.Email}}}}")),
    ],
    "M223": [
        (known(f"name, {OWNER}, {{tier: {{at: Tier, values: metal}}}}"), known(f"name, {OWNER}, tier")),
        (known(f"name, {OWNER}, {{tier: {{at: Tier}}}}"), known(f"name, {OWNER}, {{tier: {{at: Tier, values: tier}}}}")),
        (
            known(f"name, {OWNER}, {{x: {{at: Tier, value: \"if(guest, 'Guest', 'Gold')\"}}}}"),
            known(f"name, {OWNER}, {{x: {{at: Tier, value: \"if(guest, 'Silver', 'Gold')\"}}}}"),
        ),
        (
            known(f"name, {OWNER}, {{x: {{at: Tier, value: \"case when guest then 'Guest' else null end\"}}}}"),
            known(f"name, {OWNER}, {{x: {{at: Tier, value: \"coalesce(case when guest then 'Gold' end, 'Silver')\"}}}}"),
        ),
    ],
    "M224": [
        (
            known(f"name, {OWNER}, {{x: {{at: Kind, value: \"'customer'\"}}}}"),
            known(f"name, {OWNER}, {{x: {{at: Kind, value: \"'person'\"}}}}"),
        )
    ],
    "M225": [(push("name").replace("create", "cancel"), push("name"))],
    "M226": [(push("name", ", match: find").replace("create", "change"), push("name", ", match: find"))],
    "M227": [
        (push("name, {email: {at: Email}}", ", null: clear"), push("name, {email: {at: Email}}", ", null: clear").replace("create", "change")),
        (known(f"{{name: {{at: Name, null: clear}}}}, {OWNER}"), known(f"name, {OWNER}, {{email: {{at: Email, null: clear}}}}")),
    ],
}  # fmt: skip
ROW: dict[str, Any] = {"Id": 1, "Name": "Ann"}
PAYMENT = (
    record("")
    .replace("customer", "payment")
    .replace("name: Name", "sales_order: {ref: sales_order, at: Id}, currency: \"'EUR'\", amount: Id, paid_at: P")
)
REJECTS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "M301": (record(", guest: G"), {"G": "maybe"}, {"G": "yes"}),
    "M302": (record(""), {"Name": " " * 0}, {}),
    "M303": (record(", tier: {at: T, values: tier}"), {"T": "Tin"}, {"T": "Gold"}),
    "M304": (record(", tier: T"), {"T": "tin"}, {"T": "gold"}),
    "M305": (
        "stream: accounts\nentity: product\nkey: Id\nfields: {sku: Id, name: Name, offered_quantity: Q}",
        {"Q": "1.12345678"},
        {"Q": "1.123456"},
    ),
    "M306": (record(", phone: text(number(N) + 1)"), {"N": "many"}, {"N": "1"}),
    "M307": (
        PAYMENT,
        {"P": "2026-11-20T10:00:00"},
        {"P": "2026-11-20T10:00:00Z"},
    ),
    "M308": (
        record("") + "children: {customer_address: {each: A, key: k, fields: {city: c}}}",
        {"A": [{"k": "1", "c": "Ulm"}, {"k": "1", "c": "Bonn"}]},
        {"A": [{"k": "1", "c": "Ulm"}, {"k": "2", "c": "Bonn"}]},
    ),
    "M311": (record(f", family_name: {BOSS}"), {"Boss": "99"}, {"Boss": "1"}),
    "M309": (
        record("") + "children: {customer_address: {each: A, key: ordinal(), fields: {city: c}}}",
        {"A": [{"c": "x"}] * 65_536},
        {"A": [{"c": "x"}]},
    ),
}
EXAMPLES: dict[str, tuple[str, str]] = {
    "M401": (
        example("{given: {Id: 1, Name: Ann}, expect: {name: Bo}}"),
        example("{given: {Id: 1, Name: Ann}, expect: {name: Ann}}"),
    ),
    "M402": (
        example("{given: {Id: 1, Name: ~}, expect: {name: Ann}}"),
        example("{given: {Id: 1, Name: ~}, rejects: {field: name}}"),
    ),
    "M403": (
        example("{given: {Id: 1, Name: Ann}, expect: {nme: Ann}}"),
        example("{given: {Id: 1, Name: Ann}, expect: {name: Ann}}"),
    ),
}
CASES = [(code, *case) for code, cases in PUSHES.items() for case in cases]


def check(folder: Path, model: Model, text: str) -> list[Finding]:
    (folder / "crm").mkdir(parents=True)
    (folder / "crm" / "values.yaml").write_text(VALUES)
    (folder / "crm" / "accounts.yaml").write_text(text)
    loaded = load([folder], model)
    return [*loaded.findings, *lint(loaded, model, {"crm": [STREAM]})]


@pytest.mark.parametrize(("code", "breaks", "keeps"), CASES, ids=[f"{c}-{n}" for n, (c, *_) in enumerate(CASES)])
def test_rule_of_a_push(tmp_path: Path, model: Model, code: str, breaks: str, keeps: str) -> None:
    broken = check(tmp_path / "broken", model, breaks)
    assert {finding.code for finding in broken} == {code}, broken
    assert broken[0].fix
    assert check(tmp_path / "kept", model, keeps) == []


@pytest.mark.parametrize("code", REJECTS)
def test_rule_of_a_reject(run: Callable[..., Any], code: str) -> None:
    text, broken, kept = REJECTS[code]
    made = run(text, [ROW | broken, ROW | {"Id": 2} | kept], values=VALUES)
    codes = made.con.execute("SELECT DISTINCT line, code FROM run.rejects").fetchall()
    assert codes == [(0, code)] or codes == [(1, code)]
    assert len(made.rows(made.made.entity, "source_id")) == 1


@pytest.mark.parametrize("code", EXAMPLES)
def test_rule_of_an_example(folder: Path, model: Model, code: str) -> None:
    broken, kept = EXAMPLES[code]
    (folder / "crm").mkdir()
    (folder / "crm" / "a.yaml").write_text(broken)
    (folder / "crm" / "b.yaml").write_text(kept)
    loaded = load([folder], model)
    assert [finding.code for finding in examples.run(loaded["crm/a"], model)] == [code]
    assert examples.run(loaded["crm/b"], model) == []


def test_rule_of_a_name(folder: Path, model: Model) -> None:
    (folder / "crm").mkdir()
    (folder / "crm" / "a.yaml").write_text(record(""))
    loaded = load([folder], model)
    assert loaded["crm/a"].stream == "accounts"
    with pytest.raises(ConfigurationError) as raised:
        loaded["crm/b"]
    assert raised.value.code == "M130"


def lacking(codes: set[str]) -> set[str]:
    """Codes without fixtures: neither here nor in a test module of their own. (Those of reading: test_mapping_lint.py.)"""
    here = Path(__file__)
    others = "".join(path.read_text() for path in here.parent.rglob("test_*.py") if path != here)
    known = {*PUSHES, *REJECTS, *EXAMPLES, *(code for code in codes if code.startswith("M1"))}
    return {code for code in codes - known if f'"{code}"' not in others}


def test_no_rule_lacks_its_fixtures() -> None:
    assert lacking(set(CODES)) == set()
    assert {code for code in CODES if code.startswith("M2")} == set(PUSHES)


def test_a_rule_without_fixtures_is_noticed() -> None:
    assert lacking({*CODES, "M" + "999"}) == {"M" + "999"}


def test_a_stream_that_declares_nothing_is_not_judged(folder: Path, model: Model) -> None:
    (folder / "crm").mkdir()
    (folder / "crm" / "accounts.yaml").write_text(push("{email: {at: Nowhere}}"))
    (folder / "crm" / "values.yaml").write_text(VALUES)
    assert lint(load([folder], model), model, {"crm": [STREAM]}) == []
