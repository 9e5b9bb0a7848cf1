"""Long random walks over the calls that change guests: whatever is done in whatever order, the state stays whole."""

import hashlib
import json
import random

import pytest

from nanny_ops.lab.pve.conf import render
from nanny_ops.lab.pve.state.storage import Storage, Volume
from tests.unit.lab.pve.pretended import Asking, asking

#: Method and path of a call; ``*`` is any guest, of which some are missing or of the other kind.
STEPS = (
    *(("POST", f"/*/status/{verb}") for verb in ("start", "stop", "shutdown", "reboot", "suspend")),
    *(("POST", f"/*/snapshot?snapname={name}") for name in ("s1", "s2", "current")),
    *(("DELETE", f"/*/snapshot/{name}") for name in ("s1", "s2")),
    *(("POST", f"/*/snapshot/{name}/rollback?start={start}") for name in ("s1", "s2") for start in (0, 1)),
    *(("PUT", f"/*/config?{query}") for query in ("onboot=1", "delete=onboot", "cores=3", "tags=z,a", "revert=cores")),
    *(("PUT", f"/*/config?lock={lock}") for lock in ("backup", "migrate")),
    ("POST", "/*/migrate?target=pve2"),
    ("POST", "/*/migrate?target=pve1&restart=1&online=1"),
    ("POST", "/*/clone?newid=150&full=1"),
    ("DELETE", "/*?purge=1"),
    ("POST", "/*/template"),
    ("POST", "/lxc?vmid=151&ostemplate=local:vztmpl/d12.tar.zst"),
    ("POST", "/vzdump?vmid=101,103,150"),
    ("POST", "/stopall"),
    ("POST", "/startall?force=1"),
)
GUESTS = ("lxc/101", "lxc/103", "lxc/104", "lxc/105", "lxc/150", "lxc/151", "qemu/203", "lxc/203", "qemu/999")


def installation(release: str) -> Asking:
    asked = asking(release)
    asked.api.cluster.storages["btr"] = Storage("btr", "btrfs")
    asked.api.cluster.storages["local"].volumes["pve1"] = [Volume("local:vztmpl/d12.tar.zst", "vztmpl", "tzst", 1, 0)]
    asked.api.cluster.update(101, rootfs="btr:101/vm-101-disk-0.raw,size=4G")
    return asked


def whole(asked: Asking, locked_by_hand: set[int]) -> None:
    """Assert what must hold after every call: tasks are over, so nothing but a call has left a lock."""
    cluster = asked.api.cluster
    for guest in cluster.list_guests():
        assert guest.node in cluster.nodes
        assert not guest.lock or guest.vmid in locked_by_hand
        assert not (guest.template and cluster.power.read(guest).running)
        assert guest.conf.get("parent") in {None, *guest.snapshots}
        path = f"/nodes/{guest.node}/{guest.kind}/{guest.vmid}"
        digest = hashlib.sha1(render(guest).encode()).hexdigest()
        assert asked.get(f"{path}/config")["digest"] == digest
        rows = {row["name"]: row for row in asked.get(f"{path}/snapshot")}
        assert set(rows) == {"current", *guest.snapshots}
        assert {row["parent"] for row in rows.values() if "parent" in row} <= set(guest.snapshots)
    listed = {row["vmid"] for row in asked.get("/cluster/resources?type=vm")}
    assert listed == set(cluster.guests)


@pytest.mark.parametrize("release", ["8.4", "9.2"])
@pytest.mark.parametrize("seed", range(4))
def test_the_state_stays_whole(release: str, seed: int) -> None:
    dice, asked, locked = random.Random(seed), installation(release), set[int]()
    for _ in range(60):
        method, pattern = dice.choice(STEPS)
        guest = dice.choice(GUESTS)
        path = f"/nodes/{dice.choice(('pve1', 'pve1', 'pve2'))}{pattern.replace('*', guest)}"
        if dice.random() < 0.05:
            asked.api.cluster.set_online("pve2", online=not asked.api.cluster.nodes["pve2"].online)
        reply = asked.reply(method, path)
        assert reply.status in {200, 400, 500, 595}, (method, path, reply.reason)
        if reply.status == 200 and "lock=" in path:
            locked.add(int(guest.partition("/")[2]))
        if b"UPID" in reply.body:
            upid = json.loads(reply.body)["data"]
            assert asked.api.tasks.find(upid.split(":")[1], upid).exitstatus
        asked.api.cluster.set_online("pve2", online=True)
        whole(asked, locked)
