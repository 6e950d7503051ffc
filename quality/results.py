"""What an evaluation of suites gives: plain values, so that they can come from another process."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """One rule as the engine saw it. `failed` is the number of rows, None where it could not say; `error` why not."""

    rule: str
    success: bool
    failed: int | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """All rules of one mapped table. `error` is set where the suite did not run at all. `json` is kept as evidence.

    `batch` is the digest (`quality/batch.py`) of the rows that were looked at. `page` is its page among the Data Docs
    (`quality/data_docs.py`), relative to the system's folder; empty where there is none.
    """

    suite: str
    success: bool
    outcomes: tuple[RuleOutcome, ...] = ()
    error: str = ""
    json: str = "{}"
    engine: str = "Great Expectations"
    batch: str = ""
    page: str = ""
