"""Great Expectations in a process of its own, so that its import costs the pulls nothing and its end closes the gate.

`start` comes beside the pull and returns at once; `evaluate` then asks that process, which opens the closed run file by
itself. A process that does not answer, or ends, has found nothing: its suites say that they did not run. Where nobody called
`start` (an Airflow task is a process of its own), or Great Expectations is imported already, it is asked here.

The pages of a verdict are made after it was given: over there while the merge goes on, here by `publish`.
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
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from quality.data_docs import Site
from quality.results import RuleOutcome, SuiteResult
from quality.rules import Rules

SECONDS = 900  # a gate that hangs is a gate that is closed
PAGES_SECONDS = 60

_lock = threading.Lock()
_judge: Judge | None = None


class Judge:
    """The process, and a pipe each way: a pickle of (run file, rules, site) a line goes in; two lines of JSON come out.

    The first is the results; the second, once the pages are made, an empty text or what went wrong with them.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self.rendering = False
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

    def evaluate(self, run_file: Path, rules: Rules, site: Site | None = None) -> list[SuiteResult]:
        """As `expectations.evaluate`. Never raises for what goes wrong there."""
        try:
            self.publish()
            self._ask(pickle.dumps((run_file, rules, site)).hex())
            found = [_result(one) for one in json.loads(self._answer(self.seconds))]
        except (OSError, ValueError, TypeError, KeyError) as error:
            self.close()
            why = f"the process that evaluates gave no answer: {type(error).__name__}"
            return [SuiteResult(suite, False, error=why) for suite in sorted({rule.entity for rule in rules})]
        self.rendering = True
        return found

    def publish(self) -> str:
        """Wait for the pages of what was evaluated; what went wrong with them, or an empty text."""
        if not self.rendering:
            return ""
        self.rendering = False
        return str(json.loads(self._answer(PAGES_SECONDS)))

    def end(self) -> None:
        """Close it when the pages are there."""
        try:
            self.publish()
        except (OSError, ValueError):  # the verdict does not depend on them
            pass
        self.close()

    def _ask(self, question: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(question.encode() + b"\n")
        self.process.stdin.flush()

    def _answer(self, seconds: float) -> str:
        assert self.process.stdout
        with selectors.DefaultSelector() as waiting:
            waiting.register(self.process.stdout, selectors.EVENT_READ)
            if not waiting.select(seconds):
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
        atexit.register(_judge.end)


def evaluate(run_file: Path, rules: Rules, site: Site | None = None) -> list[SuiteResult]:
    """Evaluate the suites of a closed run file, wherever Great Expectations is. `site`: where pages of it are wanted."""
    from quality import expectations

    if _here():
        return expectations.evaluate(run_file, rules, site)
    assert _judge
    with _lock:
        return _judge.evaluate(run_file, rules, site)


def publish(*, wait: bool = False) -> str:
    """Have the pages made of what was evaluated; what went wrong with them. Of the other process only if it is waited for."""
    from quality import expectations

    if _here():
        return _made(expectations.publish)
    assert _judge
    with _lock:
        return _judge.publish() if wait else ""


def _here() -> bool:
    return _judge is None or "great_expectations" in sys.modules


def _made(publish: Callable[[], None]) -> str:
    """A verdict holds without its pages."""
    try:
        publish()
    except Exception as error:
        return f"the pages of Great Expectations could not be made: {type(error).__name__}"
    return ""


def serve() -> None:
    """The other side: reads questions until the pipe is closed. What a library prints must not be taken for an answer."""
    from quality import expectations

    answers: IO[bytes] = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    expectations.warm()
    for line in sys.stdin:
        run_file, rules, site = pickle.loads(bytes.fromhex(line))
        found = [asdict(one) for one in expectations.evaluate(run_file, rules, site)]
        answers.write(json.dumps(found).encode() + b"\n")
        answers.flush()
        answers.write(json.dumps(_made(expectations.publish)).encode() + b"\n")
        answers.flush()


def _result(said: dict[str, Any]) -> SuiteResult:
    return SuiteResult(**{**said, "outcomes": tuple(RuleOutcome(**one) for one in said["outcomes"])})
