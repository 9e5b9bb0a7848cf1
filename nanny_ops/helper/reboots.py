"""The helper's part in reboots: judged by the owner's policy, begun once, and none that would end a job."""

import logging
import threading
from pathlib import Path

from nanny_ops.errors import DiskFull, VerbRefused
from nanny_ops.helper.judge import Judge, check_id
from nanny_ops.helper.ledger import Ledger
from nanny_ops.machine import occupied, reboot
from nanny_ops.machine.reboot import Launch, Mark, perform_reboot
from nanny_ops.machine.verbs import ForgetReboot, RebootOrder, RebootState, RebootVerb, StartReboot

log = logging.getLogger(__name__)
#: Reboots of which something is kept.
MOST = 64


class Reboots:
    """Carries out verbs about reboots; may be called from many threads."""

    def __init__(
        self,
        jobs_dir: Path,
        judge: Judge,
        ledger: Ledger,
        *,
        mark: Mark = reboot.mark_here,
        launch: Launch = reboot.launch,
    ) -> None:
        """Take where jobs are kept, what decides, and what remembers."""
        self._jobs_dir, self._judge, self._ledger = jobs_dir, judge, ledger
        self._folder, self._mark, self._launch = reboot.folder_of(jobs_dir), mark, launch
        self._lock = threading.Lock()

    def do(self, verb: RebootVerb) -> RebootState:
        """Carry out one verb; blocks. Raises VerbRefused, MachineError."""
        reboot_id = verb.order.reboot_id if isinstance(verb, StartReboot) else verb.reboot_id
        check_id(reboot_id)
        with self._lock:
            if isinstance(verb, StartReboot):
                self._permit(verb.order)
            if isinstance(verb, ForgetReboot) and reboot.look(self._folder, reboot_id, self._mark).begun:
                self._ledger.add(reboot_id)
            return perform_reboot(verb, folder=self._folder, mark=self._mark, launch=self._launch)

    def _permit(self, order: RebootOrder) -> None:
        """Raise VerbRefused for a reboot that may not begin; one that did needs no second judgement."""
        if reboot.look(self._folder, order.reboot_id, self._mark).begun:
            return
        if order.reboot_id in self._ledger:
            raise VerbRefused("This reboot was begun before, and is over; it is not begun again.")
        self._judge.permit_reboot(order)
        occupied.demand_for_reboot(self._jobs_dir, order, self._judge.now)
        if self._folder.is_dir() and sum(1 for _ in self._folder.iterdir()) >= MOST:
            raise DiskFull(f"{MOST} reboots lie here that nobody has fetched; no further one is begun.")
        target = "host" if order.vmid is None else str(order.vmid)
        log.warning("event=reboot_begun reboot=%s target=%s timeout=%d", order.reboot_id, target, order.timeout_seconds)
