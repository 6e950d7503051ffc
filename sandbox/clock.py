"""What time it is in the sandbox: the real time by default, or what a test says."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

SHOP_ZONE = ZoneInfo("Europe/Berlin")


class Clock:
    """Shared by the three servers. It never runs behind `floor`, the world's own "now": what is written after the world
    was made is newer than everything in it, also on a machine whose clock is behind."""

    def __init__(self, floor: datetime) -> None:
        self._floor = floor
        self._offset = timedelta(0)
        self._frozen: datetime | None = None
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The instant in UTC, whole seconds: none of the three systems keeps more."""
        with self._lock:
            if self._frozen is not None:
                return self._frozen
            return max(self._floor, datetime.now(UTC) + self._offset).replace(microsecond=0)

    def set(self, now: datetime, frozen: bool = False) -> None:
        """Run on from `now`, or stand still there."""
        with self._lock:
            self._frozen = now.replace(microsecond=0) if frozen else None
            self._offset = now - datetime.now(UTC)
            self._floor = min(self._floor, now)

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._offset += timedelta(seconds=seconds)
            self._floor += timedelta(seconds=seconds)
            if self._frozen is not None:
                self._frozen += timedelta(seconds=seconds)

    def reset(self) -> None:
        """Back to the real time."""
        with self._lock:
            self._frozen, self._offset = None, timedelta(0)


def instant_key(moment: datetime) -> str:
    """UTC text that sorts like the instant; what the stores index."""
    return moment.astimezone(UTC).isoformat()[:19] + "Z"


def shop_text(moment: datetime) -> str:
    """2026-05-07T22:07:19+02:00: the instant as the cart writes it."""
    return moment.astimezone(SHOP_ZONE).isoformat(timespec="seconds")


def erp_text(moment: datetime) -> tuple[str, str]:
    """('2026-05-07', '22:07:19'): local time in two fields, the ERP's way. The doubled hour in autumn is lost."""
    local = moment.astimezone(SHOP_ZONE).isoformat()
    return local[:10], local[11:19]


def crm_text(moment: datetime) -> str:
    """2026-05-07T20:07:19.000+0000: the instant as the CRM writes it."""
    return moment.astimezone(UTC).isoformat()[:19] + ".000+0000"


def parse_instant(text: str) -> datetime:
    """An ISO instant with offset, or Z; ValueError for anything else."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset")
    return moment.astimezone(UTC)
