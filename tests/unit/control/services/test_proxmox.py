"""One row for each real thing, whatever order reports come in and however often."""

import itertools
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import pytest

from nanny_ops.control.services import proxmox as service
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import proxmox as store
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database, Tx
from nanny_ops.control.store.proxmox import Guest, GuestFilter, Node
from nanny_ops.errors import RateLimited
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.proxmox import ClusterReport, LxcReport, NodeReport, QemuReport

TEAM = {teams.DEFAULT}
CLUSTER = ClusterReport(cluster_name="lab", cluster_id="lab-1", nodes=2, quorate=1, version=7)


class Fleet:
    """Reports to a store, a second later each time."""

    def __init__(self, database: Database, now: datetime) -> None:
        self.database, self.now = database, now

    def enrol(self, name: str, hostname: str = "pve") -> HostAgent:
        row = agents.Agent(
            name, teams.DEFAULT, hostname, "debian", "debian", "1", "192.0.2.1", "6.8", "linux", [], "active",
            micros(self.now),
        )  # fmt: skip
        self.database.write_now(lambda tx: agents.add(tx, row))
        return HostAgent(name, teams.DEFAULT, hostname)

    def says(self, agent: HostAgent, report: Any, how: dict[str, Any] | None = None, **extra: Any) -> None:
        self.now += timedelta(seconds=1)
        take = {ClusterReport: service.take_cluster, NodeReport: service.take_node}.get(
            type(report), service.take_guest
        )
        body = {**asdict(report), **extra}
        self.database.write_now(lambda tx: take(tx, agent, report, body, self.now, **(how or {})))

    def guests(self, gone: bool | None = None) -> list[Guest]:
        wanted = GuestFilter(gone=gone)
        return self.database.read_now(lambda tx: store.guest_page(tx, TEAM, 500, 0, wanted))[0]

    def nodes(self) -> list[Node]:
        return self.database.read_now(lambda tx: store.node_page(tx, TEAM, 500, 0))[0]


@pytest.fixture
def fleet(database: Database, now: datetime) -> Fleet:
    return Fleet(database, now)


def lxc(vmid: int, node: str = "pve1", **fields: Any) -> LxcReport:
    return LxcReport(
        **{"name": f"ct{vmid}", "lxc_id": f"lxc/{vmid}", "status": "running", "vmid": vmid, "node": node} | fields
    )


def node(name: str = "pve1", ip: str = "192.0.2.11", **fields: Any) -> NodeReport:
    given = {"name": name, "node_id": 1, "ip": ip, "online": 1, "local": 1, "pve_version": "8.4.21"} | fields
    return NodeReport(**given)


@pytest.mark.rows("G0-PX-05")
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_any_order_leads_to_the_same(fleet: Fleet, order: tuple[int, ...]) -> None:
    agent, said = fleet.enrol("agent-1"), [CLUSTER, node(), lxc(101)]
    for number in order:
        fleet.says(agent, said[number])
    fleet.says(agent, CLUSTER)
    found = fleet.database.read_now(lambda tx: store.cluster_page(tx, TEAM, 10, 0))[0]
    assert len(found) == 1
    assert [(one.name, one.cluster_pk, one.scope) for one in fleet.nodes()] == [("pve1", found[0].id, found[0].id)]
    assert [(one.vmid, one.cluster_pk, one.scope) for one in fleet.guests()] == [(101, found[0].id, found[0].id)]


@pytest.mark.rows("G0-PX-05")
def test_twice_is_once(fleet: Fleet) -> None:
    agent = fleet.enrol("agent-1")
    for report in (CLUSTER, node(), lxc(101)) * 2:
        fleet.says(agent, report)
    assert len(fleet.nodes()) == len(fleet.guests()) == 1


def test_two_agents_of_a_cluster_meet_in_it(fleet: Fleet) -> None:
    one, two = fleet.enrol("agent-1"), fleet.enrol("agent-2")
    fleet.says(one, lxc(101))
    fleet.says(one, CLUSTER)
    first = fleet.guests()[0]
    fleet.says(two, lxc(101, "pve2", status="stopped"))
    assert len(fleet.guests()) == 2  # nobody has said yet that these two belong together
    fleet.says(two, CLUSTER)
    merged = fleet.guests()
    assert [(one.id, one.node, one.status) for one in merged] == [(first.id, "pve2", "stopped")]
    assert merged[0].created_at == first.created_at


def test_in_a_merge_the_newer_report_wins(fleet: Fleet) -> None:
    one, two = fleet.enrol("agent-1"), fleet.enrol("agent-2")
    fleet.says(two, lxc(101, "pve2", status="stopped"))
    older = fleet.guests()[0]
    fleet.says(one, CLUSTER)
    fleet.says(one, lxc(101, "pve1"))
    fleet.says(two, CLUSTER)
    assert [(one.id, one.node, one.status) for one in fleet.guests()] == [(older.id, "pve1", "running")]


def test_a_migrated_guest_moves(fleet: Fleet) -> None:
    agent = fleet.enrol("agent-1")
    for report in (CLUSTER, lxc(101, "pve1"), lxc(101, "pve1")):
        fleet.says(agent, report)
    assert fleet.guests()[0].moved_at is None
    fleet.says(agent, lxc(101, "pve2"))
    moved = fleet.guests()
    assert [(one.node, one.moved_at) for one in moved] == [("pve2", micros(fleet.now))]
    fleet.says(agent, lxc(101, "pve2"))
    assert fleet.guests()[0].moved_at == moved[0].moved_at


