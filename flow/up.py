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
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import requests

from flow import show
from flow.demo import sandbox
from hub.config import BUILT_IN, Project
from hub.errors import UnavailableError

USER = "admin"
_BIN = Path(sys.executable).parent
_START_SECONDS = 180
_STOP_SECONDS = 20
_POOL = {
    "name": "warehouse_writer",
    "slots": 1,
    "description": "DuckDB lets one process write",
    "include_deferred": False,
}
# The two parts with a log server of their own would open it on every interface; on one machine nobody needs it.
_SHIM = """#!/bin/sh
case "$1" in scheduler | triggerer) exec '{airflow}' "$@" --skip-serve-logs ;; *) exec '{airflow}' "$@" ;; esac
"""


@dataclass(frozen=True)
class Airflow:
    """A running Airflow: its address and login, and its REST API."""

    url: str
    password: str
    process: subprocess.Popen[bytes]

    def call(self, method: str, path: str, body: Any = None) -> requests.Response:
        """`call("GET", "/dags")`: below /api/v2, logged in. No status is an error here."""
        return requests.request(
            method,
            f"{self.url}/api/v2{path}",
            json=body,
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=60,
        )

    @cached_property
    def _token(self) -> str:
        login = {"username": USER, "password": self.password}
        answer = requests.post(f"{self.url}/auth/token", json=login, timeout=60)
        answer.raise_for_status()
        return str(answer.json()["access_token"])


def up(project: Project) -> int:
    """Runs until INT or TERM; leaves no process behind. Returns 1 where Airflow ended by itself."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop_once)
    try:
        with _systems(project) as world:
            show.progress("starting Airflow (some 30 s)")
            with airflow(project) as server:
                _say_where(server, world)
                _first_runs(server, project)
                server.process.wait()
                show.out.print("Airflow has ended by itself: airflow_home/standalone.log says why")
                return 1
    except KeyboardInterrupt:
        return 0


def _stop_once(number: int, frame: object) -> None:
    """The first signal stops; the next ones must not break off the stopping, which would leave processes behind."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    show.out.print("\nstopping …")
    raise KeyboardInterrupt


def _systems(project: Project) -> AbstractContextManager[dict[str, Any]]:
    """The sandbox, where a system of the project is one of its."""
    connectors = {system.connector for system in project.systems.values()}
    return sandbox(project) if any(name.startswith("sandbox_") for name in connectors) else nullcontext({})


def _say_where(server: Airflow, world: dict[str, Any]) -> None:
    show.out.print(f"\n[bold]Airflow[/]  {server.url}   login [bold]{USER}[/], password [bold]{server.password}[/]")
    if world:
        show.out.print(f"cart {world['cart']}   ERP {world['erp']}   CRM {world['crm']}")
    show.out.print(
        "Each sync_* DAG pulls one system, each push_* DAG tells one what it should know; a target's first push waits "
        "for you\nunder Required Actions. ctrl-C stops everything."
    )


def _first_runs(server: Airflow, project: Project) -> None:
    """Every system is pulled once now: who looks at an empty page for a quarter of an hour thinks it is broken."""
    waiting = [f"sync_{name}" for name in project.systems]
    until = time.monotonic() + _START_SECONDS
    while waiting and time.monotonic() < until and server.process.poll() is None:
        started = [d for d in waiting if server.call("POST", f"/dags/{d}/dagRuns", {"logical_date": None}).ok]
        waiting = [dag for dag in waiting if dag not in started]
        time.sleep(0.5 if waiting else 0)


