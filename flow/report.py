"""What a step says of itself. Status (did it finish) and outcome (what it found) are two things."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from hub.errors import CrossdockError, StreamError
from hub.findings import Finding

Status = Literal["ok", "partial", "held", "failed"]


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

    def or_raise(self) -> StepReport:
        """Itself, or the error that says what failed: a task that could not do its work is a failed task."""
        for finding in self.findings:
            print(finding)
        print(f"{self.step} {self.system} {self.status}: {self.counts}")
        for line in self.detail.get("lines", ()):
            print(line)
        if self.status == "failed":
            first = self.findings[0]
            raise self.failure or StreamError(first.code, first.what, place=first.place, fix=first.fix)
        return self

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
