"""What agents of the older dialect say and are told, in the terms of the guide's services.

These agents never acknowledge an order, know no order by its id and begin an order each time they are told of it. So an
order is told again only until its script was fetched from the order's own address: that is the sign that it arrived.
"""

import json
import re
import shlex
from datetime import datetime
from typing import Any

from nanny_ops.control.services import lease
from nanny_ops.control.services import operation as operations
from nanny_ops.control.services.agent import health
from nanny_ops.control.services.capacity import Bounds
from nanny_ops.control.services.patch_option import excluded
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.script import Script
from nanny_ops.errors import Conflict, ValidationFailed
from nanny_ops.protocol.clock import stamp, stamp_micros
from nanny_ops.protocol.legacy import GIGABYTE, NANNYAGENT, Dialect, LegacyFilesystem, LegacyMetrics
from nanny_ops.protocol.metrics import SystemMetrics
from nanny_ops.protocol.operation import ENDED, Ack, Outcome, Status
from nanny_ops.protocol.patch import PackageChange, PatchRecord, ResultMetadata, script_argv
from nanny_ops.protocol.patch_order import OPTIONS
from nanny_ops.protocol.realtime import REBOOT_OPERATIONS

#: Stands in a script's address where no order's id does.
SCRIPTS = "scripts"
#: What this dialect calls the states of a reboot; one that was taken back has no word of its own.
REBOOT_STATES = {
    Status.PENDING: "sent",
    Status.DELIVERED: "sent",
    Status.RUNNING: "rebooting",
    Status.COMPLETED: "completed",
    Status.FAILED: "failed",
    Status.CANCELLED: "failed",
    Status.EXPIRED: "timeout",
}
EXIT_CODE = re.compile(r"-?[0-9]{1,9}")
UNLISTED = "The script printed no list of packages."
ONE_ARGUMENT = (
    "this agent hands a script a single argument; an order for it may have one of exclude, only, security_only, "
    "the script's other options and one word of script_args"
)


def speak(tx: Tx, agent_id: str, dialect: Dialect) -> None:
    """Remember what an agent speaks."""
    agents.change(tx, agent_id, dialect=dialect)


def flattened(agent: HostAgent, said: LegacyMetrics, now: datetime) -> tuple[SystemMetrics, bytes]:
    """Return a reading for the services, and what is kept: what was said in the guide's words, nothing made up."""
    system = said.system_metrics
    used, total = _bytes(system.memory_used_gb), _bytes(system.memory_total_gb)
    disk_used, disk_total = _bytes(system.disk_used_gb), _bytes(system.disk_total_gb)
    flat: dict[str, Any] = {
        "agent_id": agent.id,
        "timestamp": stamp(now),
        "hostname": agent.hostname,
        **_described(said),
        "cpu_usage": system.cpu_percent,
        "cpu_cores": system.cpu_cores,
        "memory_usage": round(used / 2**20, 1),
        "memory_total": total,
        "memory_used": used,
        "disk_usage": system.disk_usage_percent,
        "disk_total": disk_total,
        "disk_used": disk_used,
        "network_in_gb": system.network_stats.in_gb,
        "network_out_gb": system.network_stats.out_gb,
        "load_avg_1": system.load_average.one_min,
        "load_avg_5": system.load_average.five_min,
        "load_avg_15": system.load_average.fifteen_min,
    }
    # The record must have these three; nobody reads them from it, and what is kept leaves them out.
    unsaid: dict[str, Any] = {"memory_free": 0, "memory_available": 0, "disk_free": 0}
    mounted = [_filesystem(item) for item in system.filesystems]
    kept = {**flat, "filesystem_info": mounted, "dialect": NANNYAGENT}
    return SystemMetrics(**flat, **unsaid), json.dumps(kept, separators=(",", ":")).encode()


def record(told: dict[str, Any]) -> dict[str, Any] | None:
    """Return an order's wire record in this dialect; None for one that it cannot express, which is not told."""
    if "requested_at" in told:
        return _reboot(told)
    return _investigation(told) if "user_prompt" in told else _patch(told)


def check(asked: dict[str, Any]) -> None:
    """Raise ValidationFailed for an order that cannot be expressed: left out, an exclusion would upgrade too much.

    What needs more than arguments of the script is refused with the other features that an agent does not have.
    """
    if len(_words(asked)) > 1:
        raise ValidationFailed(f"script_args: {ONE_ARGUMENT}.", field="script_args")


def fetched(
    tx: Tx, agent: HostAgent, operation_id: str, script: Script, now: datetime, bounds: Bounds = lease.USUAL
) -> lease.Reply:
    """Note that an agent fetches the script of its order, and so begins it; or that it must wait for its target.

    Raises Conflict once it has ended.
    """
    operation = operations.owned(tx, agent, operation_id)
    if operation.script_id != script.id:
        raise ValidationFailed("The script is not the one of this order.")
    if Status(operation.status) in ENDED:
        raise Conflict(f"The operation is {operation.status}.", status=operation.status)
    return lease.acknowledge(tx, agent, operation_id, Ack(state="running"), now, bounds)


