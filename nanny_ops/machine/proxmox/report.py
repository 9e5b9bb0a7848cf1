"""Put one reading together: the wire's bodies, and beside them how well each part is known."""

from collections.abc import Mapping, Sequence
from typing import Any

from nanny_ops.errors import ProxmoxError
from nanny_ops.machine.proxmox import facts, node, sections, usage
from nanny_ops.machine.proxmox.configs import UNREAD, Configs
from nanny_ops.machine.proxmox.delta import Delta
from nanny_ops.machine.proxmox.keeper import Keeper
from nanny_ops.machine.proxmox.ledger import Ledger, Line, of_error
from nanny_ops.machine.proxmox.rights import Rights
from nanny_ops.machine.proxmox.scope import Scope
from nanny_ops.machine.proxmox.sections import Subject

Entry = Mapping[str, Any]
_CLUSTER = Subject("")
#: What is told as long as the cluster's own name cannot be told from another cluster's of the same name.
_NAMELESS = "The cluster's root CA cannot be read, so the cluster is known by its name alone."


class Report:
    """One reading as it grows."""

    def __init__(self, scope: Scope, rows: Sequence[Entry] | None, ledger: Ledger, delta: Delta, wall: float) -> None:
        """Take what the cycle has learnt first; ``rows`` are those of /cluster/resources, None where unknown."""
        self.scope, self.ledger = scope, ledger
        self._rows, self._delta, self._wall = rows, delta, wall
        self._complete: list[int] | None = None
        self._status: dict[str, dict[str, Any]] = {}
        self._usage: dict[str, dict[str, Any]] = {}
        self._read_once: dict[tuple[str, str], dict[str, Any] | None] = {}
        self.values: dict[str, Any] = {
            "node": scope.node,
            "nodes": [],
            "lxc": [],
            "qemu": [],
            "usage": [],
            "node_usage": [],
            "storages": [],
            "tasks": [],
        }

    def guest_rows(self) -> list[Entry]:
        """Return the rows of the guests that are told of."""
        rows = usage.of_type(self._rows or [], "lxc", "qemu")
        return [row for row in rows if row.get("node") in self.scope.told]

    def node_status(self, name: str, answer: Any) -> None:
        """Take a node's status, or the error that stood in its place."""
        if isinstance(answer, ProxmoxError):
            self.ledger.note("node.status", name, of_error(answer))
            return
        self.ledger.note("node.status", name, Line("ok", self._wall))
        self._status[name] = {**node.status(answer), "pve_version": str(answer.get("pveversion") or "")}
        self._usage[name] = node.usage(name, answer)

    def tasks(self, name: str, failed: list[dict[str, Any]], missing: str) -> None:
        """Take a node's failed tasks; without a privilege they are only the token's own."""
        reason = f"Without {missing} on /nodes/{name} only the token's own tasks are listed." if missing else ""
        state = "forbidden" if missing else "ok"
        self.ledger.note("tasks", name, Line(state, self._wall, privilege=missing, reason=reason))
        self.values["tasks"] += failed[: 500 - len(self.values["tasks"])]

    def lists(self, rights: Rights) -> None:
        """Tell which guests there are, if the list is known to be complete."""
        missing = rights.missing_below("/vms", "VM.Audit")
        self._visible("guests", missing, "Guests may be missing from the list")
        if not missing and rights.known and self._rows is not None:
            self._complete = facts.vmids(usage.of_type(self._rows, "lxc", "qemu"))
            own = [row for row in usage.of_type(self._rows, "lxc", "qemu") if row.get("node") == self.scope.node]
            self.values["guests"] = facts.vmids(own)
        unseen = rights.missing_below("/storage", "Datastore.Audit")
        self._visible("storages", unseen, "Storages may be missing from the list")

    def usage(self, keeper: Keeper) -> None:
        """Tell the usage of guests, nodes and storages."""
        told, answers = self.scope.told, self.scope.answers
        for row in self.guest_rows():
            used = usage.guest(row, answers(str(row["node"])))
            subject = _subject(row)
            if not answers(subject.node):
                self.ledger.note(sections.HOURS.name, subject.name, self._unknown(subject.node))
            elif sections.HOURS.fits(subject):
                used |= keeper.told(self.ledger, sections.HOURS, subject)
            self.values["usage"].append(used)
        rows = {str(row["node"]): row for row in usage.of_type(self._rows or [], "node")}
        for name in sorted(told):
            row = rows.get(name, {"node": name})
            self.values["node_usage"].append(self._usage.get(name) or usage.node(row, self.scope.online.get(name)))
        storages = usage.of_type(self._rows or [], "storage")
        self.values["storages"] = [
            usage.storage(row, answers(str(row["node"]))) for row in storages if row.get("node") in told
        ]

    def nodes(self, keeper: Keeper, release: str) -> None:
        """Tell the nodes whose body has changed."""
        votes = keeper.told(self.ledger, sections.VOTES, _CLUSTER) if self._tells_cluster else {}
        alone = self.scope.cluster is None
        for name in sorted(self.scope.told):
            own = name == self.scope.node
            if not self.scope.answers(name):
                self.ledger.note("node.status", name, self._unknown(name))
                self.ledger.note("tasks", name, self._unknown(name))
            entry = self.scope.nodes.get(name, {"name": name, "online": self.scope.answers(name), "local": own})
            status = self._status.get(name, {})
            version = status.pop("pve_version", "") or (f"pve-manager/{release}" if own and release else "")
            body = {**facts.node_body(entry, version, self._complete if alone else None), **status}
            if name in votes:
                body["votes"] = votes[name]
            body |= self._kept(keeper, sections.NODE, Subject(name))
            if self._delta.changed(f"node/{name}", body):
                self.values["nodes"].append(body)

    def cluster(self, keeper: Keeper) -> None:
        """Tell what belongs to the whole cluster, if that is this agent's to tell."""
        if not self.scope.wide:
            return
        for section in sections.CLUSTER:
            self.values |= keeper.told(self.ledger, section, _CLUSTER)
        if self.scope.cluster is not None:
            identity = self._identity(keeper, str(self.scope.cluster["name"]))
            if identity:
                self.values["members"] = sorted(self.scope.nodes)
                self.values["cluster"] = facts.cluster_body(self.scope.cluster, identity, self._complete)

    def guest(self, row: Entry, configs: Configs, keeper: Keeper) -> None:
        """Tell one guest, if its body has changed; one that left its node meanwhile is told in the next cycle."""
        kind, vmid = str(row["type"]), int(row["vmid"])
        online = self.scope.answers(str(row["node"]))
        conf, snapshots, line = configs.of(kind, vmid)
        if line is UNREAD and online:
            self.ledger.note("guest.config", f"{kind}/{vmid}", line)
            return
        known = line if online or line.source == "pmxcfs" else line.unasked(self._silent(str(row["node"])))
        self.ledger.note("guest.config", f"{kind}/{vmid}", known)
        body = facts.lxc_body(row, conf) if kind == "lxc" else facts.qemu_body(row, conf)
        body["status"] = usage.guest_status(row, online)
        body |= self._beside(row, snapshots, keeper)
        if self._delta.changed(f"{kind}/{vmid}", body):
            self.values[kind].append(body)

    def _beside(self, row: Entry, snapshots: list[Any] | None, keeper: Keeper) -> dict[str, Any]:
        """Return the slower facts of a guest."""
        vmid, name = int(row["vmid"]), str(row["node"])
        subject = _subject(row)
        wanted = [one for one in sections.GUEST if one.fits(subject)]
        if snapshots is not None:
            wanted.remove(sections.SNAPSHOTS)
            self.ledger.note("guest.snapshots", subject.name, Line("ok", self._wall, "pmxcfs"))
        told = self._kept(keeper, wanted, subject)
        if snapshots is not None:
            told["snapshots"] = snapshots
        shared = {one.name: self._shared(keeper, one, Subject(name)) for one in (*sections.SHARED,)}
        uncovered = self._shared(keeper, sections.UNCOVERED, _CLUSTER)
        replication, newest = shared["guest.replication"], shared["guest.backup"]
        if replication is not None:
            told["replication"] = replication.get(str(vmid), [])
        told["backup"] = {
            "covered": None if uncovered is None else vmid not in uncovered["vmids"],
            "found": None if newest is None else str(vmid) in newest,
            **((newest or {}).get(str(vmid)) or {}),
        }
        return told

    def _kept(self, keeper: Keeper, wanted: Sequence[sections.Section], subject: Subject) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for section in wanted:
            found |= keeper.told(self.ledger, section, subject, silent=self._silent(subject.node))
        return found

    def _shared(self, keeper: Keeper, section: sections.Section, subject: Subject) -> dict[str, Any] | None:
        """Return what was read once for all guests of a node, None where nothing is known."""
        key = section.name, subject.name
        if key not in self._read_once:
            told = keeper.told(self.ledger, section, subject, silent=self._silent(subject.node))
            self._read_once[key] = told if keeper.has(section, subject) else None
        return self._read_once[key]

    def _silent(self, node: str) -> str:
        """Return why nobody can ask a node now, an empty text if it can be asked; the cluster always can."""
        return f"Node {node} is offline." if node and not self.scope.answers(node) else ""

    def _unknown(self, node: str) -> Line:
        return Line("failed", reason=self._silent(node))

    @property
    def _tells_cluster(self) -> bool:
        return self.scope.wide and self.scope.cluster is not None

    def _visible(self, section: str, missing: str, sentence: str) -> None:
        if self._rows is None:
            return
        reason = f"{sentence}: the API token lacks {missing} on parts of it (role PVEAuditor on / has it)."
        line = Line("forbidden", self._wall, privilege=missing, reason=reason) if missing else Line("ok", self._wall)
        self.ledger.note(section, "", line)

    def _identity(self, keeper: Keeper, name: str) -> str:
        """Return the cluster's name for programs; empty while its certificates could not be read for once."""
        section, subject = sections.CERTIFICATES, Subject(self.scope.node)
        found = keeper.told(self.ledger, section, subject).get("certificates")
        if found is None and keeper.line(section, subject).state == "failed":
            return ""
        identity = facts.cluster_id(found or [])
        if not identity:
            self.ledger.note("cluster.identity", "", Line("failed", reason=_NAMELESS))
        return identity or name


def _subject(row: Entry) -> Subject:
    return Subject(str(row["node"]), str(row["type"]), int(row["vmid"]), row.get("status") == "running")
