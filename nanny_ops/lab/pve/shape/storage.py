"""Storages as the API shows them."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from nanny_ops.lab.pve.state.node import Node
from nanny_ops.lab.pve.state.storage import Storage

Row = dict[str, Any]


def usage(storage: Storage, node: Node) -> tuple[int, int]:
    """Return total and used bytes; a directory on the node's disk shares it."""
    return storage.usage.get(node.name, (node.disk, node.disk_used))


def storage_resource(storage: Storage, node: Node) -> Row:
    """Return the line of a node's storage in /cluster/resources; a node that is away keeps the last figures."""
    total, used = usage(storage, node)
    row: Row = {"id": f"storage/{node.name}/{storage.name}", "type": "storage", "storage": storage.name}
    row |= {"node": node.name, "status": "available", "shared": int(storage.shared), "plugintype": storage.kind}
    return row | {"content": ",".join(storage.content), "disk": used, "maxdisk": total}


def storage_status(storage: Storage, node: Node) -> Row:
    """Return how a storage stands on a node; one that is not for this node or disabled has no figures."""
    active = storage.enabled and storage.on(node.name)
    total, used = usage(storage, node) if active else (0, 0)
    return {
        "type": storage.kind,
        "content": ",".join(storage.content),
        "shared": int(storage.shared),
        "active": int(active),
        "enabled": int(active),
        "total": total,
        "used": used,
        "avail": total - used,
    }


def storage_row(storage: Storage, node: Node) -> Row:
    """Return a node's storage as its list shows it."""
    row = storage_status(storage, node) | {"storage": storage.name}
    return row | ({"used_fraction": row["used"] / row["total"]} if row["total"] else {})


def storage_conf(storage: Storage, digest: str) -> Row:
    """Return a storage's configuration."""
    row: Row = {"storage": storage.name, "type": storage.kind, "content": ",".join(storage.content), "digest": digest}
    row |= {"path": storage.path} if storage.path else {}
    row |= {"nodes": ",".join(storage.nodes)} if storage.nodes else {}
    row |= {"shared": 1} if storage.shared else {}
    row |= {} if storage.enabled else {"disable": 1}
    return row | storage.options


def digest(storages: Iterable[Storage]) -> str:
    """Return the SHA-1 of all configurations together."""
    whole = json.dumps([storage_conf(storage, "") for storage in storages], sort_keys=True)
    return hashlib.sha1(whole.encode()).hexdigest()
