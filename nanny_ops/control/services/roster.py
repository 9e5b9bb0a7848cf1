"""Nodes and guests of one report: whose word counts, what is new, what is gone, and what nobody can know now."""

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nanny_ops.control.services import change, series
from nanny_ops.control.services.change import Change, Place
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.control.store import inventory as store
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.inventory import Reporter, Scope
from nanny_ops.control.store.proxmox import Guest, Node
from nanny_ops.protocol.inventory import InventoryReport
from nanny_ops.protocol.proxmox import LxcReport, NodeReport, QemuReport

Body = dict[str, Any]
Told = LxcReport | QemuReport
#: Sections without which an agent does not see all guests, and the states in which it does not.
BLIND = frozenset({"rights", "resources", "guests"})
UNSEEN = frozenset({"forbidden", "failed", "stale"})


@dataclass(frozen=True)
class Taken:
    """One report with what is known of its sender."""

    agent: HostAgent
    report: InventoryReport
    #: The bodies of the cluster, of the whole report, of nodes, and of guests of both kinds, as they came.
    cluster: Body
    beside: Body
    nodes: Sequence[Body]
    guests: Sequence[Body]
    #: When it was read by the agent's clock, and when it came; microseconds.
    at: int
    now: int
    place: Place
    scope: Scope
    last: Reporter | None
    speaks: bool
    living: frozenset[str]

    @property
    def members(self) -> list[str] | None:
        """Return the names of all nodes, where the report has them and its agent may tell them."""
        return self.report.members if self.speaks and self.report.cluster is not None else None

    @property
    def wide(self) -> Body:
        """Return what is told of the cluster beside its own body; None is not known and left out."""
        told = {"jobs": self.report.jobs, "ha": self.report.ha, "ceph": self.report.ceph}
        return {name: self.beside.get(name) for name, value in told.items() if value is not None}

    def speaks_for(self, node: str) -> bool:
        """Tell whether the agent's word counts for what is on a node."""
        return node == self.report.node or (self.speaks and node not in self.living)


def take_nodes(tx: Tx, taken: Taken) -> tuple[dict[str, Node], list[Change]]:
    """Write nodes; return all of the scope by name, and what has happened to them."""
    known = store.nodes_of(tx, taken.place.scope)
    told = {
        report.name: _node(taken, report, body, known.get(report.name))
        for report, body in zip(taken.report.nodes, taken.nodes, strict=True)
        if taken.speaks or report.name == taken.report.node
    }
    if taken.speaks:
        members = set(taken.members or ()) | known.keys()
        told |= {name: _seen(taken, name, known.get(name)) for name in sorted(members - told.keys())}
    changes: list[Change] = []
    for name, new in told.items():
        changes += _of_node(taken, known.get(name), new)
    fresh = [new for name, new in told.items() if name not in known]
    store.put_nodes(tx, fresh, [new for name, new in told.items() if name in known and new != known[name]])
    return {**known, **told}, changes


def _node(taken: Taken, report: NodeReport, body: Body, old: Node | None) -> Node:
    """Return a node's row. Whether it is online is the speaker's word; everything else that of its own agent."""
    own = report.name == taken.report.node
    told = {key: value for key, value in body.items() if key != "guests"}
    if own and taken.place.cluster_pk is None:
        told |= taken.wide  # where there is no cluster, what would be the cluster's is the node's
    if old is not None and not own:
        if report.name in taken.living:
            return _online(taken, replace(old, gone_at=None, unknown_since=None), report.online, old)
        told = {**old.body, **{key: value for key, value in told.items() if value not in (None, "")}}
    online = report.online if taken.speaks or old is None else old.online
    new = Node(
        id=old.id if old else f"node-{uuid.uuid4()}",
        team_id=taken.place.team_id,
        scope=taken.place.scope,
        cluster_pk=taken.place.cluster_pk,
        name=report.name,
        ip=report.ip or (old.ip if old else ""),
        online=old.online if old else online,
        pve_version=report.pve_version or (old.pve_version if old else ""),
        body=told,
        reported_by=taken.agent.id,
        created_at=old.created_at if old else taken.now,
        updated_at=taken.now,
        state_since=old.state_since if old else None,
    )
    return _online(taken, new, online, old)


def _online(taken: Taken, node: Node, online: int, old: Node | None) -> Node:
    if old is None:
        return replace(node, online=online)
    if bool(old.online) == bool(online):
        return node
    return replace(node, online=online, state_since=taken.now, updated_at=taken.now)


def _seen(taken: Taken, name: str, old: Node | None) -> Node:
    """Return a node of which the speaker tells no body: whether it is there, and whether it is online."""
    told = {one.node: one.status for one in taken.report.node_usage}.get(name)
    member = taken.members is not None and name in taken.members
    if old is None:
        return _unheard(taken, name, told)
    if taken.members is not None and not member:
        return old if old.gone_at is not None else replace(old, gone_at=taken.now)
    status = told or ("online" if member else "unknown")
    if status == "unknown":
        return old
    seen = replace(old, gone_at=None, unknown_since=None)
    if taken.speaks_for(name):
        seen = replace(seen, reported_by=taken.agent.id)
    return _online(taken, seen, int(status == "online"), old)


