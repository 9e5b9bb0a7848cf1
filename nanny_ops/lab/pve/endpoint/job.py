"""The calls about what the cluster does by itself: backup jobs, replication, and which guests no job backs up."""

from typing import Any

from nanny_ops.lab.pve.api import Api, Route, Row
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.state.job import BackupJob, Replication


def backup_jobs(api: Api, _call: Call) -> Any:
    """Answer with the backup jobs."""
    return [_job(job) for job in api.cluster.backup_jobs.values()]


def backup_job(api: Api, call: Call) -> Any:
    """Answer with one backup job. Raises Refusal."""
    if (name := call.text("id")) not in api.cluster.backup_jobs:
        raise Refusal(500, f"No such job '{name}'")
    return _job(api.cluster.backup_jobs[name])


def _job(job: BackupJob) -> Row:
    row: Row = {"id": job.job_id, "type": "vzdump", "schedule": job.schedule, "storage": job.storage}
    row |= {"mode": job.mode, "compress": job.compress, "enabled": int(job.enabled)}
    which: Row = {"all": 1}
    if job.pool:
        which = {"pool": job.pool}
    elif job.vmids:
        which = {"vmid": ",".join(map(str, job.vmids))}
    row |= which | ({"exclude": ",".join(map(str, job.exclude))} if job.exclude else {})
    return row | ({"node": job.node} if job.node else {}) | ({"comment": job.comment} if job.comment else {})


def not_backed_up(api: Api, call: Call) -> Any:
    """Answer with the guests that no enabled job backs up, as far as the caller may see them."""
    cluster, pools = api.cluster, api.cluster.pool_of()
    jobs = cluster.backup_jobs.values()
    bare = [
        guest
        for guest in cluster.list_guests()
        if not any(job.covers(guest.vmid, guest.node, pools.get(guest.vmid, "")) for job in jobs)
    ]
    seen = [guest for guest in bare if call.caller.may(f"/vms/{guest.vmid}", "VM.Audit")]
    return api.shuffled([{"vmid": guest.vmid, "name": guest.name, "type": guest.kind} for guest in seen])


def replications(api: Api, call: Call) -> Any:
    """Answer with the replication jobs of guests that the caller may see."""
    jobs = api.cluster.replications.values()
    return [_replication(api, job) for job in jobs if call.caller.may(f"/vms/{job.vmid}", "VM.Audit")]


def _replication(api: Api, job: Replication) -> Row:
    guest = api.cluster.guests.get(job.vmid)
    row: Row = {"id": job.job_id, "type": "local", "guest": job.vmid, "jobnum": job.number, "target": job.target}
    row |= {"schedule": job.schedule} | ({"source": guest.node} if guest else {})
    return row | ({} if job.enabled else {"disable": 1})


ROUTES = (
    Route("GET", "/cluster/backup", backup_jobs),
    Route("GET", "/cluster/backup/{id}", backup_job),
    Route("GET", "/cluster/backup-info/not-backed-up", not_backed_up),
    Route("GET", "/cluster/replication", replications),
)
