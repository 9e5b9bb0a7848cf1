"""A cluster whose guests have snapshots, for tests of what is known of them and what removes them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from nanny_ops.control.services import snapshot as service
from nanny_ops.control.services.change import Place
from nanny_ops.control.services.principal import Person
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import fact as facts
from nanny_ops.control.store import inventory
from nanny_ops.control.store import operation as operations
from nanny_ops.control.store import snapshot as store
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.fact import Fact
from nanny_ops.control.store.operation import Operation
from nanny_ops.protocol.clock import micros, stamp
from nanny_ops.protocol.feature import PRUNE
from nanny_ops.protocol.guest import Snapshot as Listed
from nanny_ops.protocol.patch_report import PatchReport, Protection
from nanny_ops.protocol.snapshot import SnapshotRow, description
from tests.unit.control.services import batch_site
from tests.unit.control.services.batch_site import PERSON, TEAM

SECOND = 1_000_000


class Site:
    """The batch site, whose agents remove snapshots, and time that a test lets pass."""

    def __init__(self, database: Database, now: datetime) -> None:
        """Build it."""
        batch_site.build(database, now)
        self.database, self.now, self.count = database, now, 0
        for agent in ("a1", "a2"):
            self.write(lambda tx, agent=agent: agents.change(tx, agent, features=[PRUNE]))

    def write(self, work: Any) -> Any:
        """Do something in a transaction."""
        return self.database.write_now(work)

    def patch(
        self, vmid: int = 100, outcome: str = "ok", status: str = "", agent: str = "a1",
        told: PatchReport | None = None, **asked: Any,
    ) -> str:  # fmt: skip
        """End a patch of a guest, with a snapshot that it has just made unless told otherwise; return its id."""
        self.count += 1
        at, status = micros(self.now), status or ("completed" if outcome == "ok" else "failed")
        done = Operation(
            f"patch-{self.count}", TEAM, agent, "patch", status, f"lxc:{vmid}", {"mode": "apply", **asked}, "u", at, at,
            at + 3600 * SECOND, outcome=outcome if status in ("completed", "failed") else None, vmid=vmid,
        )  # fmt: skip
        self.write(lambda tx: operations.add(tx, done))
        if status in ("completed", "failed"):
            self.tell(done, told or self.report())
        return done.id

    def report(self, **more: Any) -> PatchReport:
        """Return what a patch tells that has made a snapshot."""
        made = {
            "kind": "snapshot",
            "name": f"nanny-{self.count}",
            "made_at": stamp(self.now),
            "ours": True,
            "upid": "U",
        }
        return PatchReport(protection=Protection(**{**made, **more}))

    def tell(self, operation: Operation, report: PatchReport | None) -> None:
        """Take a report of an operation."""
        self.write(lambda tx: service.remember(tx, operation, report, self.now))

    def operation(self, key: str) -> Operation:
        """Return an operation of any kind."""
        found = self.database.read_now(lambda tx: operations.find(tx, key))
        assert found is not None
        return found

    def lists(self, vmid: int, *names: str, maker: str = "", agent: str = "a1") -> None:
        """Have an agent tell which snapshots a guest has now."""
        at = micros(self.now)
        text = description(maker) + "\n" if maker else ""
        listed = {name: Listed(name=name, at=at // SECOND, description=text) for name in names}
        body = {"snapshots": [vars(one) for one in listed.values()]}
        self.write(lambda tx: inventory.mark_guests(tx, [f"guest-{vmid}"], body=body, reported_by=agent))
        line = Fact(agent, "guest.snapshots", "", TEAM, "c1", "ok", "api", "", "", at, at)
        self.write(lambda tx: facts.put(tx, [line]))
        read = service.Reading(vmid=vmid, kind="lxc", snapshots=listed, at=at)
        place = Place(TEAM, "c1", "c1", "lab")
        self.write(lambda tx: service.reconcile(tx, place, agent, [read], micros(self.now)))

    def rows(self, who: Person = PERSON, states: Sequence[str] = (), **wanted: Any) -> list[SnapshotRow]:
        """Return what people see, the newest first."""
        asked = store.Filter(states=states, **wanted)
        return self.database.read_now(lambda tx: service.page(tx, who, asked, 100, 0, self.now))[0]

    def one(self, **wanted: Any) -> SnapshotRow:
        """Return the only one there is."""
        [found] = self.rows(**wanted)
        return found

    def wait(self, **time: float) -> None:
        """Let time pass."""
        self.now += timedelta(**time)
