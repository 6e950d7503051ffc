"""What the sandbox's connectors declare that their systems take is what those systems do take."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import connectors
from connectors.sandbox_crm import SandboxCrm
from connectors.sandbox_erp import SandboxErp
from hub.config import BUILT_IN
from hub.connector import Stream
from mappings.lint import lint
from mappings.load import load
from sandbox import crm_records, erp_fields
from warehouse.model import entities

TYPES = {"business_partners": "BusinessPartner", "sales_orders": "SalesOrder", "credit_memos": "CreditMemo"}


def stream(connector: type[connectors.Connector], name: str) -> Stream:
    return next(one for one in connector.streams if one.name == name)


@pytest.mark.parametrize("name", connectors.names([BUILT_IN / "connectors"]))
def test_only_what_can_be_written_is_declared(name: str) -> None:
    for one in connectors.load(name).streams:
        assert set(one.target_fields) <= set(one.writes)
        for takes in one.target_fields.values():
            assert {field.instead for field in takes.values()} - {None} <= set(takes)


@pytest.mark.parametrize("name", ["accounts", "contacts", "orders"])
def test_the_crm_takes_what_is_declared(name: str) -> None:
    takes = stream(SandboxCrm, name).target_fields["upsert"]
    kinds = {field: kind for field, kind in crm_records.OBJECTS[name].items() if kind != "flag"}
    assert {place for place in takes if place != "Account.HubId"} == set(kinds)
    for field, kind in kinds.items():
        assert takes[field].choices == (kind if isinstance(kind, tuple) else takes[field].choices)
    external = crm_records.EXTERNAL_ID[name]  # which the connector adds
    assert {place for place, one in takes.items() if one.required} == set(crm_records.REQUIRED[name]) - {external}


@pytest.mark.parametrize("name", TYPES)
def test_the_erp_takes_what_is_declared(name: str) -> None:
    own = erp_fields.FIELDS[TYPES[name]]
    for operation, takes in stream(SandboxErp, name).target_fields.items():
        for place in takes:
            first, _, rest = place.partition(".")
            assert operation == "cancel" or first in own, place
            assert not rest or rest in erp_fields.FIELDS[own[first]], place


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("      - customer\n", "", "M221"),
        ("      - number: {at: purchase_order}", "      - number: {at: purchase_ordr}", "M222"),
        ("{ST: C62, KG: KGM}", "{ST: C62, PC: KGM}", "M223"),
        ("          - quantity\n          - unit\n", "          - unit\n", "M221"),
    ],
)
def test_a_push_to_the_erp_that_would_be_refused_is_found(tmp_path: Path, old: str, new: str, code: str) -> None:
    folder = tmp_path / "mappings"
    shutil.copytree(BUILT_IN / "mappings" / "erp", folder / "erp")
    streams = {"erp": SandboxErp.streams}
    loaded = load([folder], entities())
    assert lint(loaded, entities(), streams) == []
    for path in (folder / "erp" / "sales_orders.yaml", folder / "erp" / "values.yaml"):
        path.write_text(path.read_text().replace(old, new, 1))
    found = lint(load([folder], entities()), entities(), streams)
    assert code in {finding.code for finding in found}
