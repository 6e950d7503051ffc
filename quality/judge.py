"""Great Expectations in a process of its own, so that its import costs the pulls nothing and its end closes the gate.

`start` comes beside the pull and returns at once; `evaluate` then asks that process, which opens the closed run file by
itself. A process that does not answer, or ends, has found nothing: its suites say that they did not run. Where nobody called
`start` (an Airflow task is a process of its own), or Great Expectations is imported already, it is asked here.
"""

from __future__ import annotations

import atexit
import json
import os
import pickle
import selectors
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from quality.results import RuleOutcome, SuiteResult
from quality.rules import Rules

SECONDS = 900  # a gate that hangs is a gate that is closed

_lock = threading.Lock()
_judge: Judge | None = None


class Judge:
    """The process, and a pipe each way: a pickle of (run file, rules) a line goes in, a line of JSON comes out."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from quality.judge import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # ctrl-C is for the command; it then closes the pipe, which ends this
        )

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def evaluate(self, run_file: Path, rules: Rules) -> list[SuiteResult]:
        """As `expectations.evaluate`. Never raises for what goes wrong there."""
        try:
            return [_result(one) for one in json.loads(self._asked(pickle.dumps((run_file, rules)).hex()))]
        except (OSError, ValueError, TypeError, KeyError) as error:
            self.close()
            why = f"the process that evaluates gave no answer: {type(error).__name__}"
            return [SuiteResult(suite, False, error=why) for suite in sorted({rule.entity for rule in rules})]

    def _asked(self, question: str) -> str:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(question.encode() + b"\n")
        self.process.stdin.flush()
        with selectors.DefaultSelector() as waiting:
            waiting.register(self.process.stdout, selectors.EVENT_READ)
            if not waiting.select(self.seconds):
                raise TimeoutError
        return self.process.stdout.readline().decode()

    def close(self) -> None:
        if self.alive:
            self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            try:
                pipe.close()  # type: ignore[union-attr]
            except OSError:
                pass
        self.process.wait()


def start() -> None:
    """Have the import begun in the other process. Harmless when it was."""
    global _judge
    with _lock:
        if "great_expectations" in sys.modules or (_judge and _judge.alive):
            return
        _judge = Judge()
        atexit.register(_judge.close)


def evaluate(run_file: Path, rules: Rules) -> list[SuiteResult]:
    """Evaluate the suites of a closed run file, wherever Great Expectations is."""
    from quality import expectations

    if _judge is None or "great_expectations" in sys.modules:
        return expectations.evaluate(run_file, rules)
    with _lock:
        return _judge.evaluate(run_file, rules)


def serve() -> None:
    """The other side: reads questions until the pipe is closed. What a library prints must not be taken for an answer."""
    from quality import expectations

    answers: IO[bytes] = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    expectations.warm()
    for line in sys.stdin:
        run_file, rules = pickle.loads(bytes.fromhex(line))
        found = [asdict(one) for one in expectations.evaluate(run_file, rules)]
        answers.write(json.dumps(found).encode() + b"\n")
        answers.flush()


def _result(said: dict[str, Any]) -> SuiteResult:
    return SuiteResult(**{**said, "outcomes": tuple(RuleOutcome(**one) for one in said["outcomes"])})
