"""Which life of a target this is: a mark that no other start of the same target has.

Of a host it is the kernel's boot id. Of a container it is when its first process began, in the kernel's ticks, with the
host's boot id; of a virtual machine the same of its QEMU process, which ``qm reboot`` ends and starts anew.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from nanny_ops.errors import MachineError, ProgramMissing, VerbRefused
from nanny_ops.machine.run import Done
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.package_list import plain

HOST, LXC, QEMU = "host", "lxc", "qemu"
Run = Callable[..., Done]
#: Seconds for one look into a container; a frozen one never answers.
LOOK = 30.0
_BOOT_ID = Path("proc/sys/kernel/random/boot_id")


def mark(kind: str, vmid: int | None, *, run: Run, environ: Mapping[str, str], root: Path = Path("/")) -> str:
    """Return the mark of a running target. Raises VerbRefused where it does not run or is not here, MachineError."""
    boot = (root / _BOOT_ID).read_text().strip()
    if kind == HOST:
        return boot
    if kind == LXC:
        return f"{boot}/{_of_container(vmid, run, environ)}"
    return f"{boot}/{_of_machine(vmid, root)}"


def _of_container(vmid: int | None, run: Run, environ: Mapping[str, str]) -> str:
    argv = ["pct", "exec", str(vmid), "--", "cat", "/proc/1/stat"]
    try:
        done = run(argv, timeout=LOOK, env=environ, cwd="/", cap=65536)
    except ProgramMissing as wrong:
        raise _refusal(Outcome.NO_PROXMOX, "pct is not installed here: this is no Proxmox VE node.") from wrong
    said = done.stderr.decode("utf-8", "replace").strip()
    if done.exit_code == 0:
        return _start(done.stdout.decode("utf-8", "replace"))
    if "not running" in said:
        raise _refusal(Outcome.TARGET_STOPPED, f"Container {vmid} is not running; it is not started.")
    if "does not exist" in said:
        raise _refusal(Outcome.TARGET_UNKNOWN, f"There is no container {vmid} on this node.")
    state = "does not answer" if done.timed_out else f"cannot be asked: {plain(said[:300])}"
    raise MachineError(f"Container {vmid} {state}.")


def _of_machine(vmid: int | None, root: Path) -> str:
    try:
        pid = int((root / "run/qemu-server" / f"{vmid}.pid").read_text())
        return f"{pid}-{_start((root / 'proc' / str(pid) / 'stat').read_text('utf-8', 'replace'))}"
    except (FileNotFoundError, ProcessLookupError, ValueError) as wrong:
        if (root / "etc/pve/qemu-server" / f"{vmid}.conf").exists():
            raise _refusal(
                Outcome.TARGET_STOPPED, f"Virtual machine {vmid} is not running; it is not started."
            ) from wrong
        raise _refusal(Outcome.TARGET_UNKNOWN, f"There is no virtual machine {vmid} on this node.") from wrong


def _start(stat: str) -> str:
    """Return when a process began, the 22nd word of its stat. Raises MachineError."""
    words = stat.rpartition(")")[2].split()
    if len(words) < 20 or not words[19].isdigit():
        raise MachineError("The start of the target's first process cannot be read.")
    return words[19]


def _refusal(outcome: Outcome, sentence: str) -> VerbRefused:
    return VerbRefused(sentence, outcome=outcome.value)
