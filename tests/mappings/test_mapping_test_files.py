"""`<name>_test.yaml` beside a mapping: its examples run with the others, and each value that differs has its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from hub.entity import Model
from hub.findings import Finding
from mappings.load import Mappings, load
from mappings.outcomes import Difference, junit, outcomes

PEOPLE = """\
stream: people
entity: customer
key: id
fields: {name: full_name, email: lower(trim(email))}
children: {customer_address: {each: places, key: ordinal(), fields: {purpose: kind, city: town}}}
push: {operation: upsert, fields: [name, {email: {at: contact.email}}]}
examples:
  - {name: inline, given: {id: 1, full_name: Ann Lee}, expect: {name: Ann Lee}}
"""
TESTS = """\
- name: more of it
  given: {id: 8, full_name: Bo Berg, email: " B@Example.com", places: [{kind: billing, town: Ulm}, {kind: shipping, town: Bonn}]}
  expect:
    name: Bo Berg
    email: b@example.com
    customer_address:
      - {city: Ulm}
      - city: Bonn
- {name: without a name, given: {id: 9}, rejects: {field: name, rule: required}}
- name: the way out
  push: upsert
  given: {name: Bo Berg, email: b@example.com}
  expect: {full_name: Bo Berg, contact: {email: b@example.com}}
"""
Loaded = Callable[[], Mappings]
Write = Callable[[str, str], Path]


def test_its_examples_run_with_those_of_the_mapping(write: Write, loaded: Loaded, model: Model) -> None:
    write("shop/people.yaml", PEOPLE)
    write("shop/people_test.yaml", TESTS)
    mappings = loaded()
    assert (mappings.findings, list(mappings.by_name)) == ([], ["shop/people"])
    told = outcomes(mappings["shop/people"], model)
    assert [(one.example, one.push, one.holds) for one in told] == [
        ("inline", None, True),
        ("more of it", None, True),
        ("without a name", None, True),
        ("the way out", "upsert", True),
    ]


@pytest.mark.parametrize(
    ("right", "wrong", "field", "expected", "came", "at"),
    [
        ("name: Bo Berg\n    email", "name: Bo Bear\n    email", "name", "'Bo Bear'", "'Bo Berg'", "4:11"),
        ("city: Bonn", "city: Köln", "customer_address[1].city", "'Köln'", "'Bonn'", "8:15"),
        ("{city: Ulm}", "{city: ~}", "customer_address[0].city", None, "'Ulm'", "7:16"),
        ("      - city: Bonn\n", "", "customer_address", "1 rows", "2 rows", "7:7"),
        ("{email: b@example.com}}", "{email: c@example.com}}", "contact.email", "'c@example.com'", "'b@example.com'", "13:49"),
    ],
)  # fmt: skip
def test_what_differs_is_told_field_by_field(
    write: Write, loaded: Loaded, model: Model, right: str, wrong: str, field: str, expected: str, came: str, at: str
) -> None:
    assert right in TESTS
    write("shop/people.yaml", PEOPLE)
    path = write("shop/people_test.yaml", TESTS.replace(right, wrong))
    (failed,) = [one for one in outcomes(loaded()["shop/people"], model) if not one.holds]
    (found,) = failed.findings
    assert isinstance(found, Difference)
    assert (found.field, found.expected, found.came) == (field, expected, came)
    assert str(found.place) == f"{path}:{at}"
    assert found.as_dict()["came"] == came


def test_a_rejection_that_does_not_come_has_its_place(write: Write, loaded: Loaded, model: Model) -> None:
    write("shop/people.yaml", PEOPLE)
    path = write("shop/people_test.yaml", TESTS.replace("rule: required", "rule: cast"))
    (failed,) = [one for one in outcomes(loaded()["shop/people"], model) if not one.holds]
    assert str(failed.findings[0]).startswith(f"{path}:9:51 M402 example 'without a name': name is not rejected")


@pytest.mark.parametrize(
    ("name", "text", "code", "at"),
    [
        ("people_test.yaml", TESTS + "- {name: x, name: y, given: {id: 1}, expect: {}}\n", "F109", "14:13"),
        ("people_test.yaml", "- {given: {id: 010}, expect: {}}\n", "F110", "1:16"),
        ("people_test.yaml", "- {given: {id: 1}}\n", "M128", "1:3"),
        ("people_test.yaml", "- {given: {id: 1}, expct: {}, excluded: true}\n", "M102", "1:20"),
        ("people_test.yaml", "- given: {id: 1}\n  expect: {naem: x}\n", "M403", "2:18"),
        ("people_test.yaml", "- given: {id: 1}\n  expect: {customer_address: [{cty: x}]}\n", "M403", "2:37"),
        ("people_test.yaml", "- {push: create, given: {name: x}, expect: {}}\n", "M403", "1:3"),
        ("people_test.yaml", "name: x\n", "M404", "1:1"),
        ("people_test.yaml", "", "M404", "1:1"),
        ("poeple_test.yaml", TESTS, "M404", ""),
    ],
)
def test_lint_checks_it(
    write: Write, found: Callable[[], list[Finding]], name: str, text: str, code: str, at: str
) -> None:
    write("shop/people.yaml", PEOPLE)
    path = write(f"shop/{name}", text)
    assert [(f.code, str(f.place)) for f in found()] == [(code, f"{path}:{at}".rstrip(":"))]


def test_a_projects_own_file_tests_a_built_in_mapping(tmp_path: Path, model: Model) -> None:
    own, built_in = tmp_path / "own", tmp_path / "built_in"
    for folder in (own, built_in):
        (folder / "shop").mkdir(parents=True)
    (built_in / "shop" / "people.yaml").write_text(PEOPLE)
    (own / "shop" / "people_test.yaml").write_text(TESTS)
    assert len(load([own, built_in], model)["shop/people"].examples) == 4
    # What tests the built-in mapping says nothing of one that stands before it.
    (own / "shop" / "people.yaml").write_text(PEOPLE)
    (own / "shop" / "people_test.yaml").rename(built_in / "shop" / "people_test.yaml")
    assert len(load([own, built_in], model)["shop/people"].examples) == 1


def test_junit_tells_every_example(write: Write, loaded: Loaded, model: Model) -> None:
    write("shop/people.yaml", PEOPLE.replace("Ann Lee}}", '"Ann <Lee>"}}'))
    write("shop/people_test.yaml", TESTS)
    root = ElementTree.fromstring(junit(outcomes(loaded()["shop/people"], model)))
    assert (root.get("tests"), root.get("failures")) == ("4", "1")
    cases = root.findall("testsuite/testcase")
    assert [case.get("name") for case in cases] == ["inline", "more of it", "without a name", "the way out"]
    failures: list[Any] = [case.find("failure") for case in cases]
    assert [failure is not None for failure in failures] == [True, False, False, False]
    assert "expected 'Ann <Lee>'" in failures[0].get("message")
    assert "people.yaml:8:71 M401" in failures[0].text


def test_a_mapping_that_does_not_compile_fails_once(write: Write, loaded: Loaded, model: Model) -> None:
    write("shop/people.yaml", PEOPLE.replace("name: full_name", "nme: full_name"))
    told: Any = outcomes(loaded()["shop/people"], model)[0]
    assert not told.holds
    assert {finding.code for finding in told.findings} == {"M107", "M110"}
    assert 'failures="1"' in junit([told])
