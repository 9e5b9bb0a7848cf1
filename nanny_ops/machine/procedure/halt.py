"""Why a job goes no further: a word and a sentence, raised by whichever step finds it out."""

from nanny_ops.errors import (
    DiskFull,
    GuestLocked,
    GuestStopped,
    MachineError,
    NoQuorum,
    ProxmoxGone,
)
from nanny_ops.machine.target import Problem
from nanny_ops.protocol.operation import Outcome

_WORDS: tuple[tuple[type[MachineError], Outcome], ...] = (
    (GuestLocked, Outcome.BLOCKED),
    (NoQuorum, Outcome.BLOCKED),
    (GuestStopped, Outcome.TARGET_STOPPED),
    (ProxmoxGone, Outcome.TARGET_UNKNOWN),
    (DiskFull, Outcome.DISK_FULL),
)


class Halt(Exception):
    """A step has found a reason to end the job."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        """Take the word and the sentence."""
        self.problem = Problem(outcome, reason)
        super().__init__(reason)


def halt_of(wrong: MachineError, otherwise: Outcome = Outcome.AGENT_ERROR) -> Halt:
    """Return the halt that an error of the machine means."""
    outcome = next((word for kind, word in _WORDS if isinstance(wrong, kind)), otherwise)
    return Halt(outcome, wrong.message)
