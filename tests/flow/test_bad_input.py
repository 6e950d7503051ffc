"""What goes wrong is said with a code and a place; the rest of the run goes on; nothing is lost and nothing half-written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flow.cycle import cycle
from flow.publish import query_snapshot
from flow.report import StepReport, exit_code
from hub.config import Project
from hub.errors import ConfigurationError


def of(reports: list[StepReport], step: str, system: str) -> StepReport:
    return next(r for r in reports if (r.step, r.system) == (step, system))


def pulled(project: Project, *systems: str) -> list[StepReport]:
    return cycle(project, systems, step="merge")


def said(report: StepReport) -> str:
    return "\n".join(str(finding) for finding in report.findings)


def count(project: Project, entity: str) -> int:
    return int(query_snapshot(project, f"SELECT count(*) FROM {entity}").rows[0][0])


def test_wrong_credentials_stop_one_system_and_no_other(project: Project, monkeypatch: Any) -> None:
    monkeypatch.setenv("CROSSDOCK_CART_TOKEN", "not-the-token-at-all")
    reports = pulled(project, "cart", "crm")
    failed = of(reports, "pull", "cart")
    assert failed.status == "failed"
    assert {f.code[0] for f in failed.findings} == {"C"}
    assert "not-the-token-at-all" not in str(reports)
    assert of(reports, "merge", "crm").status == "ok"
    assert exit_code(reports) == 3


def test_a_system_that_is_down_is_named(project: Project, monkeypatch: Any) -> None:
    monkeypatch.setenv("CROSSDOCK_ERP", "http://127.0.0.1:9/erp")
    reports = pulled(project, "erp", "crm")
    assert of(reports, "pull", "erp").status == "failed"
    assert "erp" in said(of(reports, "pull", "erp"))
    assert of(reports, "merge", "crm").status == "ok"
    assert exit_code(reports) == 3


@pytest.mark.parametrize("fault", ["html", "truncate", "bad_json"])
def test_a_page_that_is_not_what_it_says_costs_only_its_stream(
    project: Project, sandbox_fresh: Any, fault: str
) -> None:
    sandbox_fresh.control.fault("cart", fault, path="/api/orders", times=50)
    reports = pulled(project, "cart")
    first = of(reports, "pull", "cart")
    assert first.status == "partial"
    assert "cart.orders" in said(first)
    assert count(project, "customer") > 0
    sandbox_fresh.control.clear()
    assert of(pulled(project, "cart"), "pull", "cart").status == "ok"
    assert count(project, "sales_order") > 380


def test_faults_that_pass_are_survived_and_nothing_is_twice(project: Project, sandbox_fresh: Any) -> None:
    control = sandbox_fresh.control
    for fault, options in (("429", {"retry_after": 0.1}), ("502", {}), ("reset_before", {}), ("reset_after", {})):
        control.fault("cart", fault, path="/api/orders", times=1, **options)
    control.fault("cart", "duplicate_page", path="/api/orders", times=2)
    report = of(pulled(project, "cart"), "pull", "cart")
    assert report.status == "ok", said(report)
    rows = query_snapshot(
        project, "SELECT count(*), count(DISTINCT source_id) FROM source.sales_order WHERE system = 'cart'"
    ).rows
    assert rows[0][0] == rows[0][1] > 380


def test_a_wsdl_that_cannot_be_read_is_said_so(project: Project, sandbox_fresh: Any) -> None:
    sandbox_fresh.control.fault("erp", "html", path="/erp", times=50)
    reports = pulled(project, "erp", "pricelist")
    assert of(reports, "pull", "erp").status == "failed"
    assert "erp" in said(of(reports, "pull", "erp"))
    assert of(reports, "pull", "pricelist").status == "ok"


def test_a_file_in_the_wrong_encoding_is_left_and_the_others_are_read(project: Project, sandbox_fresh: Any) -> None:
    good = next(sandbox_fresh.drop.glob("*.csv")).read_bytes()
    (sandbox_fresh.drop / "prices_20261119.csv").write_bytes(
        good.splitlines()[0] + b"\r\n" + bytes([0x81, 0x8D, 0x8F]) + b";A;B\r\n"
    )
    report = of(pulled(project, "pricelist"), "pull", "pricelist")
    assert report.status == "partial"
    assert "prices_20261119.csv" in said(report)
    assert report.counts["prices"] > 0


def mapping(project: Project, text: str) -> Iterator[None]:
    folder = project.root / "mappings" / "cart"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "orders.yaml").write_text(text)


# What stands in the mapping → what is said of it.
BROKEN = (
    (
        "extends: cart/orders\nfields:\n  totall: total_price\n",
        r"orders\.yaml:3:3 M\d+ .*totall.*did you mean 'total'",
    ),
    ("extends: cart/orders\nfields:\n  note: read_text('/etc/passwd')\n", r"orders\.yaml:3:\d+ M\d+ .*read_text"),
    ("extends: cart/orders\nfields:\n  note: (select 1)\n", r"orders\.yaml:3:\d+ M\d+"),
    ("extends: cart/orders\nfields:\n  note: note; drop table x\n", r"orders\.yaml:3:\d+ M\d+"),
)


def test_a_broken_mapping_names_file_line_and_code_and_touches_no_other_system(project: Project) -> None:
    for text, says in BROKEN:
        mapping(project, text)
        reports = pulled(project, "cart", "crm")
        stage = of(reports, "stage", "cart")
        assert stage.status == "failed"
        assert re.search(says, said(stage)), said(stage)
        assert of(reports, "merge", "crm").status == "ok"
    (project.root / "mappings" / "cart" / "orders.yaml").unlink()
    assert of(pulled(project, "cart"), "merge", "cart").status == "ok"
    assert count(project, "sales_order") > 380  # what was pulled before is merged now: nothing was lost


def test_an_order_whose_customer_is_unknown_waits_and_arrives_with_the_customer(project: Project) -> None:
    from hub.config import load_project

    config = project.root / "crossdock.yaml"
    whole = config.read_text()
    config.write_text(
        whole.replace("    connector: sandbox_cart\n", "    connector: sandbox_cart\n    streams: [orders]\n")
    )
    reports = pulled(load_project(project.root), "cart")
    merged = of(reports, "merge", "cart")
    assert merged.counts["waiting"] > 300
    missing = query_snapshot(project, "SELECT waiting FROM source.sales_order WHERE waiting IS NOT NULL LIMIT 1").rows[
        0
    ][0]
    assert "customer" in missing
    config.write_text(whole)
    pulled(load_project(project.root), "cart")
    assert query_snapshot(project, "SELECT count(*) FROM source.sales_order WHERE waiting IS NOT NULL").rows == [(0,)]
    assert count(project, "sales_order") > 380


def test_a_configuration_tells_all_its_findings_at_once(tmp_path: Path) -> None:
    from hub.config import load_project

    (tmp_path / "crossdock.yaml").write_text(
        "systems:\n  cart:\n    conector: x\n  erp:\n    connector: sandbox_erp\n    write: true\n    connection: {password: hunter2}\n"
    )
    with pytest.raises(ConfigurationError) as caught:
        load_project(tmp_path)
    text = str(caught.value)
    assert all(code in text for code in ("F205", "F207", "F209"))
    assert "crossdock.yaml:3" in text or "crossdock.yaml:2" in text
    assert "hunter2" not in text
