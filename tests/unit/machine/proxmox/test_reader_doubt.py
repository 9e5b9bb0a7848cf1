"""Nodes that die and privileges that are taken away between two readings: what was known is not known any more."""

from typing import Any

import pytest

from nanny_ops.machine.proxmox.reader import Reader
from tests.fakes.proxmox import Recorded, order, refused

WALL = 1_795_295_700.0


def fact(values: dict[str, Any], section: str, thing: str = "") -> dict[str, Any]:
    lines = {(one["section"], one["object"]): one for one in values["facts"]}
    return lines.get((section, thing)) or lines[section, ""]


@pytest.mark.rows("PVE-36", "F17")
def test_nothing_of_a_dead_node_counts_as_known_now() -> None:
    api = Recorded()
    reader = Reader(api, now=lambda: WALL)
    row = next(one for one in api.answers["cluster/status"] if one["name"] == "pve2")
    api.answers["nodes/pve2/lxc/104/config?current=1"] = {"hostname": "x", "memory": 512}
    assert fact(reader.read(order(speaks_for=("pve2",))).values, "guest.config", "lxc/104")["state"] == "ok"
    row["online"] = 0
    values = reader.read(order(speaks_for=("pve2",))).values
    config = fact(values, "guest.config", "lxc/104")
    assert (config["state"], config["reason"]) == ("stale", "Node pve2 is offline.")
    for section, thing, other in (("node.status", "pve2", "pve1"), ("guest.hour", "lxc/104", "lxc/101")):
        assert (fact(values, section, thing)["state"], fact(values, section, other)["state"]) == ("failed", "ok")
    assert fact(values, "tasks", "pve2")["state"] == "failed"


@pytest.mark.rows("PVE-15", "F17")
@pytest.mark.parametrize("later", [{}, refused(595, "Connection refused")], ids=["taken away", "not answered"])
def test_a_privilege_taken_away_meanwhile_lets_no_guest_disappear(later: Any) -> None:
    api = Recorded()
    reader = Reader(api, now=lambda: WALL)
    assert reader.read(order()).values["cluster"]["guests"]
    rows = api.answers["cluster/resources"]
    api.answers["cluster/resources"] = [row for row in rows if row["type"] not in {"lxc", "qemu"}]
    api.answers["access/permissions"] = later
    values = reader.read(order()).values
    assert "guests" not in values
    assert "guests" not in values["cluster"]
    assert fact(values, "rights")["state"] in {"forbidden", "failed"}


def test_a_guest_that_is_gone_is_believed_after_a_look_at_the_privileges() -> None:
    api = Recorded()
    reader = Reader(api, now=lambda: WALL)
    before = reader.read(order()).values["cluster"]["guests"]
    api.answers["cluster/resources"] = [row for row in api.answers["cluster/resources"] if row.get("vmid") != 103]
    api.take_asked()
    assert reader.read(order()).values["cluster"]["guests"] == [vmid for vmid in before if vmid != 103]
    assert api.take_asked().count("access/permissions") == 1
