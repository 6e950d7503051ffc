"""What lint costs on 200 mappings of 20 fields: `benchmarks/lint.py`, held as ratios and as CPU seconds."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from hub import yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def benchmark() -> Any:
    spec = importlib.util.spec_from_file_location("benchmark_lint", ROOT / "benchmarks" / "lint.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_mappings_are_as_large_as_they_claim(benchmark: Any, tmp_path: Path) -> None:
    benchmark.generate(tmp_path / "project", 20, 2)
    files = [path for path in (tmp_path / "project" / "mappings").glob("*/*.yaml") if path.name != "values.yaml"]
    assert len(files) == 20
    for path in files:
        made, findings = yaml.load(path)
        assert findings == []
        fields = len(made["fields"]) + sum(len(child["fields"]) for child in made["children"].values())
        assert fields + len(made.get("push", {}).get("fields", ())) >= 20


@pytest.mark.slow
def test_two_hundred_mappings(benchmark: Any, tmp_path: Path) -> None:
    benchmark.generate(tmp_path / "project", 200, 10)
    cost = benchmark.measure(tmp_path / "project")
    # 3 s and 1 s on a quiet machine; a busy one makes every CPU second longer, the ratios stay.
    assert cost["cold"] < 6
    assert cost["warm"] < 2
    assert cost["cold_to_read"] < 12
    assert cost["warm"] < cost["cold"] / 2
