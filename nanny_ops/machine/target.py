"""Where a script runs: on this host, or in a container through ``pct exec``."""

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from nanny_ops.errors import ProgramMissing
from nanny_ops.machine import guest
from nanny_ops.machine.run import Done, run
from nanny_ops.machine.shebang import Interpreter
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.package_list import plain

Run = Callable[..., Done]

#: Seconds for one short errand through pct; each starts a large Perl program, and a frozen container never answers.
ERRAND = 60.0
#: Seconds the container's own ``timeout`` gets to do its work before the client of ``pct exec`` is given up.
MARGIN = 30.0
#: Seconds beyond those of a short command, for ``pct`` itself.
COMMAND_MARGIN = 10.0
#: Bytes of each stream of a short command that are kept.
COMMAND_CAP = 512 * 1024
#: Where programs are looked for, in a container always and on the host after the agent's own PATH.
STANDARD_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: C.UTF-8 and not C: scripts in Python or Perl may print names that are not ASCII, and messages stay English.
SCRIPT_ENVIRONMENT = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TERM": "dumb",
    "DEBIAN_FRONTEND": "noninteractive",
}

_STOPPED = re.compile(r"container '\d+' not running!|can only push files to a running CT")
_UNKNOWN = re.compile(r"Configuration file '\S*\d+\.conf' does not exist|400 Parameter verification failed\.")
_DISK_FULL = "No space left on device"


@dataclass(frozen=True)
class Problem:
    """Why a script cannot be run, or could not be run to its end."""

    outcome: Outcome
    reason: str


class Standing(StrEnum):
    """How a run stands."""

    RUNNING = "running"
    ENDED = "ended"
    #: It runs no more, and nothing tells how it ended.
    GONE = "gone"
    #: The target does not answer.
    UNHEARD = "unheard"


@dataclass(frozen=True, kw_only=True)
class Call:
    """One script to be run: where it lies here, how, and for how many seconds at most.

    ``sealed`` holds the bytes that were verified and cannot be changed; ``script`` is the file for a program that
    carries it elsewhere, where it is verified again.
    """

    job_id: str
    script: Path
    sealed: Path
    sha256: str
    interpreter: Interpreter
    arguments: Sequence[str]
    timeout: int


class Target(Protocol):
    """A place where a script can be run."""

    def stage(self, call: Call, /) -> Problem | None:
        """Bring the script there and check that it can run; nothing of it is executed."""

    def argv(self, call: Call, /) -> list[str]:
        """Return what to start here so that the script runs there."""

    def hand_over(self, call: Call, /) -> tuple[list[str], bytes] | None:
        """Return what to start here, and its input, to bring, verify and run the script in one go; None: stage it."""

    def deadline(self, call: Call, /) -> float:
        """Return the seconds after which what was started here is given up."""

    def environment(self) -> Mapping[str, str]:
        """Return the environment of what is started here."""

    def halt(self, job_id: str, /) -> None:
        """End the script and its children where ending our own process does not."""

    def explain(self, done: Done, /) -> Problem | None:
        """Return a cause of the end that lies in the target and not in the script."""

    def unstage(self, call: Call, /) -> None:
        """Remove what :meth:`stage` left there."""

    def standing(self, job_id: str, /) -> Standing:
        """Say how a run stands of which nothing is heard any more."""

    def follow(self, job_id: str, known: tuple[int, int], /) -> list[str]:
        """Return what to start here to hear the rest of a run: ``known`` bytes of its two outputs are here already."""

    def command(self, argv: Sequence[str], seconds: float, /) -> Done:
        """Run a short command there, which leaves nothing running. Raises ProgramMissing."""


@dataclass(frozen=True)
class Here:
    """This host."""

    path: str = os.defpath

    def stage(self, call: Call) -> Problem | None:
        """Check that the interpreter is there."""
        if not os.access(call.interpreter.path, os.X_OK):
            return interpreter_missing(call.interpreter.path, "this host")
        wanted = call.interpreter.looked_up
        if wanted and shutil.which(wanted, path=self.environment()["PATH"]) is None:
            return interpreter_missing(wanted, "this host")
        return None

    def argv(self, call: Call) -> list[str]:
        """Return the interpreter's call."""
        return [*call.interpreter.argv, str(call.sealed), *call.arguments]

    def hand_over(self, call: Call) -> None:
        """Leave it at :meth:`stage`, which costs nothing here."""

    def deadline(self, call: Call) -> float:
        """Return the order's own limit."""
        return call.timeout

    def environment(self) -> dict[str, str]:
        """Return a clean environment: nothing of the agent's own but PATH reaches a script."""
        own = self.path.split(":")
        more = [folder for folder in STANDARD_PATH.split(":") if folder not in own]
        return {**SCRIPT_ENVIRONMENT, "PATH": ":".join(own + more)}

    def halt(self, job_id: str) -> None:
        """Do nothing: ending our own process has ended its session."""

    def explain(self, done: Done) -> Problem | None:
        """Find no cause outside the script."""

    def unstage(self, call: Call) -> None:
        """Do nothing: the script was never copied."""

    def standing(self, job_id: str) -> Standing:
        """Know of nothing: what a script here says goes to whoever began it, and to nobody else."""
        del job_id
        return Standing.GONE

    def follow(self, job_id: str, known: tuple[int, int]) -> list[str]:
        """Return a command that ends at once; see :meth:`standing`."""
        del job_id, known
        return ["false"]

    def command(self, argv: Sequence[str], seconds: float) -> Done:
        """Run a short command. Raises ProgramMissing."""
        return run(argv, timeout=seconds, env=self.environment(), cwd="/", cap=COMMAND_CAP)


