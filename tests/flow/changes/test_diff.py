"""A diff says what a change of mappings would do, and does nothing."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from changes_harness import ACCOUNTS, ORDERS, VALUES, Shop, order
from rich.console import Console

from flow import show_diff
from flow.diff import Diff, diff, masked
from hub.errors import ConfigurationError, UsageError
from warehouse.model import entities


def counted(found: Diff) -> dict[str, tuple[int, int, int, dict[str, int]]]:
    return {f"{t.mapping} {t.entity}": (t.added, t.removed, t.changed, t.columns) for t in found.rows}


def canonical(found: Diff) -> dict[str, tuple[int, int, int, dict[str, int]]]:
    return {t.entity: (t.added, t.removed, t.changed, t.columns) for t in found.canonical}


def test_nothing_changed_is_no_difference(synced: Shop) -> None:
    assert not diff(synced.project, "shop/orders").any
    synced.mapping("shop/orders", ORDERS + "# a remark\n")
    assert not diff(synced.project, "shop/orders").any


def test_other_words_for_the_same_are_compared_row_by_row(synced: Shop) -> None:
    """The SQL differs, so that nothing is taken for granted; the rows do not."""
    synced.mapping("shop/orders", ORDERS.replace("total: total_price", "total: number(total_price)"))
    found = diff(synced.project, "shop/orders")
    assert (found.any, found.merged, found.records) == (False, True, 3)


def test_a_changed_field_is_counted_and_shown(synced: Shop) -> None:
    synced.mapping("shop/orders", ORDERS.replace("total: total_price", "total: number(total_price) + 1"))
    found = diff(synced.project, "shop/orders", examples=2)
    assert counted(found) == {"shop/orders sales_order": (0, 0, 3, {"total": 3})}
    assert canonical(found) == {"sales_order": (0, 0, 3, {"total": 3})}
    assert [(row.kind, row.key, row.fields) for row in found.rows[0].examples] == [
        ("changed", "1", {"total": ("12.5000", "13.5000")}), ("changed", "2", {"total": ("12.5000", "13.5000")}),
    ]  # fmt: skip


def test_a_changed_value_map_is_a_change_of_its_mappings(synced: Shop) -> None:
    synced.mapping("shop/values", VALUES.replace("pending: unpaid", "pending: authorised"))
    assert canonical(diff(synced.project, "shop/orders")) == {"sales_order": (0, 0, 1, {"payment_status": 1})}


def test_rows_of_children_are_counted_by_themselves(synced: Shop) -> None:
    synced.mapping("shop/orders", ORDERS.replace("each: line_items\n", "each: line_items\n    when: quantity > 2\n"))
    found = diff(synced.project, "shop/orders")
    assert counted(found) == {"shop/orders order_line": (0, 3, 0, {})}
    assert canonical(found)["order_line"][:3] == (0, 3, 0)


def test_what_is_newly_refused_and_no_longer_refused(synced: Shop) -> None:
    synced.pulled([order(4, created_at="soon"), order(5)])
    text = ORDERS.replace("ordered_at: created_at", "ordered_at: updated_at").replace(
        "payment_status: {at: financial_status", "payment_status: {at: \"if(number = '5', 'odd', financial_status)\""
    )
    synced.mapping("shop/orders", text)
    found = diff(synced.project, "shop/orders")
    assert [(r.code, r.field, r.records, r.examples) for r in found.refused] == [
        ("M303", "payment_status", 1, (("5", "number=5, financial_status=paid"),))
    ]
    assert [(r.code, r.field, r.records) for r in found.accepted] == [("M301", "ordered_at", 1)]
    assert counted(found)["shop/orders sales_order"][:3] == (1, 1, 0)
    assert canonical(found)["sales_order"][0] == 1


def test_what_the_gate_would_keep_back_is_counted(synced: Shop) -> None:
    synced.mapping(
        "shop/orders",
        ORDERS.replace("currency: {at: currency, default: EUR}", "currency: \"if(number = '3', 'EURO', currency)\""),
    )
    found = diff(synced.project, "shop/orders")
    assert found.states["sales_order"]["quarantined"] == (0, 1)
    assert "sales_order" not in canonical(found)  # the row that is in the warehouse stays as it is


def test_the_calls_that_would_follow(synced: Shop) -> None:
    before = diff(synced.project, "shop/customers")
    assert before.calls == []
    synced.mapping(
        "shop/customers",
        """{stream: customers, entity: customer, key: id, fields: {name: "concat(name, ' AG')", email: email, phone: phone}}""",
    )
    found = diff(synced.project, "shop/customers")
    assert canonical(found) == {"customer": (0, 0, 1, {"name": 1})}
    (calls,) = found.calls
    assert (calls.target, calls.operation, calls.stream) == ("desk", "upsert", "accounts")
    assert [one.fields["Name"][1] for one in calls.examples] == ["Ann Lee AG"]


def test_a_push_that_changes_is_seen_though_no_row_does(synced: Shop) -> None:
    synced.mapping(
        "desk/accounts",
        ACCOUNTS.replace("fields: [name,", """fields: [{name: {at: Name, value: "concat(name, ' AG')"}},"""),
    )
    found = diff(synced.project, "desk/accounts")
    assert (found.rows, found.canonical) == ([], [])
    assert [(c.target, c.added + c.changed) for c in found.calls] == [("desk", 1)]


def test_a_whole_system_is_all_of_its_streams(synced: Shop) -> None:
    synced.mapping(
        "shop/customers",
        "{stream: customers, entity: customer, key: id, fields: {name: lower(name), email: email, phone: phone}}",
    )
    synced.mapping("shop/orders", ORDERS.replace("upper(sku)", "lower(sku)"))
    assert set(counted(diff(synced.project, "shop"))) == {"shop/customers customer", "shop/orders order_line"}
    assert set(counted(diff(synced.project, "shop/orders"))) == {"shop/orders order_line"}


def test_a_mapping_that_was_not_there_adds_its_rows(synced: Shop) -> None:
    synced.mapping(
        "shop/orders.buyer", "{stream: orders, entity: customer, key: \"'guest-' || id\", fields: {name: ship_to.name}}"
    )
    found = diff(synced.project, "shop/orders")
    assert counted(found) == {"shop/orders.buyer customer": (3, 0, 0, {})}
    assert canonical(found)["customer"][0] == 3


def test_another_folder_and_another_revision(synced: Shop, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "shop").mkdir(parents=True)
    for name, text in (("orders", ORDERS.replace("upper(sku)", "sku")), ("values", VALUES)):
        (other / "shop" / f"{name}.yaml").write_text(text)
    assert counted(diff(synced.project, "shop/orders", str(other)))["shop/orders order_line"][2] == 3
    synced.mapping("shop/orders", ORDERS.replace("upper(sku)", "lower(sku)"))
    synced.committed()
    assert not diff(synced.project, "shop/orders").any
    assert diff(synced.project, "shop/orders", "HEAD~1").any


def test_before_anything_is_published_only_rows_are_compared(shop: Shop) -> None:
    shop.pulled([order(1)])
    shop.committed()
    shop.mapping("shop/orders", ORDERS.replace("upper(sku)", "lower(sku)"))
    found = diff(shop.project, "shop/orders")
    assert (found.merged, list(counted(found)), found.canonical) == (False, ["shop/orders order_line"], [])


def test_what_cannot_be_compared_says_why(synced: Shop) -> None:
    for against, name, code in (
        ("nope", "shop/orders", "P530"),
        ("HEAD", "shop/ordres", "P531"),
        ("--help", "shop/orders", "P530"),
    ):
        with pytest.raises(UsageError, match=code):
            diff(synced.project, name, against)
    synced.mapping("shop/orders", ORDERS.replace("upper(", "uper("))
    with pytest.raises(ConfigurationError, match="M121"):
        diff(synced.project, "shop/orders")
    synced.committed()
    synced.mapping("shop/orders", ORDERS)
    with pytest.raises(ConfigurationError, match="P532"):
        diff(synced.project, "shop/orders")


def test_mappings_outside_git_ask_for_a_folder(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(shop.project.root.parent))
    with pytest.raises(UsageError, match="not kept in git"):
        diff(shop.project, "shop/orders")


def test_no_store_is_touched(synced: Shop) -> None:
    synced.pulled([order(4)])
    synced.mapping("shop/orders", ORDERS.replace("total: total_price", "total: number(total_price) + 1"))
    before = synced.files()
    assert diff(synced.project, "shop/orders").any
    assert synced.files() == before


def test_personal_values_are_masked_unless_asked_for(synced: Shop) -> None:
    synced.mapping("shop/orders", ORDERS.replace("ship_to_name: ship_to.name", "ship_to_name: upper(ship_to.name)"))
    synced.mapping(
        "shop/customers",
        "{stream: customers, entity: customer, key: id, fields: {name: upper(name), email: email, phone: phone}}",
    )
    shown = _shown(diff(synced.project, "shop"))
    assert "ANN LEE" in shown
    hidden = _shown(masked(diff(synced.project, "shop"), entities()))
    assert "ANN LEE" not in hidden
    assert "Ann Lee" not in hidden
    assert "ship_to_name  *** → ***" in hidden


def _shown(found: Diff) -> str:
    out = io.StringIO()
    show_diff.diff(found, Console(file=out, width=150, highlight=False, color_system=None))
    return out.getvalue()


def test_what_a_person_sees(synced: Shop) -> None:
    synced.mapping(
        "shop/orders",
        ORDERS.replace("total: total_price", "total: number(total_price) + 1").replace("upper(sku)", "sku"),
    )
    assert _shown(diff(synced.project, "shop/orders", examples=1)).splitlines() == [
        "shop/orders against HEAD  3 records of the lake",
        "rows that the mappings make",
        "  shop/orders: sales_order  3 changed (total 3)",
        "    ~ 1",
        "        total  12.5000 → 13.5000",
        "  shop/orders: order_line  3 changed (sku 3)",
        "    ~ 1/1",
        "        sku  A-100 → a-100",
        "canonical rows after a replay",
        "  sales_order  3 changed (total 3)",
        "    ~ 1",
        "        total  12.5000 → 13.5000",
        "  order_line  3 changed (sku 3)",
        "    ~ 1",
        "        sku  A-100 → a-100",
        "calls that would be planned: none would change",
    ]


def test_the_command_exits_with_1_where_something_differs(synced: Shop) -> None:
    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        call = [sys.executable, "-c", "from flow.cli import main; main()", "diff", "shop/orders", *arguments]
        env = {**os.environ, "CROSSDOCK_PROJECT": str(synced.project.root)}
        return subprocess.run(call, capture_output=True, text=True, env=env, timeout=120)

    assert command().returncode == 0
    synced.mapping("shop/orders", ORDERS.replace("upper(sku)", "lower(sku)"))
    done = command("--json")
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["rows"][0]["changed"] == 3
