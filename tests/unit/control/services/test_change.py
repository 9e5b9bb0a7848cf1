"""What becomes an event, once, and what does not."""

import re
from datetime import datetime
from typing import Any

import pytest

from nanny_ops.control.services import change
from nanny_ops.control.store import event as events
from nanny_ops.control.store.database import Database
from tests.house.tree import ROOT
from tests.unit.control.services.fleet_site import Site


@pytest.fixture
def site(database: Database, now: datetime) -> Site:
    site = Site(database, now, ["pve1", "pve2"])
    site.add(101, "pve1", extra={"memory_mb": 512, "rootfs": "local:101/d.raw,size=8G", "lock": "", "template": False})
    site.add(201, "pve2", kind="qemu", extra={"scsi0": "local:201/d.qcow2,size=10G"})
    site.all_say()
    assert site.events() == []
    return site


@pytest.mark.parametrize(
    ("fields", "extra", "told"),
    [
        ({"status": "stopped"}, {}, ["guest.stopped"]),
        ({"status": "paused"}, {}, []),
        ({"node": "pve2"}, {}, ["guest.migrated"]),
        ({}, {"name": "other"}, ["guest.renamed"]),
        ({}, {"memory_mb": 1024}, ["guest.resized"]),
        ({}, {"rootfs": "local:101/d.raw,size=9G"}, ["guest.resized"]),
        ({}, {"memory_mb": None}, []),
        ({}, {"lock": "backup"}, ["guest.locked"]),
        ({}, {"lock": None}, []),
        ({}, {"template": True}, ["guest.template"]),
        ({}, {"description": "new"}, []),
        ({"kind": "qemu"}, {}, ["guest.destroyed", "guest.created"]),
    ],
)
def test_what_happens_to_a_guest_is_told_once(
    site: Site, fields: dict[str, Any], extra: dict[str, Any], told: list[str]
) -> None:
    guest = site.guests[101]
    for name, value in fields.items():
        setattr(guest, name, value)
    guest.extra |= extra
    for _ in range(2):
        site.all_say()
    assert sorted(kind for kind, _ in site.events()) == sorted(told)


def test_an_unlocked_guest_says_which_lock_is_gone(site: Site) -> None:
    for lock in ("backup", ""):
        site.guests[101].extra["lock"] = lock
        site.all_say()
    found = site.database.read_now(lambda tx: events.after(tx, 0, 10))
    assert [(one.kind, one.payload["record"]["detail"]) for one in found] == [
        ("guest.locked", {"lock": "backup"}),
        ("guest.unlocked", {"lock": "backup"}),
    ]


def test_an_event_names_what_it_tells_of(site: Site) -> None:
    site.guests[201].extra["scsi0"] = "local:201/d.qcow2,size=20G"
    site.all_say()
    [event] = site.database.read_now(lambda tx: events.after(tx, 0, 10))
    record = event.payload["record"]
    expected = {"object": "qemu/201", "name": "g201", "node": "pve2", "cluster_name": "lab", "kind": "guest.resized"}
    assert {key: record[key] for key in expected} == expected
    assert record["detail"] == {"scsi0": {"from": "10G", "to": "20G"}}
    assert (event.topic, event.subject) == (change.TOPIC, change.subject(event.team_id))


def test_guests_come_and_go(site: Site) -> None:
    site.add(102, "pve1")
    site.all_say()
    site.guests.pop(101)
    site.all_say()
    site.add(101, "pve1")
    site.all_say()
    assert site.events() == [("guest.created", "lxc/102"), ("guest.destroyed", "lxc/101"), ("guest.created", "lxc/101")]


def test_a_large_cluster_seen_for_the_first_time_is_no_storm(database: Database, now: datetime) -> None:
    """Neither where all is told at once, nor where the list comes first and the guests with their own agents."""
    site = Site(database, now, ["pve1", "pve2"])
    for vmid in range(100, 160):
        site.add(vmid, "pve1" if vmid % 2 else "pve2")
    body = site.report("pve1")
    site.says("pve1", {**body, "lxc": [one for one in body["lxc"] if one["node"] == "pve1"]})
    site.says("pve2")
    assert len(site.stored()) == 60
    site.add(160, "pve2")
    site.all_say()
    assert site.events() == [("guest.created", "lxc/160")]


def test_nodes_come_and_go(site: Site) -> None:
    site.nodes.append("pve3")
    site.says("pve1")
    site.nodes.remove("pve3")
    site.says("pve1")
    assert site.events() == [("node.joined", "node/pve3"), ("node.left", "node/pve3")]
    assert site.stored_nodes()["pve1"].gone_at is None


def test_an_incomplete_list_of_nodes_loses_none(site: Site) -> None:
    body = site.report("pve1")
    site.says("pve1", {**body, "members": None, "nodes": [], "node_usage": body["node_usage"][:1]})
    assert site.events() == []


def test_every_kind_is_described() -> None:
    assert all(text and "." in kind for kind, text in change.KINDS.items())


def test_every_kind_has_its_row_in_the_documentation() -> None:
    page = (ROOT / "docs" / "fleet.md").read_text()
    assert set(re.findall(r"^\| `(\w+\.\w+)` \|", page, re.MULTILINE)) == set(change.KINDS)
