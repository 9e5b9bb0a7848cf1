"""What is too old or too many goes by an order for each guest, and nothing else ever does."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from nanny_ops.control.services import lease, relocation
from nanny_ops.control.services import prune as service
from nanny_ops.control.services.principal import HostAgent, Person
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import inventory
from nanny_ops.control.store import operation as operations
from nanny_ops.control.store import policy as policies
from nanny_ops.control.store.database import Database
from nanny_ops.errors import Conflict, Forbidden, NotFound
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.operation import Ack
from nanny_ops.protocol.policy import PolicyReport
from nanny_ops.protocol.prune import PruneRequest, PruneResult, Pruning, Removal
from tests.unit.control.services.batch_site import PERSON, TEAM
from tests.unit.control.services.snapshot_site import Site

A1 = HostAgent("a1", TEAM, "pve1")
VIEWER = Person("user-2", "viewer@example.com", "viewer", False, {TEAM: "viewer"})
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def site(database: Database, now: datetime) -> Site:
    """Guest 100 with three snapshots, a day apart, and guest 101 with one."""
    site = Site(database, now)
    for number in range(3):
        site.wait(days=1 if number else 0)
        site.patch(100, told=site.report(name=f"nanny-{number}"))
    site.patch(101, agent="a2", told=site.report(name="nanny-far"))
    site.wait(minutes=5)
    site.lists(100, "nanny-0", "nanny-1", "nanny-2", "mine")
    site.lists(101, "nanny-far", agent="a2")
    return site


def order(site: Site, who: Person = PERSON, **asked: Any) -> Pruning:
    usual = service.Usual(1, 72)
    request = PruneRequest(**asked)
    answer, _ = site.write(lambda tx: service.order(tx, who, request, usual, site.now))
    assert isinstance(answer, Pruning)
    return answer


def going(answer: Pruning) -> dict[str, list[str]]:
    return {one.target: one.snapshots for one in answer.orders}


@pytest.mark.rows("F6")
@pytest.mark.parametrize(
    ("asked", "goes"),
    [
        ({}, {"lxc:100": ["nanny-0", "nanny-1"]}),
        ({"keep": 2}, {"lxc:100": ["nanny-0"]}),
        ({"keep": 0}, {"lxc:100": ["nanny-0", "nanny-1", "nanny-2"], "lxc:101": ["nanny-far"]}),
        ({"older_than_hours": 30}, {"lxc:100": ["nanny-0"]}),
        ({"older_than_hours": 30, "keep": 1}, {"lxc:100": ["nanny-0", "nanny-1"]}),
        ({"keep": 0, "guest_id": "guest-101"}, {"lxc:101": ["nanny-far"]}),
        ({"keep": 0, "agent_id": "a2"}, {"lxc:101": ["nanny-far"]}),
        ({"older_than_hours": 1000}, {}),
    ],
)
def test_by_age_and_number(site: Site, asked: dict[str, Any], goes: dict[str, list[str]]) -> None:
    previewed = order(site, dry=True, **asked)
    assert going(previewed) == goes
    assert [one.id for one in previewed.orders] == [""] * len(goes)
    placed = order(site, **asked)
    assert going(placed) == goes
    open_ones = site.database.read_now(lambda tx: [*operations.open_of(tx, "a1"), *operations.open_of(tx, "a2")])
    assert {one.id for one in open_ones} == {one.id for one in placed.orders}
    assert all(one.kind == "prune" for one in open_ones)


@pytest.mark.rows("F6")
def test_what_an_open_order_may_go_back_to_stays(site: Site) -> None:
    running = site.patch(100, status="running")
    site.lists(100, "nanny-0", "nanny-1", "nanny-2", "nanny-now", maker=running)
    answer = order(site, keep=0, guest_id="guest-100")
    assert going(answer) == {"lxc:100": ["nanny-0", "nanny-1", "nanny-2"]}
    assert [(one.name, one.why) for one in answer.spared] == [("nanny-now", "in_use")]


def test_each_reason_to_spare_is_told(site: Site) -> None:
    site.lists(100, "nanny-0", "nanny-1", "nanny-2", "nanny-strange")
    site.wait(days=40)
    site.lists(100, "nanny-1", "nanny-2", "nanny-strange")  # a person has removed one
    told = PolicyReport(file="/etc/nanny-ops/policy.toml", operations=["patch"])
    row = {"agent_id": "a1", "team_id": TEAM, "body": vars(told), "at": micros(site.now)}
    answer = order(site, guest_id="guest-100")
    assert {one.name: one.why for one in answer.spared} == {"nanny-strange": "foreign"}
    assert going(answer) == {"lxc:100": ["nanny-1", "nanny-2"]}
    assert {one.why for one in order(site, guest_id="guest-100").spared} == {"foreign", "ordered"}
    assert {one.why for one in order(site, guest_id="guest-101").spared} == set()  # seen long ago: it is tried
    site.write(lambda tx: operations.change(tx, answer.orders[0].id, status="cancelled"))
    site.write(lambda tx: tx.connection.execute(policies.agent_policies.insert().values(**row)))
    assert {one.why for one in order(site, guest_id="guest-100").spared} == {"foreign", "refused"}
    for why, change in (
        ("cannot", lambda tx: agents.change(tx, "a1", features=[])),
        ("no_agent", lambda tx: agents.change(tx, "a1", status="revoked")),
        ("unknown", lambda tx: inventory.mark_guests(tx, ["guest-100"], unknown_since=5)),
    ):
        site.write(change)
        assert {one.why for one in order(site, guest_id="guest-100").spared} == {"foreign", why}


@pytest.mark.parametrize(
    ("who", "asked", "wrong"),
    [
        (VIEWER, {}, Forbidden),
        (PERSON, {"guest_id": "guest-7"}, NotFound),
        (PERSON, {"agent_id": "agent-7"}, NotFound),
        (PERSON, {"cluster": "nowhere"}, NotFound),
        (Person("u", "e", "n", False, {"team-9": "admin"}), {"guest_id": "guest-100"}, NotFound),
    ],
)
def test_what_is_not_there_or_not_allowed_is_refused(
    site: Site, who: Person, asked: dict[str, Any], wrong: type[Exception]
) -> None:
    with pytest.raises(wrong):
        order(site, who, **asked)


def test_the_first_result_stands_and_each_snapshot_is_noted(site: Site) -> None:
    [placed] = order(site, keep=1).orders
    begun = site.write(lambda tx: lease.acknowledge(tx, A1, placed.id, Ack(state="running", claim="c"), site.now))
    assert begun.answer.proceed
    removals = [
        Removal(name="nanny-0", outcome="removed", upid="UPID:1"),
        Removal(name="nanny-1", outcome="failed", reason="dataset is busy"),
        Removal(name="nanny-2", outcome="removed"),  # nobody asked for that one
    ]
    said = PruneResult(outcome="partial", reason="1 of 2.", removals=removals, claim="c")
    ended, new = site.write(lambda tx: service.take(tx, A1, placed.id, said, site.now))
    assert (ended.status, ended.outcome, new) == ("failed", "partial", True)
    found = {row.name: row for row in site.rows(vmid=100)}
    assert (found["nanny-0"].state, found["nanny-0"].removed_by) == ("removed", placed.id)
    assert (found["nanny-1"].state, found["nanny-1"].why) == ("kept", "dataset is busy")
    assert found["nanny-2"].state == "kept"
    again = replace(said, outcome="ok")
    assert site.write(lambda tx: service.take(tx, A1, placed.id, again, site.now))[1] is False
    shown = service.rendered(site.operation(placed.id))
    assert (shown.outcome, [one.outcome for one in shown.removals][:2]) == ("partial", ["removed", "failed"])
    assert site.operation(placed.id).held_until is None


def test_one_that_has_not_begun_is_taken_back_and_follows_its_guest(site: Site) -> None:
    [placed] = order(site, keep=1).orders
    site.write(lambda tx: inventory.mark_guests(tx, ["guest-100"], node="pve2"))
    site.write(lambda tx: relocation.sweep(tx, site.now))
    assert site.operation(placed.id).agent_id == "a2"
    ended, new = site.write(lambda tx: service.withdraw(tx, PERSON, placed.id, site.now))
    assert (ended.status, new) == ("cancelled", True)
    assert site.write(lambda tx: service.withdraw(tx, PERSON, placed.id, site.now))[1] is False
    with pytest.raises(NotFound):
        site.write(lambda tx: service.withdraw(tx, PERSON, "prune-9", site.now))
    [again] = order(site, keep=1).orders
    site.write(lambda tx: operations.change(tx, again.id, status="running"))
    with pytest.raises(Conflict, match="has begun"):
        site.write(lambda tx: service.withdraw(tx, PERSON, again.id, site.now))


@pytest.mark.rows("F6")
def test_what_is_over_goes_by_itself_once_and_is_tried_again_a_day_later(site: Site) -> None:
    sweep = lambda: site.write(lambda tx: service.sweep(tx, site.now))  # noqa: E731
    assert sweep() == []
    failed = site.patch(100, outcome="unhealthy", told=site.report(name="nanny-evidence"))
    site.wait(hours=26)
    assert site.database.read_now(lambda tx: service.is_due(tx, site.now))
    [placed] = sweep()
    assert [one["name"] for one in placed.request["snapshots"]] == ["nanny-0"]
    assert (placed.created_by, placed.agent_id) == ("prune", "a1")
    assert sweep() == []
    site.wait(days=30)
    placed = {one.target: [each["name"] for each in one.request["snapshots"]] for one in sweep()}
    assert placed == {"lxc:101": ["nanny-far"]}  # the other order is open still
    assert "is pending" in {row.name: row for row in site.rows(vmid=100)}["nanny-1"].why
    kept = {row.name: row for row in site.rows(operation_id=failed)}["nanny-evidence"]
    assert (kept.state, kept.expires_at) == ("kept", None)
