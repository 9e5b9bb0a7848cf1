"""The process that removes snapshots of ours from one guest, one after another, and writes down what became of each.

Its call: ``python -m nanny_ops.machine.pruner FOLDER [--in-unit]``. It asks the API of its node with the token of the
jobs, as they do.
"""

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from nanny_ops.errors import GuestLocked, MachineError, ProxmoxError, VerbRefused
from nanny_ops.machine import prune, target_lock
from nanny_ops.machine.procedure import access, preflight
from nanny_ops.machine.procedure.halt import Halt, halt_of
from nanny_ops.machine.procedure.record import Records
from nanny_ops.machine.procedure.ward import Ward, local_node
from nanny_ops.machine.proxmox import power, snapshot
from nanny_ops.machine.proxmox.power import Guest
from nanny_ops.machine.proxmox.snapshot import Snapshot
from nanny_ops.machine.proxmox.task import Pace, Upid
from nanny_ops.machine.prune_verbs import PruneOrder
from nanny_ops.machine.run import daemonize
from nanny_ops.machine.verbs import ProxmoxAccess
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.prune import REASON_CAP, Doomed, Removal, RemovalOutcome
from nanny_ops.protocol.snapshot import PREFIX, maker_of

log = logging.getLogger("nanny_ops.machine.pruner")  # whose __name__ is __main__
#: Seconds that a busy guest is waited for before the first removal.
BUSY = 300.0
#: Seconds that a task is followed at least, however late it was begun.
LEAST = 60.0
#: What of a snapshot is over, so that the next process need not ask again.
_SETTLED = ("removed", "gone", "refused")

Connect = Callable[[ProxmoxAccess], access.Conversation]