@dataclass(frozen=True)
class Lxc:
    """A container of this Proxmox VE node."""

    vmid: int
    environ: Mapping[str, str]
    run: Run = run

    def stage(self, call: Call) -> Problem | None:
        """Bring the script into a private folder of the container and verify it there, all in one ``pct exec``."""
        try:
            return self._receive(call)
        except ProgramMissing:
            return Problem(Outcome.NO_PROXMOX, "pct is not installed here: this is not a Proxmox VE node.")

    def argv(self, call: Call) -> list[str]:
        """Return the ``pct exec`` that runs the script under the container's own deadline."""
        launcher = ["sh", "-c", guest.LAUNCH, "sh", guest.SUPERVISE, folder(call.job_id), str(call.timeout)]
        return self._exec(*self._clean(), *launcher, *self._inner(call))

    def hand_over(self, call: Call) -> tuple[list[str], bytes]:
        """Return the ``pct exec`` that takes the verified bytes by its input, looks at them again, and runs them."""
        asked = [folder(call.job_id), call.interpreter.path, call.interpreter.looked_up, call.sha256]
        words = ["sh", "-c", guest.HAND_OVER, "sh", *asked, guest.SUPERVISE, str(call.timeout)]
        return self._exec(*self._clean(), *words, *self._inner(call)), call.sealed.read_bytes()

    def deadline(self, call: Call) -> float:
        """Return the order's limit and a margin for the container's own timeout to act."""
        return call.timeout + MARGIN

    def environment(self) -> Mapping[str, str]:
        """Return pct's own environment; the script gets a clean one in the container."""
        return self.environ

    def halt(self, job_id: str) -> None:
        """End the script's whole session inside the container; ending ``pct exec`` does not."""
        self._errand(*self._exec("sh", "-c", guest.HALT, "sh", folder(job_id)))

    def explain(self, done: Done) -> Problem | None:
        """Tell a container that stopped, vanished or froze from a script that failed."""
        said = done.stderr.decode("utf-8", "replace").strip()
        if done.exit_code in (2, 255) and len(said.splitlines()) == 1 and self._pct_says(said) is not None:
            return self._pct_says(said)
        if done.exit_code == guest.NO_PIPES and _DISK_FULL in said:
            return Problem(Outcome.DISK_FULL, f"Container {self.vmid} has no space left in /var/tmp.")
        if done.exit_code == guest.NO_PIPES and said.startswith(guest.HANDED):
            return self._not_run(said.removeprefix(guest.HANDED))
        if done.exit_code is not None and 0 <= done.exit_code < 126:
            return None
        status = self._errand("pct", "status", str(self.vmid))
        if status.timed_out or (status.exit_code == 0 and b"stopped" not in status.stdout):
            return None  # a cluster file system that hangs says nothing about the container
        state = "was stopped" if status.exit_code == 0 else "left this node"
        return Problem(Outcome.TARGET_LOST, f"Container {self.vmid} {state} while the script ran.")

    def unstage(self, call: Call) -> None:
        """Remove the folder; a container that is gone keeps nothing."""
        self._errand(*self._exec("rm", "-rf", "--", folder(call.job_id)))

    def standing(self, job_id: str) -> Standing:
        """Ask the container."""
        done = self._errand(*self._exec("sh", "-c", guest.STANDING, "sh", folder(job_id)))
        word = done.stdout.decode("utf-8", "replace").strip()
        return Standing(word) if done.exit_code == 0 and word in set(Standing) else Standing.UNHEARD

    def follow(self, job_id: str, known: tuple[int, int]) -> list[str]:
        """Return the ``pct exec`` that prints the rest of a run's files."""
        return self._exec("sh", "-c", guest.FOLLOW, "sh", folder(job_id), *map(str, known))

    def command(self, argv: Sequence[str], seconds: float) -> Done:
        """Run a short command under the container's own deadline. Raises ProgramMissing."""
        limit = ["timeout", "-k", "2", str(max(1, round(seconds)))]
        argv = self._exec("env", f"PATH={STANDARD_PATH}", "LC_ALL=C", *limit, *argv)
        return self.run(argv, timeout=seconds + COMMAND_MARGIN, env=self.environ, cwd="/", cap=COMMAND_CAP)

    def _receive(self, call: Call) -> Problem | None:
        """Hand the verified bytes over by stdin; what arrived torn is told by its checksum."""
        wanted = call.interpreter.looked_up
        arguments = [folder(call.job_id), call.interpreter.path, wanted]
        receive = self._exec("env", f"PATH={STANDARD_PATH}", "sh", "-c", guest.RECEIVE, "sh", *arguments)
        script = call.sealed.read_bytes()
        done = self.run(receive, stdin=script, timeout=ERRAND, env=self.environ, cwd="/", cap=65536)
        if problem := self._failure(done, "the script could not be brought into a private folder in /var/tmp"):
            return problem
        found = answers(done.stdout)
        if "lacks" in found:
            return Problem(Outcome.UNSUPPORTED, f"Container {self.vmid} lacks the program {plain(found['lacks'])}.")
        if found.get("sha256") != call.sha256:
            return self._torn()
        if found.get("interpreter") != "yes":
            return interpreter_missing(wanted or call.interpreter.path, f"container {self.vmid}")
        return None

    def _not_run(self, said: str) -> Problem:
        """Return why a script that was handed over has not been run."""
        word, _, more = said.partition(" ")
        if word == "torn":
            return self._torn()
        if word == "interpreter":
            return Problem(Outcome.INTERPRETER_MISSING, f"Container {self.vmid} lacks what the script's '#!' names.")
        return Problem(Outcome.UNSUPPORTED, f"Container {self.vmid} lacks the program {plain(more[:64])}.")

    def _torn(self) -> Problem:
        sentence = f"The script that arrived in container {self.vmid} is not the one that was sent."
        return Problem(Outcome.CHECKSUM_MISMATCH, sentence)

    def _clean(self) -> list[str]:
        """Return the call that gives a script its environment and nothing of pct's."""
        return [
            "env",
            "-i",
            *(f"{name}={value}" for name, value in SCRIPT_ENVIRONMENT.items()),
            f"PATH={STANDARD_PATH}",
        ]

    def _inner(self, call: Call) -> list[str]:
        return [*call.interpreter.argv, f"{folder(call.job_id)}/script", *call.arguments]

    def _failure(self, done: Done, what: str) -> Problem | None:
        said = done.stderr.decode("utf-8", "replace").strip()
        if done.timed_out:
            reason = f"Container {self.vmid} does not answer; it may be frozen by a backup."
            return Problem(Outcome.TARGET_STOPPED, reason)
        if done.exit_code == 0:
            return None
        if _DISK_FULL in said:
            return Problem(Outcome.DISK_FULL, f"Container {self.vmid} has no space left in /var/tmp.")
        return self._pct_says(said) or Problem(
            Outcome.AGENT_ERROR, f"In container {self.vmid} {what} (exit code {done.exit_code}): {plain(said[:300])}"
        )

    def _pct_says(self, said: str) -> Problem | None:
        if _STOPPED.search(said):
            return Problem(Outcome.TARGET_STOPPED, f"Container {self.vmid} is not running.")
        if _UNKNOWN.search(said):
            return Problem(Outcome.TARGET_UNKNOWN, f"There is no container {self.vmid} on this node.")
        if said == "please run as root":
            return Problem(Outcome.NO_PROXMOX, "pct refuses: the agent must run as root to reach containers.")
        return None

    def _exec(self, *inner: str) -> list[str]:
        return ["pct", "exec", str(self.vmid), "--", *inner]

    def _errand(self, *argv: str) -> Done:
        return self.run(argv, timeout=ERRAND, env=self.environ, cwd="/", cap=65536)


def answers(stdout: bytes) -> dict[str, str]:
    """Read the words and values that VERIFY prints."""
    pairs = (line.partition(" ") for line in stdout.decode("utf-8", "replace").splitlines())
    return {word: value for word, _, value in pairs}


def folder(job_id: str) -> str:
    """Return where a job's script lies in a container."""
    return f"/var/tmp/nanny-ops-{job_id}"  # noqa: S108  made with mkdir -m 0700, which fails on a planted one


def interpreter_missing(name: str, where: str) -> Problem:
    """Say that the script's ``#!`` names a program that is not there."""
    hint = " Its lines end as on Windows." if name.endswith("\r") else ""
    return Problem(Outcome.INTERPRETER_MISSING, f"The script wants {name.rstrip()}, which {where} does not have.{hint}")


def choose(vmid: int | None, environ: Mapping[str, str], run: Run = run) -> Target:
    """Return the target of an order; ``environ`` is the supervisor's own environment, ``run`` carries out errands.

    pct hands its own environment on to the container, whose root may read it: of ours it gets the PATH and no more.
    """
    path = environ.get("PATH", os.defpath)
    return Here(path) if vmid is None else Lxc(vmid, {"PATH": path, "LC_ALL": "C"}, run)
