"""What nodes did meanwhile: tasks that failed, and guests that tasks were about."""

from collections.abc import Mapping, Sequence
from typing import Any

from nanny_ops.machine.proxmox import cluster
from nanny_ops.machine.proxmox.guest import whole

#: Tasks that are asked for at once, and that the first look goes back.
LIMIT = 500
#: Tasks that only look.
_LOOKING = frozenset({"vncproxy", "vncshell", "spiceproxy", "spiceshell", "termproxy", "aptupdate", "download"})


class TaskList:
    """What has been seen of each node's tasks. Nodes' own times are compared with each other, never with ours."""

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self._since: dict[str, int] = {}
        self._seen: dict[str, set[str]] = {}

    def question(self, node: str) -> dict[str, Any]:
        """Return the parameters with which a node's list is asked for."""
        since = {"since": self._since[node]} if node in self._since else {}
        return {"source": "all", "limit": LIMIT, **since}

    def take(self, node: str, entries: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], set[int]]:
        """Return the tasks that have failed, and the guests that finished tasks were about, since the last time."""
        first, seen = node not in self._since, self._seen.get(node, set())
        ended = [entry for entry in entries if entry.get("endtime") and str(entry["upid"]) not in seen]
        running = [whole(entry.get("starttime")) for entry in entries if not entry.get("endtime")]
        newest = max((whole(entry.get("starttime")) for entry in entries), default=self._since.get(node, 0))
        # A task that still runs must be in the next list too, so that its end is seen.
        self._since[node] = min([newest, *running])
        self._seen[node] = {
            str(entry["upid"])
            for entry in entries
            if entry.get("endtime") and whole(entry.get("starttime")) >= self._since[node]
        }
        touched = {whole(entry.get("id")) for entry in ended if entry.get("type") not in _LOOKING} - {0}
        return [cluster.task(entry) for entry in ended if cluster.failed(entry)], set() if first else touched
