"""Preview, diff and replay over what the sandbox systems really send."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from flow.diff import diff
from flow.preview import Wanted, preview
from flow.replay import replay
from hub.config import BUILT_IN, Project

pytestmark = pytest.mark.slow


def files(project: Project) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(project.data.rglob("*"))
        if path.is_file() and not path.name.endswith("-shm") and path.stat().st_size
    }


@pytest.fixture
def edited(cycled: Any, tmp_path: Path) -> Project:
    """The same project with mappings of its own, in which the way a status is read was changed."""
    folder = tmp_path / "mappings"
    shutil.copytree(BUILT_IN / "mappings", folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    values = folder / "cart" / "values.yaml"
    text = values.read_text()
    assert "authorized: authorised" in text
    values.write_text(text.replace("authorized: authorised", "authorized: paid", 1))
    return dataclasses.replace(cycled.project, mappings=(folder,))


def test_what_the_carts_oddities_are_refused_for(cycled: Any) -> None:
    before = files(cycled.project)
    found = preview(cycled.project, "cart/orders", None, "", Wanted(limit=20, rejected=True))
    told = {
        reason.code
        for record in found.records
        for row in record.rows
        for reason in (*row.reasons, *(value.reason for value in row.values if value.reason))
    }
    assert {"M301", "Q205", "Q207", "Q208"} <= told
    assert len(found.records) == 4
    assert files(cycled.project) == before


def test_every_mapping_of_the_systems_has_a_preview(cycled: Any) -> None:
    """Each shows newest records of its stream, and makes at least one row of twenty."""
    for name in (
        "cart/customers",
        "cart/orders.payment",
        "erp/sales_orders",
        "erp/materials.inventory",
        "crm/accounts",
        "pricelist/prices",
    ):
        found = preview(cycled.project, name, None, "", Wanted(limit=20))
        assert any(row.state == "mapped" for record in found.records for row in record.rows), name


def test_a_diff_and_the_replay_that_follows_agree(cycled: Any, edited: Project) -> None:
    before = files(cycled.project)
    assert not diff(edited, "cart/orders", str(edited.folders("mappings")[0])).any
    said = diff(edited, "cart/orders", str(BUILT_IN / "mappings"))
    changed = {table.entity: table.columns for table in said.canonical}
    assert set(changed) == {"sales_order"}
    assert set(changed["sales_order"]) == {"payment_status"}
    assert files(cycled.project) == before
    reports = replay(edited, "cart/orders", expectations=False)
    assert reports[-1].counts["changed"] == changed["sales_order"]["payment_status"]
    assert replay(edited, "cart/orders", expectations=False)[-1].counts["changed"] == 0
