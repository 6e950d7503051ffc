"""Steps that follow each other in one process share an instance: what they need not ask again, and what others may do meanwhile."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from changes_harness import CUSTOMER, Shop, order

from flow.gate import gate
from flow.map import map
from flow.merge import merge
from flow.publish import fold_and_publish
from flow.run import Run
from flow.session import Session
from flow.stage import stage
from hub.errors import StreamError
from quality import judge
from quality.batch import recorded
from quality.data_docs import Site
from quality.expectations import SuiteResult
from quality.rules import Rules
from warehouse.lock import writer

OTHER = "UPDATE mapped.sales_order SET total = total + 1"


@pytest.fixture
def run(shop: Shop) -> Run:
    shop.pulled([CUSTOMER], "shop/customers")
    shop.pulled([order(1), order(2, line_items=[])])
    return Run.start(shop.project, "shop")


def judged(run: Run) -> None:
    stage(run)
    map(run)
    gate(run)


def test_rows_that_changed_since_the_gate_are_not_merged(run: Run) -> None:
    judged(run)
    with duckdb.connect(str(run.file)) as con:
        con.execute(OTHER)
    with pytest.raises(StreamError, match="Q310"):
        merge(run)


def test_nor_where_the_steps_followed_each_other_and_the_file_was_let_go_of(run: Run) -> None:
    with run.together():
        judged(run)
        assert run.is_judged
        run.release()
        assert not run.is_judged
        with duckdb.connect(str(run.file)) as con:
            con.execute(OTHER)
        with pytest.raises(StreamError, match="Q310"):
            merge(run)


@pytest.mark.parametrize("changed", [False, True])
def test_rows_that_great_expectations_had_meanwhile_are_looked_at_again_where_the_file_was_written(
    run: Run, monkeypatch: pytest.MonkeyPatch, changed: bool
) -> None:
    monkeypatch.setattr("flow.gate.MICRO_BATCH", 0)
    evaluate = judge.evaluate

    def evaluated(file: Path, rules: Rules, site: Site) -> list[SuiteResult]:
        results = evaluate(file, rules, site)
        if changed:
            with duckdb.connect(str(file)) as con:
                con.execute(OTHER)
        return results

    monkeypatch.setattr(judge, "evaluate", evaluated)
    with run.together():
        judged(run)
        assert run.is_judged is not changed
        if changed:
            with pytest.raises(StreamError, match="Q310"):
                merge(run)
        else:
            assert merge(run).counts["changed"]


def test_rows_of_a_mapping_that_is_gone_are_not_merged_unjudged(shop: Shop, run: Run) -> None:
    stage(run)
    map(run)
    (shop.project.root / "mappings" / "shop" / "orders.yaml").unlink()
    later = Run(run.project, run.system, run.run_id)
    assert gate(later).counts["passed"] == 1, "the customer"
    with pytest.raises(StreamError, match="Q310"):
        merge(later)


def test_a_step_that_is_repeated_begins_anew(shop: Shop, run: Run) -> None:
    with run.together():
        judged(run)
        counts = [map(run).counts, gate(run).counts]
        assert [map(run).counts, gate(run).counts] == counts
        judged(run)
        assert gate(run).counts == counts[1]
        assert counts[1]["passed"] == 3
        merge(run)
    fold_and_publish(shop.project)
    assert shop.rows("SELECT count(*) FROM sales_order") == [(2,)]
    assert shop.rows("SELECT count(*) FROM quality.verdicts WHERE rule = 'sales_order.number_there'") == [(1,)]


def test_others_have_the_warehouse_between_the_steps(shop: Shop, run: Run) -> None:
    shop.sync()
    shop.pulled([order(1, number="1a")])
    later = Run.start(shop.project, "shop")
    with later.together():
        for step in (stage, map, gate, merge):
            step(later)
            with writer(shop.project.warehouse, timeout=0), duckdb.connect(str(shop.project.warehouse)) as con:
                con.execute("FROM ops.runs").fetchall()
    fold_and_publish(shop.project)
    assert shop.rows("SELECT number FROM sales_order ORDER BY ALL") == [("1a",), ("2",)]
    with duckdb.connect(str(later.file)) as con:
        assert con.execute("SELECT count(*) FROM mapped.sales_order").fetchall() == [(1,)]


def test_a_session_looks_among_what_it_merged_and_needs_no_file_for_it(shop: Shop) -> None:
    folder = shop.project.root / "quality"
    folder.mkdir(exist_ok=True)
    rule = "{unique: number, message: An order number is given once}"
    (folder / "sales_order.yaml").write_text(f"entity: sales_order\nrules:\n  number_once: {rule}\n")
    shop.pulled([CUSTOMER], "shop/customers")
    with Session(shop.project, "shop") as session:
        for number in (1, 2):
            shop.pulled([order(number)])
            assert session.batch()[-1].counts["changed"]
        assert not list(shop.project.runs.glob("*.duckdb"))
        shop.pulled([order(3, number="1")])
        session.batch()
    fold_and_publish(shop.project)
    waiting = "SELECT source_id, rule FROM quality.quarantine WHERE closed_at IS NULL"
    assert shop.rows(waiting) == [("3", "sales_order.number_once")]


@pytest.mark.parametrize("how", ["the block ends", "the file is let go of"])
def test_a_verdict_names_its_rows_where_no_merge_follows(run: Run, how: str) -> None:
    """In one process nobody asks which they are, and looking at all of them is left out; another one asks."""
    with run.together():
        judged(run)
        with run.database() as con:
            assert not recorded(con)
        if how == "the file is let go of":
            run.release()
            with run.database() as con:
                assert recorded(con)
    later = Run(run.project, run.system, run.run_id)
    assert merge(later).counts["changed"]


def test_and_not_where_it_was_merged(run: Run) -> None:
    with run.together():
        judged(run)
        merge(run)
    with Run(run.project, run.system, run.run_id).database() as con:
        assert not recorded(con)


def test_a_verdict_that_could_not_name_its_rows_opens_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(con: object) -> None:
        raise duckdb.IOException("no space left")

    monkeypatch.setattr("quality.gate.name_batch", failing)
    with run.together():
        judged(run)
    with pytest.raises(StreamError, match="Q310"):
        merge(Run(run.project, run.system, run.run_id))


def test_one_of_rows_that_were_made_anew_names_none(run: Run) -> None:
    with run.together():
        judged(run)
        map(run)
    with pytest.raises(StreamError, match="Q310"):
        merge(Run(run.project, run.system, run.run_id))
