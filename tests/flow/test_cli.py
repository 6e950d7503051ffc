"""The command line: quick to answer, honest in its exit codes."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from hub.boundary import disk_trouble

ROOT = Path(__file__).resolve().parents[2]
CROSSDOCK = str(Path(sys.executable).parent / "crossdock")


def run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    # As installed for a user: modules are compiled once, not at every start.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = str(ROOT)  # the code beside these tests, wherever crossdock was installed from
    return subprocess.run(
        [CROSSDOCK, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120
    )


def cpu_seconds(*arguments: str) -> float:
    """The least of five: what the command costs, whatever else the machine does."""
    costs = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run(*arguments)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        costs.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(costs)


def test_lint_is_clean_and_quick() -> None:
    done = run("lint")
    assert done.returncode == 0, done.stdout + done.stderr
    # The first of five judges all, the others what changed since, which is nothing.
    assert cpu_seconds("lint") < 1.0


def test_lint_counts_the_files_of_the_project_apart_from_those_brought_along(tmp_path: Path) -> None:
    run("init", str(tmp_path / "shop"), cwd=tmp_path)
    (tmp_path / "shop" / "mappings" / "values.yaml").write_text("tier: {Gold: gold}\n")
    assert re.search(r"✓ 1 own and \d\d built-in files are clean", run("lint", cwd=tmp_path / "shop").stdout)


def test_a_system_that_is_set_up_wrong_is_a_finding_and_one_that_is_away_is_not(tmp_path: Path) -> None:
    """Exit codes 1 and 3, of `check` and of `run` alike."""
    run("init", str(tmp_path), cwd=tmp_path)
    config = tmp_path / "crossdock.yaml"
    config.write_text(
        "name: shop\nsystems:\n"
        "  drop: {connector: csv_drop, timezone: UTC, currency: EUR, connection: {url: nowhere}}\n"
        "  away: {connector: json_feed, timezone: UTC, connection: {url: http://127.0.0.1:9/x.json}}\n"
    )
    for command in (("check",), ("run", "--step", "pull")):
        codes = [run(*command[:1], system, *command[1:], cwd=tmp_path).returncode for system in ("drop", "away")]
        assert codes == [1, 3], command


def test_lint_tells_a_program_too() -> None:
    assert json.loads(run("lint", "--format", "json").stdout) == []


@pytest.mark.parametrize(
    "arguments", [("check", "nobody"), ("run", "nobody"), ("plan", "nobody"), ("explain", "X999"), ("apply", "zz")]
)
def test_wrong_use_is_two_and_says_what_to_do(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "do " in done.stderr
    assert "Traceback" not in done.stderr


def test_no_project_is_said_so(tmp_path: Path) -> None:
    done = run("systems", cwd=tmp_path)
    assert done.returncode == 2
    assert "F202" in done.stderr


def test_explain_prints_what_a_code_means() -> None:
    done = run("explain", "m104")
    assert done.returncode == 0
    assert done.stdout.startswith("M104")


def test_explain_tells_of_a_function_of_the_language_of_a_push_and_of_the_project(tmp_path: Path) -> None:
    assert run("explain", "Squeeze").stdout.startswith("squeeze(x: text) → text\n\nEvery run of white space")
    assert "adds up" not in run("explain", "total").stdout
    assert run("explain", "total").stdout.startswith("total(order_line.quantity)")
    (tmp_path / "mappings").mkdir()
    (tmp_path / "crossdock.yaml").write_text("name: x\nsystems: {}\n")
    own = "tidy: {doc: Two in one., arguments: [a], is: 'concat(a, a)', examples: [{given: [x], expect: xx}]}\n"
    (tmp_path / "mappings" / "functions.yaml").write_text(own)
    assert run("explain", "tidy", cwd=tmp_path).stdout.startswith("tidy(a)\n\nTwo in one.\nmappings/functions.yaml:1:1")
    assert run("explain", "squeze").returncode == 2


def test_explain_shows_what_a_mapping_changed_of_another(tmp_path: Path) -> None:
    folder = tmp_path / "mappings" / "shop2"
    folder.mkdir(parents=True)
    (tmp_path / "crossdock.yaml").write_text("name: two\nsystems: {}\n")
    (folder / "orders.yaml").write_text("extends: cart/orders\nfields: {currency: \"'CHF'\", note: ~}\n")
    done = run("explain", "shop2/orders", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, *changed = done.stdout.splitlines()[:3]
    assert first == "shop2/orders extends cart/orders  mappings/shop2/orders.yaml:1:1"
    assert changed[0].split()[:5] == ["overridden", "currency", "currency", "→", "'CHF'"]
    assert changed[0].endswith("mappings/cart/orders.yaml:12:3 → mappings/shop2/orders.yaml:2:10")
    assert changed[1].split()[:5] == ["left", "out", "note", "note", "→"]
    told = json.loads(run("explain", "shop2/orders", "--json", cwd=tmp_path).stdout)
    assert {one["kind"] for one in told["settings"]} == {"overridden", "left out", "inherited"}


def test_examples_of_all_mappings_hold() -> None:
    done = run("test")
    assert done.returncode == 0, done.stdout


def test_a_disk_that_refuses_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "crossdock.yaml").write_text(
        "systems:\n  feed: {connector: json_feed, connection: {url: 'http://127.0.0.1:9/x'}}\ndata: taken\n"
    )
    (tmp_path / "taken").write_text("a file stands where the folder should be")
    done = run("run", "feed", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("F240 ")
    assert "Traceback" not in done.stderr


def test_only_what_the_disk_refused_is_called_so(tmp_path: Path) -> None:
    import duckdb

    (tmp_path / "no.duckdb").write_text("no database")
    with pytest.raises(duckdb.IOException) as caught:
        duckdb.connect(str(tmp_path / "no.duckdb"))
    assert disk_trouble(caught.value)
    assert disk_trouble(OSError(28, "No space left on device", "x")) == "No space left on device: x"
    with pytest.raises(duckdb.BinderException) as defect:
        duckdb.sql("SELECT nobody")
    assert not disk_trouble(defect.value)
    assert not disk_trouble(KeyError("x"))


def test_a_log_that_takes_ascii_only_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    (tmp_path / "crossdock.yaml").write_text(
        "systems:\n  feed: {connector: json_feed, connection: {url: 'http://127.0.0.1:9/ä'}}\n"
    )
    assert run("lint", cwd=tmp_path).stdout.startswith("? ")
    [row] = json.loads(run("systems", "--json", cwd=tmp_path).stdout)
    assert row["url"].endswith("/ä"), "what a program reads loses nothing"
