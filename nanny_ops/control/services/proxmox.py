"""What agents say of Proxmox VE: taken in any order and any number of times, one row for each real thing.

A cluster is known by its id and name within the team; nodes and guests by their cluster. Outside a cluster they are
known by the agent that reports them; when that agent later reports a cluster, its rows move there. A node that was
enrolled anew comes with a new agent: the new one takes the rows over as soon as the old one is revoked, or has fallen
silent at the same address, so that nothing is there twice. Two machines that merely share a name are left apart.

A report that comes ``too_soon`` is refused with the error given there, but only if it would change nothing.
"""

import uuid
from datetime import datetime
from typing import Any

from nanny_ops.control.services import change, reboot, roster
from nanny_ops.control.services.agent import is_silent
from nanny_ops.control.services.change import Change, Place
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import fact as facts
from nanny_ops.control.store import inventory, usage
from nanny_ops.control.store import proxmox as store
from nanny_ops.control.store import snapshot as snapshots
from nanny_ops.control.store import storage as storages
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.inventory import Scope
from nanny_ops.errors import RateLimited
from nanny_ops.protocol.clock import from_micros, micros
from nanny_ops.protocol.proxmox import ClusterReport, LxcReport, NodeReport, QemuReport

Body = dict[str, Any]
#: What is told of a cluster only now and then, and stands until it is told again.
WIDE = ("jobs", "ha", "ceph")


def take_cluster(
    tx: Tx, agent: HostAgent, report: ClusterReport, body: Body, now: datetime, too_soon: RateLimited | None = None
) -> None:
    """Write what an agent says of its cluster, and bring what it said before under it. Raises ``too_soon``."""
    at = _begin(tx, agent, now)
    known = store.known_cluster(tx, agent.team_id, report.cluster_id, report.cluster_name)
    if too_soon is not None and known is not None and not _is_news(tx, known.body, body, known.id, report.guests):
        raise too_soon
    changes = write_cluster(tx, agent, report, body, at)
    joined = store.known_cluster(tx, agent.team_id, report.cluster_id, report.cluster_name)
    if joined is None:
        return
    join(tx, agent.id, joined.id)
    place = Place(agent.team_id, joined.id, joined.id, report.cluster_name)
    if report.guests is not None:
        changes += roster.take_list(tx, place, _scope(tx, place, at), report.guests, at, at)
    change.tell(tx, place, changes, at)


def write_cluster(tx: Tx, agent: HostAgent, report: ClusterReport, body: Body, at: int) -> list[Change]:
    """Write a cluster's row; return what has happened to it."""
    known = store.known_cluster(tx, agent.team_id, report.cluster_id, report.cluster_name)
    before = known.body if known is not None else {}
    row = cluster_row(agent, report, {**{name: before[name] for name in WIDE if name in before}, **body}, at, known)
    store.put(tx, row, known=known is not None)
    return change.of_quorum(row, known.quorate) if known is not None else []


def cluster_row(
    agent: HostAgent, report: ClusterReport, body: Body, at: int, known: store.Cluster | None
) -> store.Cluster:
    """Return a cluster's row, in place of the one that is known."""
    return store.Cluster(
        id=known.id if known else f"cluster-{uuid.uuid4()}",
        team_id=agent.team_id,
        cluster_id=report.cluster_id,
        cluster_name=report.cluster_name,
        nodes=report.nodes,
        quorate=report.quorate,
        version=report.version,
        body=_without_guests(body),
        reported_by=agent.id,
        created_at=known.created_at if known else at,
        updated_at=at,
    )


def join(tx: Tx, agent_id: str, cluster_pk: str) -> None:
    """Note that an agent belongs to a cluster; what it said before comes under it."""
    if store.cluster_of(tx, agent_id) != cluster_pk:
        store.join(tx, agent_id, cluster_pk)
    bring(tx, agent_id, cluster_pk, cluster_pk)


def bring(tx: Tx, old: str, new: str, cluster_pk: str | None) -> None:
    """Bring everything of one scope into another; what is told anew with each report is dropped instead."""
    store.rescope(tx, old, new, cluster_pk)
    snapshots.rescope(tx, old, new)
    if inventory.scope(tx, old) is None:
        return
    usage.move(tx, old, new)
    storages.drop_scope(tx, old)
    facts.drop_scope(tx, old)
    inventory.forget_scope(tx, old)


