"""Whole readings of a cluster by several agents: one row and one word for each thing."""

from datetime import datetime, timedelta

import pytest

from nanny_ops.control.services import inventory as service
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import inventory as store
from nanny_ops.control.store import proxmox as things
from nanny_ops.control.store.database import Database
from nanny_ops.errors import ValidationFailed
from nanny_ops.protocol.clock import micros, stamp
from tests.unit.control.services.fleet_site import REPORT, TEAM, Site


@pytest.fixture
def site(database: Database, now: datetime) -> Site:
    site = Site(database, now)
    for number, node in enumerate(("pve1", "pve2", "pve3", "pve1"), start=101):
        site.add(number, node)
    return site


def test_all_agents_together_tell_of_each_thing_once(site: Site) -> None:
    answers = site.all_say() + site.all_say()
    assert [answer.reports_cluster for answer in answers] == [True, False, False] * 2
    assert not any(answer.resend for answer in answers)
    assert {vmid: (row.node, row.status, row.reported_by) for vmid, row in site.stored().items()} == {
        101: ("pve1", "running", "agent-pve1"),
        102: ("pve2", "running", "agent-pve2"),
        103: ("pve3", "running", "agent-pve3"),
        104: ("pve1", "running", "agent-pve1"),
    }
    assert {name: (row.online, row.pve_version) for name, row in site.stored_nodes().items()} == dict.fromkeys(
        ("pve1", "pve2", "pve3"), (1, "8.4.21")
    )
    clusters, total = site.database.read_now(lambda tx: things.cluster_page(tx, TEAM, 10, 0))
    assert (total, clusters[0].reported_by, "guests" in clusters[0].body) == (1, "agent-pve1", False)
    assert site.events() == []


def test_two_agents_never_tell_a_guest_differently(site: Site) -> None:
    site.all_say()
    for _ in range(2):
        lie = site.report("pve1")
        for body in lie["lxc"]:
            body["name"] = "seen-from-afar"
        site.says("pve1", lie)
        site.says("pve2")
    assert {row.name for row in site.stored().values() if row.node == "pve1"} == {"seen-from-afar"}
    assert site.stored()[102].name == "g102"  # its own agent is alive; the speaker's word does not count
    site.says("pve3", {**site.report("pve3", cluster=True), "node": "pve3"})
    assert site.stored()[103].name == "g103"
    assert [kind for kind, _ in site.events()] == ["guest.renamed"] * 2


@pytest.mark.rows("PVE-36")
def test_the_guests_of_a_dead_node_are_unknown_since_then(site: Site) -> None:
    site.all_say()
    site.dead.add("pve2")
    site.says("pve1")
    assert site.stored()[102].unknown_since is None  # its own agent was heard of a moment ago
    for _ in range(12):
        site.says("pve1")
    lost = site.stored()[102]
    node = site.stored_nodes()["pve2"]
    assert (lost.status, lost.unknown_since, node.online) == ("running", node.state_since, 0)
    assert site.stored()[101].unknown_since is None
    assert site.events() == [("node.offline", "node/pve2")]
    site.dead.clear()
    site.guests[102].status = "stopped"
    site.says("pve2", cluster=False)
    assert (site.stored()[102].unknown_since, site.stored()[102].status) == (None, "stopped")
    site.says("pve1")
    assert site.events() == [("guest.stopped", "lxc/102"), ("node.online", "node/pve2")]


def test_the_speaker_speaks_for_a_node_without_a_living_agent(site: Site) -> None:
    site.says("pve1")
    assert set(site.stored()) == {101, 102, 103, 104}
    site.guests[102].status = "stopped"
    site.says("pve1")
    assert site.stored()[102].status == "stopped"
    site.says("pve2")
    assert site.stored()[102].reported_by == "agent-pve2"


