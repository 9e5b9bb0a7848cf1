"""Scripts in a virtual machine, through its QEMU guest agent.

What ``pct exec`` is for containers, :mod:`nanny_ops.machine.qemu_client` is for machines: a process here that hands on
what the script there says, and ends as it does. The script itself does not depend on it.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nanny_ops
from nanny_ops.errors import (
    GuestAgentError,
    GuestAgentForbids,
    GuestAgentOff,
    GuestAgentSilent,
    GuestFileDamaged,
    GuestProgramMissing,
    GuestProgramUnfinished,
    GuestStopped,
    MachineError,
    ProxmoxForbidden,
    ProxmoxGone,
    ProxmoxUnreachable,
)
from nanny_ops.machine import guest
from nanny_ops.machine.inside import Inside
from nanny_ops.machine.procedure import access
from nanny_ops.machine.procedure.access import Conversation
from nanny_ops.machine.proxmox.guest_agent import Ended
from nanny_ops.machine.run import Done
from nanny_ops.machine.target import (
    COMMAND_MARGIN,
    MARGIN,
    SCRIPT_ENVIRONMENT,
    STANDARD_PATH,
    Call,
    Problem,
    Standing,
    answers,
    folder,
    interpreter_missing,
)
from nanny_ops.machine.verbs import ProxmoxAccess
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.package_list import plain

#: Seconds to wait until the guest agent answers before a script is brought there; it may be busy with a freeze.
READY = 60.0
#: Exit code of the client where the script's own is not known, and what its last line on stderr begins with then.
LOST, SIGN = 255, "nanny-vm "
#: Seconds after which a run that seems to be gone is looked at once more: it may just be beginning.
AGAIN = 5.0
_DISK_FULL = "No space left on device"
_WORDS: tuple[tuple[type[MachineError], Outcome], ...] = (
    (GuestStopped, Outcome.TARGET_STOPPED),
    (ProxmoxGone, Outcome.TARGET_UNKNOWN),
    (GuestFileDamaged, Outcome.CHECKSUM_MISMATCH),
    (GuestAgentOff, Outcome.NO_GUEST_AGENT),
    (GuestAgentSilent, Outcome.NO_GUEST_AGENT),
    (GuestAgentForbids, Outcome.NO_GUEST_AGENT),
    (GuestProgramMissing, Outcome.UNSUPPORTED),
    (GuestAgentError, Outcome.AGENT_ERROR),
    (ProxmoxForbidden, Outcome.REFUSED),
    (ProxmoxUnreachable, Outcome.NO_PROXMOX),
)


def problem_of(wrong: MachineError) -> Problem:
    """Return what an error on the way into a machine means for a job."""
    outcome = next((word for kind, word in _WORDS if isinstance(wrong, kind)), Outcome.AGENT_ERROR)
    return Problem(outcome, wrong.message)


class Nowhere:
    """Stands for an API that cannot be asked, and says why."""

    def __init__(self, wrong: MachineError) -> None:
        """Take the reason."""
        self._wrong = wrong

    def get(self, path: str, /, **parameters: Any) -> Any:
        """Raise the reason."""
        del path, parameters
        raise self._wrong

    post = delete = get

    def close(self) -> None:
        """Do nothing."""


def reach(jobs_dir: Path, connect: Callable[[ProxmoxAccess], Conversation]) -> Conversation:
    """Return the API that jobs reach; where there is none, each question to it says why."""
    try:
        found = access.read(jobs_dir)
        if found is None:
            raise ProxmoxUnreachable("Virtual machines are reached through Proxmox VE's API; jobs here have none.")
        return connect(found.access)
    except MachineError as wrong:
        return Nowhere(wrong)


@dataclass(frozen=True)
class Qemu:
    """A virtual machine of this cluster; ``jobs_dir`` is where a client finds how to reach the API."""

    vmid: int
    inside: Inside
    jobs_dir: Path
    environ: Mapping[str, str]
    sleep: Callable[[float], None] = time.sleep

    def stage(self, call: Call) -> Problem | None:
        """Make a private folder in the machine, write the script, and verify it there by its checksum."""
        place = folder(call.job_id)
        try:
            self.inside.await_ready(READY)
            done = self.inside.sh(guest.PREPARE, place)
            if problem := self._failure(done, "a private folder could not be made in /var/tmp"):
                return problem
            self.inside.write(f"{place}/script", call.script.read_bytes())
            return self._verify(call)
        except MachineError as wrong:
            return problem_of(wrong)

    def argv(self, call: Call) -> list[str]:
        """Return the client that begins the script under the machine's own deadline and tells what it says."""
        environment = {**SCRIPT_ENVIRONMENT, "PATH": STANDARD_PATH}
        words = [f"{name}={value}" for name, value in environment.items()]
        inner = [*call.interpreter.argv, f"{folder(call.job_id)}/script", *call.arguments]
        return [*self.follow(call.job_id, (0, 0)), str(call.timeout), "env", "-i", *words, *inner]

    def hand_over(self, call: Call) -> None:
        """Leave it at :meth:`stage`: the guest agent takes 64 KiB of a program's input, and costs no ``pct``."""

    def deadline(self, call: Call) -> float:
        """Return the order's limit and a margin for the machine's own timeout to act."""
        return call.timeout + MARGIN

    def environment(self) -> dict[str, str]:
        """Return the client's environment; the script gets a clean one in the machine."""
        return {
            "PATH": self.environ.get("PATH", os.defpath),
            "LC_ALL": "C",
            "PYTHONPATH": str(Path(nanny_ops.__file__).parents[1]),
        }

    def halt(self, job_id: str) -> None:
        """End the script's whole session inside the machine. Raises MachineError."""
        self.inside.sh(guest.HALT, folder(job_id))

    def explain(self, done: Done) -> Problem | None:
        """Return what the client has said of an end that it could not learn."""
        if done.exit_code != LOST:
            return None
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        if not last or not last[0].startswith(SIGN):
            return None
        word, _, reason = last[0].removeprefix(SIGN).partition(" ")
        told = {outcome for _, outcome in _WORDS} | {Outcome.TARGET_LOST}
        return Problem(Outcome(word), plain(reason)) if word in told else None

    def unstage(self, call: Call) -> None:
        """Remove the folder. Raises MachineError."""
        self.inside.run(["rm", "-rf", "--", folder(call.job_id)])

    def standing(self, job_id: str) -> Standing:
        """Ask the machine; twice before a run is taken to be gone."""
        first = self._standing(job_id)
        if first is not Standing.GONE:
            return first
        self.sleep(AGAIN)
        return self._standing(job_id)

    def follow(self, job_id: str, known: tuple[int, int]) -> list[str]:
        """Return the client that tells the rest of a run's output and ends as the script does."""
        client = [sys.executable, "-P", "-m", "nanny_ops.machine.qemu_client"]
        return [*client, str(self.jobs_dir), str(self.vmid), folder(job_id), *map(str, known)]

    def command(self, argv: Sequence[str], seconds: float) -> Done:
        """Run a short command under the machine's own deadline; what cannot be asked has no exit code."""
        limit = ["timeout", "-k", "2", str(max(1, round(seconds)))]
        words, began = ["env", f"PATH={STANDARD_PATH}", "LC_ALL=C", *limit, *argv], time.monotonic()
        try:
            ended = self.inside.run(words, seconds=seconds + COMMAND_MARGIN)
        except MachineError as wrong:
            code, stdout, stderr = None, b"", wrong.message.encode()
            late = isinstance(wrong, GuestProgramUnfinished)
        else:
            code, stdout, stderr, late = _code(ended), ended.stdout, ended.stderr, False
        passed = time.monotonic() - began
        return Done(argv=tuple(argv), exit_code=code, stdout=stdout, stderr=stderr, timed_out=late, seconds=passed)

    def _verify(self, call: Call) -> Problem | None:
        place, wanted = folder(call.job_id), call.interpreter.looked_up
        chmod = self.inside.run(["chmod", "0700", f"{place}/script"])
        verify = f"PATH={STANDARD_PATH}\n{guest.VERIFY}"
        done = self.inside.sh(verify, f"{place}/script", call.interpreter.path, wanted)
        for one in (chmod, done):
            if problem := self._failure(one, "the script could not be verified"):
                return problem
        found = answers(done.stdout)
        if "lacks" in found:
            return Problem(Outcome.UNSUPPORTED, f"Machine {self.vmid} lacks the program {plain(found['lacks'])}.")
        if found.get("sha256") != call.sha256:
            reason = f"The script that arrived in machine {self.vmid} is not the one that was sent."
            return Problem(Outcome.CHECKSUM_MISMATCH, reason)
        if found.get("interpreter") != "yes":
            return interpreter_missing(wanted or call.interpreter.path, f"machine {self.vmid}")
        return None

    def _failure(self, done: Ended, what: str) -> Problem | None:
        if done.exit_code == 0:
            return None
        said = done.stderr.decode("utf-8", "replace").strip()
        if _DISK_FULL in said:
            return Problem(Outcome.DISK_FULL, f"Machine {self.vmid} has no space left in /var/tmp.")
        told = f"In machine {self.vmid} {what} (exit code {_code(done)}): {plain(said[:300])}"
        return Problem(Outcome.AGENT_ERROR, told)

    def _standing(self, job_id: str) -> Standing:
        try:
            done = self.inside.sh(guest.STANDING, folder(job_id))
        except MachineError:
            return Standing.UNHEARD
        word = done.stdout.decode("utf-8", "replace").strip()
        return Standing(word) if done.exit_code == 0 and word in set(Standing) else Standing.UNHEARD


def _code(ended: Ended) -> int | None:
    return ended.exit_code if ended.signal is None else -ended.signal
