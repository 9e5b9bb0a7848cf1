"""Storages as the API shows them."""

from typing import Any

from nanny_ops.lab.pve.state.node import Node

CONTENT = "rootdir,vztmpl,backup,snippets,iso,images"

Row = dict[str, Any]


def storage_resource(node: Node) -> Row:
    """Return the line of a node's directory storage in /cluster/resources."""
    row: Row = {"id": f"storage/{node.name}/local", "type": "storage", "storage": "local", "node": node.name}
    state = "available" if node.online else "unknown"
    row |= {"status": state, "shared": 0, "plugintype": "dir", "content": CONTENT}
    return row | ({"disk": node.disk_used, "maxdisk": node.disk} if node.online else {})
