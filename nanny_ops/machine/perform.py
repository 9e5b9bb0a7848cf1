"""Carry out verbs in this process: one transport of the catalogue, a privileged helper's socket is another."""

import os
from pathlib import Path

from nanny_ops.machine import host, metrics, occupied, prune, reboot, signature, staging, tracer
from nanny_ops.machine.commands import perform_command
from nanny_ops.machine.perform_job import perform_job
from nanny_ops.machine.perform_update import perform_update
from nanny_ops.machine.proxmox.client import Client
from nanny_ops.machine.proxmox.reader import Reader
from nanny_ops.machine.prune import perform_prune
from nanny_ops.machine.prune_verbs import ForgetPrune, LookPrune, PruneState, PruneVerb, StartPrune
from nanny_ops.machine.reboot import perform_reboot
from nanny_ops.machine.update_verbs import (
    ConfirmUpdate,
    EndUpdate,
    LookUpdate,
    StageUpdate,
    SwitchUpdate,
    TryUpdate,
    UpdateState,
    UpdateTried,
    UpdateVerb,
)
from nanny_ops.machine.verbs import (
    Answer,
    CancelJob,
    DescribeHost,
    DescribeTracing,
    ForgetJob,
    ForgetReboot,
    LookJob,
    LookReboot,
    ProxmoxAccess,
    ProxmoxReading,
    ReadMetrics,
    ReadProxmox,
    RebootState,
    RebootVerb,
    RunCommand,
    StartReboot,
    StartScript,
    Verb,
    VerifySignature,
)

#: One meter for the process: it remembers the last reading of the CPU.
_METER = metrics.Meter()
#: The one reader of Proxmox VE, by what it reads; the caller asks for one reading at a time.
_READERS: dict[ProxmoxAccess, Reader] = {}


def perform(verb: Verb | UpdateVerb | TryUpdate, *, jobs_dir: Path) -> Answer | UpdateState | UpdateTried:
    """Do what a verb asks and return its answer; blocks, so call it in a thread. Raises MachineError."""
    match verb:
        case DescribeHost():
            return host.describe(metrics.addresses())
        case ReadMetrics():
            return _METER.read(host.describe(metrics.addresses()))
        case ReadProxmox():
            return _read_proxmox(verb)
        case VerifySignature():
            return signature.verify(verb)
        case StartReboot() | LookReboot() | ForgetReboot() | StartPrune() | LookPrune() | ForgetPrune():
            return _prune(verb, jobs_dir) if isinstance(verb, PruneVerb) else _reboot(verb, jobs_dir)
        case RunCommand() | DescribeTracing():
            return perform_command(verb) if isinstance(verb, RunCommand) else tracer.describe()
        case StartScript() | LookJob() | CancelJob() | ForgetJob():
            return perform_job(verb, jobs_dir=jobs_dir)
        case TryUpdate():
            return staging.rehearse(verb)
        case LookUpdate() | StageUpdate() | SwitchUpdate() | ConfirmUpdate() | EndUpdate():
            return perform_update(verb)


def _reboot(verb: RebootVerb, jobs_dir: Path) -> RebootState:
    if isinstance(verb, StartReboot):
        occupied.demand_for_reboot(jobs_dir, verb.order)
    return perform_reboot(verb, folder=reboot.folder_of(jobs_dir))


def _prune(verb: PruneVerb, jobs_dir: Path) -> PruneState:
    folder = prune.folder_of(jobs_dir)
    if isinstance(verb, StartPrune) and not prune.is_known(folder, verb.order.prune_id):
        occupied.demand_for_prune(jobs_dir, verb.order)
    return perform_prune(verb, folder=folder)


def _read_proxmox(order: ReadProxmox) -> ProxmoxReading:
    """Read with the reader of this API, which remembers the cycles before; another API's reader is let go."""
    if order.access not in _READERS:
        root = order.access.pmxcfs_root
        reader = Reader(Client(order.access), root, host=os.uname().nodename.partition(".")[0] if root else "")
        _READERS.clear()
        _READERS[order.access] = reader
    return _READERS[order.access].read(order)
