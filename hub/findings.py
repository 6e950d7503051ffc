"""A finding: something a check has to say about a place. Checks return all their findings; they never stop at the first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any, Literal

from hub.errors import CrossdockError, Place

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: `mappings/shop/orders.yaml:14:9 M104 unknown field 'emial'; did you mean 'email'?`"""

    code: str
    what: str
    place: Place
    fix: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        return f"{self.place} {self.code} {self.what}" + (f"; {self.fix}" if self.fix else "")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, error: CrossdockError) -> Finding:
        """The finding that says the same as `error`."""
        return cls(error.code, error.what, error.place or Place("crossdock"), error.fix)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean 'email'?`, or an empty text where nothing is near."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else ""


def errors_in(findings: Sequence[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity == "error"]
