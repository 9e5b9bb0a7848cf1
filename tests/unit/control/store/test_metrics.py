"""Readings are kept small and come back as they came."""

import zlib
from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import metrics as store
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database
from nanny_ops.protocol.clock import micros

BODY = b'{"cpu_usage":12.5,' + b'"filesystem_info":[' + b",".join([b'{"device":"/dev/sda1"}'] * 40) + b"]}"


@given(st.binary(max_size=300))
def test_a_body_is_kept_byte_by_byte(body: bytes) -> None:
    assert zlib.decompress(store.packed(body)) == body


async def test_a_page_has_the_bodies_as_they_came(database: Database, now: datetime) -> None:
    row = agents.Agent("agent-1", teams.DEFAULT, "pve1", "", "", "", "", "", "linux", [], "active", micros(now))
    await database.write(lambda tx: agents.add(tx, row))
    reading = {
        "agent_id": "agent-1", "team_id": teams.DEFAULT, "cpu_usage": 1.0, "memory_used": 1, "memory_total": 2,
        "disk_usage": 1.0, "load_avg_1": 0.1, "body": store.packed(BODY), "received_at": micros(now),
    }  # fmt: skip
    for at in (1, 2, 2):
        await database.append(store.adding(on_sqlite=database.sqlite), {**reading, "at": at})
    found, total = await database.read(lambda tx: store.page(tx, "agent-1", [teams.DEFAULT], (None, None), 10, 0))
    assert ([one.at for one in found], total) == ([2, 1], 2)
    assert {one.body for one in found} == {BODY}
    assert len(store.packed(BODY)) * 3 < len(BODY)
