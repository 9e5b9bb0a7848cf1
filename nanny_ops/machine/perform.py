"""Carry out verbs in this process: one transport of the catalogue, a privileged helper's socket will be another."""

from pathlib import Path

from nanny_ops.machine import host, job, metrics, signature
from nanny_ops.machine.proxmox.client import Client
from nanny_ops.machine.proxmox.reading import read
from nanny_ops.machine.verbs import (
    Answer,
    CancelJob,
    DescribeHost,
    ForgetJob,
    LookJob,
    ProxmoxAccess,
    ProxmoxReading,
    ReadMetrics,
    ReadProxmox,
    StartScript,
    Verb,
    VerifySignature,
)

#: One meter for the process: it remembers the last reading of the CPU.
_METER = metrics.Meter()


def perform(verb: Verb, *, jobs_dir: Path) -> Answer:
    """Do what a verb asks and return its answer; blocks, so call it in a thread. Raises MachineError."""
    match verb:
        case DescribeHost():
            return host.describe(metrics.addresses())
        case ReadMetrics():
            return _METER.read(host.describe(metrics.addresses()))
        case ReadProxmox(access=access):
            return _read_proxmox(access)
        case VerifySignature():
            return signature.verify(verb)
        case StartScript(job=order):
            return job.start(jobs_dir, order)
        case LookJob(job_id=job_id):
            return job.look(jobs_dir, job_id)
        case CancelJob(job_id=job_id):
            return job.cancel(jobs_dir, job_id)
        case ForgetJob(job_id=job_id):
            return job.forget(jobs_dir, job_id)


def _read_proxmox(access: ProxmoxAccess) -> ProxmoxReading:
    with Client(access) as client:
        return read(client)
