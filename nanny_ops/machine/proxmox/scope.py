"""Whom an agent speaks for: its own node, and where it reports the cluster the nodes that cannot speak themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nanny_ops.machine.proxmox import facts

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Scope:
    """One cycle's view of the cluster. ``nodes`` are the rows of /cluster/status, ``online`` says which answer."""

    node: str
    cluster: Entry | None
    nodes: Mapping[str, Entry]
    online: Mapping[str, bool]
    #: The nodes that are told of, this one among them.
    told: frozenset[str]
    #: Whether what belongs to the whole cluster is told; a node that stands alone always does.
    wide: bool

    def answers(self, node: str) -> bool:
        """Tell whether a node is known to be there."""
        return self.online.get(node, False)


def scope(
    node: str, status: Sequence[Entry] | None, rows: Sequence[Entry] | None, wide: bool, others: Sequence[str]
) -> Scope:
    """Work out whom to speak for; without /cluster/status (None) the rows of nodes must do."""
    cluster = facts.cluster_entry(status or [])
    nodes = {str(entry["name"]): entry for entry in status or [] if entry.get("type") == "node"}
    online = {str(row["node"]): row.get("status") == "online" for row in rows or [] if row.get("type") == "node"}
    online |= {name: bool(entry.get("online")) for name, entry in nodes.items()} | {node: True}
    alone = status is not None and cluster is None
    offline = {name for name, there in online.items() if not there}
    more = (set(others) & set(online)) | offline if wide and not alone else set()
    return Scope(node, cluster, nodes, online, frozenset({node} | more), alone or (wide and status is not None))
