"""`crossdock up`: the sandbox systems and a real Airflow on 127.0.0.1, until ctrl-C."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from flow import show
from flow.demo import sandbox, stop
from hub.config import BUILT_IN, Project
from hub.errors import UnavailableError

USER = "admin"
_START_SECONDS = 180
_POOL = {
    "name": "warehouse_writer",
    "slots": 1,
    "description": "DuckDB lets one process write",
    "include_deferred": False,
}


@dataclass(frozen=True)
class Airflow:
    """A running Airflow: its address and login, and its REST API."""

    url: str
    password: str
    process: subprocess.Popen[bytes]

    def call(self, method: str, path: str, body: Any = None) -> requests.Response:
        token = requests.post(
            f"{self.url}/auth/token", json={"username": USER, "password": self.password}, timeout=30
        ).json()["access_token"]
        return requests.request(
            method, f"{self.url}/api/v2{path}", json=body, headers={"Authorization": f"Bearer {token}"}, timeout=60
        )


def up(project: Project) -> int:
    """Runs until it is interrupted; leaves no process behind."""
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with sandbox(project) as world:
        show.out.print("[dim]… starting Airflow (some 30 s)[/]")
        with airflow(project) as server:
            show.out.print(
                f"\n[bold]Airflow[/]  {server.url}   login [bold]{USER}[/], password [bold]{server.password}[/]"
            )
            show.out.print(f"cart {world['cart']}   ERP {world['erp']}   CRM {world['crm']}")
            show.out.print(
                "Each sync_* DAG pulls one system, each push_* DAG tells one what it should know. ctrl-C stops everything."
            )
            try:
                server.process.wait()
            except KeyboardInterrupt:
                show.out.print("\nstopping …")
    return 0


@contextmanager
def airflow(project: Project, home: Path | None = None, port: int | None = None, **settings: str) -> Iterator[Airflow]:
    """`airflow standalone` in a session of its own; healthy, with the writer's pool, when this yields."""
    home = home or project.root / "airflow_home"
    home.mkdir(parents=True, exist_ok=True)
    port = port or _port(8080)
    password = _password(home)
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / "airflow"), "standalone"],
        env={**os.environ, **environment(project, home, port), **settings},
        stdout=(home / "standalone.log").open("wb"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    server = Airflow(f"http://127.0.0.1:{port}", password, process)
    try:
        _wait_until_healthy(server, home)
        if server.call("GET", f"/pools/{_POOL['name']}").status_code == 404:
            server.call("POST", "/pools", _POOL).raise_for_status()
        yield server
    finally:
        stop(process, 20)
        _end_session(process.pid)


def environment(project: Project, home: Path, port: int) -> dict[str, str]:
    """Airflow's settings, as environment variables: loopback only, no examples, few workers."""
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__DAGS_FOLDER": str(BUILT_IN / "dags"),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "CROSSDOCK_PROJECT": str(project.root),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }


def _password(home: Path) -> str:
    path = home / "passwords.json"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(json.dumps({USER: secrets.token_urlsafe(9)}))
    return str(json.loads(path.read_text())[USER])


def _port(wanted: int) -> int:
    """`wanted` if nobody has it, else any free one. Airflow's log server wants the one above it to be free as well."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(server: Airflow, home: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        if server.process.poll() is not None:
            break
        try:
            health = requests.get(f"{server.url}/api/v2/monitor/health", timeout=5).json()
            if all(health[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "dag_processor")):
                return
        except (requests.RequestException, ValueError, KeyError):
            pass
        time.sleep(0.5)
    raise UnavailableError(
        "C192", "Airflow did not start", place=str(home / "standalone.log"), fix="read its last lines"
    )


def _end_session(session: int) -> None:
    """What is left of the session: Airflow's children that a TERM to their group has orphaned."""
    for entry in Path("/proc").glob("[0-9]*") if Path("/proc").is_dir() else ():
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            if int(fields[3]) == session:
                os.kill(int(entry.name), signal.SIGKILL)
        except (OSError, ValueError, IndexError):
            continue
