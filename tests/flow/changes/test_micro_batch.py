"""A few records are judged by the predicates alone; more of them by Great Expectations, too, and no answer is a closed gate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from changes_harness import CUSTOMER, Shop, order

from flow import gate as step
from flow.map import map
from flow.run import Run
from flow.stage import stage
from quality import judge


def gated(shop: Shop) -> str:
    shop.pulled([CUSTOMER], "shop/customers")
    shop.pulled([order(number) for number in (1, 2, 3)])
    run = Run.start(shop.project, "shop")
    stage(run)
    map(run)
    return step.gate(run).status


@pytest.mark.parametrize(("most", "asked", "status"), [(4, 0, "ok"), (3, 1, "held")])
def test_it_is_the_number_of_records_that_decides(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, most: int, asked: int, status: str
) -> None:
    questions: list[Path] = []

    def no_answer(run_file: Path, rules: Any, site: Any) -> list[Any]:
        questions.append(run_file)
        return []

    monkeypatch.setattr(step, "MICRO_BATCH", most)
    monkeypatch.setattr(judge, "evaluate", no_answer)
    assert gated(shop) == status
    assert len(questions) == asked