def test_a_silent_speaker_is_replaced_and_does_not_come_back(site: Site) -> None:
    site.all_say()
    for _ in range(4):
        assert not site.says("pve2").reports_cluster
    site.now += timedelta(minutes=12)
    assert site.says("pve3").reports_cluster
    assert [site.says(node).reports_cluster for node in ("pve1", "pve2", "pve3")] == [False, False, True]


def test_a_revoked_speaker_is_replaced_at_once(site: Site) -> None:
    site.all_say()
    site.database.write_now(lambda tx: agents.change(tx, "agent-pve1", status="revoked"))
    assert site.says("pve2").reports_cluster


def test_an_agent_without_the_clusters_part_is_offered_it_but_does_not_speak(site: Site) -> None:
    site.all_say()
    site.now += timedelta(minutes=15)
    assert site.says("pve2", cluster=False).reports_cluster
    assert site.says("pve3").reports_cluster  # it told the cluster's part first
    assert not site.says("pve2").reports_cluster


def test_quorum_goes_before_who_came_first(site: Site) -> None:
    site.all_say()
    site.quorate = 0
    site.says("pve1")
    site.quorate = 1
    assert site.says("pve2").reports_cluster
    assert not site.says("pve1").reports_cluster
    assert site.events() == [("quorum.lost", "cluster/lab"), ("quorum.regained", "cluster/lab")]


def test_longer_cycles_leave_a_speaker_longer(site: Site) -> None:
    for _ in range(3):
        site.now += timedelta(minutes=14)
        assert site.says("pve1").reports_cluster
    site.now += timedelta(minutes=25)
    assert not site.says("pve2").reports_cluster


def test_the_same_report_again_changes_nothing(site: Site) -> None:
    site.all_say()
    body = site.report("pve1")
    site.guests.pop(104)
    site.says("pve1", body)
    before = (site.stored(), site.stored_nodes())
    site.says("pve1", body)
    assert {vmid: row.body for vmid, row in site.stored().items()} == {v: row.body for v, row in before[0].items()}
    assert site.events() == []


def test_a_late_report_adds_usage_only(site: Site) -> None:
    early = site.report("pve1")
    site.all_say()
    site.guests[101].status = "stopped"
    site.says("pve1")
    site.says("pve1", early)
    assert site.stored()[101].status == "stopped"
    assert site.events() == [("guest.stopped", "lxc/101")]


def test_a_report_that_overtook_the_list_is_not_undone_by_it(site: Site) -> None:
    site.all_say()
    list_without_it = site.report("pve1")
    site.now += timedelta(seconds=10)
    site.add(200, "pve2")
    site.says("pve2", cluster=False)
    site.says("pve1", list_without_it)
    assert 200 in site.stored()
    assert site.events() == [("guest.created", "lxc/200")]


def test_a_migrated_guest_is_not_taken_back_by_an_older_word(site: Site) -> None:
    site.all_say()
    before = site.report("pve1")
    site.now += timedelta(seconds=10)
    site.guests[101].node = "pve2"
    site.says("pve2", cluster=False)
    site.says("pve1", before)
    assert site.stored()[101].node == "pve2"
    site.says("pve1")
    assert site.events() == [("guest.migrated", "lxc/101")]


def test_a_node_outside_a_cluster(database: Database, now: datetime) -> None:
    site = Site(database, now, ["alone"])
    site.add(101, "alone")
    assert site.says("alone", cluster=None).reports_cluster
    site.guests.clear()
    site.add(102, "alone")
    site.says("alone", cluster=None)
    assert set(site.stored()) == {102}
    assert site.events() == [("guest.created", "lxc/102"), ("guest.destroyed", "lxc/101")]


def test_an_agent_that_joins_a_cluster_brings_its_guests(database: Database, now: datetime) -> None:
    site = Site(database, now, ["pve1"])
    site.add(101, "pve1")
    site.says("pve1", cluster=None)
    first = site.stored()[101]
    site.says("pve1")
    assert (site.stored()[101].id, site.stored()[101].cluster_pk is not None) == (first.id, True)
    assert database.read_now(lambda tx: store.scope(tx, "agent-pve1")) is None
    assert site.events() == []


