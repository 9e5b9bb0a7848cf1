"""An order that has not begun follows its guest to another node, or ends and says why it cannot."""

from datetime import datetime

import pytest

from nanny_ops.control.services import lease, patch
from nanny_ops.control.services import relocation as service
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.control.store import event as events
from nanny_ops.control.store import inventory
from nanny_ops.control.store import operation as operations
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.operation import Operation
from nanny_ops.protocol.operation import Ack
from nanny_ops.protocol.patch import PatchRequest
from tests.unit.control.services import batch_site
from tests.unit.control.services.batch_site import PERSON, TEAM


@pytest.fixture
def site(database: Database, now: datetime) -> Database:
    batch_site.build(database, now)
    return database


def placed(site: Database, now: datetime, vmid: str = "100") -> Operation:
    request = PatchRequest(agent_id="a1", mode="apply", vmid=vmid)
    return site.write_now(lambda tx: patch.place(tx, PERSON, request, "", now))[0]


def moved(site: Database, now: datetime, **values: object) -> list[Operation]:
    site.write_now(lambda tx: inventory.mark_guests(tx, ["guest-100"], **values))
    return site.write_now(lambda tx: service.sweep(tx, now))


def row(site: Database, operation: Operation) -> Operation:
    found = site.read_now(lambda tx: operations.get(tx, operation.id, "patch", [TEAM]))
    assert found is not None
    return found


def test_the_order_goes_to_the_agent_of_the_new_node(site: Database, now: datetime) -> None:
    order = placed(site, now)
    assert site.write_now(lambda tx: service.sweep(tx, now)) == []
    assert moved(site, now, node="pve2") == []
    assert (row(site, order).agent_id, row(site, order).status) == ("a2", "pending")
    told = [one for one in site.read_now(lambda tx: events.after(tx, 0, 99)) if one.topic == "patch_operations"]
    assert [(one.subject, one.kind, one.payload["record"]["status"]) for one in told[-2:]] == [
        ("a1", "update", "cancelled"), ("a2", "create", "pending"),
    ]  # fmt: skip
    assert site.write_now(lambda tx: service.sweep(tx, now)) == []


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("node", "agent", "status"), [("pve2", "a2", "pending"), ("pve3", "a1", "failed")])
def test_who_asks_to_begin_where_the_guest_is_no_more_is_told_no(
    site: Database, now: datetime, node: str, agent: str, status: str
) -> None:
    order = placed(site, now)
    site.write_now(lambda tx: inventory.mark_guests(tx, ["guest-100"], node=node))
    here, ack = HostAgent("a1", TEAM, "pve1"), Ack(state="running", claim="c")
    reply = site.write_now(lambda tx: lease.acknowledge(tx, here, order.id, ack, now))
    assert reply.answer is not None
    assert (reply.answer.proceed, reply.ended is not None) == (False, status == "failed")
    assert (row(site, order).agent_id, row(site, order).status) == (agent, status)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("values", "reason"), [({"node": "pve3"}, "has moved to pve3, where no agent runs"), ({"gone_at": 5}, "is gone")]
)
def test_where_nobody_can_carry_it_out_it_ends_as_lost(
    site: Database, now: datetime, values: dict[str, object], reason: str
) -> None:
    order = placed(site, now)
    assert [one.id for one in moved(site, now, **values)] == [order.id]
    ended = row(site, order)
    assert (ended.status, ended.outcome) == ("failed", "target_lost")
    assert reason in ended.reason


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_has_begun_or_cannot_be_known_stays(site: Database, now: datetime) -> None:
    order = placed(site, now)
    assert moved(site, now, node="pve2", unknown_since=5) == []
    assert row(site, order).agent_id == "a1"
    agent, ack = HostAgent("a1", TEAM, "pve1"), Ack(state="running", claim="c")
    site.write_now(lambda tx: lease.acknowledge(tx, agent, order.id, ack, now))
    assert moved(site, now, unknown_since=None) == []
    assert (row(site, order).agent_id, row(site, order).status) == ("a1", "running")
