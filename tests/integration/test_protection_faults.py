"""Protection that cannot be had, for every reason that the lab knows: what requires it stops and names the cause.

What only prefers it goes on and says why not. The guest, its locks and its tasks are the lab's, asked over HTTP.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nanny_ops.lab.fleet import LabPlan
from nanny_ops.lab.lab import ADMIN_TOKEN, Lab
from nanny_ops.lab.pve.fault import Fault, Refuse, on
from nanny_ops.lab.pve.state.storage import Storage
from nanny_ops.machine.plan import Plan
from nanny_ops.machine.procedure import protection
from nanny_ops.machine.procedure.halt import Halt
from nanny_ops.machine.procedure.scene import Scene, Skip
from nanny_ops.machine.procedure.ward import Ward
from nanny_ops.machine.proxmox import power
from nanny_ops.machine.proxmox.client import Client
from nanny_ops.machine.proxmox.power import Guest
from nanny_ops.machine.proxmox.task import Pace
from nanny_ops.machine.verbs import ProxmoxAccess
from nanny_ops.protocol.operation import Outcome
from tests.fakes.guest_node import GuestNode
from tests.unit.machine.procedure.stage import Play

pytestmark = pytest.mark.timeout(240)

#: A container on a storage with snapshots, one on a directory, and a virtual machine.
SNAP, PLAIN, MACHINE = 104, 101, 201
#: Time passes sixty times as fast where somebody waits for a lock or a task.
QUICK = Pace(tick=lambda: time.monotonic() * 60, sleep=lambda seconds: time.sleep(seconds / 60))
STATUS = ".*/tasks/UPID[^/]*snapshot[^/]*/status"
Cause = Callable[[Lab], object]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    plan = LabPlan(nodes=3, guests=12, real=0)
    home, cache = tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("cache")
    with Lab(plan, home, cache=cache, refusal_delay=0.05, pace=0.02) as made:
        made.cluster.storages["fast"] = Storage("fast", "btrfs", "/srv/fast")
        made.cluster.update(SNAP, rootfs=f"fast:{SNAP}/vm-{SNAP}-disk-0.raw,size=4G")
        yield made


@pytest.fixture
def lab(opened: Lab) -> Iterator[Lab]:
    """The lab, with nothing wrong afterwards."""
    used = {node.name: node.disk_used for node in opened.cluster.nodes.values()}
    yield opened
    opened.faults.clear()
    opened.cluster.quorate = True
    for node in opened.cluster.nodes.values():
        node.disk_used = used[node.name]
    opened.cluster.update(SNAP, lock=None)
    opened.cluster.update(PLAIN, mp0=None)


@pytest.fixture
def api(lab: Lab) -> Iterator[Client]:
    token = f"{ADMIN_TOKEN}={lab.tokens[ADMIN_TOKEN].secret}"
    with Client(ProxmoxAccess(url=lab.nodes[0].url, token=token, ca_file=str(lab.ca_file))) as client:
        yield client


def scene(folder: Path, api: Client, vmid: int, plan: Plan) -> Scene:
    made = Play(folder, plan, GuestNode(vmid=vmid)).scene()
    return replace(made, ward=Ward(api, "pve1", vmid, QUICK), pace=QUICK)


def quorum(lab: Lab) -> None:
    lab.cluster.quorate = False


def bound(lab: Lab) -> None:
    lab.cluster.update(PLAIN, mp0="/srv/data,mp=/data")


def fault(status: int, text: str) -> Cause:
    return lambda lab: lab.faults.add(Fault(Refuse(status, text), on(STATUS)))


CAUSES: list[tuple[str, int, Cause, str]] = [
    ("a directory", PLAIN, lambda lab: None, "cannot make snapshots"),
    ("a bind mount", PLAIN, bound, "Bind mounts stand in the way: mp0"),
    ("a full storage", SNAP, lambda lab: lab.cause("storage-full"), "Storage fast has 0 MiB left"),
    ("a running backup", SNAP, lambda lab: lab.cause(f"lock={SNAP}:backup"), "it is locked (backup)"),
    ("another snapshot", SNAP, lambda lab: lab.cause(f"lock={SNAP}:snapshot-delete"), "locked (snapshot-delete)"),
    ("no quorum", SNAP, quorum, "no quorum"),
    ("a task that hangs", SNAP, fault(595, "Connection refused"), "has not ended after 300 s"),
    ("a task that vanishes", SNAP, fault(400, "no such task"), "does not know the task"),
    ("a node that does not answer", SNAP, lambda lab: lab.cause("status=595@/.*/feature"), "did not answer"),
    ("a token without the right", SNAP, lambda lab: lab.cause("status=403@/.*/snapshot"), "root@pam!lab lacks"),
]


@pytest.mark.rows("F5", "F6", "PVE-17", "PVE-31")
@pytest.mark.parametrize(("vmid", "cause", "says"), [one[1:] for one in CAUSES], ids=[one[0] for one in CAUSES])
def test_what_requires_it_stops_and_what_prefers_it_says_why_not(
    tmp_path: Path, lab: Lab, api: Client, vmid: int, cause: Cause, says: str
) -> None:
    cause(lab)
    required = scene(tmp_path / "required", api, vmid, Plan(protect="require-snapshot"))
    with pytest.raises(Halt) as halted:
        protection.protect(required)
    assert halted.value.problem.outcome is Outcome.UNPROTECTED
    assert says in halted.value.problem.reason
    told = protection.told(required)
    assert told is not None
    assert (told.kind, says in told.why_not) == ("none", True)
    preferred = scene(tmp_path / "preferred", api, vmid, Plan(protect="prefer-snapshot"))
    with pytest.raises(Skip, match="goes on without"):
        protection.protect(preferred)
    assert says in preferred.notes[-1]
    lab.faults.clear()
    lab.cluster.quorate = True
    lab.cluster.update(SNAP, lock=None)
    if told.name:  # nobody saw it made: it may be there all the same, and is not left behind
        for one in (required, preferred):
            protection.release(one, needless=True)
    assert not [name for name in lab.cluster.guests[vmid].snapshots if name.startswith("nanny-")]


@pytest.mark.rows("F6", "PVE-18")
def test_a_task_that_ends_with_an_error_is_told_in_its_words(tmp_path: Path, lab: Lab, api: Client) -> None:
    guest = lab.cluster.guests[MACHINE]
    guest.habits.saves_state = False
    disks = {one.key: f"fast:{MACHINE}/vm-{MACHINE}-disk-{number}.raw" for number, one in enumerate(guest.volumes)}
    lab.cluster.update(MACHINE, **{key: f"{volume},size=4G" for key, volume in disks.items()})
    power.start(api, Guest("pve1", "qemu", MACHINE))
    one = scene(tmp_path, api, MACHINE, Plan(protect="require-snapshot"))
    with pytest.raises(Halt, match="savevm-start"):
        protection.protect(one)
    told = protection.told(one)
    assert told is not None
    assert told.upid.startswith("UPID:pve1:")


BACKUPS: list[tuple[str, Cause, str, str]] = [
    ("a full storage", lambda lab: lab.cause("storage-full"), "local", "too few for a backup"),
    ("no such storage", lambda lab: None, "nowhere", "does not exist"),
    ("a locked guest", lambda lab: lab.cause(f"lock={SNAP}:migrate"), "local", "locked (migrate)"),
    ("a refusal", lambda lab: lab.cause("status=403@/.*/vzdump"), "local", "root@pam!lab lacks"),
    ("no storage named", lambda lab: None, "", "no backup of the last 24 hours"),
]


@pytest.mark.rows("F5")
@pytest.mark.parametrize(("cause", "storage", "says"), [one[1:] for one in BACKUPS], ids=[one[0] for one in BACKUPS])
def test_a_backup_on_demand_that_cannot_be_had_is_told(
    tmp_path: Path, lab: Lab, api: Client, cause: Cause, storage: str, says: str
) -> None:
    cause(lab)
    one = scene(tmp_path, api, SNAP, Plan(protect="require-backup", backup_storage=storage))
    with pytest.raises(Halt) as halted:
        protection.protect(one)
    assert halted.value.problem.outcome is Outcome.UNPROTECTED
    assert says in halted.value.problem.reason


@pytest.mark.rows("F5")
def test_a_backup_on_demand_is_followed_and_found_on_its_storage(tmp_path: Path, lab: Lab, api: Client) -> None:
    plan = Plan(protect="require-backup", backup_storage="local", backup_max_age_hours=0)
    names = []
    for number in ("1", "2"):
        one = scene(tmp_path / number, api, SNAP, plan)
        assert "was made" in protection.protect(one)
        told = protection.told(one)
        assert told is not None
        assert (told.kind, told.ours, told.storage) == ("backup", True, "local")
        assert ":vzdump:104:" in told.upid
        names.append(told.name)
        time.sleep(1.1)  # an archive is named by its second
    assert len(set(names)) == 2
