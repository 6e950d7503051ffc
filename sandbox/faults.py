"""What goes wrong between a client and a server, on request: the faults of a server, and the log of its calls."""

from __future__ import annotations

import random
import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

BEFORE = ("429", "500", "502", "html", "bad_json", "limit", "reset_before")
AFTER = ("reset_after", "truncate", "duplicate_page")
FAULTS = ("latency", *BEFORE, *AFTER)
LOG_LIMIT = 200_000


@dataclass
class Fault:
    """One planned fault. `path` is searched in "METHOD /path" and in the SOAP operation; `times` None is without end;
    `skip` lets so many matching calls pass first."""

    kind: str
    path: str = ""
    times: int | None = 1
    skip: int = 0
    probability: float = 1.0
    seconds: float = 1.0
    retry_after: float = 1.0
    effect: bool = False  # a 500 or 502 that comes after the work was done
    hits: int = 0
    random: random.Random = field(default_factory=lambda: random.Random(0))

    @classmethod
    def parse(cls, wanted: dict[str, Any]) -> Fault:
        """From the control endpoint; ValueError says what is wrong with it."""
        given = dict(wanted)
        kind = str(given.pop("fault", ""))
        if kind not in FAULTS:
            raise ValueError(f"fault {kind!r} is none of {', '.join(FAULTS)}")
        seed = given.pop("seed", 0)
        # Without a number of times a fault with a probability goes on, any other happens once.
        given.setdefault("times", None if "probability" in given else 1)
        unknown = set(given) - {"path", "times", "skip", "probability", "seconds", "retry_after", "effect"}
        if unknown:
            raise ValueError(f"unknown fields {', '.join(sorted(unknown))}")
        try:
            re.compile(given.get("path", ""))
        except re.error as error:
            raise ValueError(f"path is not a regular expression: {error}") from None
        return cls(kind, random=random.Random(seed), **given)

    def strikes(self, call: str, operation: str) -> bool:
        if self.times is not None and self.hits >= self.times:
            return False
        if not re.search(self.path, call) and not (operation and re.search(self.path, operation)):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.probability < 1.0 and self.random.random() >= self.probability:
            return False
        self.hits += 1
        return True

    def shown(self) -> dict[str, Any]:
        names = ("path", "times", "skip", "probability", "seconds", "retry_after", "effect", "hits")
        return {"fault": self.kind, **{name: getattr(self, name) for name in names}}


class Faults:
    """The planned faults of one server."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def shown(self) -> list[dict[str, Any]]:
        with self._lock:
            return [fault.shown() for fault in self._faults]

    def pick(self, call: str, operation: str) -> list[Fault]:
        """What befalls this call: every matching latency, and the first matching fault of another kind."""
        struck: list[Fault] = []
        with self._lock:
            for fault in self._faults:
                taken = any(other.kind != "latency" for other in struck)
                if (fault.kind == "latency" or not taken) and fault.strikes(call, operation):
                    struck.append(fault)
        return struck


class Calls:
    """The calls a server has seen since it started, in the order they were answered."""

    def __init__(self) -> None:
        self._log: list[dict[str, Any]] = []
        self._counts: Counter[str] = Counter()
        self._n = 0
        self._lock = threading.Lock()

    def add(self, method: str, path: str, operation: str, status: int, fault: str = "") -> None:
        """`status` is 0 where no answer was given."""
        with self._lock:
            self._n += 1
            entry = {"n": self._n, "method": method, "path": path, "operation": operation, "status": status}
            self._log.append({**entry, "fault": fault} if fault else entry)
            self._counts[operation or f"{method} {path.split('?')[0]}"] += 1
            if len(self._log) > LOG_LIMIT:
                del self._log[: LOG_LIMIT // 2]

    def shown(self, since: int = 0) -> list[dict[str, Any]]:
        """The calls after number `since`."""
        with self._lock:
            return [entry for entry in self._log if entry["n"] > since]

    def counts(self) -> dict[str, int]:
        """How many calls of each operation, or of each method and path; kept also for calls that left the log."""
        with self._lock:
            return dict(self._counts)

    def clear(self) -> None:
        """Forget the calls; the numbers go on."""
        with self._lock:
            self._log.clear()
            self._counts.clear()
