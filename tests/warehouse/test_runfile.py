"""The run file: its tables, statements that name themselves, superseding."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from hub.errors import ConfigurationError
from warehouse import runfile
from warehouse.duck import StatementError
from warehouse.model import entities


@dataclass
class Statement:
    name: str
    sql: str
    needed: str = ""
    kind: str = ""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs" / "r.duckdb"


@pytest.fixture
def con(path, tmp_path):
    con = runfile.create(path, str(tmp_path / "lake"), entities())
    yield con
    con.close()


def columns(con, table):
    return con.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE schema_name = 'mapped' AND table_name = $1", [table]
    ).fetchall()


def test_mapped_tables_hold_lineage_columns_and_references_as_the_system_says_them(con):
    assert dict(columns(con, "account_credit")) == {
        "_row": "BIGINT", "system": "VARCHAR", "source_id": "VARCHAR", "mapping": "VARCHAR", "_segment": "VARCHAR",
        "_line": "BIGINT", "_seq": "BIGINT", "version": "VARCHAR", "_hub": "VARCHAR", "customer_ref": "VARCHAR",
        "currency": "VARCHAR", "credit_limit": "DECIMAL(18,4)", "exposure": "DECIMAL(18,4)", "available": "DECIMAL(18,4)",
        "overdue_amount": "DECIMAL(18,4)", "hold": "BOOLEAN", "terms": "VARCHAR", "as_of": "TIMESTAMP WITH TIME ZONE",
        "deleted_at": "TIMESTAMP WITH TIME ZONE",
    }  # fmt: skip
    assert {"_parent_row", "parent_source_id", "product_ref"} <= dict(columns(con, "order_line")).keys()


def test_it_can_be_opened_again(con, path, tmp_path):
    con.execute("INSERT INTO run.counts VALUES ('orders', NULL, NULL, 'read', 3)")
    con.close()
    again = runfile.create(path, str(tmp_path / "lake"), entities())
    assert runfile.totals(again, ("read", "staged")) == {"read": 3, "staged": 0}
    again.close()
    reader = runfile.open(path, read_only=True)
    assert reader.execute("SELECT n FROM run.counts").fetchall() == [(3,)]
    reader.close()


def test_a_run_that_was_never_staged_is_said(tmp_path):
    with pytest.raises(ConfigurationError, match="W140"):
        runfile.open(tmp_path / "no.duckdb")


def test_the_statements_of_a_mapping_are_executed_all_or_none(con):
    good = Statement(
        "cart/products: into mapped.product", "INSERT INTO mapped.product BY NAME SELECT 1 AS _row, 'x' AS sku"
    )
    bad = Statement("cart/products: counts", "INSERT INTO run.counts SELECT 'a'::INTEGER")
    with pytest.raises(StatementError, match="the statement 'cart/products: counts' failed"):
        runfile.execute(con, [good, bad])
    assert con.execute("SELECT count(*) FROM mapped.product").fetchall() == [(0,)]
    runfile.execute(con, [good])
    assert con.execute("SELECT count(*) FROM mapped.product").fetchall() == [(1,)]


def test_what_is_not_needed_is_not_executed(con):
    nothing, something = "SELECT n FROM run.counts WHERE n > 1", "SELECT n FROM run.counts WHERE n = 1"
    runfile.execute(
        con,
        [
            Statement("one", "INSERT INTO run.counts (n) VALUES (1)"),
            Statement("not", "INSERT INTO run.counts (n) VALUES (2)", nothing),
            Statement("it", "DELETE FROM run.counts", something),
            Statement(
                "and it", "INSERT INTO run.counts (n) VALUES (3)", something
            ),  # asked once, before the first of them
        ],
    )
    assert con.execute("SELECT n FROM run.counts").fetchall() == [(3,)]


def test_a_view_is_made_once_a_connection_and_not_where_nothing_was_kept(con):
    view = Statement("view", "CREATE TEMP VIEW seen AS SELECT 7 AS n", kind="view")
    into = Statement("into", "INSERT INTO run.counts (n) FROM seen")
    bad = Statement("bad", "INSERT INTO run.counts SELECT 'a'::INTEGER")
    views: set[str] = set()
    with pytest.raises(StatementError):
        runfile.execute(con, [view, bad], views)
    assert views == set(), "it went with the rest"
    for _ in range(2):
        runfile.execute(con, [view, into], views)
    assert con.execute("SELECT n FROM run.counts").fetchall() == [(7,), (7,)]
    with pytest.raises(StatementError, match="the statement 'view' failed"):
        runfile.execute(con, [view])


def test_there_is_nothing_to_take_back_of_what_was_emptied(con):
    undo = Statement("undo", "DELETE FROM run.counts", kind="undo")
    into = Statement("into", "INSERT INTO run.counts (n) VALUES (1)")
    runfile.execute(con, [undo, into])
    runfile.execute(con, [undo, into])
    assert con.execute("SELECT n FROM run.counts").fetchall() == [(1,)]
    runfile.execute(con, [undo, into], emptied=True)
    assert con.execute("SELECT n FROM run.counts").fetchall() == [(1,), (1,)]


def test_a_statement_that_is_two_is_refused(con):
    with pytest.raises(ConfigurationError, match="W110"):
        runfile.execute(con, [Statement("x", "SELECT 1; SELECT 2")])


def test_a_statement_cannot_leave_the_run(con, tmp_path):
    (tmp_path / "secret.csv").write_text("a\n1\n")
    with pytest.raises(StatementError, match="Permission"):
        runfile.execute(con, [Statement("x", f"SELECT * FROM read_csv('{tmp_path}/secret.csv')")])


def fill(con, rows):
    con.execute("INSERT INTO run.segments (stream, segment, seq) VALUES ('orders', 's1', 1)")
    for row, (id, seq, version) in enumerate(rows, 1):
        con.execute(
            "INSERT INTO mapped.sales_order (_row, system, source_id, mapping, _segment, _seq, version) VALUES ($1, 'cart', $2, 'm', 's1', $3, $4)",
            [row, id, seq, version],
        )
        con.execute(
            "INSERT INTO mapped.order_line (_row, _parent_row, source_id) VALUES ($1, $2, $3)",
            [row * 10, row, f"{id}/1"],
        )


def kept(con):
    return con.execute("SELECT source_id, _seq FROM mapped.sales_order ORDER BY ALL").fetchall()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("1", 1, None), ("1", 2, None), ("2", 3, None)], [("1", 2), ("2", 3)]),
        ([("1", 1, "2026-11-20T10:00:00Z"), ("1", 2, "2026-11-19T10:00:00Z")], [("1", 1)]),
        ([("1", 1, "00000000000000000009"), ("1", 2, "00000000000000000010")], [("1", 2)]),
        ([("1", 1, "a"), ("1", 2, "a")], [("1", 2)]),
        ([("1", 2, None), ("1", 1, "a")], [("1", 1)]),
    ],
)
def test_the_newest_version_of_a_key_stays_with_its_children(con, rows, expected):
    fill(con, rows)
    went = runfile.supersede(con, entities())
    assert kept(con) == expected
    assert went == {"sales_order": len(rows) - len(expected)}
    assert con.execute("SELECT count(*) FROM mapped.order_line").fetchall() == [(len(expected),)]
    assert con.execute("SELECT stream, mapping, entity, state, n FROM run.counts").fetchall() == [
        ("orders", "m", "sales_order", "superseded", len(rows) - len(expected))
    ]
    assert runfile.supersede(con, entities()) == {}


def test_steps_can_be_repeated(con):
    fill(con, [("1", 1, None)])
    con.execute(
        "INSERT INTO run.counts VALUES ('orders', NULL, NULL, 'read', 1), ('orders', 'm', 'sales_order', 'mapped', 1)"
    )
    con.execute("INSERT INTO gate.state VALUES ('sales_order', false, '')")
    runfile.reset(con, entities(), "gate")
    assert con.execute("SELECT count(*) FROM gate.state").fetchall() == [(0,)]
    assert len(kept(con)) == 1
    runfile.reset(con, entities(), "map")
    assert kept(con) == []
    assert con.execute("SELECT state FROM run.counts").fetchall() == [("read",)]
    runfile.reset(con, entities(), "stage")
    assert con.execute("SELECT count(*) FROM run.segments").fetchall() == [(0,)]


def test_why_records_were_rejected_in_words_without_values(con):
    for line in (3, 2):
        con.execute("INSERT INTO run.rejects VALUES ('orders', 'cart/orders', 'sales_order', '7', 's', $1, 'M201', 'total', 'cast', 'no number', 'ann@example.com')", [line])  # fmt: skip
    con.execute(
        "INSERT INTO run.rejects VALUES ('orders', NULL, NULL, NULL, 's', 9, 'D201', '', 'json', 'not JSON', 'x')"
    )
    assert runfile.rejected_examples(con) == [
        "M201 cart/orders.total: no number (2 records, first at s:2)",
        "D201 orders: not JSON (1 records, first at s:9)",
    ]
