"""Steps of running jobs: the last word counts, until a report says it better."""

from datetime import datetime

from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import operation as operations
from nanny_ops.control.store import step as store
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database
from nanny_ops.protocol.clock import micros
from tests.unit.control.services.test_operation import MINE, order


def test_the_last_word_counts_until_it_is_dropped(database: Database, now: datetime) -> None:
    at = micros(now)
    agent = agents.Agent(MINE.id, teams.DEFAULT, "pve1", "debian", "debian", "1", "", "6.8", "linux", [], "active", at)
    placed = order(now)
    database.write_now(lambda tx: (agents.add(tx, agent), operations.add(tx, placed)))
    for body in ([{"name": "preflight"}], [{"name": "preflight"}, {"name": "script"}]):
        database.write_now(lambda tx, body=body: store.keep(tx, placed, body, at))
    assert database.read_now(lambda tx: store.of(tx, [placed.id, "patch-2"])) == {
        placed.id: [{"name": "preflight"}, {"name": "script"}]
    }
    database.write_now(lambda tx: store.forget(tx, placed.id))
    assert database.read_now(lambda tx: store.of(tx, [placed.id])) == {}
    assert database.read_now(lambda tx: store.of(tx, [])) == {}
