"""A project's own functions on the command line: lint, test, explain, docs, the schema; and what lint keeps of them."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner

from flow.cli import app
from hub import yaml

SHARED = "shout: {arguments: [x], is: \"upper(x) || '!'\", examples: [{given: [ann], expect: ANN!}], doc: Loud.}\n"
OWN = "full_name: {arguments: [a, b], is: \"concat_ws(' ', a, b)\", examples: [{given: [Ann, Lee], expect: Ann Lee}]}\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mappings" / "cart").mkdir(parents=True)
    (tmp_path / "crossdock.yaml").write_text("name: mine\nsystems: {cart: {connector: sandbox_cart}}\n")
    (tmp_path / "mappings" / "functions.yaml").write_text(SHARED)
    (tmp_path / "mappings" / "cart" / "functions.yaml").write_text(OWN)
    (tmp_path / "mappings" / "cart" / "people.yaml").write_text(
        "stream: customers\nentity: customer\nkey: email\nfields: {name: 'shout(full_name(first_name, last_name))'}\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == code, done.output
    return done.output


def test_functions_are_linted_tried_and_listed(project: Path) -> None:
    run("lint", "mappings")
    assert "2 examples hold" in run("test", "functions", "cart/functions")
    told = run("explain", "M121")
    assert told.index("lower(x: text)") < told.index("shout(x): Loud. (") < told.index("full_name(a, b): concat_ws(")
    run("docs", "--out", "site")
    page = (project / "site" / "mappings.html").read_text()
    assert page.count("<code>shout(&#x27;ann&#x27;)</code> → <code>ANN!</code>") == 1
    snippets = json.loads(run("schema", "mapping"))["definitions"]["expression"]["defaultSnippets"]
    assert {"label": "full_name(a: any, b: any) → any", "body": "full_name($1)"}.items() <= snippets[1].items()
    assert any(one["body"] == "lower($1)" for one in snippets)


def test_a_change_of_a_function_is_judged_anew(project: Path) -> None:
    run("lint", "mappings")
    for name, old, new, code in (
        ("functions.yaml", "ANN!", "ANN", "M172"),
        ("cart/functions.yaml", "a, b)", "a, c)", "M170"),
        ("cart/people.yaml", "shout", "upper", "M174 nothing calls shout"),
    ):
        file = project / "mappings" / name
        before = file.read_text()
        file.write_text(before.replace(old, new))
        assert code in run("lint", "mappings", code=0 if "M174" in code else 1)
        assert file.write_text(before)
    run("lint", "mappings")


def test_an_example_that_is_not_true_fails_the_tests(project: Path) -> None:
    (project / "mappings" / "functions.yaml").write_text(SHARED.replace("ANN!", "ANN?"))
    assert "shout('ann') is 'ANN!', expected 'ANN?'" in run("test", "functions", code=1)


def test_the_schema_of_the_file() -> None:
    made = jsonschema.Draft7Validator(json.loads(run("schema", "functions")))
    for text, valid in (
        (SHARED + OWN, True),
        ("f: {arguments: {a: money net, b: text}, is: a, examples: [{given: [1, x], fails: true}]}", True),
        (OWN.replace("expect: Ann Lee", "expcet: Ann Lee"), False),
        (OWN.replace("is:", "iss:"), False),
        ("f: {arguments: [a], is: a, examples: []}", False),
        ('"F x": {arguments: [a], is: a, examples: [{given: [1], expect: 1}]}', False),
    ):
        content, findings = yaml.loads(text)
        assert not findings
        assert made.is_valid(content) == valid, text
