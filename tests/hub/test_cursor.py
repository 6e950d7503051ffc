"""Where a pull begins: the overlap, mid-sequence positions, and the hour that is there twice."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from hub import cursor
from hub.connector import Stream

STREAM = Stream("orders", primary_key="id", cursor="keyset", cursor_fields=("updated_at", "id"), overlap=300)
LONG_AGO = "2026-11-01T10:00:00+00:00"
READ = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_without_a_cursor_all_is_read():
    assert cursor.start(STREAM, None) == cursor.Start()


def test_at_the_end_it_reaches_back():
    got = cursor.start(STREAM, cursor.reached(None, LONG_AGO, 7))
    assert got == cursor.Start(datetime(2026, 11, 1, 9, 55, tzinfo=UTC))


def test_in_mid_sequence_it_goes_on_exactly():
    got = cursor.start(STREAM, cursor.reached(None, LONG_AGO, 7, "page2", READ))
    assert got.next == "page2"


@pytest.mark.parametrize(("seconds", "exact"), [(299, False), (301, True)])
def test_it_reaches_back_in_mid_sequence_where_late_commits_may_still_come(seconds, exact):
    at = (READ - timedelta(seconds=seconds)).isoformat()
    got = cursor.start(STREAM, cursor.reached(None, at, 7, "page2", READ))
    assert (got.next == "page2") is exact
    assert exact or got.moment == READ - timedelta(seconds=seconds + 300)


def test_a_position_never_goes_back():
    before = cursor.reached(None, "2026-11-01T10:00:00+01:00", 7)
    assert cursor.reached(before, "2026-11-01T08:59:59Z", 3)["at"] == before["at"]
    assert cursor.reached(before, "2026-11-01T09:00:01Z", 3)["id"] == 3


def test_a_cursor_is_json():
    made = cursor.reached(None, LONG_AGO, 7, ["a", "b"], READ)
    assert json.loads(json.dumps(made)) == made


@pytest.mark.parametrize(
    ("read_up_to", "asked_from"),
    [
        ("2026-10-25 01:59:59", "2026-10-25 01:59:59"),  # before
        ("2026-10-25 02:00:00", "2026-10-25 02:00:00"),
        ("2026-10-25 02:50:10", "2026-10-25 02:00:00"),  # the first or the second 02:50, nobody knows
        ("2026-10-25 03:00:00", "2026-10-25 03:00:00"),  # after
        ("2026-03-29 02:30:00", "2026-03-29 02:30:00"),  # an hour that is not there
    ],
)
def test_the_hour_that_is_there_twice_is_read_from_its_begin(read_up_to, asked_from):
    got = cursor.local_start(datetime.fromisoformat(read_up_to), "Europe/Berlin")
    assert got == datetime.fromisoformat(asked_from)


def test_no_event_of_the_autumn_night_is_lost():
    """36 events, one each five minutes, stamped with the wall clock; a pull after each. A plain keyset loses 12 of them."""
    stream = Stream("x", primary_key="id", cursor="keyset", cursor_fields=("date", "time", "id"), overlap=60)
    zone = cursor.ZoneInfo("Europe/Berlin")
    begin = datetime(2026, 10, 24, 23, 30, tzinfo=UTC)
    happened, seen, naive_seen = [], set(), set()
    position, naive = None, ""
    for n in range(36):
        wall = (begin + timedelta(minutes=5 * n)).astimezone(zone).replace(tzinfo=None)
        happened.append((wall.isoformat(), n))
        start = cursor.start(stream, position, "Europe/Berlin")
        since = cursor.local_start(start.moment, "Europe/Berlin").isoformat() if start.moment else ""
        got = sorted(event for event in happened if event[0] >= since)
        seen |= set(got)
        position = cursor.reached(position, *got[-1])
        plain = sorted(event for event in happened if event[0] > naive)
        naive_seen |= set(plain)
        naive = max([naive, *(event[0] for event in plain)])
    assert len(seen) == 36
    assert len(naive_seen) == 24


def test_the_systems_own_clock_is_preferred():
    assert cursor.clock_of({"Date": "Fri, 20 Nov 2026 12:00:00 GMT"}) == READ
    assert cursor.clock_of({}).tzinfo is UTC
