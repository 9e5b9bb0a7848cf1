"""The closed catalogue of commands that only look: what may be asked of a host or a container, and with which words.

An order names a command and gives values for its parameters; it never brings a program, an option or a path. Every
value must be of its parameter's own shape, none of which can begin with a hyphen or hold a space, a slash or a quote.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nanny_ops.errors import MachineError, ProgramMissing, VerbRefused
from nanny_ops.machine.run import Done, run
from nanny_ops.machine.target import STANDARD_PATH
from nanny_ops.machine.verbs import CommandOutput, RunCommand
from nanny_ops.protocol.operation import Outcome

Run = Callable[..., Done]
#: Bytes of each output that are kept.
CAP = 256 * 1024
#: Seconds for a command, and for one that asks a cluster or a disk that may not answer.
USUAL, PATIENT = 20.0, 45.0
#: Numbers that Proxmox VE gives to guests.
LEAST_VMID, LARGEST_VMID = 100, 999_999_999

UNIT = re.compile(r"[A-Za-z0-9@_][A-Za-z0-9@_.:-]{0,127}")
COUNT = re.compile(r"[1-9][0-9]{0,3}")
HOURS = re.compile(r"[1-9][0-9]{0,2}")
VMID = re.compile(r"[1-9][0-9]{2,8}")
DISK = re.compile(r"(?:sd[a-z]{1,2}|nvme[0-9]{1,3}n[0-9]{1,3}|vd[a-z]{1,2})")


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command: its words, in which ``{name}`` stands for a parameter, and the shape of each parameter."""

    name: str
    help: str
    argv: tuple[str, ...]
    parameters: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    #: Values of parameters that need not be given.
    defaults: Mapping[str, str] = field(default_factory=dict)
    #: Whether it may also look into a container.
    inside: bool = True
    timeout: float = USUAL


def _one(name: str, text: str, argv: str, **more: object) -> Command:
    return Command(name=name, help=text, argv=tuple(argv.split()), **more)  # type: ignore[arg-type]


_LINES, _A_VMID = {"lines": COUNT}, {"vmid": VMID}
_SYSTEMCTL = "systemctl --no-pager"
_JOURNAL = "journalctl --no-pager --quiet --output=short-iso --lines={lines}"
COMMANDS: tuple[Command, ...] = (
    _one("unit-status", "State of a unit.", _SYSTEMCTL + " --lines=20 status -- {unit}", parameters={"unit": UNIT}),
    _one("units-failed", "Units that have failed.", _SYSTEMCTL + " --plain --no-legend list-units --state=failed"),
    _one("timers", "Timers and when they run.", _SYSTEMCTL + " --plain list-timers --all"),
    _one("journal", "Journal of a unit.", _JOURNAL + " --since=-{hours}h --unit={unit}",
         parameters={"unit": UNIT, "lines": COUNT, "hours": HOURS}, defaults={"lines": "200", "hours": "24"}),
    _one("journal-errors", "Errors of this boot.", _JOURNAL + " --priority=err --boot",
         parameters=_LINES, defaults={"lines": "200"}),
    _one("dmesg", "The kernel's last messages.", _JOURNAL + " --dmesg", parameters=_LINES, defaults={"lines": "200"},
         inside=False),
    _one("df", "Space on file systems.", "df -PT"),
    _one("df-inodes", "Inodes of file systems.", "df -Pi"),
    _one("free", "Memory.", "free -m"),
    _one("uptime", "Load, and since when it runs.", "uptime"),
    _one("ps", "Processes, the busiest first.", "ps -eo pid,ppid,user,stat,pcpu,pmem,etime,comm --sort=-pcpu"),
    _one("vmstat", "Three readings of the kernel's counters.", "vmstat 1 3"),
    _one("ss-listening", "Sockets that listen.", "ss -tulpn"),
    _one("ss-summary", "Counts of sockets.", "ss -s"),
    _one("ip-address", "Addresses.", "ip -brief address"),
    _one("ip-route", "Routes.", "ip route"),
    _one("findmnt", "What is mounted.", "findmnt --real --noheadings --output TARGET,SOURCE,FSTYPE,OPTIONS"),
    _one("lsblk", "Block devices.", "lsblk --output NAME,TYPE,SIZE,FSTYPE,MOUNTPOINT,MODEL", inside=False),
    _one("dpkg-audit", "Packages that are half installed.", "dpkg --audit"),
    _one("smart", "Health of a disk.", "smartctl -H -A /dev/{disk}", parameters={"disk": DISK}, inside=False,
         timeout=PATIENT),
    _one("pveversion", "Versions of Proxmox VE's packages.", "pveversion --verbose", inside=False),
    _one("pct-list", "Containers of this node.", "pct list", inside=False),
    _one("qm-list", "Virtual machines of this node.", "qm list", inside=False),
    _one("pct-config", "Configuration of a container.", "pct config {vmid}", parameters=_A_VMID, inside=False),
    _one("qm-config", "Configuration of a virtual machine.", "qm config {vmid}", parameters=_A_VMID, inside=False),
    _one("pct-status", "State of a container.", "pct status {vmid} --verbose", parameters=_A_VMID, inside=False),
    _one("qm-status", "State of a virtual machine.", "qm status {vmid} --verbose", parameters=_A_VMID, inside=False),
    _one("zpool-status", "State of ZFS pools.", "zpool status -v", inside=False, timeout=PATIENT),
    _one("zpool-list", "Space of ZFS pools.", "zpool list", inside=False, timeout=PATIENT),
    _one("pvesm-status", "State of storages.", "pvesm status", inside=False, timeout=PATIENT),
    _one("pvecm-status", "State of the cluster.", "pvecm status", inside=False, timeout=PATIENT),
    _one("ha-status", "State of high availability.", "ha-manager status", inside=False, timeout=PATIENT),
    _one("replication", "State of replication jobs.", "pvesr status", inside=False, timeout=PATIENT),
    _one("ceph-status", "State of Ceph.", "ceph status", inside=False, timeout=PATIENT),
    _one("ceph-osds", "Ceph's disks and where they are.", "ceph osd tree", inside=False, timeout=PATIENT),
)  # fmt: skip
BY_NAME = {one.name: one for one in COMMANDS}


