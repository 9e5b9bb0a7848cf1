"""Package lists as rows."""

from datetime import datetime

from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import operation as operations
from nanny_ops.control.store import patch as store
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.patch import PackageChange


def test_a_list_keeps_its_order_and_its_doubles(database: Database, now: datetime) -> None:
    at = micros(now)
    agent = agents.Agent("agent-1", teams.DEFAULT, "pve1", "", "", "", "", "", "", [], "active", at)
    operation = operations.Operation(
        "patch-1", teams.DEFAULT, agent.id, "patch", "completed", "host", {}, "user-1", at, at, at
    )
    told = [
        PackageChange(name="zlib1g", version="2", old_version="1", security=True, repository="security"),
        PackageChange(name="adduser", version="3", security=False),
        PackageChange(name="zlib1g", version="2"),
    ]
    database.write_now(lambda tx: agents.add(tx, agent))
    database.write_now(lambda tx: operations.add(tx, operation))
    database.write_now(lambda tx: store.add_changes(tx, operation, told))
    database.write_now(lambda tx: store.add_changes(tx, operation, []))
    assert database.read_now(lambda tx: store.changes_of(tx, "patch-1")) == told
    assert database.read_now(lambda tx: store.changes_of(tx, "patch-2")) == []
