"""The figures of `make recon-bench` at a tenth of its size: what is found, what is left alone, and what broken twins miss."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.entity import Model
from quality.reconcile import reconcile

WORLD = Path(__file__).resolve().parents[2] / "benchmarks" / "recon_world.py"


@pytest.fixture(scope="module")
def world() -> Any:
    spec = importlib.util.spec_from_file_location("benchmark_recon_world", WORLD)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def reconciled(world: Any, model: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    folder = tmp_path_factory.mktemp("recon")
    con = world.warehouse(":memory:")
    world.fill(con, world.World(100_000))
    reconcile(con, world.spec_of(folder), world.NOW, go_live=world.GO_LIVE, model=model)
    yield con, world.spec_of(folder)
    con.close()


def test_every_break_is_found_with_its_reason_and_nothing_else(world: Any, reconciled: tuple[Any, Any]) -> None:
    verdict = world.judge(reconciled[0], world.found_breaks(reconciled[0]))
    assert verdict.seeded == 1000
    assert verdict.problems == []
    assert set(verdict.by_class) == set(world.CLASSES)
    assert verdict.right_reason == verdict.seeded


def test_twins_that_compare_counts_or_balances_fail_the_same_judgement(world: Any, reconciled: tuple[Any, Any]) -> None:
    for name, twin in world.TWINS.items():
        said = " ".join(world.judge(reconciled[0], twin(reconciled[0])).problems)
        assert "1000 breaks were not found" in said, name


def test_a_twin_without_the_window_gives_false_alarms(world: Any, reconciled: tuple[Any, Any], model: Model) -> None:
    con, spec = reconciled
    report = reconcile(con, world.no_window(spec), world.NOW, go_live=world.GO_LIVE, model=model, write=False)
    assert report.numbers["breaks_open"] > 1000


def test_the_judge_sees_a_wrong_reason_a_wrong_part_and_a_false_alarm(world: Any, reconciled: tuple[Any, Any]) -> None:
    found = world.found_breaks(reconciled[0])
    spoiled = {key: ("unknown", difference, {"amount": difference}) for key, (_, difference, _) in found.items()}
    said = " ".join(world.judge(reconciled[0], {**spoiled, "none": ("tax", None, {})}).problems)
    assert "right reason" in said
    assert "not exact" in said
    assert "1 false alarms" in said


def test_a_second_comparison_changes_nothing(world: Any, reconciled: tuple[Any, Any], model: Model) -> None:
    con, spec = reconciled
    report = reconcile(con, spec, world.NOW, go_live=world.GO_LIVE, model=model)
    assert [report.numbers[name] for name in ("opened", "reopened", "changed", "closed")] == [0, 0, 0, 0]
