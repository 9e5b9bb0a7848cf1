"""The process that stands here for a script in a virtual machine: it says what the script says, and ends as it does.

Its call: ``python -m nanny_ops.machine.qemu_client JOBS MACHINE FOLDER STDOUT STDERR [SECONDS COMMAND...]``; with a
command it begins that first, else it goes on after so many bytes of the two outputs. Ending this process ends nothing
in the machine. A guest agent that is restarted, and a machine that is moved to another node, are waited for.
"""

import contextlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nanny_ops.errors import (
    GuestAgentSilent,
    GuestProgramLost,
    GuestProgramUnfinished,
    GuestStopped,
    MachineError,
    ProxmoxUnreachable,
)
from nanny_ops.machine import guest
from nanny_ops.machine.inside import Inside
from nanny_ops.machine.procedure import access
from nanny_ops.machine.qemu import LOST, SIGN, problem_of
from nanny_ops.machine.qemu_guest import BEGIN, ENDED, GONE, LOOK, RUNNING
from nanny_ops.machine.target import Problem
from nanny_ops.protocol.operation import Outcome

#: Bytes of each output that one look brings.
PIECE = 256 * 1024
#: Seconds between two looks: while something is said, and at most.
PAUSE, LONGEST_PAUSE = 1.0, 5.0
#: Seconds for which a machine may be stopped, as within its reboot, or a run be gone before that is believed.
PATIENCE, DOUBT = 180.0, 10.0
#: What passes by itself.
_PASSING = (GuestAgentSilent, GuestProgramLost, GuestProgramUnfinished, GuestStopped, ProxmoxUnreachable)


@dataclass
class Session:
    """One run in one machine; ``out`` and ``err`` count the bytes of its outputs that were told already."""

    inside: Inside
    folder: str
    out: int
    err: int
    stdout: BinaryIO
    stderr: BinaryIO
    tick: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def begin(self, command: list[str]) -> Problem | None:
        """Begin the script; asking again after a lost answer begins it no second time."""
        until = self.tick() + PATIENCE
        while True:
            try:
                done = self.inside.sh(BEGIN, self.folder, guest.SUPERVISE, *command)
            except _PASSING as wrong:
                if self.tick() >= until:
                    return problem_of(wrong)
                self.sleep(LONGEST_PAUSE)
            else:
                said = done.stderr.decode("utf-8", "replace").strip()[:300]
                return None if done.exit_code == 0 else Problem(Outcome.AGENT_ERROR, f"It could not be begun: {said}")

    def follow(self) -> int | Problem:
        """Tell what the script says until it has ended; return its exit code, or why that is not known."""
        pause, unheard_since, gone_since = PAUSE, None, None
        while True:
            now = self.tick()
            try:
                state, news = self._look()
            except _PASSING as wrong:
                unheard_since = now if unheard_since is None else unheard_since
                if isinstance(wrong, GuestStopped) and now - unheard_since > PATIENCE:
                    return problem_of(wrong)
                self.sleep(LONGEST_PAUSE)
                continue
            unheard_since = None
            gone_since = None if state != GONE else now if gone_since is None else gone_since
            if state == ENDED and not news:
                return self._code()
            if gone_since is not None and now - gone_since > DOUBT:
                return Problem(Outcome.TARGET_LOST, "The script was cut short, as by a restart of its machine.")
            pause = PAUSE if news else min(pause * 1.5, LONGEST_PAUSE)
            if state != ENDED:
                self.sleep(pause)

    def _look(self) -> tuple[int, bool]:
        """Return how the run stands and whether there was something new; that is told."""
        done = self.inside.sh(LOOK, self.folder, str(self.out), str(self.err), str(PIECE))
        if done.exit_code not in (RUNNING, ENDED, GONE):
            raise GuestProgramLost(f"A look at the script ended with {done.exit_code}.")
        for stream, piece in ((self.stdout, done.stdout), (self.stderr, done.stderr)):
            stream.write(piece)
            stream.flush()
        self.out += len(done.stdout)
        self.err += len(done.stderr)
        return done.exit_code, bool(done.stdout or done.stderr)

    def _code(self) -> int:
        while True:
            try:
                told = self.inside.run(["cat", f"{self.folder}/code"]).stdout.strip()
                return int(told) if told.isdigit() else LOST
            except _PASSING:
                self.sleep(LONGEST_PAUSE)


def _problem(jobs_dir: Path, vmid: int, folder: str, known: tuple[int, int], command: list[str]) -> int | Problem:
    how = access.read(jobs_dir)
    if how is None:
        return Problem(Outcome.REFUSED, "There is no access to the Proxmox VE API, through which machines are reached.")
    with contextlib.closing(access.connect(how.access)) as api:
        session = Session(Inside(api, vmid), folder, *known, sys.stdout.buffer, sys.stderr.buffer)
        return (session.begin(command) if command else None) or session.follow()


def main(argv: list[str]) -> int:
    """Begin or follow a run; return its exit code, or LOST with the reason as the last line on stderr."""
    jobs_dir, vmid, folder, out, err, *command = argv[1:]
    try:
        end = _problem(Path(jobs_dir), int(vmid), folder, (int(out), int(err)), command)
    except MachineError as wrong:
        end = problem_of(wrong)
    if isinstance(end, int):
        return end
    sys.stderr.write(f"\n{SIGN}{end.outcome.value} {end.reason}\n")
    return LOST


if __name__ == "__main__":
    sys.exit(main(sys.argv))
