"""crossdock.yaml: a setting of the wrong shape is refused with its place, and never read as something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from flow.cycle import cycle
from flow.lint import lint
from flow.reconcile import specs
from hub.config import connection, load_project
from hub.errors import ConfigurationError, Place, UsageError
from hub.yaml import loads

GOOD = """name: shop
systems:
  feed: {connector: json_feed, timezone: Europe/Berlin, streams: [records], connection: {url: "http://127.0.0.1:9/x"}}
survivorship:
  customer: {default: [feed], email: [feed]}
"""


def project(folder: Path, text: str) -> Path:
    (folder / "crossdock.yaml").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("old", "new", "code", "line"),
    [
        ("default: [feed]", "default: feed", "F217", 5),  # not the systems f, e, e and d
        ("customer: {default: [feed], email: [feed]}", "customer:", "F217", 5),
        ("customer: {default: [feed], email: [feed]}", "- customer", "F217", 5),
        ("streams: [records]", "streams: records", "F217", 3),
        ("streams: [records]", "write: 'true', from: '2026-01-01'", "F217", 3),
        ('{url: "http://127.0.0.1:9/x"}', "http", "F217", 3),
        ("name: shop", "publish: {min_interval: often}", "F217", 1),
        ("Europe/Berlin", "Europe/Berln", "F218", 3),
        ("Europe/Berlin", "../etc", "F218", 3),
        ("timezone: Europe/Berlin", "currency: Euro", "F221", 3),
        ("url: ", "extra: {rate_limit: fast}, url: ", "F217", 3),
        ("url: ", "extra: {parallel: 0}, url: ", "F217", 3),
        ("timezone: Europe/Berlin", "guards: {share: 50}", "F214", 3),
        ("timezone: Europe/Berlin", "reads_after: [shop]", "F204", 3),  # words that nothing reads
        ("name: shop", "go_live: '2026-01-01'", "F204", 1),
    ],
)
def test_a_wrong_shape_is_refused_at_its_place(tmp_path: Path, old: str, new: str, code: str, line: int) -> None:
    assert load_project(project(tmp_path, GOOD)).survivorship == {
        "customer": {"default": ("feed",), "email": ("feed",)}
    }
    with pytest.raises(ConfigurationError) as caught:
        load_project(project(tmp_path, GOOD.replace(old, new)))
    assert caught.value.code == code
    assert caught.value.place is not None
    assert caught.value.place.line == line
    assert caught.value.fix
    assert code not in caught.value.what, "the code stands before the sentence, once"


def test_several_are_all_named(tmp_path: Path) -> None:
    both = GOOD.replace("Berlin", "Berln").replace("default: [feed]", "default: feed")
    with pytest.raises(ConfigurationError, match="2 things are wrong") as caught:
        load_project(project(tmp_path, both))
    assert "F217" in caught.value.what
    assert "F218" in caught.value.what


def test_tabs_are_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_project(project(tmp_path, GOOD + "\tname: x\n"))
    assert (caught.value.code, caught.value.fix) == ("F104", "indent with spaces: YAML takes no tabs")


def test_an_expression_with_a_comma_within_braces_is_told_as_such() -> None:
    _, [found] = loads("fields: {at: instant(day, 'UTC')}\n", "orders.yaml")
    assert (found.code, found.fix) == ("F104", "within {…} write an expression with a comma in double quotes")


@pytest.mark.parametrize(
    ("old", "new", "code", "at", "severity"),
    [
        ("default: [feed]", "default: [fed]", "F219", (5, 24), "warning"),
        ("email: [feed]", "emial: [feed]", "F219", (5, 31), "error"),
        ("  customer:", "  custmer:", "F219", (5, 3), "error"),
        ("[records]", "[record]", "F219", (3, 67), "error"),
        ("json_feed", "json_fed", "F301", (3, 3), "error"),
    ],
)
def test_lint_names_what_there_is_not(
    tmp_path: Path, old: str, new: str, code: str, at: tuple[int, int], severity: str
) -> None:
    assert lint(load_project(project(tmp_path, GOOD)), [])[0] == []
    [found] = lint(load_project(project(tmp_path, GOOD.replace(old, new))), [])[0]
    assert (found.code, found.severity) == (code, severity)
    assert "did you mean" in found.fix
    assert found.place == Place(found.place.where, *at)
    assert found.place.where.endswith("crossdock.yaml")


def test_a_word_under_extra_that_nothing_reads_is_warned_of(tmp_path: Path) -> None:
    said = GOOD.replace("url: ", "extra: {rate_limt: 2}, url: ")
    [found] = lint(load_project(project(tmp_path, said)), [])[0]
    assert (found.code, found.severity, found.fix) == ("F204", "warning", "did you mean 'rate_limit'?")


def test_a_column_of_rows_that_hold_as_a_set_only_is_warned_of(tmp_path: Path) -> None:
    said = "  tax_line: {default: [feed], rate: [feed]}\n  order_line: {sku: [feed]}\n"
    [found] = lint(load_project(project(tmp_path, GOOD + said)), [])[0]
    assert (found.code, found.severity, found.place.line, found.place.column) == ("F222", "warning", 6, 31)


def test_two_systems_of_which_nobody_says_whose_word_counts_are_warned_of(tmp_path: Path) -> None:
    """Also where nothing is judged anew; a declared order, or a system that the project does not have, is no matter of theirs."""
    said = GOOD.replace(
        "survivorship:", '  desk: {connector: json_feed, connection: {url: "http://127.0.0.1:9/y"}}\nsurvivorship:'
    )
    for system in ("desk", "feed", "later"):
        file = tmp_path / "mappings" / system / "records.yaml"
        file.parent.mkdir(parents=True)
        text = "stream: records\nentity: location\nkey: id\nfields: {code: id, name: name}\n"
        file.write_text(text if system == "desk" else "extends: desk/records\n")
    for _ in range(2):
        [found] = lint(load_project(project(tmp_path, said)), [])[0]
        assert (found.code, found.severity, found.place.line) == ("F224", "warning", 4)
        assert found.what.startswith("desk and feed speak for location")
        assert "{location: {default: [desk, feed]}}" in found.fix
    assert lint(load_project(project(tmp_path, said + "  location: {default: [feed, desk]}\n")), [])[0] == []
    (tmp_path / "mappings" / "feed" / "records.yaml").unlink()
    assert lint(load_project(project(tmp_path, said)), [])[0] == []


def test_a_run_stops_at_a_stream_that_there_is_not(tmp_path: Path) -> None:
    (report,) = cycle(load_project(project(tmp_path, GOOD.replace("[records]", "[record]"))), step="pull")
    assert (report.status, [finding.code for finding in report.findings]) == ("failed", ["F219"])


def test_files_that_no_run_reads_are_named(tmp_path: Path) -> None:
    for name in ("fed/records.yaml", "feed/records.yml", "later/records.yaml"):  # one may wait for its system
        file = tmp_path / "mappings" / name
        file.parent.mkdir(parents=True)
        file.write_text("stream: records\nentity: customer\nkey: id\nfields: {name: name}\n")
    found = lint(load_project(project(tmp_path, GOOD)), [])[0]
    assert sorted((one.code, one.severity, one.place.where) for one in found) == [
        ("F220", "warning", "mappings/fed"),
        ("F220", "warning", "mappings/feed/records.yml"),
    ]


OWN = """entity: product
key: sku
left: {system: feed}
right: {system: SIDE}
in_flight: {hours: 2}
compare: {fields: {offered_quantity: {reason: quantity}}}
"""


@pytest.mark.parametrize(("side", "found"), [("feeed", "did you mean 'feed'?"), ("later", None), ("feed", None)])
def test_a_reconciliation_of_a_misspelt_system_is_warned_of(tmp_path: Path, side: str, found: str | None) -> None:
    file = tmp_path / "quality" / "reconcile" / "stock.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(OWN.replace("SIDE", side))
    said = [one for one in lint(load_project(project(tmp_path, GOOD)), [])[0] if one.code == "F219"]
    assert [(one.place.line, one.place.column, one.fix, one.severity) for one in said] == (
        [(4, 17, found, "warning")] if found else []
    )


def test_a_reconciliation_that_nothing_can_run_names_the_system_that_it_lacks(tmp_path: Path) -> None:
    test_a_reconciliation_of_a_misspelt_system_is_warned_of(tmp_path, "feeed", "did you mean 'feed'?")
    with pytest.raises(UsageError, match="asks for a system that there is not: feeed") as caught:
        specs(load_project(tmp_path), "stock")
    assert caught.value.fix == "did you mean 'feed'?"


@pytest.mark.parametrize(("name", "fix"), [("customer.teir", "did you mean 'customer.tier'?"), ("customer.tier", "")])
def test_who_decides_a_conflict_is_said_of_a_column_that_there_is(tmp_path: Path, name: str, fix: str) -> None:
    said = GOOD.replace("timezone:", f"conflicts: {{{name}: ours}}, timezone:")
    found = lint(load_project(project(tmp_path, said)), [])[0]
    assert [(one.code, one.fix) for one in found] == ([("F219", fix)] if fix else [])


def test_a_system_that_is_asked_twice_is_warned_of(tmp_path: Path) -> None:
    [found] = lint(load_project(project(tmp_path, GOOD.replace("email: [feed]", "email: [feed, feed]"))), [])[0]
    assert (found.code, found.severity, found.what) == ("F219", "warning", "'feed' was asked already")


def test_what_belongs_there_is_said_and_not_also_that_it_looks_odd(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_project(project(tmp_path, GOOD.replace("timezone: Europe/Berlin", "write: yes, from: '2026-01-01'")))
    assert (caught.value.code, caught.value.fix) == ("F217", "write write: true")
    with pytest.raises(ConfigurationError) as caught:  # where nothing else is said of it, it is told
        load_project(project(tmp_path, GOOD.replace("http://127.0.0.1:9/x", "x").replace('"x"', "0815")))
    assert (caught.value.code, caught.value.fix) == ("F110", 'write "0815" in quotes')


def test_a_variable_that_is_not_set_is_named_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_SET", raising=False)
    made = load_project(project(tmp_path, GOOD.replace("http://127.0.0.1:9/x", "${env:NOT_SET}")))
    with pytest.raises(ConfigurationError, match="the environment holds no NOT_SET") as caught:
        connection(made, "feed")
    assert (caught.value.place and caught.value.place.line, caught.value.fix) == (3, "export NOT_SET=…")
