"""The reports of lint are what GitHub and SARIF's readers expect, whatever stands in a finding."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from flow.lint_report import REPORTS
from hub.errors import Place
from hub.findings import Finding

FINDINGS = [
    Finding("M104", "unknown field 'emial'", Place("mappings/shop/orders.yaml", 14, 9), "did you mean 'email'?"),
    Finding("M214", "100 % odd,\nsaid: so\r", Place("a b/ü,x:y.yaml", 3), severity="warning"),
    Finding("F301", "there is no connector", Place("crossdock")),
    Finding("M104", "again", Place("/elsewhere/a.yaml", 1, 1)),
]
# What SARIF 2.1.0 (OASIS, sections 3.13 to 3.30) says of the parts that are used here; no other part may appear.
_TEXT = {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string", "minLength": 1}},
    "additionalProperties": False,
}
_REGION = {
    "type": "object",
    "required": ["startLine"],
    "properties": {"startLine": {"type": "integer", "minimum": 1}, "startColumn": {"type": "integer", "minimum": 1}},
    "additionalProperties": False,
}
_FILE = {
    "type": "object",
    "required": ["uri"],
    "properties": {"uri": {"type": "string", "pattern": "^[!-~]+$"}, "uriBaseId": {"const": "ROOT"}},
    "additionalProperties": False,
}
_LOCATION = {
    "type": "object",
    "properties": {
        "physicalLocation": {
            "type": "object",
            "required": ["artifactLocation"],
            "properties": {"artifactLocation": _FILE, "region": _REGION},
            "additionalProperties": False,
        }
    },
    "additionalProperties": False,
}
_RULE = {
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "string"}, "shortDescription": _TEXT, "help": _TEXT},
    "additionalProperties": False,
}
_RESULT = {
    "type": "object",
    "required": ["message"],
    "properties": {
        "ruleId": {"type": "string"},
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": {"enum": ["none", "note", "warning", "error"]},
        "message": _TEXT,
        "locations": {"type": "array", "items": _LOCATION},
    },
    "additionalProperties": False,
}
_RUN = {
    "type": "object",
    "required": ["tool"],
    "properties": {
        "tool": {
            "type": "object",
            "required": ["driver"],
            "properties": {
                "driver": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": {"type": "string"},
                        "rules": {"type": "array", "uniqueItems": True, "items": _RULE},
                    },
                    "additionalProperties": False,
                }
            },
            "additionalProperties": False,
        },
        "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
        "originalUriBaseIds": {
            "type": "object",
            "additionalProperties": {"type": "object", "properties": {"uri": {"pattern": "^file:///.*/$"}}},
        },
        "results": {"type": "array", "items": _RESULT},
    },
    "additionalProperties": False,
}
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "$schema": {"type": "string"},
        "version": {"const": "2.1.0"},
        "runs": {"type": "array", "items": _RUN},
    },
    "additionalProperties": False,
}


def valid(log: Any) -> bool:
    if not jsonschema.Draft7Validator(SARIF).is_valid(log):
        return False
    (run,) = log["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    return all(rules[result["ruleIndex"]] == result["ruleId"] for result in run["results"])


@pytest.mark.parametrize("findings", [[], FINDINGS[:1], FINDINGS], ids=["none", "one", "all"])
def test_sarif_is_valid(findings: list[Finding]) -> None:
    log = json.loads(REPORTS["sarif"](findings))
    jsonschema.validate(log, SARIF, cls=jsonschema.Draft7Validator)
    assert valid(log)
    assert [result["level"] for result in log["runs"][0]["results"]] == [f.severity for f in findings]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"error"', '"bad"'),
        ("2.1.0", "2.0"),
        ('"startLine": 14', '"startLine": 0'),
        ('"ruleIndex": 2', '"ruleIndex": 0'),
    ],
)
def test_a_log_that_is_wrong_is_not_valid(old: str, new: str) -> None:
    text = REPORTS["sarif"](FINDINGS)
    assert old in text
    assert not valid(json.loads(text.replace(old, new)))


def test_sarif_names_files_from_here_and_rules_explain() -> None:
    (run,) = json.loads(REPORTS["sarif"](FINDINGS))["runs"]
    assert run["originalUriBaseIds"]["ROOT"]["uri"] == Path.cwd().as_uri() + "/"
    places = [result.get("locations", [{}])[0].get("physicalLocation") for result in run["results"]]
    assert places[0]["artifactLocation"] == {"uri": "mappings/shop/orders.yaml", "uriBaseId": "ROOT"}
    assert places[0]["region"] == {"startLine": 14, "startColumn": 9}
    assert places[1]["artifactLocation"]["uri"] == "a%20b/%C3%BC%2Cx%3Ay.yaml"
    assert places[2] is None
    assert places[3]["artifactLocation"] == {"uri": "file:///elsewhere/a.yaml"}
    assert "Fix:" in run["tool"]["driver"]["rules"][1]["help"]["text"]


def test_github_shows_each_finding_on_its_line() -> None:
    lines = REPORTS["github"](FINDINGS).splitlines()
    assert lines[0] == (
        "::error file=mappings/shop/orders.yaml,line=14,col=9,title=M104::M104 unknown field 'emial'; did you mean 'email'?"
    )
    assert lines[1] == "::warning file=a b/ü%2Cx%3Ay.yaml,line=3,title=M214::M214 100 %25 odd,%0Asaid: so%0D"
    assert len(lines) == len(FINDINGS)
    # As the runner reads them: everything up to the first :: are properties.
    for line, finding in zip(lines, FINDINGS, strict=True):
        read = re.fullmatch(r"::(error|warning) ([^:]*)::(.*)", line)
        assert read is not None
        assert read[1] == finding.severity


def test_json_says_all_of_a_finding() -> None:
    first, *_ = json.loads(REPORTS["json"](FINDINGS))
    assert first["place"] == {"where": "mappings/shop/orders.yaml", "line": 14, "column": 9}
    assert first["code"] == "M104"


@pytest.mark.parametrize("format", ["json", "github", "sarif"])
def test_a_project_that_cannot_be_read_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    from typer.testing import CliRunner

    from flow.cli import app

    (tmp_path / "crossdock.yaml").write_text("systms: {}\n")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["lint", "--format", format])
    assert done.exit_code == 1
    assert "F204" in done.stdout
    if format == "sarif":
        assert valid(json.loads(done.stdout))
