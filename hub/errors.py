"""Errors whose class says what the machine does next.

    CrossdockError                 code, place, what, what to do
    ├── TransientError             try again later: the same call may succeed (back-off, Retry-After)
    ├── RecordError                skip this record, go on with the next
    ├── StreamError                stop this stream, the others go on
    │   └── UnavailableError       the system does not answer (exit code 3)
    └── ConfigurationError         a person has to change something first
        ├── AuthenticationError    the credentials were refused (exit code 3): the connection is left alone
        │   └── ForbiddenError     they were taken, and do not permit this call: only that is left
        └── UsageError             the command itself was wrong (exit code 2)

Codes are stable and explained by `crossdock explain CODE`: C connection, D data on the wire, F configuration,
M mapping, Q quality, R reconciliation, P push, W warehouse.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is wrong: a file with 1-based line and column, or a system and stream."""

    where: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.where, self.line, self.column) if part is not None)


def shown(path: Path) -> str:
    """A path as findings show it: from here where it lies below, as a person would open it; else as it is."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


class CrossdockError(Exception):
    """Base of every error a user can cause or a system can return.

    `what` is the operator's sentence, `fix` what to do, `detail` the engineer's text (never a secret, never personal
    data), `request_id` the remote side's own identifier where it gave one.
    """

    exit_code = 1

    def __init__(
        self,
        code: str,
        what: str,
        *,
        place: Place | str | None = None,
        fix: str = "",
        detail: str = "",
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.place = Place(place) if isinstance(place, str) else place
        self.fix = fix
        self.detail = detail
        self.request_id = request_id
        self.retry_after = retry_after

    def __str__(self) -> str:
        head = f"{self.place} {self.code} {self.what}" if self.place else f"{self.code} {self.what}"
        return f"{head}; {self.fix}" if self.fix else head

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.__dict__))


def _rebuild(kind: type[CrossdockError], state: dict[str, object]) -> CrossdockError:
    error = kind.__new__(kind)
    Exception.__init__(error, state["what"])
    error.__dict__.update(state)
    return error


class TransientError(CrossdockError):
    exit_code = 3


class RecordError(CrossdockError):
    pass


class StreamError(CrossdockError):
    pass


class UnavailableError(StreamError):
    exit_code = 3


class ConfigurationError(CrossdockError):
    exit_code = 2


class AuthenticationError(ConfigurationError):
    exit_code = 3


class ForbiddenError(AuthenticationError):
    pass


class UsageError(ConfigurationError):
    pass
