"""How many patches run at once: on a node, on a storage of protected guests, in a cluster. The oldest goes first.

An order that may not begin is told to ask again. Older ones that ask too and could begin count as if they ran, so
that none is passed by for ever; older ones whose own target is taken, or whose node rests, do not.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from nanny_ops.control.services import breaker
from nanny_ops.control.services.breaker import Rest
from nanny_ops.control.settings import Settings
from nanny_ops.control.store import capacity as store
from nanny_ops.control.store import inventory, storage
from nanny_ops.control.store import lease as targets
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.protocol.clock import micros

DISK = re.compile(r"rootfs|(?:mp|scsi|virtio|sata|ide|efidisk|tpmstate|unused)\d+")
VOLUME = re.compile(r"([A-Za-z][A-Za-z0-9._-]*):")
#: Seconds after which an order that waits asks again: the first in the row, each place behind it, and at most. The last
#: must be shorter than the time for which an order keeps its place.
FIRST, EACH, LAST = 15, 3, 120
#: Orders that are told at once that there is room.
NEXT = 4


@dataclass(frozen=True)
class Bounds:
    """How many patches run at once, and when a node is given a rest."""

    node: int = 4
    storage: int = 4
    cluster: int = 16
    rest: Rest = field(default_factory=Rest)


def bounds_of(settings: Settings) -> Bounds:
    """Return the bounds that are set."""
    rest = Rest(settings.patch_rest_failures, timedelta(seconds=settings.patch_rest_seconds))
    return Bounds(settings.patch_node_limit, settings.patch_storage_limit, settings.patch_cluster_limit, rest)


@dataclass(frozen=True)
class Wait:
    """Why an order may not begin now, after how many seconds it may ask again, and which bound it is."""

    why: str
    retry_after: int
    bound: str


def wait(tx: Tx, operation: Operation, bounds: Bounds, now: datetime, asked_since: int) -> Wait | None:
    """Return why a patch must wait although its target is free; None if it may begin.

    On PostgreSQL others of its cluster are held back until this transaction ends, or two would take the last place.
    """
    if operation.kind != "patch":
        return None
    at, scope = micros(now), store.scope_of(tx, operation.agent_id)
    targets.lock_target(tx, scope, "capacity")
    running = [one for one in store.running(tx, scope, at) if one.id != operation.id]
    here = [one for one in running if one.agent_id == operation.agent_id]
    if why := breaker.why_wait(tx, operation, bounds.rest, bool(here), now):
        return Wait(why, LAST, "rest")
    older = _older(tx, operation, running, store.asking(tx, scope, at, asked_since), bounds, now)
    return (
        _full("node", "on this node", bounds.node, here, [one for one in older if one.agent_id == operation.agent_id])
        or _full("cluster", "in this cluster", bounds.cluster, running, older)
        or _storages(tx, operation, scope, bounds.storage, running, older)
    )


def next_ones(tx: Tx, ended: Operation, now: datetime, asked_since: int) -> list[Operation]:
    """Return the oldest that ask in the cluster of an ended patch, which has made room for one of them."""
    if ended.kind != "patch":
        return []
    scope, at = store.scope_of(tx, ended.agent_id), micros(now)
    taken = {_place(one) for one in store.running(tx, scope, at)}
    return [one for one in store.asking(tx, scope, at, asked_since) if _place(one) not in taken][:NEXT]


def _older(
    tx: Tx,
    operation: Operation,
    running: Sequence[Operation],
    asking: Sequence[Operation],
    bounds: Bounds,
    now: datetime,
) -> list[Operation]:
    """Return those that ask too, came earlier and could begin."""
    taken = {_place(one) for one in running}
    found, resting = [], {}
    for one in asking:
        if _age(one) >= _age(operation) or one.id == operation.id or _place(one) in taken:
            continue
        if one.batch_id and one.agent_id not in resting:
            resting[one.agent_id] = bool(breaker.why_wait(tx, one, bounds.rest, True, now))
        if not (one.batch_id and resting[one.agent_id]):
            found.append(one)
            taken.add(_place(one))
    return found


def _full(name: str, where: str, bound: int, running: Sequence[Operation], older: Sequence[Operation]) -> Wait | None:
    ahead = len(running) + len(older) - bound
    if ahead < 0:
        return None
    behind = f", and {len(older)} that wait came earlier" if older else ""
    why = f"{len(running)} patches run {where}{behind}; {bound} may run at once."
    return Wait(why, min(LAST, FIRST + EACH * ahead), name)


def _storages(
    tx: Tx, operation: Operation, scope: str, bound: int, running: Sequence[Operation], older: Sequence[Operation]
) -> Wait | None:
    """Do the same for each storage on which snapshots or backups of the guest are made."""
    if not _is_protected(operation):
        return None
    others = [one for one in (*running, *older) if _is_protected(one)]
    vmids = {one.vmid for one in (operation, *others) if one.vmid is not None}
    bodies = inventory.bodies_of(tx, scope, vmids)
    shared = {(one.node, one.name): one.shared for one in storage.of_scope(tx, scope).values()}
    used = {one.id: _used(one, bodies, shared) for one in (operation, *others)}
    for place in sorted(used[operation.id]):
        now_on = [one for one in running if place in used.get(one.id, ())]
        first = [one for one in older if place in used.get(one.id, ())]
        if found := _full("storage", f"on guests of the storage {place[1]}", bound, now_on, first):
            return found
    return None


def _used(
    operation: Operation, bodies: Mapping[int, Mapping[str, Any]], shared: Mapping[tuple[str, str], bool]
) -> set[tuple[str, str]]:
    """Return the storages of a guest's disks and of its backup: a shared one once, others for each node."""
    body = bodies.get(operation.vmid or 0, {})
    node = str(body.get("node", ""))
    names = {found[1] for key, value in body.items() if DISK.fullmatch(key) and (found := VOLUME.match(str(value)))}
    if operation.request.get("backup_storage"):
        names.add(operation.request["backup_storage"])
    return {("" if shared.get((node, name), True) else node, name) for name in names}


def _is_protected(operation: Operation) -> bool:
    return operation.request.get("protect", "none") != "none" and operation.vmid is not None


def _place(operation: Operation) -> tuple[str, str]:
    return ("" if operation.vmid is not None else operation.agent_id, operation.target)


def _age(operation: Operation) -> tuple[int, str]:
    return operation.created_at, operation.id
