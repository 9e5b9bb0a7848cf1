"""A whole reading of a small cluster, as our agent sends it."""

import time
from datetime import UTC, datetime
from typing import Any

from tests.integration.control.guide import CLUSTER, LXC, NODE, QEMU

FACTS: list[dict[str, Any]] = [
    {"section": "guests", "state": "ok", "source": "api", "at": "2026-01-31T02:00:00Z"},
    {"section": "guest.config", "state": "ok", "source": "pmxcfs", "at": "2026-01-31T02:00:00Z"},
    {
        "section": "guest.agent",
        "object": "qemu/200",
        "state": "forbidden",
        "privilege": "VM.GuestAgent.Audit",
        "reason": "Permission check failed (/vms/200, VM.GuestAgent.Audit)",
        "at": "2026-01-31T02:00:00Z",
    },
    {"section": "node.disks", "object": NODE["name"], "state": "failed", "reason": "595 No route to host"},
]


def reading(name: str, at: datetime | None = None, node: str = NODE["name"], **fields: Any) -> dict[str, Any]:
    """Return a reading of a cluster with one node, a container and a virtual machine; ``fields`` replace its own."""
    place = {"node": node}
    usage = {**place, "status": "running", "cpu": 0.25, "cpus": 4, "mem": 1 << 30, "maxmem": 1 << 32, "netin": 1000}
    whole = {
        "at": (at or datetime.now(UTC)).isoformat(),
        "node": node,
        "cluster": {**CLUSTER, "cluster_name": name, "cluster_id": f"c-{name}", "nodes": 1, "guests": [100, 200]},
        "nodes": [{**NODE, "name": node}],
        "lxc": [{**LXC, **place, "pool": "web", "lock": "", "template": False, "onboot": True}],
        "qemu": [{**QEMU, **place, "pool": "", "lock": "backup", "backup": {"covered": False}}],
        "guests": [100, 200],
        "usage": [{**usage, "vmid": 100, "kind": "lxc"}, {**usage, "vmid": 200, "kind": "qemu"}],
        "node_usage": [{**place, "status": "online", "cpu": 0.1, "mem": 1 << 33, "maxmem": 1 << 34, "load": [0.5]}],
        "storages": [
            {**place, "storage": "local", "type": "dir", "status": "available", "content": "iso,backup"}
            | {"used": 50 << 30, "total": 100 << 30}
        ],
        "tasks": [
            {**place, "upid": f"UPID:{node}:1:vzdump:200:{name}", "kind": "vzdump", "id": "200", "user": "root@pam"}
            | {"start": int(time.time()) - 200, "end": int(time.time()) - 100, "status": "job errors"}
        ],
        "facts": [{**fact, "object": node} if fact.get("object") == NODE["name"] else fact for fact in FACTS],
    }
    return {**whole, **fields}