def _unheard(taken: Taken, name: str, status: str | None) -> Node:
    """Return the row of a node of which nothing but its name is known."""
    return Node(
        id=f"node-{uuid.uuid4()}",
        team_id=taken.place.team_id,
        scope=taken.place.scope,
        cluster_pk=taken.place.cluster_pk,
        name=name,
        ip="",
        online=int(status != "offline"),
        pve_version="",
        body={},
        reported_by=taken.agent.id,
        created_at=taken.now,
        updated_at=taken.now,
    )


def _of_node(taken: Taken, old: Node | None, new: Node) -> Iterator[Change]:
    if old is None or old.gone_at is not None:
        if new.gone_at is None and taken.place.cluster_pk is not None and taken.scope.listed_at is not None:
            yield change.of_node("node.joined", new)
    elif new.gone_at is not None:
        yield change.of_node("node.left", new)
    elif bool(old.online) != bool(new.online):
        yield change.of_node("node.online" if new.online else "node.offline", new)


def take_guests(tx: Tx, taken: Taken, nodes: Mapping[str, Node]) -> tuple[list[Change], bool]:
    """Write guests; return what has happened to them, and whether some are listed that nobody has described."""
    reports: list[Told] = [*taken.report.lxc, *taken.report.qemu]
    told = {
        report.vmid: (report, body)
        for report, body in zip(reports, taken.guests, strict=True)
        if taken.speaks_for(report.node)
    }
    node = None if taken.speaks else taken.report.node
    known = store.guests_of(tx, taken.place.scope, node=node, vmids=told.keys())
    bodies = store.bodies_of(tx, taken.place.scope, told.keys() & known.keys())
    fresh: list[Guest] = []
    changed: list[Guest] = []
    changes: list[Change] = []
    for vmid, (report, body) in told.items():
        old = known.get(vmid)
        if old is not None and old.reported_by != taken.agent.id and (old.told_at or 0) > taken.at:
            continue  # it has moved meanwhile, and its new node has told so already
        new = guest_row(taken.place, taken.agent, report, body, taken.now, taken.at, old)
        (fresh if old is None else changed).append(new)
        changes += of_guest(taken.scope, old, new, bodies.get(vmid, {}), body)
    store.add_guests(tx, fresh)
    store.change_guests(tx, changed)
    view: dict[int, Any] = {**known, **{row.vmid: row for row in (*fresh, *changed)}}
    changes += _statuses(tx, taken, view, told.keys())
    _judge(tx, taken, view, nodes)
    changes += _listed(tx, taken)
    return changes, _is_lacking(taken, view)


def guest_row(place: Place, agent: HostAgent, report: Told, body: Body, now: int, at: int, old: Any) -> Guest:
    """Return a guest's row, in place of ``old`` if there is one; None in a body is not known, and erases nothing."""
    kind = "lxc" if isinstance(report, LxcReport) else "qemu"
    same = old if old is not None and old.kind == kind else None
    status = same.status if same is not None and report.status == "unknown" else report.status
    moved = same is not None and same.node != report.node
    return Guest(
        id=old.id if old is not None else f"guest-{uuid.uuid4()}",
        team_id=place.team_id,
        scope=place.scope,
        cluster_pk=place.cluster_pk,
        vmid=report.vmid,
        kind=kind,
        name=report.name,
        node=report.node,
        status=status,
        ostype=report.ostype,
        tags=report.tags,
        body=body,
        reported_by=agent.id,
        # The number may have been given to a new guest of the other kind: that one did not move, it began.
        created_at=same.created_at if same is not None else now,
        updated_at=now,
        moved_at=now if moved else same.moved_at if same is not None else None,
        told_at=at,
        # How long it has been so when it is first seen, nobody has told.
        state_since=None if same is None else same.state_since if same.status == status else now,
        unknown_since=same.unknown_since if same is not None and report.status == "unknown" else None,
        pool=report.pool if report.pool is not None else same.pool if same is not None else None,
        lock=report.lock if report.lock is not None else same.lock if same is not None else None,
        template=report.template if report.template is not None else same.template if same is not None else None,
    )


def of_guest(scope: Scope | None, old: Any, new: Guest, before: Body, after: Body) -> list[Change]:
    """Return what has happened to a guest of which a body came. At the first sight of a scope nothing was created."""
    created = [change.about_guest("guest.created", new)]
    if old is None:
        known_before = scope is None or scope.listed_at is None or new.vmid in scope.undescribed
        return [] if known_before else created
    if old.kind != new.kind:
        return [*([] if old.gone_at else [change.about_guest("guest.destroyed", old)]), *created]
    return change.of_guest(old, new, before, after) if old.gone_at is None else created