@dataclass
class Pruner:
    """One order at work."""

    directory: Path
    order: PruneOrder
    records: Records
    connect: Connect = access.connect
    pace: Pace = field(default_factory=Pace)
    removals: list[Removal] = field(default_factory=list)

    def carry_out(self) -> None:
        """Do what is left to do of the order, and write down what all of it came to. Raises OSError."""
        self.removals = [one for one in prune.done_so_far(self.directory) if one.outcome in _SETTLED]
        try:
            self._carry_out()
            outcome, reason = self._judged()
        except Halt as halt:
            outcome, reason = halt.problem.outcome, halt.problem.reason
        except MachineError as wrong:
            meant = halt_of(wrong)
            outcome, reason = meant.problem.outcome, meant.problem.reason
        settled = {one.name for one in self.removals}
        left = [one.name for one in self.order.snapshots if one.name not in settled]
        self.removals += [Removal(name=name, outcome="left", reason=reason[:REASON_CAP]) for name in left]
        if left and any(one.outcome == "removed" for one in self.removals):
            outcome = Outcome.PARTIAL
        prune.write_result(self.directory, self.removals, outcome.value, reason[:REASON_CAP])
        log.info("event=prune_over order=%s outcome=%s reason=%r", self.order.prune_id, outcome, reason[:300])

    def _carry_out(self) -> None:
        """Remove what the order names. Raises Halt, MachineError before anything else could be done."""
        found = access.read(prune.jobs_beside(self.directory))
        if found is None:
            sentence = "No access to the API of Proxmox VE is set up for jobs here, by which snapshots are removed."
            raise Halt(Outcome.NO_PROXMOX, sentence)
        with self._alone(), contextlib.closing(self.connect(found.access)) as api:
            until = self.pace.tick() + self.order.timeout_seconds
            node = found.node or local_node(api, os.uname().nodename.partition(".")[0])
            ward = Ward(api, node, self.order.vmid, self.pace)
            guest = ward.find()
            _await_free(ward, self.pace)
            preflight.check_quorum(api)
            for one in self.order.snapshots:
                if one.name in {done.name for done in self.removals}:
                    continue
                left = until - self.pace.tick()
                if left <= 0:
                    raise Halt(Outcome.TIMED_OUT, f"{self.order.timeout_seconds} s were over before this one's turn.")
                self._remove(ward, guest, one, max(LEAST, left))

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the guest against jobs and reboots. Raises Halt where one is at work on it."""
        jobs_dir = prune.jobs_beside(self.directory)
        try:
            with target_lock.for_job(jobs_dir, self.order.prune_id, self.order.vmid):
                yield
        except VerbRefused as busy:
            raise Halt(Outcome.BLOCKED, f"{busy.message} Nothing more was removed.") from busy

    def _remove(self, ward: Ward, guest: Guest, one: Doomed, seconds: float) -> None:
        """Remove one snapshot, if it is there and says of itself that the order's operation made it.

        Its task is followed for ``seconds``: to merge a disk of terabytes takes longer than to drop a name.
        """
        try:
            there = {found.name: found for found in snapshot.listing(ward.api, guest)}
            found = there.get(one.name)
            if found is None:
                self._note(one, "gone", "It was not there any more.")
            elif not self._is_ours(one, found):
                sentence = f"Neither it nor a record here says that {one.operation_id} made it; it is left alone."
                self._note(one, "refused", sentence)
            else:
                upid = snapshot.delete(ward.api, guest, one.name, seconds=seconds, pace=self.pace)
                self._note(one, "removed", _children(one.name, there), upid)
        except ProxmoxError as wrong:
            task = wrong.details.get("upid")
            self._note(one, "failed", wrong.message, task.text if isinstance(task, Upid) else "")

    def _is_ours(self, one: Doomed, found: Snapshot) -> bool:
        """Tell by the snapshot's own word, or by the record that was made before it was."""
        if not one.name.startswith(PREFIX):
            return False
        known = {record.name: record.job_id for record in self.records.of(self.order.vmid)}
        return one.operation_id in (maker_of(found.description), known.get(one.name))

    def _note(self, one: Doomed, outcome: RemovalOutcome, reason: str, upid: str = "") -> None:
        self.removals.append(Removal(name=one.name, outcome=outcome, reason=reason[:REASON_CAP], upid=upid))
        prune.write_result(self.directory, self.removals)
        if outcome in ("removed", "gone"):
            for record in self.records.of(self.order.vmid):
                if record.name == one.name:
                    self.records.remove(record)

    def _judged(self) -> tuple[Outcome, str]:
        """Return what an order came to of which each snapshot had its turn."""
        removed = [one.name for one in self.removals if one.outcome == "removed"]
        bad = [one for one in self.removals if one.outcome in ("failed", "refused")]
        told = f"{len(removed)} of {len(self.order.snapshots)} snapshots were removed."
        if bad:
            why = " ".join(f"{one.name}: {one.reason}" for one in bad)
            return Outcome.PARTIAL if removed else _worst(bad), f"{told} {why}"
        return (Outcome.OK, told) if removed else (Outcome.NOTHING_TO_DO, "None of them was there any more.")


def _worst(bad: list[Removal]) -> Outcome:
    """Return the word for an order of which nothing was done."""
    return Outcome.AGENT_ERROR if any(one.outcome == "failed" for one in bad) else Outcome.REFUSED


def _await_free(ward: Ward, pace: Pace) -> None:
    """Wait for locks and tasks of the guest, for a bounded time. Raises Halt, ProxmoxError."""
    try:
        power.await_idle(ward.api, ward.find(), BUSY, pace=pace)
    except GuestLocked as busy:
        raise Halt(Outcome.BLOCKED, f"{busy.message} Nothing was removed.") from busy


def _children(name: str, there: dict[str, Snapshot]) -> str:
    """Say which snapshots came after one; Proxmox VE lets them come after the one before it."""
    after = sorted(one.name for one in there.values() if one.parent == name)
    return f"{', '.join(after)} came after it and stayed." if after else ""


def main(argv: list[str]) -> int:
    """Take the order's lock, leave the caller unless a unit of our own carries us, and carry the order out."""
    directory = Path(argv[1])
    logging.basicConfig(stream=sys.stderr, level="INFO", format="%(levelname)s %(name)s %(message)s")
    with prune.alone(directory) as held:
        if not held:
            return 0
        if argv[2:] != ["--in-unit"]:
            daemonize()
        Pruner(directory, prune.load(directory), Records(prune.jobs_beside(directory))).carry_out()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
