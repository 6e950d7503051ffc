"""Pages that are asked for by number: several at the same time, given out one after another in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Answer = TypeVar("Answer")


def ahead(ask: Callable[[int], Answer], count: int | None, parallel: int, begin: int = 0) -> Iterator[Answer]:
    """`ask(begin)`, `ask(begin + 1)`, … in this order, up to `parallel` of them in flight; `count` is where to stop (None: never).

    Whoever has seen enough closes the iterator: what was asked for beyond is dropped. An error is raised when it is its
    page's turn, so all that came before it has been given out. `ask` is called from several threads.
    """
    waiting: deque[Future[Answer]] = deque()
    number = begin
    with ThreadPoolExecutor(parallel, "crossdock-page") as pool:
        try:
            while True:
                while len(waiting) < parallel and (count is None or number < count):
                    waiting.append(pool.submit(ask, number))
                    number += 1
                if not waiting:
                    return
                yield waiting.popleft().result()
        finally:
            for asked in waiting:
                asked.cancel()
