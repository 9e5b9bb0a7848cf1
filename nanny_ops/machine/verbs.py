"""The typed catalogue of what may be asked of a machine: the only door between the agent's loops and this floor.

A verb is a record, its answer is a record; both can cross a socket. In process is one transport, a privileged helper's
socket is another for those about jobs, so no verb carries a callable, an open file or anything else that only lives in
one process.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from nanny_ops.machine.plan import KeySignature as KeySignature
from nanny_ops.machine.plan import Plan
from nanny_ops.machine.prune_verbs import PruneState, PruneVerb
from nanny_ops.protocol.patch import PackageChange
from nanny_ops.protocol.patch_report import PatchReport, Step
from nanny_ops.protocol.policy import PolicyReport
from nanny_ops.protocol.signature import SigningKey


class JobPhase(StrEnum):
    """Where a job stands, as its directory tells."""

    #: No such directory.
    ABSENT = "absent"
    #: Written, its supervisor has not begun the script: safe to start again.
    READY = "ready"
    RUNNING = "running"
    #: Its result file is there.
    DONE = "done"
    #: The script was begun, nothing supervises it, and there is no result: never to be rerun.
    LOST = "lost"


@dataclass(frozen=True, kw_only=True)
class DescribeHost:
    """Ask who this machine is."""


@dataclass(frozen=True, kw_only=True)
class HostFacts:
    """Who this machine is; names as in the wire's Register."""

    hostname: str
    platform: str
    platform_family: str
    platform_version: str
    kernel_version: str
    kernel_arch: str
    os_type: str
    primary_ip: str
    all_ips: list[str]
    #: True where /usr/bin/pct and /etc/pve say that this is a Proxmox VE node.
    proxmox: bool
    boot_id: str


@dataclass(frozen=True, kw_only=True)
class ReadMetrics:
    """Ask for one reading of CPU, memory, disks and network."""


@dataclass(frozen=True, kw_only=True)
class MetricsReading:
    """Keyword arguments of the wire's SystemMetrics, without ``agent_id``, ``timestamp`` and ``version``."""

    values: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ProxmoxAccess:
    """How to reach one Proxmox VE API: by ``ca_file``, by ``fingerprint``, or with neither by the system's CAs."""

    url: str
    #: ``user@realm!name=secret``.
    token: str = field(repr=False)
    ca_file: str = ""
    #: SHA-256 of the node's certificate, hex with or without colons.
    fingerprint: str = ""
    timeout_seconds: float = 10.0
    #: Where the cluster file system of the node that answers is mounted; empty where that node is another machine.
    pmxcfs_root: str = ""


@dataclass(frozen=True, kw_only=True)
class ReadProxmox:
    """Ask for what has changed on the node that answers and its guests; in a cluster also for what is cluster-wide."""

    access: ProxmoxAccess
    #: Whether to tell of the cluster, and for which other nodes, as the control plane has said.
    reports_cluster: bool = True
    speaks_for: list[str] = field(default_factory=list)
    #: The serial of the last reading that has arrived; 0 asks for everything.
    acknowledged: int = 0
    #: Seconds after which the reading ends with what it has.
    seconds: float = 90.0


@dataclass(frozen=True, kw_only=True)
class ProxmoxReading:
    """One reading: the fields of the wire's InventoryReport without ``at``.

    ``problems`` holds one sentence per reason why something could not be read.
    """

    serial: int
    node_name: str
    values: dict[str, Any]
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class VerifySignature:
    """Ask whether an Ed25519 key (32 bytes) has made a signature (64 bytes) of a message."""

    public_key: bytes
    message: bytes
    signature: bytes


@dataclass(frozen=True, kw_only=True)
class SignatureCheck:
    """The answer to :class:`VerifySignature`."""

    valid: bool


@dataclass(frozen=True, kw_only=True)
class ScriptJob:
    """One run of one verified script on one target.

    ``signatures`` are those that were found good; ``threshold`` different keys of them must hold once more just before
    the script begins. A ``threshold`` of 0 says that nobody signs scripts here.
    """

    job_id: str
    #: None is this host; otherwise a guest.
    vmid: int | None
    script: bytes
    sha256: str
    argv: list[str]
    timeout_seconds: int
    dry_run: bool
    output_cap: int
    script_id: str = ""
    signatures: list[KeySignature] = field(default_factory=list)
    threshold: int = 0
    #: Under which claim the order was begun: kept with the job, so that an agent that lost its spool still holds it.
    claim: str = ""
    #: What is done around the script; None is nothing, as for a dry run.
    plan: Plan | None = None
    #: What kind of guest ``vmid`` is.
    guest: Literal["lxc", "qemu"] = "lxc"


@dataclass(frozen=True, kw_only=True)
class StartScript:
    """Ask for a job to be begun outside the caller's process; asking twice begins it once."""

    job: ScriptJob


@dataclass(frozen=True, kw_only=True)
class LookJob:
    """Ask where a job stands."""

    job_id: str


@dataclass(frozen=True, kw_only=True)
class CancelJob:
    """Ask for a job's script to be ended with all its children."""

    job_id: str


