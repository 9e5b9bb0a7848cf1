"""The four deeds of the helper: begin a job that was judged, look at one, end one, forget one."""

import logging
import threading
import zlib
from pathlib import Path

from nanny_ops.errors import DiskFull, MachineError, ValidationFailed, VerbRefused
from nanny_ops.helper.judge import Judge, check_id
from nanny_ops.helper.ledger import Ledger
from nanny_ops.helper.share import share
from nanny_ops.machine.job import look
from nanny_ops.machine.perform_job import perform_job
from nanny_ops.machine.verbs import ForgetJob, JobPhase, JobState, JobVerb, LookJob, ScriptJob, StartScript

log = logging.getLogger(__name__)
#: Jobs whose folders are there; each may hold two outputs.
MOST_JOBS = 256
#: Locks between which jobs are shared out: one job's verbs wait for each other, and hardly ever another's.
LOCKS = 64
_OVER = frozenset({JobPhase.DONE, JobPhase.LOST})


class Deeds:
    """Carries out verbs on the jobs below one folder; may be called from many threads."""

    def __init__(self, jobs_dir: Path, judge: Judge, ledger: Ledger, gid: int) -> None:
        """Take what decides, what remembers, and the group that may read outputs."""
        self._jobs_dir, self._judge, self._ledger, self._gid = jobs_dir, judge, ledger, gid
        self._locks = tuple(threading.Lock() for _ in range(LOCKS))

    def do(self, verb: JobVerb) -> JobState:
        """Carry out one verb; blocks. Raises VerbRefused, MachineError."""
        job_id = verb.job.job_id if isinstance(verb, StartScript) else verb.job_id
        check_id(job_id)
        try:
            if isinstance(verb, LookJob):
                return self._shared(perform_job(verb, jobs_dir=self._jobs_dir))
            with self._locks[zlib.crc32(job_id.encode()) % LOCKS]:
                return self._shared(self._change(verb, job_id))
        except ValidationFailed as wrong:
            raise VerbRefused(wrong.message) from wrong
        except OSError as wrong:
            raise MachineError(f"A job's files cannot be used: {wrong.strerror}.") from wrong

    def _change(self, verb: JobVerb, job_id: str) -> JobState:
        state = look(self._jobs_dir, job_id)
        if isinstance(verb, StartScript):
            return self._start(verb.job, state)
        if state.phase is JobPhase.ABSENT:
            return state
        if isinstance(verb, ForgetJob) and state.phase in _OVER:
            self._ledger.add(job_id)
        log.info("event=verb_done verb=%s job=%s", type(verb).__name__, job_id)
        return perform_job(verb, jobs_dir=self._jobs_dir)

    def _start(self, job: ScriptJob, state: JobState) -> JobState:
        """Begin a job, unless it was begun before: asking again for what runs needs no second judgement."""
        if state.phase not in (JobPhase.ABSENT, JobPhase.READY):
            return state
        if job.job_id in self._ledger:
            raise VerbRefused("This job was begun before, and is over; it is not begun again.")
        judged = self._judge.judge(job)
        if state.phase is JobPhase.ABSENT:
            self._find_room()
        target = "host" if job.vmid is None else str(job.vmid)
        log.info("event=job_begun job=%s target=%s sha256=%s dry_run=%s", job.job_id, target, job.sha256, job.dry_run)
        return perform_job(StartScript(job=judged), jobs_dir=self._jobs_dir)

    def _find_room(self) -> None:
        if self._jobs_dir.exists() and sum(1 for _ in self._jobs_dir.iterdir()) >= MOST_JOBS:
            raise DiskFull(f"{MOST_JOBS} jobs lie here that nobody has fetched; no further one is begun.")

    def _shared(self, state: JobState) -> JobState:
        if state.phase is not JobPhase.ABSENT:
            share(self._jobs_dir, state.job_id, self._gid)
        return state
