"""Positions in a stream that is read in the order of change: where to go on, and how far to reach back.

A cursor is JSON: the greatest change seen (`at`, and `id` at that instant), and in mid-sequence also `next` (what the
system gave to go on from there) and `read` (the system's clock at that moment).

At the end of a sequence the next pull reaches back by the stream's overlap, because peers commit late. In mid-sequence it
does not: a page limit with an overlap longer than a page would never get anywhere. It is only safe to leave the overlap out
where the position was older than the overlap already when it was read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from zoneinfo import ZoneInfo

from hub.connector import Stream


@dataclass(frozen=True, slots=True)
class Start:
    """Where a pull begins: everything changed at `moment` or later (None: from the beginning), or at `next` exactly."""

    moment: datetime | None = None
    next: Any = None


def start(stream: Stream, since: Any, zone: str = "UTC") -> Start:
    """What a cursor of `reached` means for the next pull. A moment without an offset is wall clock time in `zone`."""
    if not since:
        return Start()
    moment = datetime.fromisoformat(since["at"])
    back = moment - timedelta(seconds=stream.overlap)
    if since.get("next") is not None:
        read = datetime.fromisoformat(since["read"])
        # Of an hour that is there twice the second: only then both have been read.
        instant = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone), fold=1)
        if instant < read - timedelta(seconds=stream.overlap):
            return Start(moment, since["next"])
    return Start(back)


def reached(before: Any, at: str, id: Any, next: Any = None, read: datetime | None = None) -> dict[str, Any]:
    """The cursor after a page whose last record changed at `at`. It never goes back behind `before`.

    Raises ValueError or TypeError where `at` is no ISO 8601 text.
    """
    moment = datetime.fromisoformat(at)
    if before and datetime.fromisoformat(before["at"]) > moment:
        at, id = before["at"], before["id"]
    cursor: dict[str, Any] = {"at": at, "id": id}
    if next is not None:
        cursor |= {"next": next, "read": (read or datetime.now(UTC)).isoformat()}
    return cursor


def not_after(clock: datetime, cursor: dict[str, Any], before: Any, zone: str) -> dict[str, Any]:
    """The cursor after a sequence in another order than that of the changes: no later than when it began, for what changed meanwhile
    in front of where we were is still to come. It never goes back behind `before`.
    """
    tz, moment = ZoneInfo(zone), datetime.fromisoformat(cursor["at"])
    if (moment if moment.tzinfo else moment.replace(tzinfo=tz)) <= clock:
        return cursor
    begun = clock if moment.tzinfo else clock.astimezone(tz).replace(tzinfo=None)
    if before and datetime.fromisoformat(before["at"]) > begun:
        return dict(before)
    return {**cursor, "at": begun.isoformat()}


def clock_of(headers: Any) -> datetime:
    """The system's own clock, from the Date header of its answer; ours where it shows none."""
    try:
        return parsedate_to_datetime(headers["Date"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError):
        return datetime.now(UTC)


def local_start(moment: datetime, zone: str) -> datetime:
    """The wall clock time from which to ask a system that stamps local time, so that the hour that is there twice counts.

    In autumn wall clocks show 02:30 twice. Whoever has read up to 02:50 of the first time misses what happens at 02:10
    of the second, so a moment in that hour reaches back to its begin.
    """
    tz = ZoneInfo(zone)
    naive = moment.replace(tzinfo=None)
    first, second = naive.replace(tzinfo=tz, fold=0), naive.replace(tzinfo=tz, fold=1)
    gained = (first.utcoffset() or timedelta()) - (second.utcoffset() or timedelta())
    if gained <= timedelta():
        return naive
    # Minute by minute to the first ambiguous one: at most an hour or two, and only in this one hour of the year.
    edge = naive.replace(second=0, microsecond=0)
    while _twice(edge - timedelta(minutes=1), tz):
        edge -= timedelta(minutes=1)
    return edge


def _twice(naive: datetime, tz: ZoneInfo) -> bool:
    first, second = naive.replace(tzinfo=tz, fold=0), naive.replace(tzinfo=tz, fold=1)
    return (first.utcoffset() or timedelta()) > (second.utcoffset() or timedelta())
