"""A preview shows what a run would do, and does nothing."""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from changes_harness import ORDERS, Shop, order
from rich.console import Console

from flow import show_preview
from flow.map import map
from flow.preview import Preview, Record, Wanted, preview
from flow.preview_field import explain
from flow.run import Run
from flow.stage import stage
from hub.errors import ConfigurationError, UsageError

GOLDEN = Path(__file__).parent / "golden"
WRONG = order(
    1,
    total_price="12,50",
    created_at="2026-11-18T09:00:00",
    financial_status="payed",
    line_items=[{"id": 1, "sku": ":smile: [red]", "quantity": "two"}, {"id": 2, "sku": "b", "quantity": 1}],
)


def made(shop: Shop, records: Any, name: str = "shop/orders", **wanted: Any) -> Preview:
    given = records if isinstance(records, bytes) else json.dumps(records).encode()
    return preview(shop.project, name, given, "given.json", Wanted(**wanted))


def one(found: Preview) -> Record:
    assert len(found.records) == 1
    return found.records[0]


def values(record: Record) -> dict[str, str | None]:
    return {value.name: value.value for value in record.rows[0].values}


def test_a_record_becomes_its_row_with_its_children(shop: Shop) -> None:
    record = one(made(shop, [order(1)]))
    row = record.rows[0]
    assert (row.entity, row.source_id, row.state, row.reasons) == ("sales_order", "1", "mapped", [])
    assert values(record)["ordered_at"] == "2026-11-18 08:00:00+00"
    assert values(record)["total"] == "12.5000"
    assert [(value.name, value.reads) for value in row.values if value.name == "ship_to_name"] == [
        ("ship_to_name", (("ship_to.name", "Ann Lee"),))
    ]
    child = row.children[0]
    assert (child.entity, child.source_id) == ("order_line", "1")
    assert {v.name: v.value for v in child.values} == {
        "line_number": "1", "sku": "A-100", "quantity": "2.000000", "currency": "EUR",
    }  # fmt: skip


def test_what_is_refused_says_rule_expression_and_raw_value(shop: Shop) -> None:
    row = one(made(shop, [WRONG])).rows[0]
    assert row.state == "rejected"
    told = {v.name: (v.reason.code, v.reason.rule, v.reason.at, v.reason.raw) for v in row.values if v.reason}
    assert told == {
        "ordered_at": ("M307", "zone", "created_at", "2026-11-18T09:00:00"),
        "total": ("M301", "cast", "total_price", "12,50"),
        "payment_status": ("M303", "unmapped", "financial_status", "payed"),
    }
    wrong, right = row.children
    assert [v.reason.raw for v in wrong.values if v.reason] == ["two"]
    assert [v for v in right.values if v.reason] == []


def test_a_key_that_stands_twice_is_told_of_the_header(shop: Shop) -> None:
    lines = [{"id": 1, "sku": "a", "quantity": 1}, {"id": 1, "sku": "b", "quantity": 1}]
    row = one(made(shop, [order(1, line_items=lines)])).rows[0]
    assert (row.state, [(r.code, r.field, r.raw) for r in row.reasons]) == (
        "rejected", [("M308", "order_line.key", "1")],
    )  # fmt: skip


def test_every_state_of_a_record_has_its_name(shop: Shop) -> None:
    older = order(1, total_price="1.00", updated_at="2026-11-17T09:00:00+01:00")
    records = [
        older,
        order(2),
        order(1),
        order(2),
        order(3, number=None),
        order(4, ship_to=[]),
        order(5, currency="EURO"),
    ]
    states = [
        "duplicate" if r.duplicate else r.reasons[0].code if r.reasons else r.rows[0].state
        for r in made(shop, records, limit=10).records
    ]
    assert states == ["superseded", "duplicate", "mapped", "mapped", "excluded", "D203", "quarantined"]


def test_a_rule_of_the_gate_is_told_with_its_value(shop: Shop) -> None:
    row = one(made(shop, [order(5, currency="EURO")])).rows[0]
    assert ("Q207", "currency", "EURO") in [(r.code, r.field, r.raw) for r in row.reasons]


def test_a_default_is_told_from_a_value(shop: Shop) -> None:
    found = made(shop, [order(1, currency=None), order(2, currency="EUR")])
    assert [
        (v.value, v.defaulted) for record in found.records for v in record.rows[0].values if v.name == "currency"
    ] == [("EUR", True), ("EUR", False)]


def test_what_is_not_read_is_named(shop: Shop) -> None:
    record = one(made(shop, [order(1, email="a@example.com", ship_to={"name": "Ann", "city": "Ulm"})]))
    assert record.unread == ("ship_to.city", "email")


