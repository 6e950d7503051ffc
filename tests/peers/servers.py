"""Tryton and Vendure, two real servers that nobody here wrote: installed on first use, started for a test session.

    python tests/peers/servers.py            installs both in advance (some two minutes), nothing else

Everything lies under `${CROSSDOCK_PEERS:-~/.cache/crossdock-peers}`: `<name>-<hash>/` holds the software and a filled
database, the hash is over what made them. Each session serves a fresh copy on a free port of 127.0.0.1.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import requests

HERE = Path(__file__).resolve().parent
BOOT_SECONDS = 90
PASSWORD = "only-for-tests"


class PeerError(Exception):
    """A real server could not be installed or started. The tests that need it fail: a gap is not a skip."""


def cache() -> Path:
    return Path(os.environ.get("CROSSDOCK_PEERS") or Path.home() / ".cache" / "crossdock-peers")


def installed(name: str, inputs: list[Path], build: Callable[[Path], None], salt: str = "") -> Path:
    """The folder that `build` fills, made once for the same inputs. Two sessions do not clash, a broken one leaves none."""
    digest = hashlib.sha256(salt.encode())
    for path in inputs:
        digest.update(path.read_bytes())
    root = cache()
    root.mkdir(parents=True, exist_ok=True)
    target = root / f"{name}-{digest.hexdigest()[:12]}"
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            building = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=root))
            try:
                build(building)
                building.rename(target)
            finally:
                shutil.rmtree(building, ignore_errors=True)
    return target


def run(command: list[str], folder: Path, what: str, timeout: float = 900, **env: str) -> None:
    try:
        subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **env},
            check=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except FileNotFoundError:
        raise PeerError(f"{what} needs '{command[0]}', which is not installed") from None
    except subprocess.CalledProcessError as error:
        raise PeerError(f"{what} failed:\n{error.stdout.decode(errors='replace')[-2000:]}") from None
    except subprocess.TimeoutExpired:
        raise PeerError(f"{what} took more than {timeout:.0f} s") from None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(command: list[str], folder: Path, health: str, **env: str) -> Iterator[None]:
    """The server runs in its own process group, which is stopped whatever happens; if we are killed, it sees its input end."""
    log = folder / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **env},
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until = time.monotonic() + BOOT_SECONDS
        while not _answers(health):
            if process.poll() is not None or time.monotonic() > until:
                raise PeerError(f"{command[0]} did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)
        yield
    finally:
        _stop(process)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code < 500
    except requests.RequestException:
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(timeout=5)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
    if process.stdin:
        process.stdin.close()
    process.wait(timeout=5)


# --- Tryton -----------------------------------------------------------------------------------------------------------

MODULES = ["sale", "account_invoice_stock", "sale_amendment"]


def install_tryton() -> tuple[Path, Path]:
    """The environment's python, and a filled database."""
    sources = HERE / "tryton"
    version = "{}.{}".format(*sys.version_info)
    software = installed("tryton", [sources / "requirements.txt"], _build_tryton, version)
    books = installed(
        "tryton-books",
        [sources / "requirements.txt", sources / "bootstrap.py"],
        lambda folder: _fill_tryton(software / "bin" / "python", folder),
        f"{version} {date.today().year} {MODULES}",  # the fiscal years are those around the day of filling
    )
    return software / "bin" / "python", books / "books.sqlite"


def _build_tryton(folder: Path) -> None:
    what, requirements = "installing Tryton", str(HERE / "tryton" / "requirements.txt")
    uv = Path(sys.executable).parent / "uv"
    if uv.exists():
        run([str(uv), "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)], folder, what)
        pip = [str(uv), "pip", "install", "--quiet", "--link-mode=copy", "--python", str(folder / "bin" / "python")]
    else:
        run([sys.executable, "-m", "venv", str(folder)], folder, what)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--require-hashes", "-r", requirements], folder, what)


def _fill_tryton(python: Path, folder: Path) -> None:
    configuration = _tryton_configuration(folder, 0)
    (folder / "books.sqlite").touch()
    (folder / "password").write_text(PASSWORD)
    admin = ["-c", "import sys; from trytond.cli.admin import main; sys.exit(main())"]
    options = ["-c", str(configuration), "-d", "books", "--email", "books@example.com", "--activate-dependencies", "-u"]
    run(
        [str(python), *admin, *options, "ir", *MODULES],
        folder,
        "filling Tryton",
        TRYTONPASSFILE=str(folder / "password"),
    )
    bootstrap = [str(python), str(HERE / "tryton" / "bootstrap.py"), str(configuration), "books"]
    run(bootstrap, folder, "filling Tryton")


def _tryton_configuration(folder: Path, port: int) -> Path:
    path = folder / "trytond.conf"
    path.write_text(
        f"[database]\nuri = sqlite://\npath = {folder}\n[web]\nlisten = 127.0.0.1:{port}\n"
        "[session]\nauthentications = password\n[cache]\nclean_timeout = 0\n"
    )
    return path


@contextmanager
def tryton() -> Iterator[str]:
    """A running Tryton; gives the url of its database. Login `admin`, password PASSWORD."""
    python, books = install_tryton()
    with tempfile.TemporaryDirectory(prefix="crossdock-tryton-") as name:
        folder, port = Path(name), free_port()
        shutil.copy(books, folder / "books.sqlite")
        command = [str(python), str(HERE / "tryton" / "serve.py"), "-c", str(_tryton_configuration(folder, port))]
        url = f"http://127.0.0.1:{port}"
        with serving([*command, "-d", "books"], folder, url):
            yield f"{url}/books"


# --- Vendure ----------------------------------------------------------------------------------------------------------


def install_vendure() -> tuple[Path, Path]:
    """The node_modules, and a filled database."""
    sources = HERE / "vendure"
    lock = [sources / "package.json", sources / "package-lock.json"]
    software = installed("vendure", lock, _build_vendure)
    modules = software / "node_modules"
    shop = installed(
        "vendure-shop",
        [*lock, sources / "server.js", sources / "initial-data.json"],
        lambda folder: run(
            _node("populate", folder / "shop.sqlite"), folder, "filling Vendure", NODE_PATH=str(modules)
        ),
    )
    return modules, shop / "shop.sqlite"


def _build_vendure(folder: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / "vendure" / name, folder / name)
    options = ["--ignore-scripts", "--no-fund", "--no-audit", "--loglevel=error"]
    run(["npm", "ci", *options], folder, "installing Vendure")


def _node(mode: str, file: Path, *rest: str) -> list[str]:
    return ["node", str(HERE / "vendure" / "server.js"), mode, str(file), *rest]


@contextmanager
def vendure() -> Iterator[str]:
    """A running Vendure; gives its url (`/admin-api`, `/shop-api`). Login `superadmin`, password PASSWORD."""
    modules, shop = install_vendure()
    with tempfile.TemporaryDirectory(prefix="crossdock-vendure-") as name:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        with serving(_node("serve", shop, str(port)), Path(name), f"{url}/health", NODE_PATH=str(modules)):
            yield url


if __name__ == "__main__":
    for install in (install_tryton, install_vendure):
        for path in install():
            print(path)
