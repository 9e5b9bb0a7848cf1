"""Orders to Proxmox VE over HTTP, to a lab: power, snapshots, and what must be refused beforehand."""

from collections.abc import Iterator

import pytest

from nanny_ops import errors
from nanny_ops.lab.fleet import LabPlan
from nanny_ops.lab.lab import ADMIN_TOKEN, Lab
from nanny_ops.lab.pve.fault import Fault, Refuse, cut, on
from nanny_ops.lab.pve.state.storage import Storage
from nanny_ops.machine.proxmox import backup, guest_agent, power, snapshot
from nanny_ops.machine.proxmox.client import Client
from nanny_ops.machine.proxmox.power import Guest
from nanny_ops.machine.proxmox.task import Upid, follow
from nanny_ops.machine.verbs import ProxmoxAccess

#: Containers of node pve1 in a plan of twelve guests: one on a directory, one on a storage with snapshots.
PLAIN, SNAP = Guest("pve1", "lxc", 101), Guest("pve1", "lxc", 104)
MACHINE = Guest("pve1", "qemu", 201)


@pytest.fixture(scope="module", params=["8.4", "9.2"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    cache = tmp_path_factory.mktemp("cache")
    plan = LabPlan(nodes=3, guests=12, real=0, version=request.param)
    with Lab(plan, tmp_path_factory.mktemp("lab"), cache=cache, refusal_delay=0.05) as made:
        made.cluster.storages["fast"] = Storage("fast", "btrfs", "/srv/fast")
        made.cluster.update(SNAP.vmid, rootfs=f"fast:{SNAP.vmid}/vm-{SNAP.vmid}-disk-0.raw,size=4G")
        yield made


@pytest.fixture
def api(lab: Lab) -> Iterator[Client]:
    """An administrator's client; afterwards nothing is wrong with the lab, and both containers run."""
    token = f"{ADMIN_TOKEN}={lab.tokens[ADMIN_TOKEN].secret}"
    with Client(ProxmoxAccess(url=lab.nodes[0].url, token=token, ca_file=str(lab.ca_file))) as client:
        yield client
        lab.faults.clear()
        lab.cluster.quorate = True
        for guest in (PLAIN, SNAP):
            lab.cluster.update(guest.vmid, lock=None)
            power.start(client, guest)


def status(api: Client, guest: Guest) -> str:
    return str(power.current(api, guest)["status"])


@pytest.mark.rows("PVE-17", "PVE-18", "PVE-19")
@pytest.mark.parametrize("guest", [PLAIN, MACHINE], ids=["container", "machine"])
def test_a_guest_is_stopped_started_and_rebooted(api: Client, guest: Guest) -> None:
    power.stop(api, guest)
    assert status(api, guest) == "stopped"
    assert power.shutdown(api, guest, timeout=5) is None or guest is MACHINE
    end = power.start(api, guest)
    assert end is not None
    assert end.upid.about == str(guest.vmid)
    assert power.start(api, guest) is None
    power.reboot(api, guest, timeout=10)
    assert status(api, guest) == "running"
    power.shutdown(api, guest, timeout=10)
    assert status(api, guest) == "stopped"
    power.start(api, guest)


@pytest.mark.rows("PVE-29")
def test_a_locked_guest_is_not_rebooted_and_goes_on(api: Client, lab: Lab) -> None:
    lab.cause(f"lock={PLAIN.vmid}:backup")
    with pytest.raises(errors.GuestLocked):
        power.reboot(api, PLAIN)
    with pytest.raises(errors.GuestLocked):
        power.stop(api, PLAIN)
    assert status(api, PLAIN) == "running"


@pytest.mark.rows("PVE-29", "PVE-35")
def test_without_quorum_nothing_is_rebooted_or_started(api: Client, lab: Lab) -> None:
    lab.cluster.quorate = False
    with pytest.raises(errors.NoQuorum):
        power.reboot(api, PLAIN)
    assert status(api, PLAIN) == "running"
    with pytest.raises(errors.NoQuorum):
        power.start(api, Guest("pve1", "lxc", 107))


@pytest.mark.rows("PVE-04")
def test_a_guest_that_is_elsewhere_is_named(api: Client) -> None:
    with pytest.raises(errors.ProxmoxGone):
        power.reboot(api, Guest("pve2", "lxc", PLAIN.vmid))
    with pytest.raises(errors.ProxmoxGone):
        power.start(api, Guest("pve1", "lxc", 999))


@pytest.mark.rows("PVE-31")
def test_a_snapshot_is_made_rolled_back_and_deleted(api: Client) -> None:
    made = snapshot.create(api, SNAP, "pre", "before the patch")
    assert [found.name for found in snapshot.listing(api, SNAP)] == ["nanny-pre"]
    assert made.description.strip() == "before the patch"
    with pytest.raises(errors.TaskFailed, match="already used"):
        snapshot.create(api, SNAP, "pre")
    snapshot.rollback(api, SNAP, "nanny-pre", run_after=False)
    assert status(api, SNAP) == "stopped"
    snapshot.delete(api, SNAP, "nanny-pre")
    snapshot.delete(api, SNAP, "nanny-pre")
    assert snapshot.listing(api, SNAP) == []


@pytest.mark.rows("PVE-31")
def test_a_directory_is_not_snapshotted(api: Client) -> None:
    with pytest.raises(errors.SnapshotImpossible):
        snapshot.create(api, PLAIN, "pre")
    began = Upid.parse(api.post(f"{PLAIN.path}/snapshot", snapname="s1"))
    with pytest.raises(errors.SnapshotImpossible):
        follow(api, began, 20)


def test_a_network_that_fails_for_a_while_is_survived(api: Client, lab: Lab) -> None:
    lab.faults.add(Fault(Refuse(595, "Connection refused"), on(".*/tasks/.*/status"), left=1))
    lab.faults.add(Fault(cut, on(".*/tasks/.*/status"), left=1))
    power.stop(api, PLAIN)
    assert status(api, PLAIN) == "stopped"


@pytest.mark.rows("PVE-16")
def test_a_token_that_may_only_look_is_told_what_it_lacks(lab: Lab) -> None:
    token = f"{lab.token_id}={lab.token_secret}"
    with Client(ProxmoxAccess(url=lab.nodes[0].url, token=token, ca_file=str(lab.ca_file))) as client:
        with pytest.raises(errors.ProxmoxForbidden, match=r"VM\.PowerMgmt on /vms/101"):
            power.stop(client, PLAIN)
        with pytest.raises(errors.ProxmoxForbidden, match=r"VM\.Snapshot on /vms/104"):
            snapshot.create(client, SNAP, "pre")


@pytest.mark.rows("PVE-37")
def test_programs_run_in_a_machine_and_their_results_are_kept(api: Client) -> None:
    power.start(api, MACHINE)
    guest_agent.await_ready(api, MACHINE, 20)
    done = guest_agent.run(api, MACHINE, ["sh", "-c", "cat; echo err >&2; exit 5"], seconds=20, stdin="in")
    assert (done.exit_code, done.stdout, done.stderr) == (5, b"in", b"err\n")
    assert guest_agent.run(api, MACHINE, ["sh", "-c", "kill -9 $$"], seconds=20).signal == 9
    with pytest.raises(errors.GuestProgramUnfinished):
        guest_agent.run(api, MACHINE, ["sleep", "30"], seconds=0.5)


@pytest.mark.rows("PVE-07", "PVE-37")
def test_what_a_machine_cannot_do_is_named(api: Client, lab: Lab) -> None:
    power.start(api, MACHINE)
    with pytest.raises(errors.GuestProgramMissing):
        guest_agent.run(api, MACHINE, ["nosuchprogram"], seconds=20)
    with pytest.raises(errors.GuestAgentError, match="cannot be opened"):
        guest_agent.read_file(api, MACHINE, "/nosuch")
    power.stop(api, MACHINE)
    with pytest.raises(errors.GuestStopped):
        guest_agent.await_ready(api, MACHINE, 20)
    power.start(api, MACHINE)
    lab.cluster.update(MACHINE.vmid, agent=None)
    try:
        with pytest.raises(errors.GuestAgentOff):
            guest_agent.await_ready(api, MACHINE, 20)
    finally:
        lab.cluster.update(MACHINE.vmid, agent="1")


def test_a_large_file_crosses_in_pieces_and_comes_back(api: Client) -> None:
    power.start(api, MACHINE)
    data = bytes(range(256)) * 500
    guest_agent.write_file(api, MACHINE, "/tmp/nanny-file", data)
    assert guest_agent.read_file(api, MACHINE, "/tmp/nanny-file") == data


@pytest.mark.rows("PVE-33")
def test_a_backup_that_would_freeze_is_refused_and_otherwise_told(api: Client) -> None:
    with pytest.raises(errors.BackupFreezes):
        backup.dump(api, PLAIN, "local")
    frozen = backup.dump(api, PLAIN, "local", may_freeze=True, seconds=60)
    assert (frozen.mode, frozen.fell_back, frozen.frozen) == ("suspend", True, True)
    good = backup.dump(api, SNAP, "local", seconds=60)
    assert (good.mode, good.fell_back, good.frozen) == ("snapshot", False, False)
    assert "vzdump-lxc-104" in good.archive
