"""Drafts of mappings: what is suggested for records, and how good that is on mappings whose words nobody tuned it on."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub import yaml
from hub.entity import Model
from mappings import looks, suggest, synonyms
from mappings.draft import as_yaml, scalar
from mappings.lint import lint
from mappings.load import load
from mappings.looks import Values
from warehouse.model import entities

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = sorted((ROOT / "mappings").glob("*/*.sample.json"))
MODEL = entities()
HEADERS = [entity.name for entity in MODEL.values() if not entity.parent]


@pytest.fixture(scope="module")
def benchmark() -> Any:
    spec = importlib.util.spec_from_file_location("benchmark_suggest", ROOT / "benchmarks" / "suggest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def found(record: dict[str, Any], entity: str) -> dict[str, str]:
    return {one.column: one.text for one in suggest.suggest([record], MODEL[entity], MODEL).found}


def errors(folder: Path, model: Model, text: str) -> list[str]:
    (folder / "shop").mkdir(parents=True, exist_ok=True)
    (folder / "shop" / "things.yaml").write_text(text)
    loaded = load([folder], model)
    return [str(f) for f in (*loaded.findings, *lint(loaded, model, {})) if f.severity == "error"]


# -- how good it is

HELD_OUT = (0.85, 0.70)  # precision, recall: what may not be undercut


def test_it_finds_what_people_wrote_in_mappings_it_was_not_tuned_on(benchmark: Any) -> None:
    score = benchmark.judge(benchmark.written(benchmark.HELD_OUT))
    assert score.wanted > 100
    assert score.precision >= HELD_OUT[0], score.lines
    assert score.recall >= HELD_OUT[1], score.lines


def test_it_finds_what_other_vendors_send(benchmark: Any) -> None:
    if benchmark.SPECS is None:
        pytest.skip("no recorded responses of other vendors (shared/specs) beside the repository")
    score = benchmark.judge(benchmark.recorded(benchmark.SPECS))
    assert score.precision >= HELD_OUT[0], score.lines
    assert score.recall >= HELD_OUT[1], score.lines


@pytest.mark.parametrize("twin", ["takes everything", "is too shy", "knows no synonyms"])
def test_a_worse_one_is_noticed(benchmark: Any, monkeypatch: pytest.MonkeyPatch, twin: str) -> None:
    if twin == "takes everything":
        monkeypatch.setattr(suggest, "THRESHOLD", 0.3)
    elif twin == "is too shy":
        monkeypatch.setattr(suggest, "THRESHOLD", 0.99)
    else:
        monkeypatch.setattr(suggest, "phrases", lambda entity, column: (synonyms.words(column),))
    score = benchmark.judge(benchmark.written(benchmark.HELD_OUT))
    assert score.precision < HELD_OUT[0] or score.recall < HELD_OUT[1]


# -- what it suggests


@pytest.mark.parametrize(
    ("record", "entity", "column", "text"),
    [
        ({"mail": "Ann@Example.com"}, "customer", "email", "lower(trim(mail))"),
        ({"firstName": "Ann", "last_name": "Lee"}, "customer", "name", "concat_ws(' ', firstName, last_name)"),
        ({"billing_country": "de"}, "customer", "country_code", "upper(billing_country)"),
        ({"created": "2026-11-20T10:00:00"}, "sales_order", "ordered_at", "instant(created, 'UTC')"),
        ({"order_date": "2026-11-20"}, "sales_order", "ordered_at", "local_instant(order_date, '00:00', 'UTC')"),
        ({"created_at": 1795380932}, "sales_order", "ordered_at", "epoch_seconds(created_at)"),
        ({"created_at": 1795380932000}, "sales_order", "ordered_at", "epoch_millis(created_at)"),
        ({"invoice_date": "2026-11-20T10:00:00Z"}, "invoice", "issued_on", "local_date(invoice_date, 'UTC')"),
        ({"qty_on_hand": "3"}, "inventory_level", "on_hand", "qty_on_hand"),
        ({"ean": "4006381333931"}, "product", "gtin", "ean"),
    ],
)
def test_a_field_is_recognised(record: dict[str, Any], entity: str, column: str, text: str) -> None:
    assert found(record, entity)[column] == text


@pytest.mark.parametrize(
    ("record", "entity", "column"),
    [
        ({"email": "none"}, "customer", "email"),
        ({"total": "many"}, "sales_order", "total"),
        ({"created_at": "soon"}, "sales_order", "ordered_at"),
        ({"ean": "4006381333930"}, "product", "gtin"),
        ({"currency": "1.25"}, "sales_order", "currency"),
        ({"shipping_address": {"city": "Ulm"}, "warehouse": {"email": "x@example.com"}}, "customer", "email"),
    ],
)
def test_values_that_do_not_fit_are_no_suggestion(record: dict[str, Any], entity: str, column: str) -> None:
    assert column not in found(record, entity)


HOME = {"street": "Ring 7", "city": "Wien", "postcode": "1010", "state": "W", "country": "AT", "phone": "+43 1 5550123"}


def test_an_object_is_an_address_whatever_it_is_called() -> None:
    """In an address a state is a region; in anything else it is a status."""
    drafted = found({"id": 1, "total": "1.00", "shipping": HOME}, "sales_order")
    assert (drafted["ship_to_street"], drafted["ship_to_postal_zone"]) == ("shipping.street", "shipping.postcode")
    assert (drafted["ship_to_country_code"], "fulfilment_status" in drafted) == ("shipping.country", False)
    parcel = {"id": 1, "total": "1.00", "shipping": {"state": "fulfilled"}}
    assert found(parcel, "sales_order")["fulfilment_status"] == "shipping.state"


def test_of_two_clocks_the_one_whose_zone_is_known_is_read() -> None:
    local, utc = {"date_created": "2017-03-22T16:28:02"}, {"date_created_gmt": "2017-03-22T19:28:02"}
    assert found({"id": 1, **local, **utc}, "sales_order")["ordered_at"] == "instant(date_created_gmt, 'UTC')"
    drafted = suggest.suggest([{"id": 1, **local}], MODEL["sales_order"], MODEL, "Europe/Berlin").found
    assert [one.text for one in drafted if one.column == "ordered_at"] == ["instant(date_created, 'Europe/Berlin')"]


def test_an_id_is_no_rate() -> None:
    lines = [{"id": 1, "rate_id": 75, "tax_total": "1.35"}]
    for named, rate in (("rate_id", None), ("rate", "rate")):
        items = [{named if name == "rate_id" else name: value for name, value in line.items()} for line in lines]
        [drafted] = suggest.suggest(
            [{"id": 1, "currency": "EUR", "tax_lines": items}], MODEL["sales_order"], MODEL
        ).lists
        assert [one.path for one in drafted.found if one.column == "rate"] == ([rate] if rate else [])


def test_what_was_not_found_is_said() -> None:
    draft = suggest.suggest([{"id": 1, "currency": "EUR", "odd": 3}], MODEL["sales_order"], MODEL)
    assert draft.open[:5] == ("number", "ordered_at", "customer", "total", "lifecycle_status")
    assert draft.unused == ("odd",)
    text = as_yaml(draft, "orders", MODEL, "x.json")
    assert "# * number is required and was not found" in text


def test_a_list_becomes_children() -> None:
    record = {"id": 1, "currency_code": "EUR", "order_items": [{"id": 4, "sku": "A", "qty": 2, "price": "1.00"}]}
    (part,) = suggest.suggest([record], MODEL["sales_order"], MODEL).lists
    assert (part.entity, part.each, part.key) == ("order_line", "order_items", "id")
    assert {one.column: one.text for one in part.found} == {
        "sku": "sku",
        "quantity": "qty",
        "unit_price": "price",
        "currency": "record.currency_code",
    }


@pytest.mark.parametrize(("digits", "right"), [("4006381333931", True), ("4006381333932", False), ("96385074", True)])
def test_a_gtin_has_its_check_digit(digits: str, right: bool) -> None:
    assert looks.is_gtin(digits) is right


# -- the file


@pytest.mark.parametrize("sample", SAMPLES, ids=[f"{p.parent.name}/{p.name.partition('.')[0]}" for p in SAMPLES])
def test_a_draft_has_no_errors_but_missing_columns(sample: Path, tmp_path: Path, model: Model) -> None:
    records = json.loads(sample.read_text())
    for number, name in enumerate(HEADERS):
        draft = suggest.suggest(records if isinstance(records, list) else [records], MODEL[name], MODEL)
        missing = {column for column in draft.open if MODEL[name][column].required}
        said = errors(tmp_path / str(number), model, as_yaml(draft, "things", MODEL, "x"))
        if not draft.found:
            continue
        assert [text for text in said if " M110 " not in text and not (" M103 " in text and not draft.key)] == []
        assert len([text for text in said if " M110 " in text]) == (len(missing) if draft.key else 0)


NAMES = st.one_of(
    st.sampled_from(
        ["email", "first_name", "no", "y", "null", "from", "order", "a: b", "x #y", '"', "'", "{a}", "[", "\n", "-"]
    ),
    st.text(max_size=8),
)
RECORDS = st.dictionaries(
    NAMES,
    st.recursive(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.text(max_size=10),
            st.sampled_from(["EUR", "DE", "a@b.cd", "1.5"]),
        ),
        lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(NAMES, inner, max_size=3)),
        max_leaves=6,
    ),
    max_size=8,
)


@settings(max_examples=150, deadline=None)
@given(record=RECORDS, entity=st.sampled_from(HEADERS), source=st.text(max_size=10))
def test_whatever_a_record_holds_the_draft_is_yaml(record: dict[str, Any], entity: str, source: str) -> None:
    draft = suggest.suggest([record], MODEL[entity], MODEL)
    made, findings = yaml.loads(as_yaml(draft, "things", MODEL, source))
    assert findings == []
    assert made["entity"] == entity
    assert list(made["fields"]) == [one.column for one in draft.found]


@pytest.mark.parametrize(
    "text", ["a.b", "lower(trim(x))", "no", "010", "a: b", "x #y", "{a}", '"A b".c', "concat_ws(' ', a, b)", "l[0].x"]
)
def test_an_expression_is_read_as_it_was_meant(text: str) -> None:
    assert yaml.loads(f"a: {scalar(text)}")[0] == {"a": text}
    assert yaml.loads(f"a: {{b: {scalar(text, flow=True)}}}")[0] == {"a": {"b": text}}


def test_values_are_read_without_what_is_missing() -> None:
    values = Values.of([None, " ", True, 3, "x"])
    assert values.texts == ("true", "3", "x")
    assert not values.is_boolean
