"""What all steps of one job share: its plan, its target, its guest in Proxmox VE, its journal, and how time passes."""

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from nanny_ops.errors import MachineError
from nanny_ops.machine.plan import Plan
from nanny_ops.machine.procedure.halt import Halt, halt_of
from nanny_ops.machine.procedure.journal import Journal
from nanny_ops.machine.procedure.record import Records
from nanny_ops.machine.procedure.ward import Ward
from nanny_ops.machine.proxmox.task import Api, Pace
from nanny_ops.machine.script_run import ScriptRun
from nanny_ops.machine.target import Target
from nanny_ops.machine.verbs import ScriptJob
from nanny_ops.protocol import clock
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.patch_report import HookResult, ProbeResult, Step

#: Seconds after which a wait looks whether the job was cancelled.
SLICE = 1.0


class Skip(Exception):
    """A step that has nothing to do; the text says why."""


@dataclass
class Scene:
    """One job at work."""

    directory: Path
    job: ScriptJob
    plan: Plan
    target: Target
    scripts: ScriptRun
    journal: Journal
    records: Records
    #: None for the host, and where the API cannot be used; ``no_ward`` says why then.
    ward: Ward | None = None
    no_ward: str = ""
    #: For a host that is a node, how it asks its own cluster.
    node_api: Api | None = None
    now: Callable[[], datetime] = clock.now
    pace: Pace = field(default_factory=Pace)
    log: Callable[[BaseException], None] = lambda _wrong: None
    probes: list[ProbeResult] = field(default_factory=list)
    hooks: list[HookResult] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def cancelled(self) -> bool:
        """Tell whether somebody has taken the order back."""
        return (self.directory / "cancel").exists()

    @property
    def target_name(self) -> str:
        """Return what a person calls the target."""
        return "this host" if self.job.vmid is None else f"guest {self.job.vmid}"

    def heed(self) -> None:
        """Go no further once the order is cancelled. Raises Halt."""
        if self.cancelled:
            raise Halt(Outcome.CANCELLED, "The order was cancelled.")

    def wait(self, seconds: float) -> None:
        """Let time pass, unless the order is cancelled meanwhile. Raises Halt."""
        until = self.pace.tick() + seconds
        while (left := until - self.pace.tick()) > 0:
            self.heed()
            self.pace.sleep(min(left, SLICE))
        self.heed()

    def step(self, name: str, work: Callable[[], str]) -> None:
        """Do one step, with its beginning and its end in the journal; ``work`` returns a sentence. Raises Halt."""
        self.journal.begin(name)
        began, at = self.pace.tick(), clock.stamp(self.now())
        outcome, reason = "unknown", "It was cut short."
        try:
            reason = work()
            outcome = "ok"
        except Skip as nothing:
            outcome, reason = "skipped", str(nothing)
        except Halt as halt:
            outcome = "cancelled" if halt.problem.outcome is Outcome.CANCELLED else "failed"
            reason = halt.problem.reason
            raise
        except (MachineError, OSError) as wrong:
            meant = _halt(wrong)
            outcome, reason = "failed", meant.problem.reason
            raise meant from wrong
        finally:
            took = round((self.pace.tick() - began) * 1000)
            self.journal.end(Step(name=name, outcome=outcome, reason=reason[:4096], started_at=at, duration_ms=took))

    def attempt(self, name: str, work: Callable[[], str]) -> bool:
        """Do one step of the aftermath, where nothing may stop what follows; return whether it went well."""
        try:
            self.step(name, work)
        except Halt as halt:
            self.log(halt)
            return False
        except OSError as wrong:  # the journal's disk is full; what is restored matters more than what is written
            self.log(wrong)
            return self.journal.ended(name) is not None
        return True


def _halt(wrong: MachineError | OSError) -> Halt:
    if isinstance(wrong, MachineError):
        return halt_of(wrong)
    full = wrong.errno in (errno.ENOSPC, errno.EDQUOT)
    sentence = f"A file of the job cannot be used: {wrong.strerror}."
    return Halt(Outcome.DISK_FULL if full else Outcome.AGENT_ERROR, sentence)
