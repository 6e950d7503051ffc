"""Ctrl-C stops a run at once, whatever it waits for, and the next one goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CROSSDOCK = Path(sys.executable).with_name("crossdock")
CONNECTOR = """
import os, pathlib, time
from hub.connector import Connector, Page, Stream

class Slow(Connector):
    name = "slow"
    streams = (Stream("orders", primary_key="id", cursor="keyset"),)

    def pull(self, stream, since=None):
        if since is None:
            yield Page([b'{"id": 1}'], cursor={"after": 1})
        if "NEVER" in os.environ:
            pathlib.Path("asked").touch()
            time.sleep(60)
"""


def start(root: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [CROSSDOCK, "run", "slow", "--step", "pull", "--json"],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_run_that_waits_for_a_system_stops_at_once(tmp_path: Path) -> None:
    (tmp_path / "connectors").mkdir()
    (tmp_path / "connectors" / "slow.py").write_text(CONNECTOR)
    (tmp_path / "crossdock.yaml").write_text(
        "systems:\n  slow: {connector: slow, connection: {url: 'http://127.0.0.1:9/x'}}\n"
    )
    running = start(tmp_path, NEVER="1")
    while not (tmp_path / "asked").exists():
        assert running.poll() is None
        time.sleep(0.05)
    began = time.monotonic()
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert time.monotonic() - began < 5
    assert (running.returncode, out, err) == (130, "", "stopped\n")
    again = start(tmp_path)
    out, err = again.communicate(timeout=60)
    assert [report["counts"] for report in json.loads(out)] == [{"orders": 1}], err
