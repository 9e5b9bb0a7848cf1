"""The helper's part in the removal of snapshots: judged by the owner's policy, and none that a job may go back to."""

import logging
import threading
from pathlib import Path

from nanny_ops.errors import DiskFull, VerbRefused
from nanny_ops.helper.judge import Judge, check_id
from nanny_ops.helper.ledger import Ledger
from nanny_ops.machine import occupied, prune
from nanny_ops.machine.prune import Launch, perform_prune
from nanny_ops.machine.prune_verbs import ForgetPrune, PruneOrder, PruneState, PruneVerb, StartPrune

log = logging.getLogger(__name__)
#: Removals of which something is kept.
MOST = 64


class Prunes:
    """Carries out verbs about removals; may be called from many threads."""

    def __init__(self, jobs_dir: Path, judge: Judge, ledger: Ledger, *, launch: Launch = prune.launch) -> None:
        """Take where jobs are kept, what decides, and what remembers."""
        self._jobs_dir, self._judge, self._ledger = jobs_dir, judge, ledger
        self._folder, self._launch = prune.folder_of(jobs_dir), launch
        self._lock = threading.Lock()

    def do(self, verb: PruneVerb) -> PruneState:
        """Carry out one verb; blocks. Raises VerbRefused, MachineError."""
        prune_id = verb.order.prune_id if isinstance(verb, StartPrune) else verb.prune_id
        check_id(prune_id)
        with self._lock:
            known = prune.is_known(self._folder, prune_id)
            if isinstance(verb, StartPrune) and not known:
                self._permit(verb.order)
            if isinstance(verb, ForgetPrune) and known:
                self._ledger.add(prune_id)
            return perform_prune(verb, folder=self._folder, launch=self._launch)

    def _permit(self, order: PruneOrder) -> None:
        """Raise VerbRefused for a removal that may not begin."""
        if order.prune_id in self._ledger:
            raise VerbRefused("This removal was begun before, and is over; it is not begun again.")
        self._judge.permit_prune(order)
        occupied.demand_for_prune(self._jobs_dir, order, self._judge.now)
        if self._folder.is_dir() and sum(1 for _ in self._folder.iterdir()) >= MOST:
            raise DiskFull(f"{MOST} removals lie here that nobody has fetched; no further one is begun.")
        names = ",".join(one.name for one in order.snapshots)
        log.info("event=prune_begun order=%s vmid=%d snapshots=%s", order.prune_id, order.vmid, names)
