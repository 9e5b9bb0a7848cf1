"""Filters and pages of guests, and that a team sees its own."""

from datetime import datetime

import pytest

from nanny_ops.control.store import proxmox as store
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.proxmox import Cluster, Guest, GuestFilter
from nanny_ops.protocol.clock import micros


@pytest.fixture
def filled(database: Database, now: datetime) -> Database:
    at = micros(now)
    lab = Cluster("cluster-1", teams.DEFAULT, "lab-1", "lab", 1, 1, 1, {}, "agent-1", at, at)
    rows = [
        ("a", "agent-1", None, 100, "lxc", "web_1", "pve1", "running", "prod;web", None),
        ("b", "cluster-1", "cluster-1", 101, "lxc", "webX1", "pve1", "stopped", "prod,db", None),
        ("c", "cluster-1", "cluster-1", 200, "qemu", "DB-Main", "pve2", "running", "web-old", None),
        ("d", "cluster-1", "cluster-1", 201, "qemu", "lost", "pve2", "running", "", at),
    ]

    def fill(tx: store.Tx) -> None:
        store.put(tx, lab, known=False)
        for key, scope, cluster, vmid, kind, name, node, status, tags, gone in rows:
            guest = Guest(
                key, teams.DEFAULT, scope, cluster, vmid, kind, name, node, status, "", tags, {}, "agent-1", at, at,
                None, gone,
            )  # fmt: skip
            store.put(tx, guest, known=False)

    database.write_now(fill)
    return database


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (GuestFilter(), "abc"),
        (GuestFilter(gone=True), "d"),
        (GuestFilter(gone=None), "abcd"),
        (GuestFilter(cluster="lab"), "bc"),
        (GuestFilter(cluster="cluster-1"), "bc"),
        (GuestFilter(cluster="nowhere"), ""),
        (GuestFilter(node="pve1"), "ab"),
        (GuestFilter(kind="qemu"), "c"),
        (GuestFilter(status="stopped"), "b"),
        (GuestFilter(tag="web"), "a"),
        (GuestFilter(tag="PROD"), "ab"),
        (GuestFilter(tag="%"), ""),
        (GuestFilter(name="web_"), "a"),
        (GuestFilter(name="db-m"), "c"),
        (GuestFilter(vmid=200), "c"),
    ],
)
def test_filters(filled: Database, wanted: GuestFilter, found: str) -> None:
    page, total = filled.read_now(lambda tx: store.guest_page(tx, {teams.DEFAULT}, 50, 0, wanted))
    assert "".join(guest.id for guest in page) == found
    assert total == len(found)


def test_pages(filled: Database) -> None:
    page, total = filled.read_now(lambda tx: store.guest_page(tx, {teams.DEFAULT}, 2, 1, GuestFilter()))
    assert ([guest.id for guest in page], total) == (["b", "c"], 3)


def test_another_team_sees_nothing(filled: Database) -> None:
    assert filled.read_now(lambda tx: store.guest_page(tx, {"team-other"}, 50, 0, GuestFilter())) == ([], 0)
    assert filled.read_now(lambda tx: store.guest(tx, "a", {"team-other"})) is None
    assert filled.read_now(lambda tx: store.cluster(tx, "cluster-1", {"team-other"})) is None
