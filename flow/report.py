"""What a step says of itself. Status (did it finish) and outcome (what it found) are two things."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from hub.errors import CrossdockError, StreamError
from hub.findings import Finding

_log = logging.getLogger("crossdock.step")

Status = Literal["ok", "partial", "held", "failed"]


def many(n: int, word: str) -> str:
    """`1 call`, `1,200 calls`."""
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"


@dataclass(slots=True)
class StepReport:
    """One step of one system or target. `counts` are records by what became of them; `detail` is for `--json`."""

    step: str
    system: str
    status: Status = "ok"
    counts: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    detail: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    failure: CrossdockError | None = None

    @property
    def summary(self) -> str:
        """What came of it, in a line: `1,450 mapped, 2 rejected`."""
        counts = (f"{n:,} {name.replace('_', ' ')}" for name, n in self.counts.items() if n)
        return str(
            self.detail.get("summary") or ", ".join(counts) or ("nothing" if self.status == "failed" else "nothing new")
        )

    def or_raise(self) -> StepReport:
        """Itself, or the error that says what failed: a task that could not do its work is a failed task.

        What there is to say is logged and not printed: what a task prints comes to Airflow's log by another way than what
        Airflow itself says there, late, and then stands in the part that its page folds away.
        """
        failed = self._error() if self.status == "failed" else None
        troubled = self.status != "ok" or bool(self.counts.get("rejected") or self.counts.get("quarantined"))
        status = "" if self.status == "ok" else f" {self.status}"
        _log.log(
            logging.WARNING if troubled else logging.INFO, "%s %s%s: %s", self.step, self.system, status, self.summary
        )
        for finding in self.findings:
            if str(finding) != str(failed):
                _log.warning("%s", finding)
        for line in self.detail.get("lines", ()):
            _log.info("%s", line)
        if failed:
            raise failed
        return self

    def _error(self) -> CrossdockError:
        first = self.findings[0]
        return self.failure or StreamError(first.code, first.what, place=first.place, fix=first.fix)

    def as_dict(self) -> dict[str, Any]:
        said = asdict(self)
        del said["failure"]
        return said


def exit_code(reports: list[StepReport]) -> int:
    """0 done, 1 findings or rejects, 3 a system was not available."""
    codes = {code for report in reports for code in report.detail.get("exit_codes", ())}
    if 3 in codes:
        return 3
    troubled = any(
        report.status != "ok" or report.findings or report.counts.get("rejected") or report.counts.get("quarantined")
        for report in reports
    )
    return 1 if troubled or codes - {0} else 0
