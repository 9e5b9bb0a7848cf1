"""Readings are written once, and what an agent is only when it changed."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from nanny_ops.control.services import metrics as service
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import metrics as store
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.agent import Agent
from nanny_ops.control.store.database import Database
from nanny_ops.errors import Forbidden, ValidationFailed
from nanny_ops.protocol.clock import micros, stamp
from nanny_ops.protocol.metrics import SystemMetrics

MINE = HostAgent("agent-1", teams.DEFAULT, "pve1")


@pytest.fixture
def enrolled(database: Database, now: datetime) -> Database:
    row = Agent(
        MINE.id, MINE.team_id, "pve1", "debian", "debian", "1", "192.0.2.1", "6.8", "linux", [], "active", micros(now)
    )
    database.write_now(lambda tx: agents.add(tx, row))
    return database


def reading(at: datetime, **fields: Any) -> SystemMetrics:
    sizes = dict.fromkeys(("memory_total", "memory_used", "memory_free", "memory_available"), 8)
    disk = {"disk_usage": 1.5, "disk_total": 8, "disk_used": 4, "disk_free": 4}
    given = {"agent_id": MINE.id, "timestamp": stamp(at), "hostname": "pve1", "cpu_usage": 2.5, "cpu_cores": 4}
    return SystemMetrics(**{**given, "memory_usage": 0.1, **sizes, **disk, **fields})


def stored(database: Database) -> Agent:
    found = database.read_now(lambda tx: agents.find(tx, MINE.id))
    assert found is not None
    return found


def kept(database: Database, **between: Any) -> list[bytes]:
    stretch = service.between(between.get("since"), between.get("until"))
    return [row.body for row in database.read_now(lambda tx: service.page(tx, stored(database), stretch, 50, 0))[0]]


async def test_the_same_instant_is_written_once(enrolled: Database, now: datetime) -> None:
    readings = service.Readings()
    for raw in (b"1", b"2"):
        await readings.take(enrolled, MINE, reading(now), raw, now)
    assert kept(enrolled) == [b"1"]
    assert stored(enrolled).last_seen == micros(now)


async def test_history_is_newest_first_and_has_ends(enrolled: Database, now: datetime) -> None:
    readings = service.Readings()
    for minute in range(4):
        at = now + timedelta(minutes=minute)
        await readings.take(enrolled, MINE, reading(at), str(minute).encode(), now + timedelta(minutes=5))
    assert kept(enrolled) == [b"3", b"2", b"1", b"0"]
    ends = {"since": stamp(now + timedelta(minutes=1)), "until": stamp(now + timedelta(minutes=3))}
    assert kept(enrolled, **ends) == [b"2", b"1"]
    page, total = enrolled.read_now(lambda tx: service.page(tx, stored(enrolled), (None, None), 1, 2))
    assert ([row.body for row in page], total) == ([b"1"], 4)
    assert enrolled.read_now(lambda tx: store.page(tx, MINE.id, {"team-other"}, (None, None), 9, 0)) == ([], 0)


async def test_what_the_agent_is_follows_its_readings(enrolled: Database, now: datetime) -> None:
    readings = service.Readings()
    await readings.take(
        enrolled, MINE, reading(now, version="2", kernel_version="6.9", all_ips=["192.0.2.7"]), b"", now
    )
    told = stored(enrolled)
    assert (told.version, told.kernel_version, told.all_ips) == ("2", "6.9", ["192.0.2.7"])
    assert told.platform == "debian"  # not told now, so not erased


async def test_an_unchanged_description_is_not_written_again(enrolled: Database, now: datetime) -> None:
    readings, later = service.Readings(), now + timedelta(minutes=1)
    await readings.take(enrolled, MINE, reading(now, version="2"), b"", now)
    enrolled.write_now(lambda tx: agents.change(tx, MINE.id, version="written by hand"))
    await readings.take(enrolled, MINE, reading(later, version="2"), b"", later)
    assert stored(enrolled).version == "written by hand"


async def test_a_nul_does_not_reach_a_column(enrolled: Database, now: datetime) -> None:
    await service.Readings().take(enrolled, MINE, reading(now, version="2\0", kernel_version="7"), b"", now)
    assert (stored(enrolled).version, stored(enrolled).kernel_version) == ("1", "7")


async def test_another_agents_reading_is_refused(enrolled: Database, now: datetime) -> None:
    with pytest.raises(Forbidden):
        await service.Readings().take(enrolled, replace(MINE, id="agent-2"), reading(now), b"", now)


@pytest.mark.parametrize(("ahead", "fine"), [(599, True), (601, False)])
async def test_a_clock_may_run_ahead_a_little(enrolled: Database, now: datetime, ahead: int, fine: bool) -> None:
    taking = service.Readings().take(enrolled, MINE, reading(now + timedelta(seconds=ahead)), b"", now)
    if fine:
        await taking
    else:
        with pytest.raises(ValidationFailed, match="ten minutes"):
            await taking
    assert len(kept(enrolled)) == fine


async def test_an_instant_that_is_none_is_refused(enrolled: Database, now: datetime) -> None:
    with pytest.raises(ValidationFailed, match=r"^timestamp: "):
        await service.Readings().take(enrolled, MINE, replace(reading(now), timestamp="yesterday"), b"", now)
    with pytest.raises(ValidationFailed, match=r"^since: "):
        service.between("yesterday", None)
