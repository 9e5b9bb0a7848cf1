"""The fleet for Prometheus, under the names and labels of prometheus-pve-exporter, so that its dashboards work.

``id`` is what Proxmox VE calls a thing (``lxc/101``, ``node/pve1``, ``storage/pve1/local``, ``cluster/lab``). A further
label ``cluster`` tells apart what has the same id elsewhere. Of states (lock, HA) only the one that holds is told. What
nobody can know now is not up, and has no readings; ``nanny_pve_unknown`` names it. The text is written directly: a
library's registry takes ten times as long for 1,000 guests.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nanny_ops.control.services.fleet import Fleet

HELP: dict[str, str] = {
    "pve_up": "Whether a cluster is quorate, a node online, a guest running, a storage available; 0 where unknown.",
    "pve_cluster_info": "A cluster.",
    "pve_node_info": "A node.",
    "pve_version_info": "The release of Proxmox VE on a node.",
    "pve_guest_info": "A guest.",
    "pve_storage_info": "A storage on a node.",
    "pve_storage_shared": "Whether a storage is shared.",
    "pve_lock_state": "The lock that is held on a guest.",
    "pve_ha_state": "The state of a guest that high availability manages.",
    "pve_onboot_status": "Whether a guest starts with its node.",
    "pve_cpu_usage_ratio": "Used part of the CPUs.",
    "pve_cpu_usage_limit": "CPUs.",
    "pve_memory_usage_bytes": "Used memory.",
    "pve_memory_size_bytes": "Memory.",
    "pve_disk_usage_bytes": "Used space.",
    "pve_disk_size_bytes": "Space.",
    "pve_uptime_seconds": "Seconds since the start.",
    "pve_network_receive_bytes": "Bytes received since the start.",
    "pve_network_transmit_bytes": "Bytes sent since the start.",
    "pve_disk_read_bytes": "Bytes read since the start.",
    "pve_disk_write_bytes": "Bytes written since the start.",
    "pve_network_receive_bytes_total": "Bytes received since the start.",
    "pve_network_transmit_bytes_total": "Bytes sent since the start.",
    "pve_disk_read_bytes_total": "Bytes read since the start.",
    "pve_disk_written_bytes_total": "Bytes written since the start.",
    "pve_replication_info": "A replication job.",
    "pve_replication_last_sync_timestamp_seconds": "When a replication job succeeded last.",
    "pve_replication_next_sync_timestamp_seconds": "When a replication job runs next.",
    "pve_replication_failed_syncs": "How often a replication job has failed in a row.",
    "pve_not_backed_up_info": "A guest that no backup job covers.",
    "pve_not_backed_up_total": "Guests of a cluster that no backup job covers, as far as that is known.",
    "nanny_node_resting": "A node that is given a rest after failures in a row; orders of batches wait for it.",
    "nanny_pve_unknown": "Something of which nobody can say now how it is.",
    "nanny_pve_age_seconds": "Seconds since a cluster, node, guest or storage was last told of.",
}
#: Which readings are told under which names.
READINGS: dict[str, tuple[str, ...]] = {
    "cpu": ("pve_cpu_usage_ratio",),
    "cpus": ("pve_cpu_usage_limit",),
    "mem": ("pve_memory_usage_bytes",),
    "maxmem": ("pve_memory_size_bytes",),
    "disk": ("pve_disk_usage_bytes",),
    "maxdisk": ("pve_disk_size_bytes",),
    "uptime": ("pve_uptime_seconds",),
    "netin": ("pve_network_receive_bytes", "pve_network_receive_bytes_total"),
    "netout": ("pve_network_transmit_bytes", "pve_network_transmit_bytes_total"),
    "diskread": ("pve_disk_read_bytes", "pve_disk_read_bytes_total"),
    "diskwrite": ("pve_disk_write_bytes", "pve_disk_written_bytes_total"),
}
Row = Mapping[str, Any]
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass
class Page:
    """Lines by the name of their metric."""

    lines: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in HELP})

    def add(self, metric: str, value: float, /, **labels: str) -> None:
        """Add one sample; label values may hold anything."""
        told = ",".join(f'{key}="{text.translate(_ESCAPES)}"' for key, text in labels.items())
        number = repr(int(value)) if value == int(value) else repr(value)
        self.lines[metric].append(f"{metric}{{{told}}} {number}\n")

    def text(self) -> bytes:
        """Return all of it in the text format 0.0.4."""
        return "".join(self._blocks()).encode()

    def _blocks(self) -> Iterator[str]:
        for name, lines in self.lines.items():
            if lines:
                kind = "counter" if name.endswith("bytes_total") else "gauge"
                yield f"# HELP {name} {HELP[name]}\n# TYPE {name} {kind}\n"
                yield from lines


def exposition(fleet: Fleet, resting: Collection[tuple[str, str]] = ()) -> bytes:
    """Write what was rendered for people as samples; ``resting`` names nodes by scope and name."""
    page, homes = Page(), Homes(fleet)
    for one in fleet.clusters:
        _cluster(page, one, homes.of(one))
    for one in fleet.nodes:
        _node(page, one, homes.of(one), fleet.bodies.get(one["id"], {}))
        if (_scope(one), one["name"]) in resting:
            page.add("nanny_node_resting", 1, id=f"node/{one['name']}", cluster=homes.of(one))
    for one in fleet.guests:
        _guest(page, one, homes.of(one), fleet.bodies.get(one["id"], {}))
    for one in fleet.storages:
        _storage(page, one, homes.of(one))
    for home, uncovered in homes.uncovered(fleet).items():
        page.add("pve_not_backed_up_total", uncovered, id=homes.id_of(home), cluster=home)
    return page.text()


class Homes:
    """What the label ``cluster`` says: the cluster's name, or the node's where there is none.

    Two that share a name are told apart by our id: of two equal series Prometheus would refuse the whole page.
    """

    def __init__(self, fleet: Fleet) -> None:
        """Look at all names at once."""
        self._names = {_scope(one): one["cluster_name"] for one in fleet.clusters}
        for one in fleet.nodes:
            self._names.setdefault(_scope(one), one["cluster_name"] or one["name"])
        self._counts = Counter(self._names.values())
        self._plain = {self.of(one): str(one["cluster_name"]) for one in fleet.clusters}

    def of(self, one: Row) -> str:
        """Return the label of a cluster, node, guest or storage."""
        scope = _scope(one)
        name = self._names.get(scope) or one["cluster_name"] or one.get("node") or scope
        return f"{name} ({scope})" if self._counts[name] > 1 else str(name)

    def id_of(self, home: str) -> str:
        """Return the label ``id`` that a cluster's other samples have."""
        return f"cluster/{self._plain.get(home, home)}"

    def uncovered(self, fleet: Fleet) -> dict[str, int]:
        """Return how many guests no backup job covers, where that is known of any."""
        found: dict[str, int] = {}
        for one in fleet.guests:
            covered = (fleet.bodies.get(one["id"], {}).get("backup") or {}).get("covered")
            if covered is not None:
                found[self.of(one)] = found.get(self.of(one), 0) + (not covered)
        return found


