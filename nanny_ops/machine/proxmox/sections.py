"""What is read beside status and configuration: how often, what it takes, how it is asked. One line per section.

To add one: a function that makes the wire's fields of an answer, and a line here.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nanny_ops.errors import GuestAgentForbids, GuestAgentOff, GuestAgentSilent, GuestStopped, ProxmoxError
from nanny_ops.machine.proxmox import cluster, guest, node, usage
from nanny_ops.machine.proxmox.rights import Rights

#: Seconds.
QUARTER, HOUR, DAY = 900.0, 3600.0, 86_400.0
#: How Proxmox VE says that there is no such thing: the software is not there, or was never set up.
ABSENT = re.compile(
    r"binary not installed|not initialized|No such file or directory|not installed|not configured", re.IGNORECASE
)
_AGENT_ON = re.compile(r"(?:enabled=)?1\b|.*\benabled=1\b")

#: ``get(path, **parameters)``; raises ProxmoxError.
Get = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Subject:
    """What a section is read of: a node, a guest, or with neither the cluster."""

    node: str
    kind: str = ""
    vmid: int = 0
    running: bool = False
    conf: Mapping[str, Any] = field(default_factory=dict)
    now: Callable[[], float] = time.time

    @property
    def name(self) -> str:
        """Return its name in the ledger."""
        return f"{self.kind}/{self.vmid}" if self.kind else self.node

    @property
    def path(self) -> str:
        """Return its path in the API."""
        return f"nodes/{self.node}/{self.kind}/{self.vmid}" if self.kind else f"nodes/{self.node}"


@dataclass(frozen=True, eq=False)
class Section:
    """One part of a reading. ``read`` returns fields of the wire's record, None where there is no such thing here."""

    name: str
    every: float
    read: Callable[[Get, Subject], dict[str, Any] | None]
    #: Any of these privileges on this path, with ``{node}`` and ``{vmid}``; none is needed where there are none.
    on: str = "/"
    privileges: tuple[str, ...] = ()
    #: Privileges that are needed on everything below a path, because the API leaves out silently what lacks them.
    everywhere: tuple[tuple[str, str], ...] = ()
    #: Whose business it is; what does not fit is left out, without a line.
    fits: Callable[[Subject], bool] = lambda _: True

    def lacks(self, subject: Subject, rights: Rights, release: str) -> tuple[str, str]:
        """Return the privilege that the token lacks and the path it is needed on, both empty where all is well."""
        place = self.on.format(node=subject.node, vmid=subject.vmid)
        needed = in_words_of(release, self.privileges)
        if needed and (missing := rights.missing(place, *needed)):
            return missing, place
        lacking = (one for one in self.everywhere if rights.missing_below(*one))
        path, privilege = next(lacking, ("", ""))
        return privilege, path


def _ask(path: str, make: Callable[[Any], dict[str, Any]]) -> Callable[[Get, Subject], dict[str, Any] | None]:
    def read(get: Get, subject: Subject) -> dict[str, Any] | None:
        return make(get(f"{subject.path}/{path}") or [])

    return read


def _clock(get: Get, subject: Subject) -> dict[str, Any]:
    return node.clock(get(f"{subject.path}/time"), subject.now())


def _replication(get: Get, subject: Subject) -> dict[str, Any]:
    return {str(vmid): jobs for vmid, jobs in guest.replications(get(f"{subject.path}/replication") or []).items()}


def _backups(get: Get, subject: Subject) -> dict[str, Any]:
    """Look through all storages of a node that hold backups; one that cannot be read makes the whole unknown."""
    storages = get(f"{subject.path}/storage", content="backup", enabled=1)
    found: list[Any] = []
    for one in sorted(storages, key=lambda one: str(one["storage"])):
        if one.get("active") == 0:
            raise ProxmoxError(f"Storage {one['storage']} on {subject.node} is not active.")
        found += get(f"{subject.path}/storage/{one['storage']}/content", content="backup")
    return {str(vmid): one for vmid, one in guest.newest_backups(found).items()}


def _uncovered(get: Get, _: Subject) -> dict[str, Any]:
    return {"vmids": sorted(int(one["vmid"]) for one in get("cluster/backup-info/not-backed-up") or [])}


def _snapshots(get: Get, subject: Subject) -> dict[str, Any]:
    return {"snapshots": guest.snapshots(get(f"{subject.path}/snapshot") or [])}


def _hour(get: Get, subject: Subject) -> dict[str, Any]:
    return {"hour": usage.hour(get(f"{subject.path}/rrddata", timeframe="hour", cf="AVERAGE") or [])}


