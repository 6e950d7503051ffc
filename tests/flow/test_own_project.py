"""A project outside the repository, and a system that the engine has never heard of."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from flow.cycle import cycle
from flow.init import init
from flow.publish import query_snapshot
from hub.config import load_project
from hub.errors import UsageError

CROSSDOCK = str(Path(sys.executable).parent / "crossdock")


def test_init_makes_a_project_whose_mappings_go_before_the_built_in_ones(
    tmp_path: Path, sandbox_fresh: Any, monkeypatch: Any
) -> None:
    home = tmp_path / "mine"
    init(home)
    with pytest.raises(UsageError):
        init(home)
    (home / "mappings" / "cart").mkdir()
    (home / "mappings" / "cart" / "customers.yaml").write_text(
        "extends: cart/customers\nfields:\n  name: upper(coalesce(company, first_name || ' ' || last_name))\n"
    )
    monkeypatch.setenv("CROSSDOCK_CART", sandbox_fresh.cart)
    monkeypatch.delenv("CROSSDOCK_PROJECT", raising=False)
    project = load_project(home)
    cycle(project, step="merge")
    names = [
        name for (name,) in query_snapshot(project, "SELECT name FROM customer WHERE NOT guest OR guest IS NULL").rows
    ]
    assert len(names) > 200
    assert all(name == name.upper() for name in names)
    listed = subprocess.run([CROSSDOCK, "lint"], cwd=home, capture_output=True, text=True)
    assert listed.returncode == 0, listed.stdout + listed.stderr


CONNECTOR = """
from hub.connector import Stream
from hub.rest import Rest


class Helpdesk(Rest):
    name = "helpdesk"
    streams = (Stream("people", primary_key="id", options={"path": "/people", "records": "people"}),)
"""
MAPPING = "stream: people\nentity: customer\nkey: id\nfields:\n  name: full_name\n  email: lower(trim(mail))\n"
MAPPING += (
    "  country_code: country(land)\n  phone: phone(tel, country(land))\n"  # what is looked up before the statements
)
PERSON = {"id": 1, "full_name": "Ann Lee", "mail": " Ann@Example.com", "tel": "030 901820", "land": "Germany"}


@pytest.fixture
def helpdesk() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"people": [PERSON]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def test_a_new_system_is_a_file_and_a_folder_and_nothing_of_the_engine(tmp_path: Path, helpdesk: str) -> None:
    home = tmp_path / "mine"
    init(home)
    (home / "connectors" / "helpdesk.py").write_text(CONNECTOR)
    (home / "mappings" / "helpdesk").mkdir()
    (home / "mappings" / "helpdesk" / "people.yaml").write_text(MAPPING)
    (home / "crossdock.yaml").write_text(
        f"systems:\n  helpdesk:\n    connector: helpdesk\n    connection: {{url: '{helpdesk}'}}\n"
    )
    project = load_project(home)
    reports = cycle(project)
    assert [r.status for r in reports] == ["ok"] * len(reports), [(r.step, r.findings) for r in reports]
    found = query_snapshot(project, "SELECT name, email, country_code, phone FROM customer").rows
    assert found == [("Ann Lee", "ann@example.com", "DE", "+4930901820")]
