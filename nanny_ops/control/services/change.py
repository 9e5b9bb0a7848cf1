"""What has changed in the fleet, told once: each difference between what was known and what is told becomes an event.

An event is written in the transaction that writes the difference, so that a report that comes twice, or to two control
planes, tells it once. What is seen for the first time is no change.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nanny_ops.control.store import event as events
from nanny_ops.control.store.database import Tx
from nanny_ops.protocol.clock import stamp_micros

TOPIC = "fleet"
#: Every kind of event, with what it says.
KINDS: dict[str, str] = {
    "guest.created": "a guest is there that was not",
    "guest.destroyed": "a guest is gone",
    "guest.migrated": "a guest lives on another node; from and to",
    "guest.started": "a guest runs that did not",
    "guest.stopped": "a guest has stopped",
    "guest.renamed": "a guest has another name; from and to",
    "guest.resized": "a guest has other cores, memory or disks; each with from and to",
    "guest.locked": "Proxmox VE holds a lock on a guest; which",
    "guest.unlocked": "a lock is gone; which",
    "guest.template": "a guest was made a template",
    "node.joined": "a cluster has a node that it had not",
    "node.left": "a cluster has a node no more",
    "node.offline": "the cluster does not see a node any more; its guests are unknown from then on",
    "node.online": "the cluster sees a node again",
    "quorum.lost": "a cluster has no quorum",
    "quorum.regained": "a cluster has quorum again",
    "storage.full": "a storage is nine tenths full or more; used and total",
    "storage.relieved": "a storage that was full is less than 85 % full",
    "restart.needed": "a host or guest must be restarted for what was installed; why, and which operation told",
    "restart.settled": "a host or guest need not be restarted any more",
    "node.resting": "a node failed again and again and is given a rest; failures, reason and until when",
    "node.resumed": "a node's rest has ended; by which order or person",
    "backup.failed": "a backup failed; the task and its error",
    "patch.ended": "a patch order has ended, daily dry runs apart; its outcome, target, agent and id",
    "reboot.ended": "a reboot has ended; its outcome, target, agent and id",
    "update.ended": "the update of an agent has ended; its outcome, agent and id",
    "investigation.ended": "an investigation has ended; its outcome, agent and id",
    "exception.added": "a package is held back; package, scope, object and reason",
    "exception.removed": "a package is held back no more",
    "batch.placed": "orders were placed together; how many, how many targets were left out, and the mode",
    "batch.cancelled": "what had not ended of a batch was taken back; how many orders",
    "playbook.ordered": "an admin ordered a run of a playbook; its name, and whether it only checks",
    "playbook.started": "a run of a playbook has begun",
    "playbook.ended": "a run of a playbook has ended; its outcome and the reason",
    "play.ended": "a play that ran elsewhere was reported; its outcome, whether it only checked, and how many hosts",
}
#: Keys of a guest's body that are its size, and its disks, whose size stands inside their text.
SIZES = ("cpu_cores", "memory_mb", "swap_mb")
_DISK = re.compile(r"rootfs|(?:mp|scsi|virtio|sata|ide)\d+")
_SIZE = re.compile(r"(?:^|,)size=([0-9.]+[KMGT]?)")


@dataclass(frozen=True)
class Place:
    """Where things happen: a team's scope."""

    team_id: str
    scope: str
    cluster_pk: str | None
    cluster_name: str


@dataclass(frozen=True)
class Change:
    """One thing that happened to one object; ``object`` as Proxmox VE calls it, such as ``lxc/101``."""

    kind: str
    object: str
    id: str = ""
    name: str = ""
    node: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


def subject(team_id: str) -> str:
    """Return under which subject a team's events are logged."""
    return f"fleet:{team_id}"


def tell(tx: Tx, place: Place, changes: Iterable[Change], at: int) -> None:
    """Log what happened, in order."""
    for change in changes:
        record = {
            "kind": change.kind,
            "at": stamp_micros(at),
            "cluster": place.cluster_pk,
            "cluster_name": place.cluster_name or None,
            "object": change.object,
            "id": change.id,
            "name": change.name,
            "node": change.node,
            "detail": dict(change.detail),
        }
        events.log(
            tx,
            team_id=place.team_id,
            topic=TOPIC,
            subject=subject(place.team_id),
            kind=change.kind,
            payload={"action": "create", "record": record},
            at=at,
        )


def of_guest(old: Any, new: Any, old_body: Mapping[str, Any], new_body: Mapping[str, Any]) -> list[Change]:
    """Return what has happened to a guest; ``old`` and ``new`` have its columns, None in them is unknown."""
    found: list[tuple[str, dict[str, Any]]] = []
    if old.node != new.node:
        found.append(("guest.migrated", {"from": old.node, "to": new.node}))
    if old.name != new.name:
        found.append(("guest.renamed", {"from": old.name, "to": new.name}))
    if sizes := _resized(old_body, new_body):
        found.append(("guest.resized", sizes))
    found += _lock(old.lock, new.lock)
    if new.template and old.template is False:
        found.append(("guest.template", {}))
    if (kind := of_status(old.status, new.status)) is not None:
        found.append((kind, {}))
    return [about_guest(kind, new, **detail) for kind, detail in found]


def of_status(old: str, new: str) -> str | None:
    """Return what the change of a guest's status is called; what is not known was no change."""
    if old == new or "unknown" in {old, new}:
        return None
    return {"running": "guest.started", "stopped": "guest.stopped"}.get(new)


def about_guest(kind: str, guest: Any, **detail: Any) -> Change:
    """Return a change of a guest."""
    return Change(kind, f"{guest.kind}/{guest.vmid}", guest.id, guest.name, guest.node, detail)


def of_node(kind: str, node: Any) -> Change:
    """Return a change of a node."""
    return Change(kind, f"node/{node.name}", node.id, node.name, node.name)


def of_quorum(cluster: Any, old: int) -> list[Change]:
    """Return what has happened to a cluster's quorum."""
    if bool(old) == bool(cluster.quorate):
        return []
    kind = "quorum.regained" if cluster.quorate else "quorum.lost"
    return [Change(kind, f"cluster/{cluster.cluster_name}", cluster.id, cluster.cluster_name)]


def _lock(old: str | None, new: str | None) -> list[tuple[str, dict[str, Any]]]:
    if old is None or new is None or old == new:
        return []
    return [("guest.locked", {"lock": new})] if new else [("guest.unlocked", {"lock": old})]


def _resized(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return each size that is known before and after, and differs."""
    before, after = _sizes(old), _sizes(new)
    return {
        name: {"from": before[name], "to": after[name]}
        for name in sorted(before.keys() & after.keys())
        if before[name] != after[name]
    }


def _sizes(body: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: body[name] for name in SIZES if body.get(name) is not None}
    for key, value in body.items():
        if _DISK.fullmatch(key) and (size := _SIZE.search(str(value))):
            found[key] = size.group(1)
    return found