def test_what_no_record_reads_is_said_once(shop: Shop) -> None:
    found = made(shop, [order(1, email="a@example.com"), order(2, email="b@example.com", fax="1")])
    out = io.StringIO()
    show_preview.preview(found, Console(file=out, width=200))
    assert out.getvalue().count("not read:") == 1
    assert out.getvalue().endswith("not read: email, fax\n")


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([order(1), order(2)]),
        json.dumps([order(1), order(2)], indent=2),
        "\ufeff" + json.dumps([order(1), order(2)]),
        "\n".join(json.dumps(order(n)) for n in (1, 2)) + "\n\n",
        json.dumps({"orders": [order(1), order(2)], "next": None}),
    ],
    ids=["array", "indented", "bom", "ndjson", "page"],
)
def test_records_are_taken_as_they_lie_about(shop: Shop, text: str) -> None:
    assert [r.rows[0].source_id for r in made(shop, text.encode()).records] == ["1", "2"]


def test_one_object_is_one_record(shop: Shop) -> None:
    assert one(made(shop, json.dumps(order(7), indent=1).encode())).rows[0].source_id == "7"


@pytest.mark.parametrize("text", [b"", b"[]", b"[1, 2"])
def test_what_holds_no_records_is_refused(shop: Shop, text: bytes) -> None:
    with pytest.raises(UsageError, match="P521"):
        made(shop, text)


def test_a_line_that_is_no_json_is_told_and_the_others_are_shown(shop: Shop) -> None:
    found = made(shop, json.dumps(order(1)).encode() + b'\n{"id": 2, "num\n')
    assert [(bool(r.rows), [x.code for x in r.reasons]) for r in found.records] == [(True, []), (False, ["D201"])]


def test_the_newest_records_of_the_lake_come_first(shop: Shop) -> None:
    shop.pulled([order(1), order(2)])
    newest = shop.pulled([order(3)])
    found = preview(shop.project, "shop/orders", None, "", Wanted(limit=2))
    assert [(r.place, r.rows[0].source_id) for r in found.records] == [
        (f"{newest}:1", "3"), ("shop/orders/1.jsonl:2", "2"),
    ]  # fmt: skip
    assert found.of == 3


def test_an_empty_lake_says_what_to_do(shop: Shop) -> None:
    with pytest.raises(UsageError, match="P520"):
        preview(shop.project, "shop/orders", None, "", Wanted())


def test_refused_records_are_found_wherever_they_are(shop: Shop) -> None:
    shop.pulled([order(1), WRONG | {"id": 2}, order(3, currency="EURO")])
    shop.pulled([order(n) for n in range(10, 30)])
    found = preview(shop.project, "shop/orders", None, "", Wanted(rejected=True))
    assert [r.rows[0].source_id for r in found.records] == ["3", "2"]
    key = preview(shop.project, "shop/orders", None, "", Wanted(key="1"))
    assert [r.place for r in key.records] == ["shop/orders/1.jsonl:1"]
    assert preview(shop.project, "shop/orders", None, "", Wanted(key="12", rejected=True)).records == ()


def test_it_shows_what_a_run_would_make(shop: Shop) -> None:
    """The same records through a run: the same rows, the same values, the same rejects."""
    records = [order(n, total_price=f"{n}.5{'x' * (n % 3 == 0)}") for n in range(1, 9)]
    shop.pulled(records)
    shown = preview(shop.project, "shop/orders", None, "", Wanted(limit=20))
    run = Run.start(shop.project, "shop")
    stage(run)
    map(run)
    from warehouse import runfile

    con = runfile.open(run.file, read_only=True)
    columns = [
        "number",
        "customer_ref",
        "ordered_at",
        "currency",
        "total",
        "payment_status",
        "lifecycle_status",
        "ship_to_name",
    ]
    listed = ", ".join(f"CAST({c} AS VARCHAR)" for c in columns)
    kept = con.execute(f"SELECT source_id, {listed} FROM mapped.sales_order ORDER BY _row DESC").fetchall()
    refused = con.execute("SELECT source_id, field, raw FROM run.rejects ORDER BY line DESC").fetchall()
    con.close()
    rows = [record.rows[0] for record in shown.records]
    assert [(r.source_id, *(v.value for v in r.values)) for r in rows if r.state == "mapped"] == kept
    assert [(r.source_id, v.name, v.reason.raw) for r in rows for v in r.values if v.reason] == refused
    assert refused


def test_nothing_of_the_project_is_written(shop: Shop) -> None:
    shop.pulled([order(1), WRONG | {"id": 2}])
    shop.sync()
    before = shop.files()
    preview(shop.project, "shop/orders", None, "", Wanted())
    preview(shop.project, "shop/orders", None, "", Wanted(rejected=True))
    explain(shop.project, "shop/orders", "total", None, "", Wanted())
    assert shop.files() == before
    (shop.project.data / "stray").write_text("x")
    assert shop.files() != before


