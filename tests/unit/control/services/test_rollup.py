"""Five minutes at a time, the same from the same readings, whenever they came."""

import math
from datetime import datetime, timedelta
from typing import Any

import pytest

from nanny_ops.control.services import history, rollup, series
from nanny_ops.control.services import usage as service
from nanny_ops.control.services.history import Asked, Resolution
from nanny_ops.control.store import team as teams
from nanny_ops.control.store import usage as store
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.usage import HOUR
from nanny_ops.protocol.clock import micros

SECOND = 1_000_000
KEY = "lxc/101"


class Past:
    """Readings of one guest, and the ticks that roll them up."""

    def __init__(self, database: Database, now: datetime) -> None:
        self.database, self.start = database, micros(now)

    def tell(self, minute: float, **told: float) -> None:
        body = series.pack(series.of_rows([(KEY, told)], service.COLUMNS))
        at = self.start + int(minute * 60) * SECOND
        self.database.write_now(lambda tx: service.keep(tx, teams.DEFAULT, "s", "agent-1", at, body))

    def roll(self, now: datetime) -> int:
        """Do what the scheduler does; return how many hours were done."""
        hours = 0
        while (due := self.database.read_now(lambda tx: rollup.due(tx, now))) is not None:
            rows = self.database.read_now(lambda tx, due=due: rollup.compute(tx, due))
            for step in rollup.steps(rows):
                self.database.write_now(lambda tx, step=step: store.put_days(tx, step))
            until = self.database.read_now(lambda tx, due=due: rollup.next_hour(tx, due, now))
            self.database.write_now(lambda tx, due=due, until=until: store.advance(tx, due, until))
            hours += 1
        return hours

    def points(self, resolution: Resolution, hours: float = 3) -> list[dict[str, Any]]:
        until = self.start + int(hours * HOUR)
        asked = Asked("s", KEY, teams.DEFAULT, self.start, until, resolution)
        found: list[dict[str, Any]] = self.database.read_now(lambda tx: history.read(tx, asked))["points"]
        return found


@pytest.fixture
def past(database: Database, now: datetime) -> Past:
    return Past(database, now)


def fill(past: Past) -> None:
    for minute in range(0, 120, 2):
        past.tell(minute, cpu=minute / 200, mem=1000, netin=minute * 600)


def test_slots_are_the_same_before_and_after_they_are_rolled_up(past: Past, now: datetime) -> None:
    fill(past)
    before = past.points("5min")
    assert past.roll(now + timedelta(hours=3)) >= 2
    after = past.points("5min")
    assert len(before) == len(after) == 24
    for one, two in zip(before, after, strict=True):
        assert one["at"] == two["at"]
        for name in ("cpu", "cpu_max", "mem", "netin_rate"):
            assert math.isclose(one.get(name, 0), two.get(name, 0), rel_tol=1e-6)
    assert after[1]["cpu_max"] == pytest.approx(8 / 200)
    assert after[1]["netin_rate"] == pytest.approx(10)


def test_coarser_steps(past: Past, now: datetime) -> None:
    fill(past)
    past.roll(now + timedelta(hours=3))
    hours = past.points("1h")
    assert [point["at"] for point in hours] == ["2026-01-31T02:00:00.000Z", "2026-01-31T03:00:00.000Z"]
    assert hours[1]["cpu_max"] == pytest.approx(118 / 200)
    assert len(past.points("1d", 24)) == 1


def test_a_late_reading_is_rolled_up_too(past: Past, now: datetime) -> None:
    past.tell(1, cpu=0.5)
    past.tell(70, cpu=0.5)
    past.roll(now + timedelta(hours=3))
    past.tell(7, cpu=1.0)
    past.roll(now + timedelta(hours=3))
    assert [point["cpu"] for point in past.points("5min")] == [0.5, 1.0, 0.5]


def test_hours_without_a_reading_are_passed_over(past: Past, now: datetime) -> None:
    past.tell(1, cpu=0.5)
    past.tell(60 * 30, cpu=0.5)
    assert past.roll(now + timedelta(hours=40)) == 2
    assert past.roll(now + timedelta(hours=40)) == 0


def test_an_hour_is_not_done_before_its_grace_is_over(past: Past, now: datetime) -> None:
    past.tell(1, cpu=0.5)
    assert past.roll(now + timedelta(minutes=75)) == 0
    assert past.roll(now + timedelta(minutes=80)) == 1


def test_a_counter_that_was_reset_has_no_rate(past: Past) -> None:
    for minute, received in ((0, 100), (5, 50), (10, 650), (40, 900)):
        past.tell(minute, netin=received)
    assert [point.get("netin_rate") for point in past.points("raw")] == [None, None, 2, None]


def test_readings_move_with_their_scope(past: Past, now: datetime) -> None:
    fill(past)
    past.roll(now + timedelta(hours=3))
    past.database.write_now(lambda tx: store.move(tx, "s", "t"))
    mine = Asked("t", KEY, teams.DEFAULT, past.start, past.start + 3 * HOUR, "5min")
    assert len(past.database.read_now(lambda tx: history.read(tx, mine))["points"]) == 24
    assert past.points("5min") == []


def test_what_is_old_goes_in_steps(past: Past, now: datetime) -> None:
    fill(past)
    past.roll(now + timedelta(hours=3))
    assert past.database.write_now(lambda tx: store.forget(tx, past.start + HOUR)) == 30
    day = past.start // rollup.DAY
    dropped = [past.database.write_now(lambda tx, d=d: store.forget_days(tx, d)) for d in (day, day + 1, day + 1)]
    assert dropped == [0, 1, 0]