def test_bodies_are_asked_for_where_a_second_reading_lacks_them_too(site: Site) -> None:
    site.all_say()
    site.add(300, "pve2")
    bare = {"lxc": [], "qemu": []}
    assert not site.says("pve2", {**site.report("pve2", cluster=False), **bare}).resend
    assert site.says("pve2", {**site.report("pve2", cluster=False), **bare}).resend
    assert not site.says("pve2", cluster=False).resend


def test_parts_of_one_reading_count_together(site: Site) -> None:
    site.all_say()
    whole = site.report("pve1")
    for part in ({"lxc": [], "usage": whole["usage"][:2]}, {"usage": whole["usage"][2:]}):
        site.says("pve1", {**whole, **part})
    found = site.database.read_now(lambda tx: store.reporter(tx, "agent-pve1"))
    assert found is not None
    assert found.usage is not None


def test_a_clock_that_runs_ahead_counts_as_now(site: Site, now: datetime) -> None:
    body = {**site.report("pve1"), "at": stamp(now + timedelta(days=400))}
    site.says("pve1", body)
    assert {row.told_at for row in site.stored().values()} == {micros(site.now)}
    with pytest.raises(ValidationFailed, match="at: "):
        service.instant("yesterday", now)


def test_everything_of_silent_agents_is_unknown_after_a_while(site: Site) -> None:
    site.all_say()
    heard = {row.vmid: row.reported_by for row in site.stored().values()}
    later = micros(site.now + timedelta(hours=1))
    assert site.database.write_now(lambda tx: store.silence(tx, later)) == 7
    assert site.database.write_now(lambda tx: store.silence(tx, later)) == 0
    assert all(row.unknown_since for row in site.stored().values())
    assert heard == {row.vmid: row.reported_by for row in site.stored().values()}
    site.all_say()
    assert not any(row.unknown_since for row in (*site.stored().values(), *site.stored_nodes().values()))


def test_a_word_of_unknown_status_keeps_the_last_that_was_known(site: Site) -> None:
    site.says("pve1")
    site.guests[102].status = "unknown"
    site.says("pve1")
    assert site.stored()[102].status == "running"
    site.guests[102].status = "running"
    site.says("pve1")
    assert site.events() == []


def test_a_report_parses_as_it_travels(site: Site) -> None:
    assert REPORT.validate_python(site.report("pve1")).node == "pve1"


def test_the_speaker_is_told_which_nodes_have_nobody_else(site: Site) -> None:
    first = site.says("pve1", nodes=[], lxc=[], usage=[], node_usage=[])
    assert (first.reports_cluster, first.speaks_for) == (True, ["pve2", "pve3"])
    assert set(site.stored_nodes()) == {"pve1", "pve2", "pve3"}
    site.says("pve2")
    assert site.says("pve3").speaks_for == []
    assert site.says("pve1").speaks_for == []
    assert site.events() == []


def test_nobody_knows_since_when_a_thing_is_as_it_is_at_first_sight(site: Site) -> None:
    site.all_say()
    assert {row.state_since for row in (*site.stored().values(), *site.stored_nodes().values())} == {None}


def test_a_node_of_which_only_the_name_is_told_is_online(site: Site) -> None:
    site.all_say()
    site.dead.add("pve2")
    site.says("pve1")
    site.dead.clear()
    site.says("pve1", nodes=[], node_usage=[])
    assert site.stored_nodes()["pve2"].online == 1
    assert site.events() == [("node.offline", "node/pve2"), ("node.online", "node/pve2")]


def test_what_is_told_of_a_cluster_now_and_then_stands(site: Site) -> None:
    site.says("pve1", jobs=[{"id": "backup-1"}])
    site.says("pve1")
    [cluster], _ = site.database.read_now(lambda tx: things.cluster_page(tx, TEAM, 10, 0))
    assert [job["id"] for job in cluster.body["jobs"]] == ["backup-1"]