def _scope(one: Row) -> str:
    return str(one["id"] if "cluster_id" in one else one["cluster"] or one["agent_id"])


def _cluster(page: Page, one: Row, home: str) -> None:
    labels = {"id": f"cluster/{one['cluster_name']}", "cluster": home}
    _state(page, one, one["status"] == "quorate", labels)
    told = {key: str(one[key]) for key in ("nodes", "quorate", "version")}
    page.add("pve_cluster_info", 1, **labels, **told)


def _node(page: Page, one: Row, home: str, body: Row) -> None:
    labels = {"id": f"node/{one['name']}", "cluster": home}
    _state(page, one, one["status"] == "online", labels)
    level, number = str(body.get("level") or ""), str(body.get("node_id", ""))
    page.add("pve_node_info", 1, **labels, level=level, name=one["name"], nodeid=number)
    if one["pve_version"]:
        _, _, rest = one["pve_version"].partition("/")
        version, _, repoid = (rest or one["pve_version"]).partition("/")
        release = ".".join(version.split(".")[:2])
        page.add("pve_version_info", 1, **labels, release=release, repoid=repoid, version=version)
    _readings(page, one, labels, up=one["status"] == "online")


def _guest(page: Page, one: Row, home: str, body: Row) -> None:
    node, kind = one["node"], one["kind"]
    key = f"{kind}/{one['vmid']}"
    labels = {"id": key, "cluster": home}
    _state(page, one, one["status"] == "running", labels)
    template, tags = str(int(bool(one["template"]))), ";".join(sorted(one["tags"]))
    page.add("pve_guest_info", 1, **labels, node=node, name=one["name"], type=kind, template=template, tags=tags)
    if one["lock"]:
        page.add("pve_lock_state", 1, **labels, state=one["lock"])
    if body.get("ha_state"):
        page.add("pve_ha_state", 1, **labels, state=str(body["ha_state"]))
    if body.get("onboot") is not None:
        page.add("pve_onboot_status", int(bool(body["onboot"])), **labels, node=node, type=kind)
    if (body.get("backup") or {}).get("covered") is False:
        page.add("pve_not_backed_up_info", 1, **labels)
    for job in body.get("replication") or []:
        _replication(page, job, home, key, node)
    _readings(page, one, labels, up=one["status"] != "unknown")


def _replication(page: Page, job: Row, home: str, guest: str, node: str) -> None:
    labels = {"id": str(job.get("id", "")), "cluster": home}
    target = f"node/{job.get('target', '')}"
    page.add("pve_replication_info", 1, **labels, type="local", source=f"node/{node}", target=target, guest=guest)
    for key, name in (
        ("last_sync", "pve_replication_last_sync_timestamp_seconds"),
        ("next_sync", "pve_replication_next_sync_timestamp_seconds"),
        ("fail_count", "pve_replication_failed_syncs"),
    ):
        if isinstance(value := job.get(key), int):
            page.add(name, value, **labels)


def _storage(page: Page, one: Row, home: str) -> None:
    labels = {"id": f"storage/{one['node']}/{one['name']}", "cluster": home}
    _state(page, one, one["status"] in {"available", "active"}, labels)
    told = {"node": one["node"], "storage": one["name"], "plugintype": one["kind"]}
    page.add("pve_storage_info", 1, **labels, **told, content=",".join(one["content"]))
    page.add("pve_storage_shared", int(one["shared"]), **labels)
    if one["status"] != "unknown":
        for key, name in (("used", "pve_disk_usage_bytes"), ("total", "pve_disk_size_bytes")):
            if one[key] is not None:
                page.add(name, one[key], **labels)


def _state(page: Page, one: Row, up: bool, labels: Mapping[str, str]) -> None:
    page.add("pve_up", int(up), **labels)
    page.add("nanny_pve_age_seconds", one["freshness_seconds"], **labels)
    if one["status"] == "unknown":
        page.add("nanny_pve_unknown", 1, **labels)


def _readings(page: Page, one: Row, labels: Mapping[str, str], *, up: bool) -> None:
    for key, value in (one["usage"] or {}).items() if up else ():
        for name in READINGS.get(key, ()):
            page.add(name, value, **labels)
