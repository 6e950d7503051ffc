"""Every rule of lint has a mapping that breaks it and one that keeps it; findings name place and fix; hostile files stop nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.connector import Stream
from hub.entity import Model
from hub.findings import Finding
from mappings import inbound
from mappings.codes import CODES
from mappings.lint import lint
from mappings.load import load

Found = Callable[..., list[Finding]]
Write = Callable[[str, str], Path]

HEAD = "stream: customers\nentity: customer\nkey: id\n"
ORDER = """stream: orders
entity: sales_order
key: id
fields: &
  number: number
  ordered_at: created_at
  customer: {ref: customer, at: customer.id}
  currency: currency
  total: total
  lifecycle_status: "'open'"
""".replace(" &", "")
VALUES = "tier: {retail: standard, vip: gold}\nodd: {retail: platinum}\nflag: {y: maybe}\n"
SAMPLE = '{"id": 1, "email": "a@example.com", "address": {"city": "Bonn"}, "tags": ["a"], "lines": [{"sku": "A"}], "name": "A"}'

PEOPLE = '{"id": 1, "name": "A", "order_id": 1, "quantity": 1, "gone": "true", "gone_at": "2026-11-20T15:00:00Z"}'


def customer(fields: str, more: str = "") -> str:
    return f"{HEAD}fields: {{name: name{', ' if fields else ''}{fields}}}\n{more}"


def person(fields: str) -> str:
    return customer(fields).replace("stream: customers", "stream: people")


def looks(
    more: str = "", of: str = "others", key: str = "id", by: str = "id", at: str = "nick", column: str = "family_name"
) -> str:
    return customer(f"{column}: {{lookup: {of}, key: {key}, by: {by}, at: {at}{more}}}")


def records(more: str, key: str = "id") -> str:
    return f"{ORDER}children: {{order_line: {{{more}, key: {key}, fields: {{quantity: quantity}}}}}}\n".replace(
        "key: id", f"key: {key}", 1
    )


def line(fields: str) -> str:
    return f"{ORDER}children: {{order_line: {{each: lines, key: id, {fields}}}}}\n"


# code: (what breaks it, what keeps it, what the finding says); a dict holds several files
RULES: dict[str, list[tuple[Any, Any, str]]] = {
    "M101": [
        (looks(key="{lookup: people, key: id, by: id, at: order_id}"), looks(), "read the stream that stands between"),
        (HEAD + "fields: [name]", customer(""), "'fields' holds names with values"),
        (customer("email: [a]"), customer("email: a"), "'email' is a path or an expression"),
        (customer("", "loose: address"), customer("phone: address.p", "loose: [address]"), "a list of fields"),
        ("just text", customer(""), "the file holds no mapping"),
        (customer("email: {at: email, required: maybe}"), customer("email: {at: email, required: true}"), "true or false"),
        ({"values.yaml": "- a", "a.yaml": customer("")}, {"a.yaml": customer("")}, "the file holds no value maps"),
        ({"functions.yaml": "- a", "a.yaml": customer("")}, {"a.yaml": customer("")}, "the file holds no functions"),
        ({"values.yaml": "tier: standard", "a.yaml": customer("")}, {"a.yaml": customer("")}, "holds no pairs"),
        ({"values.yaml": "tier: {a: [b]}", "a.yaml": customer("")}, {"a.yaml": customer("")}, "'a' has no value"),
        (customer("", "push: create"), customer(""), "a push holds"),
    ],
    "M102": [
        (customer("", "feilds: {}"), customer(""), "unknown setting 'feilds'; did you mean 'fields'?"),
        (customer("email: {at: email, requierd: true}"), customer("email: {at: email, required: true}"), "'required'"),
        (line("wen: a, fields: {quantity: q}"), line("when: a is null, fields: {quantity: q}"), "did you mean 'when'?"),
    ],
    "M103": [
        ("entity: customer\nkey: id\nfields: {name: name}", customer(""), "which stream"),
        ("stream: customers\nkey: id\nfields: {name: name}", customer(""), "which entity"),
        ("stream: customers\nentity: customer\nfields: {name: name}", customer(""), "which id"),
        ("stream: customers\nentity: customer", customer(""), "neither reads nor pushes"),
        (HEAD + "fields: {}", customer(""), "reads no field"),
        (customer("tier: {values: tier}"), customer("tier: {at: x, values: tier}"), "says not where"),
        (ORDER + "children: {order_line: {each: lines, fields: {quantity: q}}}", line("fields: {quantity: q}"), "which key"),
        (customer("email: {lookup: others, by: id, at: mail}"), looks(), "the lookup says no key"),
        (customer("email: {lookup: others, key: id, at: mail}"), looks(), "the lookup says no by"),
        (customer("email: {at: email, missing: pass}"), looks(", missing: pass"), "'missing' is about a lookup"),
        (records("stream: others"), records("stream: others, parent: order_id"), "whose these records are"),
        (records("each: lines, parent: order_id"), records("stream: lines, parent: order_id"), "'parent' is about a stream"),
    ],
    "M104": [
        (customer("email: emial"), customer("email: email"), "unknown field 'emial' in stream shop.customers; did you mean 'email'?"),
        (customer("email: 'Zzz'"), customer("email: \"'Zzz'\""), "a text is written \"'Zzz'\""),
        (customer("email: lower(emial)"), customer("email: lower(email)"), "did you mean 'email'?"),
        (looks(of="people", at="nme"), looks(of="people", at="name"), "unknown field 'nme' in stream shop.people; did you mean 'name'?"),
        (looks(of="people", by="ident", at="name"), looks(of="people", at="name"), "unknown field 'ident' in stream shop.people"),
        (looks(key="idd"), looks(), "unknown field 'idd' in stream shop.customers; did you mean 'id'?"),
        (records("stream: people, parent: order"), records("stream: people, parent: order_id"), "unknown field 'order' in stream shop.people"),
        (customer("email: address.cty"), customer("email: address.city"), "'cty' in 'address' of stream shop.customers"),
        (customer("email: 'lines[0].sk'"), customer("email: 'lines[0].sku'"), "unknown field 'sk'"),
        (customer("email: \"lines[skuu = 'A'].sku\""), customer("email: \"lines[sku = 'A'].sku\""), "'skuu'"),
    ],
    "M105": [
        (customer("email: lines.sku"), customer("email: 'lines[0].sku'"), "lines is a list; write lines[0].sku, or use each"),
        (customer("email: address"), customer("email: address.city"), "address is an object; name a part: address.city"),
        (customer("email: email.x"), customer("email: email"), "email is a plain value and has no 'x'"),
        (customer("email: 'email[0]'"), customer("email: 'tags[0]'"), "is a plain value, no list"),
        (customer("email: unknowable, phone: unknowable.part").replace("customers", "others"), customer("email: u.a, phone: u.b").replace("customers", "others"), "read as"),
        (customer("email: a.B, phone: a.b").replace("customers", "others"), customer("email: a.b, phone: a.c").replace("customers", "others"), "differ in case only"),
        (customer("", "each: address"), customer("", "each: lines").replace("key: id", "key: record.id").replace("name: name", "name: sku"), "each needs a list"),
        (customer("phone: where", "loose: [where]").replace("customers", "others"), customer("phone: where.city", "loose: [where]").replace("customers", "others"), "is loose"),
    ],
    "M106": [
        (customer("").replace("entity: customer", "entity: custommer"), customer(""), "did you mean 'customer'?"),
        (looks(of="canonical.prodct", by="sku", at="name"), looks(of="canonical.product", by="sku", at="name"), "there is no entity 'canonical.prodct'; did you mean 'canonical.product'?"),
        ("stream: lines\nentity: order_line\nkey: id\nfields: {quantity: q}", customer(""), "travels with its sales_order"),
    ],
    "M107": [
        (looks(of="canonical.product", by="sku", at="nmae"), looks(of="canonical.product", by="sku", at="name"), "no column 'nmae' to look up in product; did you mean 'name'?"),
        (customer("emial: email"), customer("email: email"), "no column 'emial' in customer; did you mean 'email'?"),
    ],
    "M108": [
        (customer("").replace("customers", "custumers"), customer(""), "did you mean 'customers'?"),
        (customer("").replace("customers", "'a; b'"), customer(""), "is no name of a stream"),
        (looks(of="othrs"), looks(), "there is no stream 'othrs' in shop; did you mean 'others'?"),
        (looks(of="'a; b'"), looks(), "is no name of a stream"),
        (records("stream: line, parent: order_id"), records("stream: lines, parent: order_id"), "did you mean 'lines'?"),
    ],
    "M109": [
        (ORDER.replace("{ref: customer, at: customer.id}", "customer.id"), ORDER, "write customer: {ref: customer, at: customer.id}"),
        (ORDER.replace("ref: customer", "ref: product"), ORDER, "refers to a customer, not to a product"),
        (customer("email: {ref: customer, at: email}"), customer("email: email"), "refers to nothing"),
    ],
    "M110": [
        (HEAD + "fields: {email: email}", customer(""), "the required column 'name' of customer is not read"),
        (line("fields: {sku: sku}"), line("fields: {quantity: q}"), "'quantity' of order_line"),
    ],
    "M111": [(customer("tier: {at: x, values: teir}").replace("customers", "others"), customer("tier: {at: x, values: tier}").replace("customers", "others"), "did you mean 'tier'?")],
    "M112": [
        (customer("tier: {at: x, values: odd}").replace("customers", "others"), customer("tier: {at: x, values: tier}").replace("customers", "others"), "'platinum'"),
        (customer("guest: {at: x, values: flag}").replace("customers", "others"), customer("guest: x").replace("customers", "others"), "'maybe', which is not yes or no"),
    ],
    "M114": [
        (customer("tier: {at: name, values: tier, unmapped: ignore}"), customer("tier: {at: name, values: tier, unmapped: pass}"), "no policy"),
        (customer("tier: {at: name, values: tier, unmapped: reject}"), customer("tier: {at: name, values: tier, unmapped: quarantine}"), "no policy"),
        (customer("tier: {at: name, values: tier, unmapped: default}"), customer("tier: {at: name, values: tier, unmapped: default, default: gold}"), "there is no default"),
        (customer("email: {at: name, unmapped: pass}"), customer("email: {at: name}"), "nothing is mapped"),
        (looks(", missing: ignore"), looks(", missing: quarantine"), "no policy"),
        (looks(", missing: default"), looks(", missing: default, default: x"), "there is no default"),
        (looks(", missing: pass", at="number(nick)"), looks(at="number(nick)"), "others gives number"),
    ],
    "M115": [
        (customer("", "children: {order_line: {key: id, fields: {quantity: id}}}"), customer("", "children: {customer_address: {key: id, fields: {city: address.city}}}"), "is no child of customer"),
    ],
    "M116": [
        ({"a.yaml": "extends: shop/bb", "b.yaml": customer("")}, {"a.yaml": "extends: shop/b", "b.yaml": customer("")}, "did you mean 'shop/b'?"),
        ({"a.yaml": "extends: shop/b", "b.yaml": "extends: shop/a"}, {"a.yaml": customer("")}, "extends itself"),
        ({"a.yaml": "extends: shop/a"}, {"a.yaml": customer("")}, "no file of this name lies behind"),
    ],
    "M117": [({"Big.yaml": customer("")}, {"big.yaml": customer("")}, "no name for a mapping")],
    "M118": [(customer("", "push:\n" + "- {operation: upsert, fields: [name]}\n" * 21), customer("", "push:\n" + "- {operation: upsert, fields: [name]}\n" * 20), "more than 20")],
    "M119": [(customer("", "push: {operation: upsrt, fields: [name]}"), customer("", "push: {operation: upsert, fields: [name]}"), "did you mean 'upsert'?")],
    "M120": [
        (customer("email: lower(email"), customer("email: lower(email)"), "not closed"),
        (customer("email: email; drop table x"), customer("email: email"), "one expression"),
        (customer("email: (select 1)"), customer("email: (email)"), "unexpected 'select'"),
        (customer("", "when: email == 'a'"), customer("", "when: email = 'a'"), "one = compares"),
        (customer("email: 1e3"), customer("email: 1000"), "write the number out"),
        (customer("email: 2026-11-28"), customer("email: \"'2026-11-28'\""), "would be a subtraction; a day is a text in quotes: '2026-11-28'"),
        (customer("email: \"if(name > 2026-11-28, 'a', 'b')\""), customer("email: \"if(name > '2026-11-28', '2026-11-28', 'b')\""), "would be a subtraction"),
    ],
    "M121": [
        (customer("email: lowr(email)"), customer("email: lower(email)"), "did you mean 'lower'?"),
        (customer("email: read_text('/etc/passwd')"), customer("email: email"), "no function 'read_text'"),
        (customer("email: now()"), customer("email: email"), "there is no clock"),
        (customer("email: ordinal()"), customer("email: text(1)"), "there is no each here"),
        (customer("email: first(email)"), customer("email: email"), "first() has no meaning here; only a push asks it"),
    ],
    "M122": [(customer("email: 'lower(email, name)'"), customer("email: lower(email)"), "called with 2 values; lower(x: text)")],
    "M123": [(customer("email: 'lpad(email, length(name))'"), customer("email: 'lpad(email, 5)'"), "has to be written out")],
    "M124": [
        (ORDER.replace("created_at", "date(created_at)"), ORDER, "write local_instant"),
        (looks(key="\"instant(name, 'UTC')\""), looks(), "is no text"),
        (looks(of="canonical.sales_order", by="ordered_at", at="number"), looks(of="canonical.sales_order", by="number", at="number"), "is no text"),
        (customer("email: {at: email, when: number(name)}"), customer("email: {at: email, when: name = 'A'}"), "no boolean"),
        (customer("", "push: {operation: upsert, when: tier, fields: [name]}"), customer("", "push: {operation: upsert, when: tier = 'gold', fields: [name]}"), "neither true nor false"),
        (customer("guest: number(name)"), customer("guest: boolean(name)"), "is yes or no, the expression gives number"),
        (customer("email: \"if(boolean(name) = 1, 'a', 'b')\""), customer("email: \"if(name = '1', 'a', 'b')\""), "do not go together"),
        (customer("", "when: number(id) + 1"), customer("", "when: number(id) + 1 > 2"), "a number is no boolean"),
    ],
    "M125": [
        (customer("", "when: email <> ''"), customer("", "when: email is not null"), "write x is not null"),
        (customer("", "when: email not in ('', 'a')"), customer("", "when: email not in ('a')"), "write x is not null"),
        (customer("", "when: email = ''"), customer("", "when: email is null"), "write x is null"),
    ],
    "M126": [
        (
            {"a.yaml": customer("email: who").replace("customers", "others"), "b.yaml": customer("email: who.mail").replace("customers", "others")},
            {"a.yaml": customer("email: who.mail").replace("customers", "others"), "b.yaml": customer("email: who.mail").replace("customers", "others")},
            "another mapping of others",
        )
    ],
    "M127": [
        (customer("kind: \"'firm'\""), customer("kind: \"'person'\""), "'firm' is no kind"),
        (customer("kind: case when email is null then 'persn' else 'organisation' end"), customer("kind: case when email is null then 'person' else 'organisation' end"), "did you mean 'person'?"),
        (customer("tier: {at: name, default: platinum}"), customer("tier: {at: name, default: gold}"), "the default 'platinum'"),
        (customer("guest: {at: name, default: maybe}"), customer("guest: {at: name, default: true}"), "the default 'maybe'"),
    ],
    "M128": [
        (customer("", "examples: [{given: {id: 1}}]"), customer("", "examples: [{given: {id: 1}, excluded: true}]"), "one of expect"),
        (customer("", "examples: [{expect: {}}]"), customer("", "examples: [{given: {id: 1}, rejects: name}]"), "needs given"),
    ],
    "M131": [({"others.sample.json": "{", "a.yaml": customer("").replace("customers", "others")}, {"others.sample.json": "{}", "a.yaml": customer("").replace("customers", "others")}, "the sample is not JSON")],
    "M132": [
        (customer("", "each: 'lines[number(sku) > 0]'").replace("key: id", "key: record.id").replace("name: name", "name: sku"), customer("", "each: \"lines[sku = 'A']\"").replace("key: id", "key: record.id").replace("name: name", "name: sku"), "would vanish"),
    ],
    "M133": [(customer("", "version: email"), customer("", "version: name"), "declared not to be trusted")],
    "M134": [(person(""), person("deleted_at: {at: gone_at, when: gone = 'true'}"), "says which records are deleted"), (person(""), customer(""), "is not read")],
    "M135": [
        ({"a.yaml": customer(""), "b.yaml": customer("email: email")}, {"a.yaml": customer("", "when: email is null"), "b.yaml": customer("", "when: email is not null")}, "shop/a makes the same customer"),
        ({"a.yaml": customer(""), "b.yaml": customer("", "when: email is null")}, {"a.yaml": customer(""), "b.yaml": customer("").replace("key: id", "key: email")}, "only one of the two rows"),
        ({"a.yaml": customer(""), "b.yaml": customer("")}, {"a.yaml": customer(""), "b.yaml": person("deleted_at: gone_at")}, "say with when:"),
    ],
    "M140": [
        (looks(key="country(name)"), looks(), "depends on a function that Python computes"),
        (looks(at="country(nick)"), looks(), "depends on a function that Python computes"),
        (looks(of="canonical.product", by="country(sku)", at="name"), looks(of="canonical.product", by="sku", at="name"), "not looked up again"),
        (records("stream: orders, parent: id", "country(id)"), records("stream: orders, parent: id", "id || country"), "which records are one row"),
        (customer("email: \"lines[country(sku) = 'DE'].sku\""), customer("email: \"country(lines[sku = 'DE'].sku)\""), "not possible within brackets"),
        (customer("", "push: {operation: upsert, fields: [{land: {at: land, value: country(name)}}]}"), customer("", "push: {operation: upsert, fields: [{land: {at: land, value: name}}]}"), "only on the way in"),
    ],
    "M142": [
        (records("stream: others, parent: order_id, each: lines"), records("stream: others, parent: order_id"), "items or records, not both"),
        (records("stream: orders, parent: id"), records("stream: orders, parent: number"), "there is one order_line only"),
        (records("stream: orders, parent: number").replace("key: id", "key: id\neach: lines", 1), records("stream: orders, parent: number"), "not both"),
    ],
    "M143": [
        (looks(by="number(id)"), looks(by="ltrim(id)"), "impossible to compute"),
        (records("stream: others, parent: number(order_id)"), records("stream: others, parent: order_id"), "impossible to compute"),
    ],
}  # fmt: skip
CASES = [(code, *case) for code, cases in RULES.items() for case in cases]


def files(said: Any) -> dict[str, str]:
    return said if isinstance(said, dict) else {"things.yaml": said}


def check(folder: Path, model: Model, said: Any) -> list[Finding]:
    (folder / "shop").mkdir(parents=True)
    for name, text in {
        "values.yaml": VALUES,
        "customers.sample.json": SAMPLE,
        "people.sample.json": PEOPLE,
        **files(said),
    }.items():
        (folder / "shop" / name).write_text(text)
    streams = {
        "shop": [
            *(Stream(name, "id", version_field="email") for name in ("customers", "orders", "others", "lines")),
            Stream("people", "id", version_field="email", deletes="flagged"),
        ]
    }
    mappings = load([folder], model)
    return [*mappings.findings, *lint(mappings, model, streams)]


@pytest.mark.parametrize(
    ("code", "breaks", "keeps", "says"), CASES, ids=[f"{c}-{n}" for n, (c, *_) in enumerate(CASES)]
)
def test_rule(tmp_path: Path, model: Model, code: str, breaks: Any, keeps: Any, says: str) -> None:
    broken = check(tmp_path / "broken", model, breaks)
    assert code in {finding.code for finding in broken}, broken
    assert any(says in str(finding) for finding in broken if finding.code == code), broken
    kept = check(tmp_path / "kept", model, keeps)
    assert code not in {finding.code for finding in kept}, kept


def test_every_rule_of_lint_is_tried_and_explained() -> None:
    told = {code for code in CODES if code.startswith("M1")}
    elsewhere = {
        code for code in told if code.startswith(("M15", "M17"))
    }  # test_mapping_meaning.py, test_mapping_named.py
    assert told - {"M130"} - elsewhere == set(RULES)  # M130 is about a name on the command line
    raised = set()
    for path in Path(inbound.__file__).parent.glob("*.py"):
        raised |= set(re.findall(r'"(M\d{3})"', path.read_text())) if path.name != "codes.py" else set()
    assert raised <= set(CODES), raised - set(CODES)
    assert set(CODES) <= raised, set(CODES) - raised


def test_findings_name_their_place(found: Found, write: Write) -> None:
    write(
        "shop/orders.yaml",
        """\
        stream: customers
        entity: customer
        key: id
        fields:
          name: lower(trim(nme))
          email:
            at: lowr(email)
          phone: phne
        """,
    )
    write("shop/customers.sample.json", '{"id": 1, "name": "A", "email": "x", "phone": "1"}')
    findings = found()
    assert [(f.place.line, f.place.column, f.code) for f in findings] == [
        (5, 20, "M104"),
        (7, 9, "M121"),
        (8, 10, "M104"),
    ]
    assert str(findings[2]).endswith(":8:10 M104 unknown field 'phne' in stream shop.customers; did you mean 'phone'?")


@pytest.mark.parametrize("broken", ["[retail, vip]", "{retail: [standard]}", "{retail: ~, vip: gold}"])
def test_a_value_map_that_is_wrong_is_not_also_told_as_one_that_there_is_not(
    found: Found, write: Write, broken: str
) -> None:
    write("shop/values.yaml", f"tier: {broken}\n")
    write("shop/a.yaml", customer("tier: {at: x, values: tier}"))
    assert [f.code for f in found()] == ["M101"]
    write("shop/a.yaml", customer("tier: {at: x, values: teir}"))
    assert [f.code for f in found()] == ["M101", "M111"]


@pytest.mark.parametrize(
    ("at", "warned"), [("emial", "did you mean 'email'?"), ("email", ""), ("address", ""), ("mailbox", "")]
)
def test_a_push_to_a_place_that_the_sample_nearly_has(found: Found, write: Write, at: str, warned: str) -> None:
    """What a write takes nobody said here, so only a slip of the pen is told, and as a warning."""
    write("shop/a.yaml", customer("", f"push: {{operation: upsert, fields: [{{name: {{at: {at}}}}}]}}"))
    write("shop/customers.sample.json", SAMPLE)
    said = [f for f in found({"shop": [Stream("customers", "id", writes=("upsert",))]}) if f.code == "M222"]
    assert [(f.severity, f.fix) for f in said] == ([("warning", warned)] if warned else [])


def test_all_findings_of_one_expression_are_told(found: Found, write: Write) -> None:
    write("shop/a.yaml", customer("email: 'concat(a1, lower(b1), nope(c1))'").replace("name: name", "name: id"))
    write("shop/customers.sample.json", '{"id": 1}')
    assert [f.code for f in found()] == ["M104", "M104", "M104", "M121"]


# -- hostile files

SMUGGLED = st.sampled_from(
    [
        "'; drop table mapped.customer; --",
        "\"; copy mapped.customer to '/tmp/x'; --",
        "x') from read_text('/etc/passwd') --",
        "attach 'x' as y",
        "*/ select /*",
        "$$; select 1; $$",
        "{{ 7 * 7 }}",
        "\\'; --",
        "a\u2028b",
        "ｓｅｌｅｃｔ",
        "x" * 300,
    ]
)
TEXT = st.one_of(SMUGGLED, st.text(max_size=12), st.sampled_from(["name", "email", "id", "customers", "customer"]))


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(TEXT, min_size=10, max_size=10))
def test_what_is_smuggled_in_is_refused_or_quoted(tmp_path_factory: Any, model: Model, parts: Sequence[str]) -> None:
    """Names, paths, literals, defaults and value maps of any text: findings, or statements that are one each."""
    import duckdb

    a, b, c, d, e, f, _, _, i, j = map(quoted, parts)
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "shop").mkdir()
    (folder / "shop" / "values.yaml").write_text(f"tier: {{{a}: standard, {b}: gold}}")
    literal = quoted("'" + parts[6].replace("'", "''") + "'")
    path = quoted('"' + parts[7].replace('"', '""') + '".x')
    (folder / "shop" / "a.yaml").write_text(
        f"stream: {c if len(parts[2]) < 9 else 'customers'}\nentity: customer\nkey: id\nwhen: {d}\nfields:\n"
        f"  name: {literal}\n  email: {path}\n  tier: {{at: {e}, values: tier, default: gold}}\n"
        f"  phone: {{at: name, default: {f}}}\n  country_code: {i}\n  {j}: id\n"
    )
    mappings = load([folder], model)
    lint(mappings, model, {})
    for mapping in mappings:
        made, _ = inbound.build(mapping, model)
        for statement in made.statements if made else ():
            assert len(duckdb.extract_statements(statement.sql)) == 1, statement.sql


def test_a_literal_reaches_the_row_as_it_is(run: Callable[..., Any]) -> None:
    for number, text in enumerate(["'; drop table x; --", "\\", "''", '"', "$1 ? %s {0}", "ä€𝄞"]):
        literal = quoted("'" + text.replace("'", "''") + "'")
        made = run(f"stream: s{number}\nentity: customer\nkey: id\nfields: {{name: {literal}}}\n", [{"id": 1}])
        assert made.rows("customer", "name")[-1:] == [(text,)]
        made.con.close()


def test_the_engine_is_the_second_wall(
    model: Model, folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the closed list switched off, the hardened engine still refuses files and the network."""
    import duckdb

    from mappings import examples, functions

    for text in ("read_text('/etc/hostname')", "read_text('http://127.0.0.1/x')", "getenv('HOME')"):
        opened = functions.Function(
            "upper", "", (functions.Parameter("x", "text"),), "text", f"(SELECT content FROM {text})", ()
        )
        monkeypatch.setitem(functions.FUNCTIONS, "upper", opened)
        write(
            "shop/a.yaml",
            customer("", "examples: [{given: {id: 1, name: A}, expect: {name: A}}]").replace(
                "name: name", "name: upper(name)"
            ),
        )
        mapping = load([folder], model)["shop/a"]
        with pytest.raises(duckdb.Error, match=r"disabled|restricted|does not exist|not allowed"):
            examples.run(mapping, model)
