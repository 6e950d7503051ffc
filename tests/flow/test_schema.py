"""Every YAML of the repository is what its schema says; and what is wrong is refused in the editor already."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from flow import schema as schemas
from hub import yaml
from hub.config import BUILT_IN, load_project
from hub.errors import UsageError

FILES = {
    "mapping": [
        p
        for p in BUILT_IN.glob("mappings/*/*.yaml")
        if p.stem not in ("values", "functions") and not p.stem.endswith("_test")
    ],
    "tests": list(BUILT_IN.glob("mappings/*/*_test.yaml")),
    "values": list(BUILT_IN.glob("mappings/**/values.yaml")),
    "functions": list(BUILT_IN.glob("mappings/**/functions.yaml")),
    "quality": list(BUILT_IN.glob("quality/*.yaml")),
    "reconcile": list(BUILT_IN.glob("quality/reconcile/*.yaml")),
    "crossdock": [BUILT_IN / "crossdock.yaml"],
}
JOINED = BUILT_IN / "tests" / "mappings" / "joined" / "shop"

CASES = [(kind, path) for kind, paths in FILES.items() for path in sorted(paths)]
CASES += [("mapping", path) for path in sorted(JOINED.glob("*.yaml")) if path.stem != "values"]
# kind, file, what stands there, what comes instead
BROKEN = {
    "a typo in a key": ("mapping", "mappings/cart/orders.yaml", "\nfields:", "\nfeilds:"),
    "a typo in a field's key": ("mapping", "mappings/cart/orders.yaml", "values: payment_status}", "value: payment_status}"),
    "a typo in a push": ("mapping", "mappings/cart/orders.yaml", "  hold:", "  holds:"),
    "an unknown operation": ("mapping", "mappings/cart/orders.yaml", "operation: fulfil", "operation: fulfill"),
    "an unknown entity": ("mapping", "mappings/cart/orders.yaml", "entity: sales_order", "entity: sales_ordr"),
    "a child as entity": ("mapping", "mappings/cart/orders.yaml", "entity: sales_order", "entity: order_line"),
    "an unknown column": ("mapping", "mappings/cart/orders.yaml", "  currency: currency", "  curency: currency"),
    "an unknown column of a child": ("mapping", "mappings/cart/orders.yaml", "      quantity: quantity", "      quantty: quantity"),
    "an unknown child": ("mapping", "mappings/cart/orders.yaml", "  tax_line:", "  tax_lin:"),
    "a reference as a plain column": ("mapping", "mappings/crm/orders.yaml", "customer: {ref: customer, at: AccountId}", "customer: AccountId"),
    "a reference to another entity": ("mapping", "mappings/crm/orders.yaml", "ref: customer", "ref: product"),
    "a plain column as a reference": ("mapping", "mappings/crm/orders.yaml", "total: TotalAmount", "total: {ref: customer, at: TotalAmount}"),
    "an unknown column in a push": ("mapping", "mappings/crm/orders.yaml", "    - seller_number\n", "    - selling_number\n"),
    "an unknown column in the second push": ("mapping", "mappings/erp/sales_orders.yaml", "[currency, line_total,", "[curency, line_total,"),
    "an unknown column in a push's child": ("mapping", "mappings/erp/sales_orders.yaml", "          - sku\n", "          - sk\n"),
    "an unknown policy": ("mapping", "mappings/tryton/products.yaml", "unmapped: pass", "unmapped: ignore"),
    "an unknown policy of a lookup": ("mapping", "tests/mappings/joined/shop/customers.yaml", "missing: pass", "missing: skip"),
    "a lookup that says no by": ("mapping", "tests/mappings/joined/shop/customers.yaml", "by: email, at", "at"),
    "a key without a lookup": ("mapping", "tests/mappings/joined/shop/customers.yaml", "{lookup: groups, key", "{key"),
    "a parent without a stream": ("mapping", "tests/mappings/joined/shop/orders.yaml", "    stream: order_items\n", ""),
    "a known that is no list": ("mapping", "tests/mappings/joined/shop/orders.yaml", "{order_items: [", "{order_items: x, y: ["),
    "no entity": ("mapping", "mappings/cart/customers.yaml", "entity: customer\n", ""),
    "a list as a value": ("values", "mappings/crm/values.yaml", "Gold: gold", "Gold: [gold]"),
    "an unknown part of a value map": ("values", "mappings/crm/values.yaml", "credit_hold: {in:", "credit_hold: {inn:"),
    "an unknown kind of rule": ("quality", "quality/sales_order.yaml", "    required: number", "    requird: number"),
    "an unknown column in a rule": ("quality", "quality/sales_order.yaml", "    required: number", "    required: nmber"),
    "an unknown column in a range": ("quality", "quality/sales_order.yaml", "column: ordered_at", "column: orderd_at"),
    "an unknown severity": ("quality", "quality/sales_order.yaml", "severity: warn", "severity: warning"),
    "an unknown entity of rules": ("quality", "quality/sales_order.yaml", "entity: sales_order", "entity: order"),
    "no message": ("quality", "quality/sales_order.yaml", "    message: An order has a number\n", ""),
    "a share above one": ("quality", "quality/sales_order.yaml", "threshold: 0.2", "threshold: 20"),
    "an unknown side": ("reconcile", "quality/reconcile/orders.yaml", "\nleft:", "\nlefft:"),
    "an unknown key column": ("reconcile", "quality/reconcile/orders.yaml", "key: number", "key: numbr"),
    "an unknown part": ("reconcile", "quality/reconcile/orders.yaml", "shipping: {plus", "freight: {plus"),
    "an unknown status": ("reconcile", "quality/reconcile/orders.yaml", "done: {lifecycle_status: cancelled}", "done: {lifecycle_status: canceled}"),
    "an unknown setting": ("crossdock", "crossdock.yaml", "timezone:", "time_zone:"),
    "a password in the file": ("crossdock", "crossdock.yaml", "${env:CROSSDOCK_ERP_PASSWORD:-sandbox-erp-password}", "secret"),
    "written from no day on": ("crossdock", "crossdock.yaml", '    from: "2026-11-18"\n', ""),
    "an unknown entity that survives": ("crossdock", "crossdock.yaml", "  sales_order:\n", "  sales_ordr:\n"),
    "an unknown column that survives": ("crossdock", "crossdock.yaml", "    email: [", "    emial: ["),
}  # fmt: skip


@cache
def validator(kind: str) -> Any:
    return jsonschema.Draft7Validator(schemas.schema(kind, load_project(BUILT_IN)))


def content(text: str) -> Any:
    made, findings = yaml.loads(text)
    assert findings == []
    return made


@pytest.mark.parametrize(("kind", "path"), CASES, ids=[str(path.relative_to(BUILT_IN)) for _, path in CASES])
def test_every_file_of_the_repository_is_valid(kind: str, path: Path) -> None:
    assert [
        f"{'/'.join(map(str, e.path))}: {e.message[:200]}"
        for e in validator(kind).iter_errors(content(path.read_text()))
    ] == []


@pytest.mark.parametrize(("kind", "name", "old", "new"), BROKEN.values(), ids=BROKEN.keys())
def test_what_is_wrong_is_not(kind: str, name: str, old: str, new: str) -> None:
    text = (BUILT_IN / name).read_text()
    assert old in text
    assert not validator(kind).is_valid(content(text.replace(old, new, 1)))


@pytest.mark.parametrize("kind", schemas.KINDS)
def test_the_schemas_are_schemas(kind: str) -> None:
    jsonschema.Draft7Validator.check_schema(schemas.schema(kind, None))


def test_an_editor_is_told_of_functions_columns_and_the_streams_fields() -> None:
    made = schemas.as_text(schemas.schema("mapping", load_project(BUILT_IN)))
    assert "`minor_units(x: number, [decimals: integer]) → number`" in made
    assert "What is to be paid, with tax · gross money · cbc:PayableAmount · required" in made
    assert '"lines.productVariant.sku": {' in made  # under types:
    assert '"shippingAddress.postalCode"' in made  # of mappings/vendure/orders.sample.json
    assert '"shippingAddress.postalCode"' not in schemas.as_text(schemas.schema("mapping", None))


def test_there_is_a_schema_for_every_kind_of_file() -> None:
    yamls = {
        path for path in BUILT_IN.rglob("*.yaml") if not {".venv", "data", "tests", "benchmarks"} & set(path.parts)
    }
    assert yamls == {path for paths in FILES.values() for path in paths}


def test_examples_in_a_file_of_their_own() -> None:
    said = validator("tests")
    assert said.is_valid(content("- {name: a, given: {id: 1}, expect: {name: A}}\n- {given: {}, excluded: true}\n"))
    for wrong in ("- {name: a, expect: {}}", "- {given: {}, expct: {}}", "given: {}"):
        assert not said.is_valid(content(wrong))


def test_a_kind_that_there_is_not() -> None:
    with pytest.raises(UsageError) as raised:
        schemas.schema("mappings", None)
    assert raised.value.code == "P540"
    assert "mapping" in raised.value.fix


def test_a_new_project_is_complete_and_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from flow.cli import app

    root = tmp_path / "mine"
    assert CliRunner().invoke(app, ["init", str(root)]).exit_code == 0
    first, _, rest = (root / "crossdock.yaml").read_text().partition("\n")
    said = first.removeprefix("# yaml-language-server: $schema=")
    made = json.loads((root / said).read_text())
    assert jsonschema.Draft7Validator(made).is_valid(content(rest))
    assert not jsonschema.Draft7Validator(made).is_valid(content(rest.replace("systems:", "sytems:")))

    monkeypatch.chdir(root)
    assert CliRunner().invoke(app, ["schema"]).exit_code == 0
    assert {path.name for path in (root / ".schema").iterdir()} == {f"{kind}.schema.json" for kind in schemas.KINDS}
    printed = CliRunner().invoke(app, ["schema", "values"])
    assert json.loads(printed.stdout) == schemas.schema("values", None)
    assert CliRunner().invoke(app, ["schema", "mapping", "--out", "elsewhere"]).exit_code == 0
    assert [path.name for path in (root / "elsewhere").iterdir()] == ["mapping.schema.json"]
