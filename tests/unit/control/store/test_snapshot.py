"""A row of another team is nobody's business, and two names of one guest are two rows."""

from dataclasses import replace
from datetime import datetime

import pytest
from sqlalchemy.exc import IntegrityError

from nanny_ops.control.store import snapshot as store
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.snapshot import Filter, Snapshot
from nanny_ops.protocol.clock import micros
from tests.unit.control.services import batch_site
from tests.unit.control.services.batch_site import TEAM

ROW = Snapshot(
    id="s1", team_id=TEAM, scope="c1", target="lxc:100", vmid=100, kind="snapshot", name="nanny-1", agent_id="a1",
    state="kept", state_at=5, created_at=5, expires_at=9,
)  # fmt: skip


def test_rows_are_found_by_team_name_and_expiry(database: Database, now: datetime) -> None:
    batch_site.build(database, now)
    strange = replace(ROW, id="s2", name="nanny-2", state="foreign")
    for row in (ROW, strange, replace(ROW, id="s3", name="x" * 512, kind="backup")):
        database.write_now(lambda tx, row=row: store.put(tx, row, known=False))
    with database.engine.connect():
        assert database.read_now(lambda tx: store.find(tx, "s1", [TEAM])) == ROW
        assert database.read_now(lambda tx: store.find(tx, "s1", ["team-9"])) is None
        assert database.read_now(lambda tx: store.page(tx, ["team-9"], Filter(), 9, 0)) == ([], 0)
        assert database.read_now(lambda tx: store.named(tx, "c1", 100, "snapshot", "nanny-2")) == strange
        assert database.read_now(lambda tx: store.expired(tx, 9, 10)) == [ROW]
        assert database.read_now(lambda tx: store.expired(tx, 8, 10)) == []
        assert len(database.read_now(lambda tx: store.page(tx, [TEAM], Filter(before=micros(now)), 9, 0))[0]) == 3
    with pytest.raises(IntegrityError):
        database.write_now(lambda tx: store.put(tx, replace(ROW, id="s4"), known=False))