@dataclass(frozen=True, kw_only=True)
class ForgetJob:
    """Ask for a job's directory to be removed; its result has been delivered."""

    job_id: str


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """What a job came to. ``outcome`` is a word of protocol.operation.Outcome, ``reason`` a sentence for a person."""

    outcome: str
    reason: str
    exit_code: int | None
    started_at: str
    finished_at: str
    duration_ms: int
    packages: list[PackageChange] = field(default_factory=list)
    stdout_truncated: bool = False
    stderr_truncated: bool = False
    report: PatchReport | None = None


@dataclass(frozen=True, kw_only=True)
class JobState:
    """The answer about a job; the paths name files that may still grow while it runs."""

    job_id: str
    phase: JobPhase
    stdout_path: str = ""
    stderr_path: str = ""
    result: JobResult | None = None
    claim: str = ""
    #: What there is to tell while it runs, such as that its script has long been silent.
    remark: str = ""
    #: Of a job that runs, all steps so far; one that goes on has the outcome ``running``.
    steps: list[Step] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class DescribeHelper:
    """Ask the helper who it is, and by what it judges."""


@dataclass(frozen=True, kw_only=True)
class HelperFacts:
    """What the helper says of itself; ``problem`` is why it would begin nothing now, empty where it would.

    ``keys`` are the names of those whose signatures count, ``keys_from`` where they stand: ``file``, ``registration``
    or ``nowhere``.
    """

    version: str
    protocol: int
    keys: list[str]
    keys_from: str
    policy: PolicyReport | None
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class LearnKeys:
    """Hand over what the control plane told of its keys; one is taken only by the word of keys that count already."""

    keys: list[SigningKey]


@dataclass(frozen=True, kw_only=True)
class KeysLearned:
    """The answer to :class:`LearnKeys`: the names of the keys that count now."""

    keys: list[str]


@dataclass(frozen=True, kw_only=True)
class RebootOrder:
    """One reboot of this host or, with ``vmid``, of a guest of ``kind`` ``lxc`` or ``qemu``."""

    reboot_id: str
    kind: str
    vmid: int | None
    #: A sentence for those who are logged in.
    reason: str
    #: Seconds from its beginning within which the target must have begun anew.
    timeout_seconds: int
    claim: str = ""


@dataclass(frozen=True, kw_only=True)
class StartReboot:
    """Ask for a reboot to be begun; asking twice begins it once."""

    order: RebootOrder


@dataclass(frozen=True, kw_only=True)
class LookReboot:
    """Ask where a reboot stands, and what its target's mark is now."""

    reboot_id: str


@dataclass(frozen=True, kw_only=True)
class ForgetReboot:
    """Ask for what is kept of a reboot to be removed; its result has been delivered."""

    reboot_id: str


@dataclass(frozen=True, kw_only=True)
class RebootState:
    """The answer about a reboot. A mark names one life of the target: no two have the same.

    ``now`` is empty while the target does not run or cannot be asked; ``problem`` is what the program that reboots has
    said against it, or, of one that was not begun, what else is at work on the target.
    """

    reboot_id: str
    #: False for one that is not known here, or was prepared and not begun.
    begun: bool = False
    kind: str = ""
    before: str = ""
    now: str = ""
    begun_at: str = ""
    timeout_seconds: int = 0
    #: True once the program that reboots has ended; of a host that went down nobody knows.
    asked: bool = False
    problem: str = ""
    claim: str = ""

    @property
    def proved(self) -> bool:
        """Tell whether the target runs anew."""
        return bool(self.before and self.now) and self.now != self.before


@dataclass(frozen=True, kw_only=True)
class RunCommand:
    """Ask for one look by a command of the catalogue, at this host or, with ``vmid``, into a container."""

    name: str
    arguments: dict[str, str] = field(default_factory=dict)
    vmid: int | None = None


@dataclass(frozen=True, kw_only=True)
class CommandOutput:
    """What a command said; an exit code of None is a program that could not be ended."""

    name: str
    exit_code: int | None
    stdout: str
    stderr: str
    truncated: bool
    timed_out: bool
    seconds: float


@dataclass(frozen=True, kw_only=True)
class DescribeTracing:
    """Ask by which means the kernel can be traced here; nothing is traced."""


@dataclass(frozen=True, kw_only=True)
class TracingFacts:
    """The tracers that are there, of ``bpftrace``, ``bcc`` and ``tracefs``.

    ``kprobes`` is None where it cannot be seen, and ``problem`` then says why.
    """

    tracers: list[str]
    btf: bool
    kprobes: bool | None
    problem: str = ""


#: What is asked about jobs: all of it may be asked again, and all of it needs root.
JobVerb = StartScript | LookJob | CancelJob | ForgetJob
#: What is asked about reboots: as above.
RebootVerb = StartReboot | LookReboot | ForgetReboot
#: What a privileged helper does.
HelperVerb = JobVerb | RebootVerb | PruneVerb | DescribeHelper | LearnKeys | RunCommand | DescribeTracing
HelperAnswer = JobState | RebootState | PruneState | HelperFacts | KeysLearned | CommandOutput | TracingFacts
#: What is done in the process that asks, where there is no helper.
Verb = (
    DescribeHost
    | ReadMetrics
    | ReadProxmox
    | VerifySignature
    | JobVerb
    | RebootVerb
    | PruneVerb
    | RunCommand
    | DescribeTracing
)
Answer = (
    HostFacts
    | MetricsReading
    | ProxmoxReading
    | SignatureCheck
    | JobState
    | RebootState
    | PruneState
    | CommandOutput
    | TracingFacts
)
