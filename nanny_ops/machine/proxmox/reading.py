"""Read a cluster, the node that answers, and that node's guests."""

import time
from collections.abc import Callable
from typing import Any, Protocol

from nanny_ops.errors import ProxmoxError, ProxmoxGone, ProxmoxUnreachable
from nanny_ops.machine.proxmox import facts
from nanny_ops.machine.verbs import ProxmoxReading

#: Seconds after which guests are told of without their configurations: a slow API must not hold the collector.
BUDGET = 120.0


class Api(Protocol):
    """What is needed of a client."""

    def get(self, path: str, /, **parameters: Any) -> Any:
        """Return the data of ``GET /path``."""


def read(api: Api, *, tick: Callable[[], float] = time.monotonic) -> ProxmoxReading:
    """Return the bodies of the reports. Raises ProxmoxError if the API is dead or does not let us in."""
    problems: list[str] = []
    status = api.get("cluster/status")
    local = facts.local_node(status)
    if local is None:
        raise ProxmoxError("Proxmox VE does not say which node answers.")
    node = str(local["name"])
    resources = api.get("cluster/resources", type="vm")
    vmids = facts.vmids(resources) if _complete(api, problems) else None
    cluster = facts.cluster_entry(status)
    lxc, qemu = _guests(api, [entry for entry in resources if entry.get("node") == node], problems, tick)
    return ProxmoxReading(
        node_name=node,
        cluster=None
        if cluster is None
        else facts.cluster_body(cluster, _identity(api, node, cluster, problems), vmids),
        nodes=[facts.node_body(local, _version(api, node, problems), vmids if cluster is None else None)],
        lxc=lxc,
        qemu=qemu,
        problems=problems,
    )


def _complete(api: Api, problems: list[str]) -> bool:
    """Say whether the list of guests is complete; an incomplete one would make living guests look gone."""
    try:
        complete = facts.sees_every_guest(api.get("access/permissions"))
    except ProxmoxUnreachable:
        raise
    except ProxmoxError as wrong:
        problems.append(wrong.message)
        return False
    if not complete:
        problems.append("The API token may not see every guest; grant it VM.Audit on / (role PVEAuditor).")
    return complete


def _identity(api: Api, node: str, cluster: facts.Entry, problems: list[str]) -> str:
    try:
        identity = facts.cluster_id(api.get(f"nodes/{node}/certificates/info"))
    except ProxmoxError as wrong:
        problems.append(wrong.message)
        identity = ""
    if not identity:
        problems.append("The cluster's root CA cannot be read, so the cluster is known by its name alone.")
    return identity or str(cluster["name"])


def _version(api: Api, node: str, problems: list[str]) -> str:
    try:
        return str(api.get(f"nodes/{node}/status")["pveversion"])
    except ProxmoxError as wrong:
        problems.append(wrong.message)
    plain = api.get("version")
    return f"pve-manager/{plain['version']}/{plain.get('repoid', '')}"


def _guests(
    api: Api, resources: list[dict[str, Any]], problems: list[str], tick: Callable[[], float]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    until = tick() + BUDGET
    bodies: dict[str, list[dict[str, Any]]] = {"lxc": [], "qemu": []}
    build = {"lxc": facts.lxc_body, "qemu": facts.qemu_body}
    for entry in sorted(resources, key=lambda entry: int(entry["vmid"])):
        kind = str(entry["type"])
        if kind not in build:
            continue
        try:
            config = _config(api, entry, until, tick)
        except ProxmoxGone:
            problems.append(f"Guest {entry['vmid']} left this node while it was being read.")
            continue
        except ProxmoxUnreachable:
            raise
        except ProxmoxError as wrong:
            problems.append(f"Guest {entry['vmid']}: {wrong.message}")
            config = None
        bodies[kind].append(build[kind](entry, config))
    return bodies["lxc"], bodies["qemu"]


def _config(api: Api, entry: facts.Entry, until: float, tick: Callable[[], float]) -> dict[str, Any]:
    if tick() > until:
        raise ProxmoxError(f"its configuration was not read, because the API took more than {BUDGET:.0f} s.")
    config: dict[str, Any] = api.get(f"nodes/{entry['node']}/{entry['type']}/{entry['vmid']}/config")
    return config
