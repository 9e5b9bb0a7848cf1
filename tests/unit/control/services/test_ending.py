"""People's stream hears of the end of each order, with what a follow-up needs; daily dry runs stay silent."""

from dataclasses import replace
from datetime import datetime

from nanny_ops.control.services import ending
from nanny_ops.control.services.change import KINDS, subject
from nanny_ops.control.services.survey import SURVEYOR
from nanny_ops.control.store import event as events
from nanny_ops.control.store.database import Database, Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.protocol.clock import micros
from tests.unit.control.services import batch_site
from tests.unit.control.services.batch_site import TEAM


def test_an_end_is_told_with_what_a_follow_up_needs(database: Database, now: datetime) -> None:
    batch_site.build(database, now)
    at = micros(now)
    order = Operation(
        "patch-1", TEAM, "a1", "patch", "completed", "lxc:100", {"mode": "apply"}, "user-1", at, at, at, outcome="ok"
    )  # fmt: skip
    daily, host = replace(order, id="patch-2", created_by="survey"), replace(order, id="patch-3", target="host")

    def end(tx: Tx) -> None:
        for one in (order, daily, host):
            ending.tell(tx, one, now)

    database.write_now(end)
    found = database.read_now(lambda tx: events.after(tx, 0, 100, subjects=[subject(TEAM)]))
    records = [one.payload["record"] for one in found]
    assert [(one["kind"], one["object"], one["node"]) for one in records] == [
        ("patch.ended", "lxc/100", "pve1"),
        ("patch.ended", "node/pve1", "pve1"),
    ]
    assert records[0]["cluster_name"] == "lab"
    assert records[0]["detail"] == {
        "agent_id": "a1", "operation_id": "patch-1", "target": "lxc:100", "mode": "apply", "status": "completed",
        "outcome": "ok", "reason": "", "batch_id": "",
    }  # fmt: skip


def test_every_kind_of_order_has_its_event() -> None:
    assert {f"{kind}.ended" for kind in ("patch", "reboot", "update", "investigation")} <= KINDS.keys()
    assert SURVEYOR in ending.QUIET
