"""The log: one order, per subject or over all."""

import asyncio
from datetime import datetime
from typing import Any

from nanny_ops.control.store import event as events
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database
from nanny_ops.protocol.clock import micros


def log(database: Database, subject: str, number: int, now: datetime) -> Any:
    return database.write(
        lambda tx: events.log(
            tx, team_id=teams.DEFAULT, topic="t", subject=subject, kind="create", payload={"n": number}, at=micros(now)
        )
    )


async def test_the_order_of_commits_is_the_order_of_seq(database: Database, now: datetime) -> None:
    assert await database.read(events.last_seq) == 0
    await asyncio.gather(*(log(database, f"agent-{number % 3}", number, now) for number in range(30)))
    found = await database.read(lambda tx: events.after(tx, 0, 100))
    assert [event.seq for event in found] == sorted({event.seq for event in found})
    assert sorted(event.payload["n"] for event in found) == list(range(30))
    mine = await database.read(lambda tx: events.after(tx, found[4].seq, 100, subject="agent-1"))
    assert {event.subject for event in mine} == {"agent-1"}
    assert min(event.seq for event in mine) > found[4].seq
    assert await database.read(events.first_seq) == found[0].seq
    assert await database.read(events.last_seq) == found[-1].seq