def take_node(
    tx: Tx, agent: HostAgent, report: NodeReport, body: Body, now: datetime, too_soon: RateLimited | None = None
) -> None:
    """Write what an agent says of a node; what an agent cannot know of another node does not erase what is known.

    Raises ``too_soon``.
    """
    at = _begin(tx, agent, now)
    cluster_pk = store.cluster_of(tx, agent.id)
    if cluster_pk is None:
        take_over(tx, agent, report, at)
    scope = cluster_pk or agent.id
    known = store.known_node(tx, scope, report.name)
    listed = report.guests if cluster_pk is None else None
    if too_soon is not None and known is not None and not _is_news(tx, known.body, body, scope, listed):
        raise too_soon
    same = known is not None and bool(known.online) == bool(report.online)
    node = store.Node(
        id=known.id if known else f"node-{uuid.uuid4()}",
        team_id=agent.team_id,
        scope=scope,
        cluster_pk=cluster_pk,
        name=report.name,
        ip=report.ip or (known.ip if known else ""),
        online=report.online,
        pve_version=report.pve_version or (known.pve_version if known else ""),
        body=_without_guests(body),
        reported_by=agent.id,
        created_at=known.created_at if known else at,
        updated_at=at,
        state_since=None if known is None else known.state_since if same else at,
    )
    store.put(tx, node, known=known is not None)
    place = _place(tx, agent, cluster_pk)
    changes = [] if known is None or same else [change.of_node("node.online" if node.online else "node.offline", node)]
    if listed is not None:
        changes += roster.take_list(tx, place, _scope(tx, place, at), listed, at, at)
    change.tell(tx, place, changes, at)


def take_guest(
    tx: Tx,
    agent: HostAgent,
    report: LxcReport | QemuReport,
    body: Body,
    now: datetime,
    too_soon: RateLimited | None = None,
) -> None:
    """Write what an agent says of a guest; on another node than before it has moved, and one that was gone is back.

    Raises ``too_soon``.
    """
    at = _begin(tx, agent, now)
    place = _place(tx, agent, store.cluster_of(tx, agent.id))
    known = store.known_guest(tx, place.scope, report.vmid)
    fresh = roster.guest_row(place, agent, report, body, at, at, known)
    told = known is not None and (known.kind, known.body, known.gone_at) == (fresh.kind, body, None)
    if too_soon is not None and told:
        raise too_soon
    store.put(tx, fresh, known=known is not None)
    if isinstance(report, LxcReport):
        reboot.notice(tx, place.scope, [report], [], at, at)
    before = known.body if known is not None else {}
    scope = inventory.scope(tx, place.scope)
    change.tell(tx, place, roster.of_guest(scope, known, fresh, before, body), at)


def take_over(tx: Tx, agent: HostAgent, report: NodeReport, at: int) -> None:
    """Give an agent what an earlier identity of the same machine has told."""
    for scope, ip in store.standalone_scopes(tx, agent.team_id, report.name, besides=agent.id).items():
        former = agents.find(tx, scope)
        silent = former is None or former.status == "revoked" or is_silent(former, from_micros(at))
        if silent and (former is None or former.status == "revoked" or ip == report.ip):
            bring(tx, scope, agent.id, None)


def _begin(tx: Tx, agent: HostAgent, now: datetime) -> int:
    store.lock(tx)
    at = micros(now)
    agents.change(tx, agent.id, last_seen=at)
    return at


def _place(tx: Tx, agent: HostAgent, cluster_pk: str | None) -> Place:
    name = inventory.cluster_name(tx, cluster_pk) if cluster_pk else ""
    return Place(agent.team_id, cluster_pk or agent.id, cluster_pk, name)


def _scope(tx: Tx, place: Place, at: int) -> Scope:
    """Return the row of a scope, made if it is not there."""
    known = inventory.scope(tx, place.scope)
    if known is None:
        known = Scope(place.scope, place.team_id, created_at=at)
        inventory.put_scope(tx, known, known=False)
    return known


def _is_news(tx: Tx, stored: Body, body: Body, scope: str, listed: list[int] | None) -> bool:
    if stored != _without_guests(body):
        return True
    return listed is not None and any(store.strays(tx, scope, listed))


def _without_guests(body: Body) -> Body:
    return {key: value for key, value in body.items() if key != "guests"}