def take_list(tx: Tx, place: Place, scope: Scope, vmids: Collection[int], at: int, now: int) -> list[Change]:
    """Believe a complete list of a scope's guests: what is not in it is gone, unless it was told of later."""
    if scope.listed_at is not None and at < scope.listed_at:
        return []
    rows = store.guests_of(tx, place.scope, node=None, vmids=())
    listed = set(vmids)
    lost = [row for row in rows.values() if not row.gone_at and row.vmid not in listed and (row.told_at or 0) <= at]
    back = [row for row in rows.values() if row.gone_at and row.vmid in listed]
    store.mark_guests(tx, [row.id for row in lost], gone_at=now)
    store.mark_guests(tx, [row.id for row in back], gone_at=None)
    first = scope.listed_at is None
    undescribed = listed - rows.keys() if first else listed.intersection(scope.undescribed) - rows.keys()
    row = replace(scope, listed_at=at, undescribed=sorted(undescribed))
    store.put_scope(tx, row, known=True)
    destroyed = [change.about_guest("guest.destroyed", row) for row in lost]
    return [*destroyed, *(change.about_guest("guest.created", row) for row in back)]


def _listed(tx: Tx, taken: Taken) -> list[Change]:
    vmids = complete_list(taken)
    return [] if vmids is None else take_list(tx, taken.place, taken.scope, vmids, taken.at, taken.now)


def complete_list(taken: Taken) -> list[int] | None:
    """Return the numbers of all guests of the scope, where the report has them and its agent may tell them."""
    if taken.report.cluster is not None:
        return taken.report.cluster.guests if taken.speaks else None
    if taken.place.cluster_pk is not None:
        return None
    lists = (taken.report.guests, *(node.guests for node in taken.report.nodes))
    return next((one for one in lists if one is not None), None)


def _statuses(tx: Tx, taken: Taken, view: dict[int, Any], described: Collection[int]) -> list[Change]:
    """Believe what readings of usage say of a guest's status, where no body came."""
    changes: list[Change] = []
    for told in taken.report.usage:
        row = view.get(told.vmid)
        if row is None or told.vmid in described or row.gone_at or not taken.speaks_for(told.node):
            continue
        if told.status in {"unknown", row.status} or (row.kind, row.node) != (told.kind, told.node):
            continue
        store.mark_guests(tx, [row.id], status=told.status, state_since=taken.now, told_at=taken.at)
        if (kind := change.of_status(row.status, told.status)) is not None:
            changes.append(change.about_guest(kind, row))
    return changes


def _judge(tx: Tx, taken: Taken, view: Mapping[int, Any], nodes: Mapping[str, Node]) -> None:
    """Note whose guests cannot be known: those of a node that the cluster does not see and whose agent is silent.

    And those that have left the view of an agent whose token sees only a part of them, or none.
    """
    lost: dict[int, list[str]] = {}
    found, adopted = [], []
    seen, hidden = _named(taken), _hidden(taken, view)
    for row in view.values():
        if row.gone_at is not None or not taken.speaks_for(row.node):
            continue
        own = row.node == taken.report.node
        node = nodes.get(row.node)
        if not own and node is not None and not node.online:
            if row.unknown_since is None:
                lost.setdefault(node.state_since or taken.now, []).append(row.id)
        elif row.vmid in hidden:
            if row.unknown_since is None and taken.last is not None:
                lost.setdefault(taken.last.heard_at, []).append(row.id)
        elif row.unknown_since is not None and row.vmid in seen:
            found.append(row.id)
        if row.reported_by != taken.agent.id:
            adopted.append(row.id)
    for since, ids in lost.items():
        store.mark_guests(tx, ids, unknown_since=since)
    store.mark_guests(tx, found, unknown_since=None)
    store.mark_guests(tx, adopted, reported_by=taken.agent.id)


def _named(taken: Taken) -> set[int]:
    """Return the guests that a report names anywhere."""
    report = taken.report
    listed = {*(report.guests or ()), *(complete_list(taken) or ())}
    described = {one.vmid for one in report.lxc} | {one.vmid for one in report.qemu}
    return listed | described | {one.vmid for one in report.usage}


def _hidden(taken: Taken, view: Mapping[int, Any]) -> set[int]:
    """Return the guests that a report should name and cannot, as it says itself.

    The reading before must lack them too: a large reading comes in parts, and its first part names few guests.
    """
    blind = any(one.section in BLIND and not one.object and one.state in UNSEEN for one in taken.report.facts)
    if not blind or taken.last is None or taken.last.at >= taken.at:
        return set()
    before = set(series.unpack(taken.last.usage).keys) if taken.last.usage is not None else set()
    named = _named(taken)
    return {row.vmid for row in view.values() if row.vmid not in named and f"{row.kind}/{row.vmid}" not in before}


def _is_lacking(taken: Taken, view: Mapping[int, Any]) -> bool:
    mine = {told.vmid for told in taken.report.usage if taken.speaks_for(told.node)}
    return not mine.union(taken.report.guests or ()) <= view.keys()
