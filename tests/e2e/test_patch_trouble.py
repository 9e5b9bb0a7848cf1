"""What goes wrong with patches, from the order to what people read: real containers on a real btrfs, a real agent."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest

from nanny_ops.lab import btrfs
from nanny_ops.lab.deb import Deb
from nanny_ops.lab.fleet import LabPlan
from nanny_ops.lab.lab import Lab
from nanny_ops.lab.pve.state.access import Grant
from nanny_ops.lab.pve.state.storage import Storage
from tests import served_page
from tests.e2e.agent_process import processes_naming
from tests.e2e.site import Site, until
from tests.lab_fixtures import need_real_containers

pytestmark = pytest.mark.lxc

#: Asks where no answer can come from, as scripts of packages do that know no debconf, with a child that holds the
#: outputs; answered at last by a file.
ASKS = """#!/bin/sh
echo "What shall be done?"
: >/root/asked
sleep 9871234 &
until { read answer </dev/tty; } 2>/dev/null || [ -e /root/answer ]; do sleep 0.5; done
kill $!
"""
LIST = """echo '[{"name":"app","version":"2"}]'"""
#: Seconds of the order whose script falls silent; a quarter of them is a silence.
TIME = 30


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two nodes, on the first a real container that lies on a btrfs; the agents' token may change it."""
    need_real_containers()
    with (
        btrfs.mounted(tmp_path_factory.mktemp("disk")) as disk,
        Lab(LabPlan(nodes=2, guests=4, real=1), disk, refusal_delay=0.05, pace=0.02) as made,
    ):
        made.access.grants.append(Grant("/", "nanny@pve", "PVEVMAdmin"))
        vmid = made.real_vmids()[0]
        made.cluster.storages["fast"] = Storage("fast", "btrfs", "/srv/fast")
        made.cluster.update(vmid, rootfs=f"fast:{vmid}/vm-{vmid}-disk-0.raw,size=4G")
        yield made


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An installation with an agent on the first node."""
    made = Site(lab, tmp_path_factory.mktemp("trouble") / "site", lab.nodes[:1])
    try:
        made.open()
        yield made
    finally:
        made.close()


@pytest.mark.rows("F1", "F2", "F4")
def test_a_question_that_nobody_answers_is_told_while_it_waits_then_ended_and_what_it_left_is_repaired(
    site: Site,
) -> None:
    vmid = site.post.vmid
    root = site.container(vmid).rootfs / "root"
    site.lab.repository(vmid).add(Deb("nanny-demo-lib", "2.6-1", scripts={"postinst": ASKS}))
    operation = site.order(only=["nanny-demo-lib"], timeout_seconds=TIME)
    until((root / "asked").exists, "the question", 90)
    until(lambda: "What shall be done?" in site.look(operation["id"])["reason"], "people learn of the silence", 60)
    asked = site.look(operation["id"])
    assert asked["status"] == "running"
    assert "has said nothing since" in asked["reason"]
    ended = site.wait_for(operation)
    assert (ended["status"], ended["outcome"]) == ("failed", "timed_out"), ended
    assert "had said nothing for its last" in ended["reason"]
    assert any("stalled" in note and "What shall be done?" in note for note in ended["report"]["notes"])
    assert processes_naming("9871234") == [], "the child of the package's script lives"
    for mode in ("dry-run", "apply"):
        found = site.carry_out(mode=mode)
        assert (found["outcome"], found["exit_code"]) == ("quarantined", 6), found
        assert "nanny-demo-lib" in found["reason"]
        assert "--repair" in found["reason"]
    listed = [one["outcome"] for one in site.rows("/api/patches", target=f"lxc:{vmid}")]
    assert listed.count("quarantined") == 2
    (root / "answer").touch()
    repaired = site.carry_out(repair=True)
    assert repaired["outcome"] == "ok", repaired
    assert repaired["report"]["interrupted"]["repaired"] is True
    assert site.carry_out(mode="dry-run")["outcome"] == "nothing_to_do"


@pytest.mark.rows("F3")
def test_a_package_run_by_somebody_else_is_named_and_left_alone(site: Site) -> None:
    vmid = site.post.vmid
    root = site.container(vmid).rootfs / "root"
    waits = "#!/bin/sh\n: >/root/holds\nuntil [ -e /root/release ]; do sleep 0.2; done\n"
    site.lab.repository(vmid).add(Deb("nanny-slow", "1.0-1", scripts={"postinst": waits}))
    site.inside(vmid, "sh", "-c", "cd /root && apt-get update && apt-get download nanny-slow")
    site.inside(vmid, "sh", "-c", "setsid dpkg -i /root/nanny-slow*.deb >/dev/null 2>&1 </dev/null &")
    until((root / "holds").exists, "dpkg is at work")
    blocked = site.carry_out(lock_timeout_seconds=1)
    assert (blocked["outcome"], blocked["exit_code"]) == ("blocked", 5), blocked
    holder = blocked["report"]["lock"]
    assert holder["name"] == "dpkg"
    assert f"process {holder['pid']} (dpkg)" in blocked["reason"]
    assert site.inside(vmid, "cat", f"/proc/{holder['pid']}/comm").stdout == b"dpkg\n"
    (root / "release").touch()
    assert site.carry_out(mode="dry-run", lock_timeout_seconds=60)["outcome"] in ("ok", "nothing_to_do")


@pytest.mark.rows("F5", "F6", "F16")
def test_an_order_that_breaks_the_service_is_set_back_and_the_service_answers(site: Site) -> None:
    vmid = site.post.vmid
    container = site.container(vmid)
    served_page.install(container)
    container.stop()
    site.lab.start(vmid)
    around: dict[str, Any] = {"protect": "require-snapshot", "probes": [asdict(served_page.ONE)]}
    script = site.upload(f"#!/bin/sh\necho two >/srv/page\necho new >/srv/after\n{LIST}\n")
    operation = site.carry_out(script_id=script, **around)
    assert (operation["status"], operation["outcome"]) == ("failed", "rolled_back"), operation
    report = operation["report"]
    assert (report["rolled_back"], report["left_in"], report["protection"]["kept"]) == (True, "running", True)
    healthy = {one["stage"]: one["healthy"] for one in report["probes"]}
    assert healthy == {"before": True, "after": False, "after_rollback": True}
    assert (container.rootfs / served_page.PAGE).read_text() == "one\n"
    assert not (container.rootfs / "srv/after").exists()
    good = site.upload(f"#!/bin/sh\necho new >/srv/after\n{LIST}\n")
    assert site.carry_out(script_id=good, **around)["outcome"] == "ok"
    assert (container.rootfs / "srv/after").exists()


@pytest.mark.rows("F5")
def test_a_host_is_never_said_to_be_protected_and_is_left_alone_without_quorum(site: Site) -> None:
    script = site.upload(f"#!/bin/sh\n{LIST}\n")
    for protect in ("require-snapshot", "require-backup"):
        order = {"agent_id": site.post.agent.id, "mode": "apply", "script_id": script, "protect": protect}
        answer = site.operator.post("/api/patches", json=order)
        assert answer.status_code == 422
        assert "a host has no snapshot or backup" in answer.json()["error"]["message"]
    ended = site.carry_out(vmid="", script_id=script, protect="prefer-snapshot")
    assert ended["outcome"] == "ok", ended
    assert "has no snapshots" in ended["report"]["protection"]["why_not"]
    site.lab.cluster.quorate = False
    try:
        refused = site.carry_out(vmid="", script_id=script)
    finally:
        site.lab.cluster.quorate = True
    assert refused["outcome"] == "blocked", refused
    assert "no quorum" in refused["reason"]
