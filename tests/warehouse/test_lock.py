"""The writer lock: one at a time, gone with its process."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from hub.errors import TransientError
from warehouse.lock import wanted, writer

HOLD = "import sys, pathlib; from warehouse.lock import writer\nwith writer(pathlib.Path({path!r})): print('held', flush=True); sys.stdin.read()"


def holder(path):
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(path=str(path))], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout.readline() == b"held\n"
    return other


def test_a_second_writer_waits_and_is_told(tmp_path):
    path = tmp_path / "w.duckdb"
    other = holder(path)
    try:
        with pytest.raises(TransientError, match=r"W103 another process has been writing w\.duckdb"), writer(path, 0.1):
            pass
    finally:
        other.communicate()
    with writer(path, 1):
        pass


def test_a_killed_writer_lets_go(tmp_path):
    path = tmp_path / "w.duckdb"
    other = holder(path)
    other.kill()
    other.wait()
    with writer(path, 1):
        pass


WAIT = HOLD.replace("print(", "None and print(")


def test_who_holds_it_knows_that_somebody_waits_and_not_of_one_who_died(tmp_path):
    path = tmp_path / "w.duckdb"
    with writer(path, 0):
        assert not wanted(path), "nobody ever waited"
        other = subprocess.Popen([sys.executable, "-c", WAIT.format(path=str(path))], stdin=subprocess.PIPE)
        until = time.monotonic() + 20
        while not wanted(path):
            assert time.monotonic() < until
            time.sleep(0.01)
        other.kill()
        other.wait()
        assert not wanted(path)
        with pytest.raises(TransientError), writer(path, 0):
            pass
        assert not wanted(path), "nor of one who gave up"
    other = holder(path)
    try:
        assert not wanted(path), "who has it does not wait for it"
    finally:
        other.communicate()


def test_it_is_free_after_an_error(tmp_path):
    with pytest.raises(ValueError, match="x"), writer(tmp_path / "w"):
        raise ValueError("x")
    with writer(tmp_path / "w", 0):
        pass
