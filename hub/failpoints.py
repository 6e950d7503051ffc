"""Named places at which a test can kill the process, to prove that nothing is lost and nothing done twice there.

`CROSSDOCK_FAILPOINT=merge.before_commit` kills at the first visit, `merge.before_commit:3` at the third.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

FAILPOINTS: dict[str, str] = {
    "pull.page_written": "a page is in the segment file, the position not yet in dlt's state",
    "pull.before_load": "segments are closed, dlt has not loaded the package",
    "pull.after_load": "dlt has loaded the package, the run does not know it yet",
    "stage.after": "the run file holds the staged rows",
    "map.after": "the run file holds the mapped rows",
    "gate.after": "the gate's verdict is in the run file",
    "merge.journaled": "the journal names the segments, the warehouse has nothing of them",
    "merge.before_commit": "data and position are written and not committed",
    "merge.after_commit": "data and position are committed, the journal does not know it yet",
    "push.intent_written": "the intent is in the ledger, the call was not made",
    "push.after_call": "the call was answered, the outcome is not in the ledger",
    "push.outcome_written": "the outcome is in the ledger, the warehouse has not folded it",
    "push.before_fold_commit": "outcomes are folded into the warehouse and not committed",
    "publish.before_replace": "the snapshot is copied and not yet in place",
}

_visits: Counter[str] = Counter()


def failpoint(name: str) -> None:
    """Die here by SIGKILL if the environment asks for it. `name` is one of FAILPOINTS."""
    if wanted := os.environ.get("CROSSDOCK_FAILPOINT"):
        if name not in FAILPOINTS:
            raise KeyError(name)
        _visits[name] += 1
        target, _, visit = wanted.partition(":")
        if target == name and _visits[name] == int(visit or 1):
            os.kill(os.getpid(), signal.SIGKILL)
