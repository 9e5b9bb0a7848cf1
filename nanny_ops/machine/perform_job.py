"""Carry out the verbs about jobs: what a privileged helper does for a daemon, and a daemon that is root by itself."""

from dataclasses import replace
from pathlib import Path

from nanny_ops.machine import job, occupied
from nanny_ops.machine.procedure.journal import Journal
from nanny_ops.machine.verbs import CancelJob, ForgetJob, JobPhase, JobState, JobVerb, LookJob, StartScript
from nanny_ops.protocol.patch_report import MOST_STEPS


def perform_job(verb: JobVerb, *, jobs_dir: Path) -> JobState:
    """Do what a verb asks and return where the job stands; blocks. Raises MachineError, ValidationFailed, OSError."""
    match verb:
        case StartScript(job=order):
            if job.look(jobs_dir, order.job_id).phase in (JobPhase.ABSENT, JobPhase.READY):
                occupied.see_to_lost(jobs_dir, order)
                occupied.demand_for_job(jobs_dir, order)
            state = job.start(jobs_dir, order)
            return job.tend(jobs_dir, order.job_id) if state.phase is JobPhase.LOST else state
        case LookJob(job_id=job_id):
            return _with_steps(job.tend(jobs_dir, job_id), jobs_dir / job_id)
        case CancelJob(job_id=job_id):
            return job.cancel(jobs_dir, job_id)
        case ForgetJob(job_id=job_id):
            return job.forget(jobs_dir, job_id)


def _with_steps(state: JobState, directory: Path) -> JobState:
    """Add how far a running job has come; whose journal cannot be read has come nowhere yet."""
    if state.phase is not JobPhase.RUNNING:
        return state
    try:
        return replace(state, steps=Journal(directory).so_far[:MOST_STEPS])
    except OSError:
        return state