def test_a_number_used_again_by_the_other_kind_is_a_new_guest(fleet: Fleet) -> None:
    agent = fleet.enrol("agent-1")
    fleet.says(agent, lxc(101, "pve1"))
    fleet.says(agent, QemuReport(name="vm", qemu_id="qemu/101", status="running", vmid=101, node="pve2"))
    found = fleet.guests()
    assert [(one.kind, one.moved_at, one.created_at) for one in found] == [("qemu", None, micros(fleet.now))]


@pytest.mark.parametrize("in_cluster", [True, False])
def test_what_a_complete_list_lacks_is_gone_and_may_come_back(fleet: Fleet, in_cluster: bool) -> None:
    agent = fleet.enrol("agent-1")
    listed: Any = CLUSTER if in_cluster else node()
    for report in (listed, lxc(101), lxc(102), lxc(103)):
        fleet.says(agent, report)
    complete = {**asdict(listed), "guests": [101]}
    fleet.says(agent, type(listed)(**complete))
    gone_at = micros(fleet.now)
    assert {one.vmid: one.gone_at for one in fleet.guests()} == {101: None, 102: gone_at, 103: gone_at}
    fleet.says(agent, lxc(102))
    fleet.says(agent, type(listed)(**{**complete, "guests": [101, 102, 103]}))
    assert [one.vmid for one in fleet.guests(gone=False)] == [101, 102, 103]
    fleet.says(agent, listed)  # without a list nothing is concluded
    assert len(fleet.guests(gone=False)) == 3


def test_a_nodes_list_says_nothing_of_a_whole_cluster(fleet: Fleet) -> None:
    agent = fleet.enrol("agent-1")
    for report in (CLUSTER, lxc(101), node(guests=[])):
        fleet.says(agent, report)
    assert fleet.guests()[0].gone_at is None


@pytest.mark.parametrize(
    ("ip", "silent", "revoked", "taken"),
    [
        ("192.0.2.11", False, False, False),  # both alive: two machines of one name
        ("192.0.2.11", True, False, True),  # the old identity fell silent at this address
        ("192.0.2.99", True, False, False),  # another machine of this name, switched off
        ("192.0.2.99", False, True, True),  # a person said that the old one no longer counts
    ],
)
def test_a_node_enrolled_anew_is_not_there_twice(
    fleet: Fleet, ip: str, silent: bool, revoked: bool, taken: bool
) -> None:
    old = fleet.enrol("agent-old")
    fleet.says(old, node(ip=ip))
    fleet.says(old, lxc(101))
    before = fleet.guests()[0]
    new = fleet.enrol("agent-new")
    fleet.says(new, lxc(101))  # a guest may come before its node
    if silent:
        fleet.now += timedelta(hours=1)
    if revoked:
        fleet.database.write_now(lambda tx: agents.change(tx, old.id, status="revoked"))
    fleet.says(new, node(ip="192.0.2.11"))
    assert len(fleet.nodes()) == len(fleet.guests()) == (1 if taken else 2)
    if taken:
        assert [(one.id, one.reported_by) for one in fleet.guests()] == [(before.id, "agent-new")]
        assert fleet.nodes()[0].scope == "agent-new"


def test_another_node_seen_from_afar_keeps_what_its_own_agent_said(fleet: Fleet) -> None:
    one, two = fleet.enrol("agent-1"), fleet.enrol("agent-2")
    for agent in (one, two):
        fleet.says(agent, CLUSTER)
    fleet.says(one, node("pve1"))
    fleet.says(two, node("pve1", ip="", pve_version="", online=0, local=0))
    assert [(n.ip, n.pve_version, n.online) for n in fleet.nodes()] == [("192.0.2.11", "8.4.21", 0)]


def test_a_report_is_a_sign_of_life(fleet: Fleet) -> None:
    agent = fleet.enrol("agent-1")
    fleet.says(agent, node())

    def last_seen(tx: Tx) -> int | None:
        found = agents.find(tx, agent.id)
        return found.last_seen if found else None

    assert fleet.database.read_now(last_seen) == micros(fleet.now)


@pytest.mark.rows("G0-RL-02")
def test_what_comes_too_soon_is_refused_only_if_it_says_nothing_new(fleet: Fleet) -> None:
    agent, soon = fleet.enrol("agent-1"), {"too_soon": RateLimited(retry_after=9)}
    listing = ClusterReport(**{**asdict(CLUSTER), "guests": [101]})
    said: list[Any] = [listing, node(), lxc(101)]
    for report in said:
        fleet.says(agent, report, soon)  # the first of each
    before = (fleet.nodes(), fleet.guests())
    for report in said:
        with pytest.raises(RateLimited):
            fleet.says(agent, report, soon)
    assert (fleet.nodes(), fleet.guests()) == before
    fleet.says(agent, lxc(101, status="stopped"), soon)
    fleet.says(agent, node(online=0), soon)
    fleet.says(agent, ClusterReport(**{**asdict(listing), "guests": []}), soon)
    assert [guest.status for guest in fleet.guests(gone=True)] == ["stopped"]
    fleet.says(agent, lxc(101, status="stopped"), soon)  # the same words, but it was gone
    assert [guest.vmid for guest in fleet.guests(gone=False)] == [101]


@pytest.mark.rows("G0-RL-02")
def test_the_stored_body_counts_whoever_reported_it(fleet: Fleet) -> None:
    first, second, soon = fleet.enrol("agent-1"), fleet.enrol("agent-2"), {"too_soon": RateLimited()}
    for agent in (first, second):
        fleet.says(agent, CLUSTER)
    fleet.says(first, node(online=1), soon)
    fleet.says(second, node(online=0), soon)
    fleet.says(first, node(online=1), soon)  # what it said last, and news all the same
    assert [one.online for one in fleet.nodes()] == [1]
