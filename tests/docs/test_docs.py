"""Every page of docs/ that shows commands is followed word by word, in a folder of its own.

    ```yaml mappings/kiosk/visitors.yaml      a block with a path is that file
    ```console                                lines after `$ ` are run by bash; the others have to come, in this order

`…` in an expected line stands for anything, and a line that is nothing else for any lines.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(page for page in (ROOT / "docs").glob("*.md") if "```console" in page.read_text())
_BLOCK = re.compile(r"^```(\w+)(?: +(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Command:
    line: int
    text: str
    expected: list[str] = field(default_factory=list)


def steps(page: Path) -> Iterator[tuple[str, str] | Command]:
    """The page's files (path, content) and commands, as they stand."""
    text = page.read_text()
    for block in _BLOCK.finditer(text):
        kind, path, content = block.groups()
        if path:
            yield path, content
        elif kind == "console":
            yield from commands(content, text[: block.start()].count("\n") + 2)


def commands(content: str, line: int) -> Iterator[Command]:
    found: list[Command] = []
    for number, said in enumerate(content.splitlines()):
        if said.startswith("$ "):
            found.append(Command(line + number, said[2:]))
        elif found[-1].text.endswith("\\"):
            found[-1].text = found[-1].text[:-1] + said.strip()
        else:
            found[-1].expected.append(said.rstrip())
    yield from found


def missing(expected: list[str], said: str) -> str | None:
    """The first expected line that does not come, in the order of the page; None if all do."""
    rest = iter(line.rstrip() for line in said.splitlines())
    for wanted in expected:
        if wanted in ("", "…"):
            continue
        pattern = re.compile(".*".join(re.escape(part) for part in wanted.split("…")))
        if not any(pattern.fullmatch(line) for line in rest):
            return wanted
    return None


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of the page's commands: small sandbox systems, and a server that gives out the folder `feed`."""
    from sandbox.servers import running

    with running(tmp_path / "sandbox", customers=60, orders=100, products=20) as systems:
        yield from environment(tmp_path, systems)


def environment(tmp_path: Path, systems: Any) -> Iterator[dict[str, str]]:
    feed = tmp_path / "feed"
    feed.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(feed)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CROSSDOCK_", "AIRFLOW_"))}
    addresses = {f"CROSSDOCK_{name.upper()}": str(getattr(systems, name)) for name in ("cart", "erp", "crm", "drop")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    more = {"PATH": path, "COLUMNS": "120", "FEED": f"http://127.0.0.1:{server.server_address[1]}"}
    yield kept | addresses | more
    server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_true_word_by_word(page: Path, tmp_path: Path, shell: dict[str, str]) -> None:
    here = tmp_path
    for step in steps(page):
        if isinstance(step, tuple):
            (here / step[0]).parent.mkdir(parents=True, exist_ok=True)
            (here / step[0]).write_text(step[1])
            continue
        script = f"{step.text}\nended=$?; pwd > '{tmp_path}/.pwd'; exit $ended"
        done = subprocess.run(["bash", "-c", script], cwd=here, env=shell, capture_output=True, text=True)
        said = done.stdout + done.stderr
        where = f"{page.relative_to(ROOT)}:{step.line}: $ {step.text}"
        assert done.returncode in (0, 1), f"{where}\n{said}"
        assert (lacking := missing(step.expected, said)) is None, f"{where}\nlacks: {lacking}\n{said}"
        here = Path((tmp_path / ".pwd").read_text().strip())


def test_what_does_not_come_is_missed() -> None:
    assert missing(["a", "…", "d … f"], "a\nb\nd e f\n") is None
    assert missing(["a", "x"], "a\nb\n") == "x"
    assert missing(["b", "a"], "a\nb\n") == "a"