def argv(asked: RunCommand) -> list[str]:
    """Return what is started here for a command. Raises VerbRefused for anything that the catalogue does not hold."""
    command = BY_NAME.get(asked.name)
    if command is None:
        raise _refusal(f"{asked.name[:64]!r} is no command of the catalogue.")
    unknown = sorted(set(asked.arguments) - set(command.parameters))
    if unknown:
        raise _refusal(f"The command {command.name} has no parameter {unknown[0][:64]!r}.")
    given = {**command.defaults, **asked.arguments}
    for name, shape in command.parameters.items():
        if not shape.fullmatch(given.get(name, "")):
            raise _refusal(f"The command {command.name} cannot be asked with {name}={given.get(name, '')[:64]!r}.")
    words = [word.format_map(given) for word in command.argv]
    if asked.vmid is None:
        return words
    if not command.inside:
        raise _refusal(f"The command {command.name} looks at the host only.")
    if not LEAST_VMID <= asked.vmid <= LARGEST_VMID:
        raise _refusal(f"{asked.vmid} is no number of a guest.")
    inner = ["env", "-i", f"PATH={STANDARD_PATH}", "LC_ALL=C", *words]
    return ["pct", "exec", str(asked.vmid), "--", *inner]


def perform_command(asked: RunCommand, *, run: Run = run, path: str | None = None) -> CommandOutput:
    """Have one command look, and return what it said; blocks. Raises VerbRefused, MachineError."""
    words = argv(asked)
    own = (path if path is not None else os.environ.get("PATH", os.defpath)).split(":")
    more = [folder for folder in STANDARD_PATH.split(":") if folder not in own]
    environment = {"PATH": ":".join(own + more), "LC_ALL": "C", "HOME": "/root"}
    try:
        done = run(words, timeout=BY_NAME[asked.name].timeout, env=environment, cwd="/", cap=CAP, grace=2.0)
    except ProgramMissing as wrong:
        raise ProgramMissing(f"This machine has no program {words[0]}.") from wrong
    except OSError as wrong:
        raise MachineError(f"The command {asked.name} could not be started: {wrong.strerror}.") from wrong
    return CommandOutput(
        name=asked.name,
        exit_code=done.exit_code,
        stdout=done.stdout.decode("utf-8", "replace"),
        stderr=done.stderr.decode("utf-8", "replace"),
        truncated=done.stdout_truncated or done.stderr_truncated,
        timed_out=done.timed_out,
        seconds=round(done.seconds, 3),
    )


def _refusal(sentence: str) -> VerbRefused:
    return VerbRefused(sentence, outcome=Outcome.REFUSED.value)
