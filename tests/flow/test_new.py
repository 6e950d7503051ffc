"""`crossdock new mapping`: a file that is right as far as it goes, and never over another one."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner

from flow import new, schema
from flow.cli import app
from flow.cycle import cycle
from flow.lint import lint
from hub import yaml
from hub.config import BUILT_IN, Project, load_project
from hub.errors import UsageError

PRICES = """from hub.connector import Stream
from hub.files import Files
class Prices(Files):
    name = "prices"
    options = {"pattern": "*.csv", "encoding": "utf-8", "separator": ";", "key": ("id",)}
    streams = (Stream("people", "_key", cursor="token", options=options),)
"""
RECORD = {"id": 7, "full_name": "Ann Lee", "email": "ann@example.com", "zip": "89073"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    (tmp_path / "crossdock.yaml").write_text("name: drafts\nsystems: {}\n")
    (tmp_path / "people.json").write_text(json.dumps([RECORD]))
    monkeypatch.chdir(tmp_path)
    return load_project(tmp_path)


def test_a_draft_is_written_checked_and_listed(project: Project) -> None:
    done = CliRunner().invoke(app, ["new", "mapping", "shop/people", "--from", "people.json", "--to", "customer"])
    assert done.exit_code == 0, done.output
    path = project.root / "mappings/shop/people.yaml"
    text = path.read_text()
    assert text.startswith("# yaml-language-server: $schema=../../.schema/mapping.schema.json\n")
    assert "# * fields that nothing reads: zip" in text
    assert lint(project, [path])[0] == []
    made, findings = yaml.load(path)
    assert findings == []
    assert made["fields"] == {"name": "full_name", "email": "lower(trim(email))"}
    assert jsonschema.Draft7Validator(schema.schema("mapping", project)).is_valid(made)


def test_without_a_file_it_is_made_of_what_was_pulled(project: Project) -> None:
    """Also of what is no JSON where it comes from."""
    (project.root / "crossdock.yaml").write_text(
        "name: drafts\nsystems: {drop: {connector: prices, connection: {url: in}}}\n"
    )
    (project.root / "connectors").mkdir()
    (project.root / "connectors" / "prices.py").write_text(PRICES)
    (project.root / "in").mkdir()
    (project.root / "in" / "people.csv").write_text("id;full_name;email\n7;Ann Lee;ann@example.com\n")
    asked = ["new", "mapping", "drop/people", "--to", "customer"]
    done = CliRunner().invoke(app, asked)
    assert isinstance(done.exception, UsageError), done.output
    assert done.exception.code == "P520"  # nothing is there yet
    [report] = cycle(load_project(project.root), ["drop"], step="pull")
    assert report.status == "ok", report.findings
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert done.output.endswith("then crossdock preview drop/people\n")
    made, findings = yaml.load(project.root / "mappings/drop/people.yaml")
    assert (findings, made["fields"]) == ([], {"name": "full_name", "email": "lower(trim(email))"})
    assert made["key"] == "_key"  # as the connector says
    assert "_file" not in (project.root / "mappings/drop/people.yaml").read_text()


def test_it_never_overwrites(project: Project) -> None:
    path = project.root / "mappings/shop/people.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(UsageError) as raised:
        new.mapping(project, "shop/people", project.root / "people.json", "customer")
    assert raised.value.code == "P542"
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "sample", "entity", "code"),
    [
        ("Shop/people", "people.json", "customer", "M117"),
        ("people", "people.json", "customer", "M117"),
        ("shop/../people", "people.json", "customer", "M117"),
        ("shop/values", "people.json", "customer", "M117"),
        ("shop/people_test", "people.json", "customer", "M117"),
        ("shop/people", "people.json", "custmer", "M106"),
        ("shop/people", "people.json", "order_line", "M106"),
        ("shop/people", "nothing.json", "customer", "P541"),
        ("shop/people", "crossdock.yaml", "customer", "P541"),
        ("shop/people", "empty.json", "customer", "P541"),
    ],
)
def test_wrong_use_is_said_and_writes_nothing(project: Project, name: str, sample: str, entity: str, code: str) -> None:
    (project.root / "empty.json").write_text("[]")
    with pytest.raises(UsageError) as raised:
        new.mapping(project, name, project.root / sample, entity)
    assert raised.value.code == code
    assert raised.value.fix
    assert not (project.root / "mappings").exists()


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(RECORD),
        json.dumps([RECORD]),
        json.dumps({"people": [RECORD], "count": 1}),
        json.dumps({"person": RECORD}),
        json.dumps({"d": {"results": [RECORD]}}),
        json.dumps(RECORD) + "\n" + json.dumps(RECORD) + "\n",
        "\ufeff" + json.dumps(RECORD),
    ],
)
def test_records_are_found_in_what_is_around_them(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    assert new.read(tmp_path / "x.json", "people")[0] == RECORD


def test_what_lint_would_refuse_is_left_open(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from mappings import looks

    monkeypatch.setattr(looks, "written", lambda column, path, values, zone: ("lowr(email)", ""))
    made = new.mapping(project, "shop/people", project.root / "people.json", "customer")
    assert made.missing == ("name",)
    assert "lowr" not in made.path.read_text()


@pytest.mark.parametrize("system", ["tryton", "vendure", "cart", "erp", "crm"])
def test_the_built_in_samples_give_drafts_without_errors(project: Project, system: str) -> None:
    for sample in sorted((BUILT_IN / "mappings" / system).glob("*.sample.json")):
        stem = sample.name.partition(".")[0]
        entity = (
            yaml.load(sample.with_name(f"{stem}.yaml"))[0]["entity"]
            if sample.with_name(f"{stem}.yaml").exists()
            else "customer"
        )
        made = new.mapping(project, f"shop/{stem}", sample, entity)
        wrong = [f for f in lint(project, [made.path])[0] if f.severity == "error"]
        assert len(wrong) == len(made.missing), wrong
