"""When something may begin: windows of the week by the wall clock of one time zone.

A window is written ``mon-fri 22:00-05:00``, ``sat,sun`` (whole days) or ``01:30-04:00`` (every day). One that ends
before it starts reaches into the next day, which need not be named. The wall clock decides: an hour that is skipped in
spring never comes, one that comes twice in autumn counts both times.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from nanny_ops.errors import SettingsError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: Minutes of a day.
DAY = 24 * 60
#: How far ahead a permitted time is looked for: a window once a week may fall into an hour that is skipped.
HORIZON = timedelta(days=15)
MINUTE = timedelta(minutes=1)
_DAYS = r"[a-z]{3}(?:-[a-z]{3})?(?:,[a-z]{3}(?:-[a-z]{3})?)*"
_CLOCK = r"(\d{2}):(\d{2})-(\d{2}):(\d{2})"
_WINDOW = re.compile(rf"(?:({_DAYS})(?: {_CLOCK})?|{_CLOCK})")


@dataclass(frozen=True)
class Window:
    """Days on which it starts (Monday is 0); start and end in minutes after midnight, the end up to two days later."""

    days: frozenset[int]
    start: int
    end: int

    def covers(self, day: int, minute: int) -> bool:
        """Tell whether a minute of a day lies in it, be it that it started the day before."""
        today = day in self.days and self.start <= minute < self.end
        return today or ((day - 1) % 7 in self.days and minute + DAY < self.end)


@dataclass(frozen=True)
class Times:
    """All windows, as they were written, and the zone; None is the zone of this machine."""

    windows: tuple[Window, ...]
    written: tuple[str, ...]
    zone: ZoneInfo | None = None

    def allow(self, now: datetime) -> bool:
        """Tell whether something may begin now."""
        local = now.astimezone(self.zone)
        return any(window.covers(local.weekday(), local.hour * 60 + local.minute) for window in self.windows)

    def change(self, now: datetime) -> datetime | None:
        """Return the next whole minute, in the zone, that is unlike now; None where there is none within two weeks."""
        allowed = self.allow(now)
        moment = now.astimezone(UTC).replace(second=0, microsecond=0)
        for _ in range(HORIZON // MINUTE):
            moment += MINUTE
            if self.allow(moment) is not allowed:
                return moment.astimezone(self.zone)
        return None

    def __str__(self) -> str:
        """Write the windows and the zone as in the file."""
        zone = self.zone.key if self.zone is not None else "this machine's time zone"
        return f"{'; '.join(self.written) or 'no time'} ({zone})"


def parse(texts: Iterable[str], zone: str = "") -> Times:
    """Read windows and the name of a zone such as ``Europe/Berlin``. Raises SettingsError."""
    written = tuple(" ".join(text.lower().split()) for text in texts)
    return Times(tuple(_window(text) for text in written), written, _zone(zone) if zone else None)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as wrong:  # what is not found is a KeyError, a bad name a ValueError
        raise SettingsError(f"The time zone '{name}' is not known here; is the package tzdata installed?") from wrong


def _window(text: str) -> Window:
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise SettingsError(f"'{text}' is no time; write 'mon-fri 22:00-05:00', 'sat,sun' or '01:30-04:00'.")
    days = _days(found[1], text) if found[1] else frozenset(range(7))
    clock = [part for part in found.groups()[1:] if part is not None]
    if not clock:
        return Window(days, 0, DAY)
    start, end = _minutes(clock[0], clock[1], text), _minutes(clock[2], clock[3], text)
    if start in {end, DAY}:
        raise SettingsError(f"'{text}' is no time; for whole days leave out the clock.")
    return Window(days, start, end if end > start else end + DAY)


def _days(text: str, whole: str) -> frozenset[int]:
    days: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first not in DAYS or (last and last not in DAYS):
            raise SettingsError(f"'{part}' in '{whole}' is no day; days are {', '.join(DAYS)}.")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        days.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    return frozenset(days)


def _minutes(hour: str, minute: str, whole: str) -> int:
    found = int(hour) * 60 + int(minute)
    if int(minute) > 59 or found > DAY:
        raise SettingsError(f"'{hour}:{minute}' in '{whole}' is no time of a day.")
    return found