def test_what_a_person_sees(shop: Shop) -> None:
    out = io.StringIO()
    console = Console(file=out, width=130, highlight=False, color_system=None)
    records = [order(1), WRONG | {"id": 2}, order(3, ship_to=[]), order(4, number=None), order(5, currency="EURO")]
    show_preview.preview(made(shop, records), console)
    show_preview.explained(explained(shop, "payment_status", [WRONG]), console)
    show_preview.explained(explained(shop, "lifecycle_status", [order(1)]), console)
    text = "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines()).replace(
        str(shop.project.root), "PROJECT"
    )
    file = GOLDEN / "preview.txt"
    if os.environ.get("CROSSDOCK_WRITE_GOLDEN"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    assert text == file.read_text()


def test_what_a_terminal_would_obey_is_shown_and_not_sent(shop: Shop) -> None:
    hostile = "\x1b]0;owned\x07\x1b[2J\r\nx"
    records = [
        order(1, ship_to={"name": hostile, hostile: 1}),
        order(2, total_price=hostile),
        order(3) | {"id": hostile},
    ]
    out = io.StringIO()
    console = Console(file=out, width=200, highlight=False, color_system=None)
    show_preview.preview(made(shop, records), console)
    show_preview.explained(explained(shop, "payment_status", [order(1, financial_status=hostile)]), console)
    assert "\\x1b]0;owned" in out.getvalue()
    assert set(out.getvalue()) & {"\x1b", "\x07", "\r"} == set()


def explained(shop: Shop, field: str, records: Any) -> Any:
    return explain(shop.project, "shop/orders", field, json.dumps(records).encode(), "given.json", Wanted())


def test_a_broken_mapping_is_told_as_a_run_tells_it(shop: Shop) -> None:
    shop.mapping("shop/orders", ORDERS.replace("upper(sku)", "uper(sku)"))
    with pytest.raises(ConfigurationError, match="M121"):
        made(shop, [order(1)])


def test_a_mapping_that_only_pushes_has_no_preview(shop: Shop) -> None:
    shop.mapping(
        "desk/news", "{stream: news, entity: customer, push: {operation: upsert, fields: [{a: {at: a, value: name}}]}}"
    )
    with pytest.raises(UsageError, match="P522"):
        made(shop, [order(1)], "desk/news")


def test_a_stream_that_the_connector_does_not_know_can_be_tried(shop: Shop) -> None:
    shop.mapping("shop/people", "{stream: people, entity: customer, key: id, fields: {name: name}}")
    assert values(one(made(shop, [{"id": 1, "name": "Ann"}], "shop/people"))) == {"name": "Ann"}


# -- the command


def command(shop: Shop, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-c", "from flow.cli import main; main()", *arguments]
    env = {**os.environ, "CROSSDOCK_PROJECT": str(shop.project.root)}
    return subprocess.run(call, capture_output=True, text=True, env=env, timeout=60, **options)


def test_the_command_reads_stdin_prints_json_and_exits_with_findings(shop: Shop) -> None:
    done = command(shop, "preview", "shop/orders", "--from", "-", "--json", input=json.dumps([WRONG]))
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout)
    assert said["records"][0]["rows"][0]["state"] == "rejected"
    done = command(shop, "preview", "shop/orders", "--from", "-", "--field", "total", input=json.dumps([order(1)]))
    assert (done.returncode, "12.5000" in done.stdout) == (0, True)


def test_it_costs_little_more_than_the_libraries_it_needs(shop: Shop) -> None:
    """A ratio, since the machine may be busy: processor time against that of importing what it cannot do without."""
    shop.pulled([order(n) for n in range(50)])

    def seconds(code: str, *arguments: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        env["CROSSDOCK_PROJECT"] = str(shop.project.root)
        subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, env=env)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    imports = "import duckdb, sqlalchemy.orm, rich.table, typer, fsspec, zstandard, msgspec"
    run = "from flow.cli import main; main()"
    seconds(imports)
    seconds(run, "preview", "shop/orders")  # compiles the bytecode
    needed = min(seconds(imports) for _ in range(3))
    took = min(seconds(run, "preview", "shop/orders") for _ in range(3))
    assert took < 3 * needed + 0.3


def test_watch_shows_again_when_the_file_is_saved_and_survives_a_broken_one(shop: Shop) -> None:
    records = shop.project.root / "records.json"
    records.write_text(json.dumps([order(1)]))
    call = [sys.executable, "-u", "-c", "from flow.cli import main; main()"]
    call += ["preview", "shop/orders", "--from", str(records), "--watch"]
    env = {**os.environ, "CROSSDOCK_PROJECT": str(shop.project.root)}
    process = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
    said: list[str] = []
    threading.Thread(target=lambda: said.extend(process.stdout or ()), daemon=True).start()

    def until(text: str) -> None:
        end = time.monotonic() + 60
        while text not in "".join(said):
            assert time.monotonic() < end, "".join(said)
            assert process.poll() is None, "".join(said)
            time.sleep(0.05)

    try:
        until("A-100")
        shop.mapping("shop/orders", ORDERS.replace("upper(sku)", "uper(sku)"))
        until("M121")
        shop.mapping("shop/orders", ORDERS.replace("upper(sku)", "lower(sku) || '-new'"))
        until("a-100-new")
        for _ in range(10):  # Python loses one that comes while it cleans up an object: a person presses again
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                assert process.wait(3) == 130
                break
        assert process.poll() == 130
    finally:
        process.kill()
        process.wait()
