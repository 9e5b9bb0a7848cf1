"""An operation as it travels to its agent: the guide's fields with its names and types, then ours."""

from dataclasses import asdict
from typing import Any

from nanny_ops.control.services import patch_option as options
from nanny_ops.control.store.operation import Operation
from nanny_ops.protocol.clock import from_micros, stamp, stamp_micros
from nanny_ops.protocol.investigation import InvestigationRecord
from nanny_ops.protocol.patch import PatchRecord
from nanny_ops.protocol.prune import Doomed, PruneRecord
from nanny_ops.protocol.realtime import (
    INVESTIGATIONS,
    PATCH_OPERATIONS,
    PRUNE_OPERATIONS,
    REBOOT_OPERATIONS,
    UPDATE_OPERATIONS,
)
from nanny_ops.protocol.reboot import RebootRecord
from nanny_ops.protocol.update import UpdateRecord

#: On which channel each kind travels.
TOPICS = {
    "patch": PATCH_OPERATIONS,
    "investigation": INVESTIGATIONS,
    "reboot": REBOOT_OPERATIONS,
    "update": UPDATE_OPERATIONS,
    "prune": PRUNE_OPERATIONS,
}


def record(operation: Operation) -> dict[str, Any]:
    """Return the wire record of an operation."""
    if operation.kind == "reboot":
        return asdict(_reboot(operation))
    if operation.kind == "update":
        return asdict(_update(operation))
    if operation.kind == "prune":
        return asdict(_prune(operation))
    return asdict(_patch(operation) if operation.kind == "patch" else _investigation(operation))


def _patch(operation: Operation) -> PatchRecord:
    asked = operation.request
    return PatchRecord(
        id=operation.id,
        agent_id=operation.agent_id,
        mode=asked["mode"],
        script_id=operation.script_id or "",
        script_url=f"/api/patches/{operation.script_id}/script",
        script_args=asked.get("script_args", ""),
        lxc_id=f"lxc-{operation.vmid}" if operation.vmid and not is_machine(operation) else "",
        vmid=str(operation.vmid) if operation.vmid else "",
        target=operation.target,
        holds=options.holds(asked),
        **options.restored(asked),
        exclude=options.excluded(asked),
        only=asked.get("only", []),
        security_only=asked.get("security_only", False),
        timeout_seconds=asked["timeout_seconds"],
        expires_at=stamp(from_micros(operation.expires_at)),
        created_at=stamp(from_micros(operation.created_at)),
        status=operation.status,
    )


def is_machine(operation: Operation) -> bool:
    """Tell whether an operation is aimed at a virtual machine."""
    return operation.target.startswith("qemu:")


def _investigation(operation: Operation) -> InvestigationRecord:
    return InvestigationRecord(
        id=operation.id,
        agent_id=operation.agent_id,
        user_prompt=operation.request["issue"],
        status=operation.status,
        priority=operation.request["priority"],
        created_at=stamp(from_micros(operation.created_at)),
    )


def _reboot(operation: Operation) -> RebootRecord:
    return RebootRecord(
        id=operation.id,
        agent_id=operation.agent_id,
        lxc_id=f"lxc-{operation.vmid}" if operation.vmid and not is_machine(operation) else "",
        vmid=str(operation.vmid) if operation.vmid else "",
        target=operation.target,
        expires_at=stamp(from_micros(operation.expires_at)),
        reason=operation.request["reason"],
        requested_at=stamp(from_micros(operation.created_at)),
        status=operation.status,
        timeout_seconds=operation.request["timeout_seconds"],
        acknowledged_at=stamp_micros(operation.started_at) or "",
        completed_at=stamp_micros(operation.finished_at) or "",
        error_message=operation.reason,
    )


def _update(operation: Operation) -> UpdateRecord:
    asked = operation.request
    return UpdateRecord(
        id=operation.id,
        agent_id=operation.agent_id,
        release_id=asked["release_id"],
        version=asked["version"],
        sha256=asked["sha256"],
        size=asked["size"],
        url=f"/api/releases/{asked['release_id']}/archive",
        status=operation.status,
        force=asked["force"],
        timeout_seconds=asked["timeout_seconds"],
        expires_at=stamp(from_micros(operation.expires_at)),
        created_at=stamp(from_micros(operation.created_at)),
    )


def _prune(operation: Operation) -> PruneRecord:
    asked = operation.request
    return PruneRecord(
        id=operation.id,
        agent_id=operation.agent_id,
        lxc_id="" if is_machine(operation) else f"lxc-{operation.vmid}",
        vmid=str(operation.vmid),
        target=operation.target,
        snapshots=[Doomed(**one) for one in asked["snapshots"]],
        status=operation.status,
        timeout_seconds=asked["timeout_seconds"],
        expires_at=stamp(from_micros(operation.expires_at)),
        created_at=stamp(from_micros(operation.created_at)),
    )
