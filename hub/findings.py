"""A finding: something a check has to say about a place. Checks return all their findings; they never stop at the first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any, Literal

from hub.errors import ConfigurationError, CrossdockError, Place

Severity = Literal["error", "warning"]
_ODD = "F110"  # a scalar that YAML would read as something else


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


def nearest(name: str, known: Iterable[str], most: int = 20) -> str:
    """`did you mean 'email'?`, or the first `most` of what there is, where nothing is near."""
    names = list(known)
    there = ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
    return did_you_mean(name, names) or (f"there are: {there}" if names else "there are none")


def errors_in(findings: Sequence[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity == "error"]


def telling(findings: Iterable[Finding]) -> list[Finding]:
    """Without the F110 of a place of which something else is said, too: what belongs there is known better than that it looks odd."""
    listed = list(findings)
    said = {finding.place for finding in listed if finding.code != _ODD}
    return [finding for finding in listed if finding.code != _ODD or finding.place not in said]


def refusal(findings: Sequence[Finding]) -> ConfigurationError:
    """The error that says all of them (at least one): a single one as it is, several a line each below their number."""
    findings = telling(findings)
    first = findings[0]
    if len(findings) == 1:
        return ConfigurationError(first.code, first.what, place=first.place, fix=first.fix)
    said = "\n".join(f"  {finding}" for finding in findings)
    fix = f"correct them; the first stands at {first.place}"
    return ConfigurationError(first.code, f"{len(findings)} things are wrong:\n{said}", place=first.place, fix=fix)
