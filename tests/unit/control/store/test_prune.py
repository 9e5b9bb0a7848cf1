"""An order to remove snapshots is open until it has ended, for its guest on whichever node."""

from datetime import datetime

from nanny_ops.control.store import operation as operations
from nanny_ops.control.store import prune as store
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.operation import Operation
from tests.unit.control.services import batch_site
from tests.unit.control.services.batch_site import TEAM


def test_open_ones_are_found_by_their_guest(database: Database, now: datetime) -> None:
    batch_site.build(database, now)
    one = Operation("prune-1", TEAM, "a1", "prune", "pending", "lxc:100", {}, "u", 1, 1, 9, vmid=100)
    database.write_now(lambda tx: operations.add(tx, one))
    assert [found.id for found in database.read_now(lambda tx: store.open_on(tx, "c1", "lxc:100"))] == ["prune-1"]
    assert database.read_now(lambda tx: store.open_on(tx, "c1", "lxc:101")) == []
    database.write_now(lambda tx: operations.change(tx, "prune-1", status="completed"))
    assert database.read_now(lambda tx: store.open_on(tx, "c1", "lxc:100")) == []
