"""An error of ours in the log of a task: what is wrong and what to do, before the traceback that Airflow prints of whatever fails."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from hub.errors import CrossdockError

P = ParamSpec("P")
R = TypeVar("R")
_log = logging.getLogger("crossdock.task")


def plainly(work: Callable[P, R]) -> Callable[P, R]:
    """`work`, whose CrossdockError is told in lines of their own, most urgent first, and raised on without our frames: who
    reads it has a system, a file or a plan to look at, and not our code. Any other error is a defect and keeps its frames.
    """

    @functools.wraps(work)
    def task(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return work(*args, **kwargs)
        except CrossdockError as error:
            tell(error)
            raise error.with_traceback(None) from None

    return task


def tell(error: CrossdockError) -> None:
    """What is wrong, what to do, where more is said, and for engineers the detail."""
    _log.error("%s %s%s", error.code, f"{error.place}: " if error.place else "", error.what)
    if error.fix:
        _log.error("what to do: %s", error.fix)
    _log.info("more: crossdock explain %s", error.code)
    if error.detail or error.request_id:
        _log.info(
            "detail: %s", " ".join(filter(None, (error.detail, error.request_id and f"request {error.request_id}")))
        )
