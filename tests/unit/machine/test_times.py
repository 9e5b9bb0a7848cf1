"""Windows of the week by the wall clock, across midnight, weeks and changes of the clock."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanny_ops.errors import SettingsError
from nanny_ops.machine.times import DAYS, parse

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
MINUTE = timedelta(minutes=1)
#: Days, start and end of a window; around the clock's changes more often than elsewhere.
CLOCKS = st.integers(0, 23 * 60 + 59)
WINDOWS = st.tuples(st.sets(st.sampled_from(range(7)), min_size=1), CLOCKS, CLOCKS).filter(lambda one: one[1] != one[2])
CHANGES = [
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC),
]
INSTANTS = st.builds(
    lambda base, minutes: base + timedelta(minutes=minutes), st.sampled_from(CHANGES), st.integers(-3000, 3000)
)


def clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def write(days: set[int], start: int, end: int) -> str:
    return f"{','.join(DAYS[day] for day in sorted(days))} {clock(start)}-{clock(end)}"


def lies_in(local: datetime, days: set[int], start: int, end: int) -> bool:
    """Look at the two windows that could hold this wall clock: today's, and the one that started yesterday."""
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    plain = local.replace(tzinfo=None)
    length = timedelta(minutes=(end - start) % (24 * 60))
    for day in (midnight, midnight - timedelta(days=1)):
        begins = day + timedelta(minutes=start)
        if day.weekday() in days and begins <= plain < begins + length:
            return True
    return False


@given(windows=st.lists(WINDOWS, min_size=1, max_size=3), zone=st.sampled_from(ZONES), now=INSTANTS)
def test_the_wall_clock_decides(windows: list[tuple[set[int], int, int]], zone: str, now: datetime) -> None:
    times = parse([write(*one) for one in windows], zone)
    local = now.astimezone(ZoneInfo(zone))
    assert times.allow(now) == any(lies_in(local, *one) for one in windows)


@given(window=WINDOWS, zone=st.sampled_from(ZONES), now=INSTANTS, part=st.floats(0, 1, exclude_max=True))
def test_until_the_change_nothing_changes(
    window: tuple[set[int], int, int], zone: str, now: datetime, part: float
) -> None:
    times = parse([write(*window)], zone)
    change = times.change(now)
    assert change is not None, "no window of the week is open for two weeks, or shut for two"
    assert now < change <= now + timedelta(days=15)
    assert times.allow(change) is not times.allow(now)
    between = now + (change - MINUTE - now) * part
    assert times.allow(max(now, between)) is times.allow(now)


@pytest.mark.parametrize(
    ("text", "zone", "now", "allowed", "change"),
    [
        # An ordinary night that starts on Friday and reaches into Saturday.
        ("mon-fri 22:00-05:00", "UTC", "2026-11-20T21:59", False, "2026-11-20T22:00+00:00"),
        ("mon-fri 22:00-05:00", "UTC", "2026-11-21T04:59", True, "2026-11-21T05:00+00:00"),
        ("mon-fri 22:00-05:00", "UTC", "2026-11-21T05:00", False, "2026-11-23T22:00+00:00"),
        # The hour from 2 to 3 does not exist on this day: the window opens where the clock jumps to, at 3.
        ("sun 02:30-04:00", "Europe/Berlin", "2026-03-29T00:59", False, "2026-03-29T03:00+02:00"),
        # The window lies wholly in the hour that is skipped: a week later.
        ("sun 02:10-02:50", "Europe/Berlin", "2026-03-29T00:00", False, "2026-04-05T02:10+02:00"),
        # The hour from 2 to 3 comes twice: the window opens twice.
        ("sun 02:00-02:30", "Europe/Berlin", "2026-10-25T00:30", False, "2026-10-25T02:00+01:00"),
        ("fri-mon", "UTC", "2026-11-24T00:00", False, "2026-11-27T00:00+00:00"),
        ("20:00-24:00", "UTC", "2026-11-24T23:59", True, "2026-11-25T00:00+00:00"),
        ("mon-sun", "UTC", "2026-11-24T23:59", True, None),
    ],
)
def test_examples(text: str, zone: str, now: str, allowed: bool, change: str | None) -> None:
    times, moment = parse([text], zone), datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert times.allow(moment) is allowed
    found = times.change(moment)
    assert (found.isoformat(timespec="minutes") if found else None) == change


def test_it_is_written_as_it_was_read() -> None:
    assert (
        str(parse(["Mon-Fri  22:00-05:00", "sat,sun"], "Europe/Berlin"))
        == "mon-fri 22:00-05:00; sat,sun (Europe/Berlin)"
    )
    assert "this machine" in str(parse([]))
    assert not parse([]).allow(datetime(2026, 1, 1, tzinfo=UTC))
    assert parse([]).change(datetime(2026, 1, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    "text",
    ["", "monday", "mon-fry 1:00-2:00", "mon 25:00-26:00", "mon 01:60-02:00", "mon 01:00-01:00", "24:00-01:00", "xyz"],
)
def test_a_slip_is_told(text: str) -> None:
    with pytest.raises(SettingsError):
        parse([text])


@pytest.mark.parametrize("zone", ["Europe/Nowhere", "../etc/passwd", "/etc/passwd"])
def test_an_unknown_zone_is_told(zone: str) -> None:
    with pytest.raises(SettingsError, match="time zone"):
        parse(["mon"], zone)