def file_name(script_id: str) -> str:
    """Return the name under which a script's version is offered: its id holds its name and a part of its checksum."""
    return f"{script_id.rpartition('-')[0] or script_id}.sh"


def never_began(operation: Operation) -> bool:
    """Tell whether an order ended, or was told to wait, before its script was fetched: a report of it is of no run."""
    waits = operation.asked_at is not None
    return operation.started_at is None and (waits or Status(operation.status) in ENDED)


def result(operation_id: str, exit_code: str, listed: list[PackageChange] | None) -> ResultMetadata:
    """Return a result for the services; ``listed`` is None where the script listed nothing. Raises ValidationFailed."""
    if not EXIT_CODE.fullmatch(exit_code):
        raise ValidationFailed("exit_code: is not a whole number.", field="exit_code")
    success = int(exit_code) == 0
    unlisted = success and listed is None
    return ResultMetadata(
        operation_id=operation_id,
        success=success,
        exit_code=int(exit_code),
        package_list=listed or [],
        outcome=Outcome.OK.value if unlisted else "",
        reason=UNLISTED if unlisted else "",
    )


def shown(agent: agents.Agent, now: datetime) -> dict[str, Any]:
    """Return an agent as the action ``list`` shows it; what is not kept of agents is empty."""
    return {
        "id": agent.id,
        "hostname": agent.hostname,
        "os_type": agent.os_type,
        "os_info": agent.platform,
        "os_version": "",
        "version": agent.version,
        **state(agent, now),
        "created": stamp_micros(agent.created_at),
        "kernel_version": agent.kernel_version,
        "arch": "",
    }


def state(agent: agents.Agent, now: datetime) -> dict[str, Any]:
    """Return how an agent is, in this dialect's words."""
    judged = "offline" if agent.status == "revoked" else health(agent.last_seen, now)
    words = {"healthy": "healthy", "stale": "stale"}
    return {
        "status": agent.status,
        "health": words.get(judged, "inactive"),
        "last_seen": stamp_micros(agent.last_seen) or "",
    }


def _bytes(gigabytes: float) -> int:
    return round(gigabytes * GIGABYTE)


def _described(said: LegacyMetrics) -> dict[str, Any]:
    described = {
        "platform": said.os_info,
        "platform_family": said.platform_family,
        "platform_version": said.os_version,
        "kernel_version": said.kernel_version or said.system_metrics.kernel_version,
        "kernel_arch": said.arch,
        "os": said.os_type or "linux",
        "ip_address": said.primary_ip,
        "all_ips": list(said.all_ips),
        "version": said.version,
    }
    return {name: value for name, value in described.items() if value}


def _filesystem(said: LegacyFilesystem) -> dict[str, Any]:
    return {
        "device": said.device,
        "mountpoint": said.mount_path,
        "total": _bytes(said.total_gb),
        "used": _bytes(said.used_gb),
        "free": _bytes(said.free_gb),
        "usage": said.usage_percent,
        "usage_percent": said.usage_percent,
    }


def _words(asked: dict[str, Any]) -> list[str]:
    """Return what the script is to be called with, beside the mode."""
    options = PatchRecord(
        id="",
        agent_id="",
        mode="apply",
        script_id="",
        script_url="",
        exclude=excluded(asked),
        only=asked.get("only", []),
        security_only=asked.get("security_only", False),
        **{name: asked[name] for name in OPTIONS if name in asked},
    )
    return script_argv(options, shlex.split(asked.get("script_args", "")))


def _patch(told: dict[str, Any]) -> dict[str, Any] | None:
    words = _words(told)
    if len(words) > 1:
        return None
    script_id = told["script_id"]
    return {
        **_common(told, "patch_operations"),
        "error_msg": "",
        "exclusions": told.get("exclude") or None,
        "exit_code": 0,
        "lxc_id": told["lxc_id"],
        "mode": told["mode"],
        "output_path": "",
        "script_id": script_id,
        "script_url": f"/api/files/{told['id']}/{script_id}/{file_name(script_id)}",
        "script_args": "".join(words),
        "started_at": "",
        "stderr_file": "",
        "stdout_file": "",
        "vmid": told["vmid"],
    }


def _investigation(told: dict[str, Any]) -> dict[str, Any]:
    return {
        **_common(told, "investigations"),
        "episode_id": "",
        "initiated_at": told["created_at"],
        "metadata": {"initiated_by": "user"},
        "priority": told["priority"],
        "resolution_plan": "",
        "user_prompt": told["user_prompt"],
    }


def _reboot(told: dict[str, Any]) -> dict[str, Any]:
    return {**_common(told, REBOOT_OPERATIONS), **told, "status": REBOOT_STATES[Status(told["status"])]}


def _common(told: dict[str, Any], collection: str) -> dict[str, Any]:
    return {
        "agent_id": told["agent_id"],
        "collectionId": collection,
        "collectionName": collection,
        "completed_at": "",
        "id": told["id"],
        "status": told["status"],
        "user_id": "",
    }
