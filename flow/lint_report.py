"""Findings for programs: JSON, the workflow commands of GitHub Actions, and SARIF 2.1.0."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hub.errors import ConfigurationError, Place
from hub.findings import Finding

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def as_json(findings: Sequence[Finding]) -> str:
    """A list of `{code, what, place: {where, line, column}, fix, severity}`."""
    return json.dumps([finding.as_dict() for finding in findings], ensure_ascii=False, indent=1) + "\n"


def github(findings: Sequence[Finding]) -> str:
    """A line for each finding, which GitHub shows beside the line of the file.

    https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
    """
    return "".join(f"{_command(finding)}\n" for finding in findings)


def _command(finding: Finding) -> str:
    said = {"file": finding.place.where, "line": finding.place.line, "col": finding.place.column, "title": finding.code}
    shown = ",".join(f"{name}={_property(str(value))}" for name, value in said.items() if value is not None)
    return f"::{finding.severity} {shown}::{_data(_text(finding))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _text(finding: Finding) -> str:
    return f"{finding.code} {finding.what}" + (f"; {finding.fix}" if finding.fix else "")


def sarif(findings: Sequence[Finding]) -> str:
    """One run with a rule for each code that was found; the rule's help is what `crossdock explain` says."""
    from flow.explain import codes

    known = codes()
    rules = sorted({finding.code for finding in findings})
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {"name": "crossdock", "rules": [_rule(code, known.get(code, "")) for code in rules]}
                },
                "columnKind": "unicodeCodePoints",
                "originalUriBaseIds": {"ROOT": {"uri": Path.cwd().as_uri() + "/"}},
                "results": [_result(finding, rules.index(finding.code)) for finding in findings],
            }
        ],
    }
    return json.dumps(log, ensure_ascii=False, indent=1) + "\n"


def _rule(code: str, said: str) -> dict[str, Any]:
    first = said.strip().split("\n")[0] or code
    return {"id": code, "shortDescription": {"text": first}, "help": {"text": said.strip() or code}}


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    made: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": finding.severity,
        "message": {"text": finding.what + (f"; {finding.fix}" if finding.fix else "")},
    }
    if Path(finding.place.where).suffix:  # a file; `crossdock` and `mappings` are none
        made["locations"] = [{"physicalLocation": _location(finding.place)}]
    return made


def _location(place: Place) -> dict[str, Any]:
    path = Path(place.where)
    file = {"uri": path.as_uri()} if path.is_absolute() else {"uri": quote(path.as_posix()), "uriBaseId": "ROOT"}
    made: dict[str, Any] = {"artifactLocation": file}
    if place.line is not None:
        made["region"] = {"startLine": place.line} | ({"startColumn": place.column} if place.column else {})
    return made


def refused(error: ConfigurationError) -> Finding:
    """The finding for a project that cannot be read at all."""
    return Finding(error.code, error.what, error.place or Place("crossdock.yaml"), error.fix)


REPORTS: Mapping[str, Callable[[Sequence[Finding]], str]] = {"json": as_json, "github": github, "sarif": sarif}