def _interfaces(get: Get, subject: Subject) -> dict[str, Any]:
    return {"addresses": guest.addresses(get(f"{subject.path}/interfaces"))}


def _agent(get: Get, subject: Subject) -> dict[str, Any]:
    """Ask a VM's guest agent four questions, and none after the first that nobody answers."""
    if not _AGENT_ON.match(str(subject.conf.get("agent") or "")):
        return {"guest_agent": guest.agent_off("The guest agent is not enabled in this VM's options.")}
    try:
        osinfo = get(f"{subject.path}/agent/get-osinfo")["result"]
    except (GuestAgentOff, GuestAgentSilent, GuestAgentForbids, GuestStopped) as wrong:
        return {"guest_agent": guest.agent_off(wrong.message)}
    hostname = get(f"{subject.path}/agent/get-host-name")["result"]
    filesystems = get(f"{subject.path}/agent/get-fsinfo")["result"]
    interfaces = get(f"{subject.path}/agent/network-get-interfaces")["result"]
    told = guest.agent(osinfo, hostname, filesystems if isinstance(filesystems, list) else [])
    return {"guest_agent": told, "addresses": guest.addresses(interfaces)}


AUDIT = ("Sys.Audit",)

#: Holds the cluster's identity too.
CERTIFICATES = Section("node.certificates", 6 * HOUR, _ask("certificates/info", node.certificates))
NODE: tuple[Section, ...] = (
    CERTIFICATES,
    Section("node.subscription", DAY, _ask("subscription", node.subscription)),
    Section("node.versions", 6 * HOUR, _ask("apt/versions", node.versions), "/nodes/{node}", AUDIT),
    Section("node.updates", 6 * HOUR, _ask("apt/update", node.updates), "/nodes/{node}", ("Sys.Modify",)),
    Section("node.services", QUARTER, _ask("services", node.services), "/nodes/{node}", AUDIT),
    Section("node.disks", 6 * HOUR, _ask("disks/list", node.disks), "/nodes/{node}", AUDIT),
    Section("node.zfs", HOUR, _ask("disks/zfs", node.zfs), "/", AUDIT),
    Section("node.clock", HOUR, _clock, "/nodes/{node}", AUDIT),
)
#: Read once per node, told with its guests.
SHARED: tuple[Section, ...] = (
    Section("guest.replication", QUARTER, _replication),
    # Without these the lists are there, but empty.
    Section(
        "guest.backup", HOUR, _backups, everywhere=(("/storage", "Datastore.AllocateSpace"), ("/vms", "VM.Backup"))
    ),
)
SNAPSHOTS = Section("guest.snapshots", HOUR, _snapshots, "/vms/{vmid}", ("VM.Audit",))
#: Told with the usage and not with the guest, whose body it would change every hour.
HOURS = Section("guest.hour", HOUR, _hour, "/vms/{vmid}", ("VM.Audit",), fits=lambda subject: subject.running)
GUEST: tuple[Section, ...] = (
    SNAPSHOTS,
    Section(
        "guest.addresses",
        QUARTER,
        _interfaces,
        "/vms/{vmid}",
        ("VM.Audit",),
        fits=lambda subject: subject.kind == "lxc" and subject.running,
    ),
    Section(
        "guest.agent",
        QUARTER,
        _agent,
        "/vms/{vmid}",
        ("VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"),
        fits=lambda subject: subject.kind == "qemu" and subject.running,
    ),
)
CLUSTER: tuple[Section, ...] = (
    Section("cluster.jobs", HOUR, lambda get, _: {"jobs": cluster.jobs(get("cluster/backup") or [])}, "/", AUDIT),
    Section("cluster.ha", 0.0, lambda get, _: {"ha": cluster.ha(get("cluster/ha/status/current") or [])}, "/", AUDIT),
    Section(
        "cluster.ceph",
        0.0,
        lambda get, _: {"ceph": cluster.ceph(get("cluster/ceph/status"))},
        "/",
        ("Sys.Audit", "Datastore.Audit"),
    ),
)
#: Who is in no backup job: one cheap question that every agent asks for its own guests.
UNCOVERED = Section("guest.backup_jobs", HOUR, _uncovered, "/", AUDIT)
VOTES = Section("cluster.votes", 6 * HOUR, lambda get, _: cluster.votes(get("cluster/config/nodes") or []), "/", AUDIT)


def in_words_of(release: str, privileges: tuple[str, ...]) -> tuple[str, ...]:
    """Return the privileges as a release of Proxmox VE calls them: before 9 one was for all guest agents' doings."""
    old = release.partition(".")[0] in {"6", "7", "8"}
    return ("VM.Monitor",) if old and any(one.startswith("VM.GuestAgent.") for one in privileges) else privileges