@contextmanager
def airflow(project: Project, home: Path | None = None, **settings: str) -> Iterator[Airflow]:
    """`airflow standalone` in a session of its own; healthy, with the writer's pool, when this yields.

    `settings` are further environment variables. Raises UnavailableError C192 when it does not start.
    """
    home = home or project.root / "airflow_home"
    home.mkdir(parents=True, exist_ok=True)
    port = _port(8080)
    password = json.loads(_kept(home / "passwords.json", lambda: json.dumps({USER: secrets.token_urlsafe(9)})))[USER]
    process = subprocess.Popen(
        ["airflow", "standalone"],
        env={**os.environ, **environment(project, home, port), **settings},
        stdin=subprocess.DEVNULL,
        stdout=(home / "standalone.log").open("wb"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
        executable=str(_BIN / "airflow"),
    )
    server = Airflow(f"http://127.0.0.1:{port}", password, process)
    try:
        _wait_until_healthy(server, home)
        _make_pool(server, home)
        yield server
    finally:
        _end_session(process)


def environment(project: Project, home: Path, port: int) -> dict[str, str]:
    """Airflow's settings, as environment variables: loopback only, no examples, few workers."""
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": _kept(home / "jwt_secret", lambda: secrets.token_urlsafe(64)),
        "AIRFLOW__CORE__DAGS_FOLDER": str(BUILT_IN / "dags"),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        # Airflow's parts write to one SQLite file: on a busy machine five seconds, the default, are not enough for a turn. Much
        # longer is no better: its API then sometimes waits for a lock that one of its own requests holds, and answers nobody meanwhile.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db?timeout=15",
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "30",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "CROSSDOCK_PROJECT": str(project.root),
        "PATH": os.pathsep.join((str(_shim(home)), str(_BIN), os.environ.get("PATH", os.defpath))),
    }


def _shim(home: Path) -> Path:
    """A folder with an `airflow` for standalone to start its parts with."""
    file = home / "bin" / "airflow"
    file.parent.mkdir(exist_ok=True)
    file.write_text(_SHIM.format(airflow=_BIN / "airflow"))
    file.chmod(0o700)
    return file.parent


def _kept(path: Path, make: Any) -> str:
    """A secret that stays the same from start to start, readable by its owner only."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(make())
    return path.read_text()


def _port(wanted: int) -> int:
    """`wanted` if nobody has it, else any free one."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise UnavailableError("C192", "there is no free port on 127.0.0.1", fix="stop something")


def _wait_until_healthy(server: Airflow, home: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and server.process.poll() is None:
        try:
            health = requests.get(f"{server.url}/api/v2/monitor/health", timeout=5).json()
            if all(health[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "dag_processor")):
                # What the tasks talk to is built on the first call, which takes longer than a task would wait.
                requests.get(f"{server.url}/execution/health", timeout=60)
                return
        except (requests.RequestException, ValueError, KeyError):
            pass
        time.sleep(0.5)
    raise UnavailableError(
        "C192", "Airflow did not start", place=str(home / "standalone.log"), fix="read its last lines"
    )


def _make_pool(server: Airflow, home: Path) -> None:
    """The writer's pool. SQLite refuses a write in between of others at once, whatever its timeout: then asked again."""
    until = time.monotonic() + _START_SECONDS
    while server.call("GET", f"/pools/{_POOL['name']}").status_code != 200:
        answer = server.call("POST", "/pools", _POOL)
        if answer.ok or answer.status_code == 409:
            return
        if time.monotonic() > until or server.process.poll() is not None or answer.status_code < 500:
            raise UnavailableError(
                "C192",
                f"Airflow did not take the pool {_POOL['name']} (HTTP {answer.status_code})",
                place=str(home / "standalone.log"),
                fix="read its last lines",
            )
        time.sleep(0.5)


def _end_session(process: subprocess.Popen[bytes]) -> None:
    """TERM to everybody in the process's session, and KILL to who is still there after a while.

    Not only to its group: the tasks that Airflow runs make groups of their own, and a TERM to standalone alone orphans
    its parts.
    """
    until = time.monotonic() + _STOP_SECONDS
    _signal(_members(process.pid), signal.SIGTERM)
    while members := _members(process.pid):
        if time.monotonic() > until:
            _signal(members, signal.SIGKILL)
        process.poll()
        time.sleep(0.1)
    process.wait()


def _signal(members: list[int], number: signal.Signals) -> None:
    for member in members:
        try:
            os.kill(member, number)
        except ProcessLookupError:
            continue


def _members(session: int) -> list[int]:
    """The living processes of a session. A dead one that nobody waits for is not counted."""
    if Path("/proc/self/stat").exists():
        stats = [_read(entry / "stat").rsplit(")", 1) for entry in Path("/proc").glob("[0-9]*")]
        listed = [f"{stat[0].split()[0]} {stat[1]}" for stat in stats if len(stat) == 2]
    else:
        asked = subprocess.run(["ps", "-A", "-o", "pid=,stat="], capture_output=True, text=True, check=True)
        listed = asked.stdout.splitlines()
    living = [int(line.split()[0]) for line in listed if not line.split()[1].startswith("Z")]
    return [pid for pid in living if _session(pid) == session]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1
