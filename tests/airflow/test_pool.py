"""The writer's pool is made although Airflow's database is busy, and where it cannot be made somebody is told."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from flow.up import Airflow, _make_pool
from hub.errors import UnavailableError


@dataclass(frozen=True)
class Scripted(Airflow):
    """Answers with the statuses that it was given, in order."""

    statuses: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def call(self, method: str, path: str, body: Any = None) -> requests.Response:
        self.asked.append(method)
        answer = requests.Response()
        answer.status_code = self.statuses.pop(0)
        return answer


@pytest.fixture
def living() -> Any:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.communicate()


@pytest.mark.parametrize(
    ("statuses", "asked"),
    [
        ([200], ["GET"]),
        ([404, 201], ["GET", "POST"]),
        ([404, 500, 404, 201], ["GET", "POST", "GET", "POST"]),
        ([404, 500, 200], ["GET", "POST", "GET"]),  # refused, but made
        ([500, 409], ["GET", "POST"]),
    ],
)
def test_a_busy_database_is_asked_again(statuses: list[int], asked: list[str], living: Any, tmp_path: Path) -> None:
    server = Scripted("http://127.0.0.1:1", "", living, list(statuses))
    _make_pool(server, tmp_path)
    assert server.asked == asked
    assert server.statuses == []


def test_a_refusal_is_said(living: Any, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="HTTP 403") as raised:
        _make_pool(Scripted("http://127.0.0.1:1", "", living, [404, 403]), tmp_path)
    assert raised.value.code == "C192"
