"""Snapshots from the patch that makes them to the order that removes them: real processes, a pretended Proxmox VE."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nanny_ops.lab.fleet import LabPlan
from nanny_ops.lab.lab import ADMIN_TOKEN, Lab
from nanny_ops.lab.pve.fault import Fault, Refuse, on
from nanny_ops.lab.pve.state.access import Grant
from nanny_ops.lab.pve.state.storage import Storage
from nanny_ops.machine.job import FOLDER
from nanny_ops.machine.proxmox import snapshot
from nanny_ops.machine.proxmox.client import Client
from nanny_ops.machine.proxmox.power import Guest
from nanny_ops.machine.verbs import ProxmoxAccess
from nanny_ops.protocol.operation import ENDED
from tests.e2e.agent_process import keepers
from tests.e2e.site import Site, until

pytestmark = pytest.mark.timeout(400)

PROGRAM = Path(sys.executable).parent / "nanny-ops"
LIST = """#!/bin/sh
echo '[{"name":"app","version":"2"}]'
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One node whose simulated containers can be snapshotted; the agent's token may change them."""
    with Lab(LabPlan(nodes=1, guests=6, real=0), tmp_path_factory.mktemp("lab"), refusal_delay=0, pace=0.02) as made:
        made.access.grants.append(Grant("/", "nanny@pve", "PVEVMAdmin"))
        made.access.grants.append(Grant("/storage", "nanny@pve", "PVEDatastoreAdmin"))
        made.cluster.storages["fast"] = Storage("fast", "btrfs", "/srv/fast")
        for guest in made.cluster.list_guests(kind="lxc"):
            made.cluster.update(guest.vmid, rootfs=f"fast:{guest.vmid}/vm-{guest.vmid}-disk-0.raw,size=4G")
        yield made


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An installation with an agent on the node that reads Proxmox VE often."""
    settings = {"NANNY_AGENT_PROXMOX_INTERVAL": "30"}
    made = Site(lab, tmp_path_factory.mktemp("snapshots") / "site", lab.nodes, agent_settings=settings)
    try:
        made.open()
        until(lambda: made.rows("/api/proxmox/guests"), "guests are told of", 60)
        yield made
    finally:
        made.close()


def as_admin(lab: Lab) -> ProxmoxAccess:
    token = f"{ADMIN_TOKEN}={lab.tokens[ADMIN_TOKEN].secret}"
    return ProxmoxAccess(url=lab.nodes[0].url, token=token, ca_file=str(lab.ca_file))


def protected(site: Site, script: str = LIST, **asked: Any) -> dict[str, Any]:
    """Carry out a patch that needs a snapshot."""
    return site.carry_out(script_id=site.upload(script), protect="require-snapshot", **asked)


def ours(site: Site) -> list[str]:
    return sorted(name for name in site.lab.cluster.guests[site.post.vmid].snapshots if name.startswith("nanny-"))


def rows(site: Site, **query: Any) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in site.rows("/api/snapshots", vmid=site.post.vmid, **query)}


def reported(site: Site) -> list[str]:
    """Return the snapshots that the inventory tells of."""
    [guest] = site.rows("/api/proxmox/guests", vmid=site.post.vmid)
    found = site.operator.get(f"/api/proxmox/guests/{guest['id']}").json()["reported"]
    return [one["name"] for one in found.get("snapshots") or ()]


def typed(site: Site, *words: str) -> tuple[int, str]:
    """Return exit code and output of ``nanny-ops snapshot``."""
    token = site.operator.headers["Authorization"].removeprefix("Bearer ")
    environ = {"PATH": os.environ["PATH"], "NANNY_URL": site.server.url, "NANNY_TOKEN": token}
    done = subprocess.run([PROGRAM, "snapshot", *words], env=environ, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def pruned(site: Site, **asked: Any) -> list[dict[str, Any]]:
    """Order a removal and return the orders at their end."""
    answer = site.operator.post("/api/prunes", json=asked)
    assert answer.status_code == 201, answer.text
    found = [one["id"] for one in answer.json()["orders"]]
    look = lambda key: site.operator.get(f"/api/prunes/{key}").json()  # noqa: E731
    until(lambda: all(look(key)["status"] in ENDED for key in found), f"the end of {found}", 90)
    return [look(key) for key in found]


@pytest.mark.rows("F6")
def test_a_snapshot_has_its_row_and_goes_by_order_and_nobody_elses_does(site: Site) -> None:
    first = protected(site, snapshot_keep=5)
    second = protected(site, snapshot_keep=5)
    assert (first["outcome"], second["outcome"]) == ("ok", "ok"), (first, second)
    name = second["report"]["protection"]["name"]
    site.lab.cluster.guests[site.post.vmid].snapshots["before-upgrade"] = {"snaptime": 5}
    found = rows(site)
    assert sorted(found) == ours(site)
    assert found[name]["upid"].startswith("UPID:pve1:")
    assert (found[name]["state"], found[name]["operation_id"]) == ("kept", second["id"])
    assert all(row["there"] for row in found.values())

    code, said = typed(site, "prune", "--keep", "1", "--dry-run")
    assert (code, "Would go" in said, len(ours(site))) == (0, True, 2), said
    code, said = typed(site, "prune", "--keep", "1", "--watch", "--json")
    assert code == 0, said
    [order] = json.loads(said)["orders"]
    assert (order["outcome"], [one["outcome"] for one in order["removals"]]) == ("ok", ["removed"])
    assert order["removals"][0]["upid"].startswith("UPID:pve1:")
    assert ours(site) == [name]
    assert "before-upgrade" in site.lab.cluster.guests[site.post.vmid].snapshots
    gone = rows(site, state="removed")[first["report"]["protection"]["name"]]
    assert (gone["removed_by"], gone["there"]) == (order["id"], False)

    for words in (["prune", "--older-than", "soon"], ["prune", "--guest", "999"], ["show", "nanny-nothing"]):
        code, said = typed(site, *words)
        assert code != 0
        assert said.count("\n") == 1, said

    until(lambda: name in reported(site), "the inventory has seen it", 120)
    with Client(as_admin(site.lab)) as person:
        snapshot.delete(person, Guest("pve1", "lxc", site.post.vmid), name)
    until(lambda: name in rows(site, state="gone"), "it is told as gone", 120)


@pytest.mark.rows("F6", "F8")
def test_what_goes_wrong_is_told_snapshot_by_snapshot(site: Site) -> None:
    names = [protected(site, snapshot_keep=9)["report"]["protection"]["name"] for _ in range(2)]
    refuse = Refuse(500, f"zfs error: cannot destroy 'x@{names[0]}': snapshot has dependent clones")
    site.lab.faults.add(Fault(refuse, on(f".*/snapshot/{names[0]}")))
    try:
        [order] = pruned(site, keep=0)
    finally:
        site.lab.faults.clear()
    assert order["outcome"] == "partial", order
    told = {one["name"]: one for one in order["removals"]}
    assert (told[names[0]]["outcome"], told[names[1]]["outcome"]) == ("failed", "removed")
    assert "linked clone" in told[names[0]]["reason"]
    assert ours(site) == [names[0]]
    [again] = pruned(site, keep=0)
    assert (again["outcome"], ours(site)) == ("ok", [])


@pytest.mark.rows("F8")
def test_a_supervisor_that_dies_over_a_snapshot_leaves_one_that_is_found_and_goes(site: Site) -> None:
    """Three supervisors are killed while the snapshot is being made; nobody tells of it but the inventory."""
    site.lab.faults.add(Fault(Refuse(595, "Connection refused"), on(".*/tasks/UPID[^/]*vzsnapshot[^/]*/status")))
    operation = site.order(script_id=site.upload(LIST), protect="require-snapshot")
    folder = site.post.agent.state_dir / FOLDER / operation["id"]
    try:
        until(lambda: ours(site), "the snapshot is made", 60)
        until(lambda: _kill(folder) or site.look(operation["id"])["status"] in ENDED, "the job is lost", 90)
    finally:
        site.lab.faults.clear()
    ended = site.wait_for(operation)
    assert ended["outcome"] in ("unknown", "agent_error"), ended
    until(lambda: ours(site) == [] or list(rows(site)) == ours(site), "it has a row", 90)
    for name in ours(site):
        assert rows(site)[name]["operation_id"] == operation["id"]
    if ours(site):
        [order] = pruned(site, keep=0)
        assert (order["outcome"], ours(site)) == ("ok", [])


def _kill(folder: Path) -> None:
    for pid in keepers(folder):
        os.kill(pid, signal.SIGKILL)
