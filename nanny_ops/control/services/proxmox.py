"""What agents say of Proxmox VE: taken in any order and any number of times, one row for each real thing.

A cluster is known by its id and name within the team; nodes and guests by their cluster. Outside a cluster they are
known by the agent that reports them; when that agent later reports a cluster, its rows move there. A node that was
enrolled anew comes with a new agent: the new one takes the rows over as soon as the old one is revoked, or has fallen
silent at the same address, so that nothing is there twice. Two machines that merely share a name are left apart.

A report that comes ``too_soon`` is refused with the error given there, but only if it would change nothing.
"""

import uuid
from dataclasses import replace
from datetime import datetime
from typing import Any

from nanny_ops.control.services.agent import is_silent
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import proxmox as store
from nanny_ops.control.store.database import Tx
from nanny_ops.errors import RateLimited
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.proxmox import ClusterReport, LxcReport, NodeReport, QemuReport

Body = dict[str, Any]


def take_cluster(
    tx: Tx, agent: HostAgent, report: ClusterReport, body: Body, now: datetime, too_soon: RateLimited | None = None
) -> None:
    """Write what an agent says of its cluster, and bring what it said before under it. Raises ``too_soon``."""
    at = _begin(tx, agent, now)
    known = store.known_cluster(tx, agent.team_id, report.cluster_id, report.cluster_name)
    if too_soon is not None and known is not None and not _is_news(tx, known.body, body, known.id, report.guests):
        raise too_soon
    cluster = store.Cluster(
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
    store.put(tx, cluster, known=known is not None)
    store.join(tx, agent.id, cluster.id)
    store.rescope(tx, agent.id, cluster.id, cluster.id)
    if report.guests is not None:
        store.keep_only(tx, cluster.id, report.guests, at)


def take_node(
    tx: Tx, agent: HostAgent, report: NodeReport, body: Body, now: datetime, too_soon: RateLimited | None = None
) -> None:
    """Write what an agent says of a node; what an agent cannot know of another node does not erase what is known.

    Raises ``too_soon``.
    """
    at = _begin(tx, agent, now)
    cluster_pk = store.cluster_of(tx, agent.id)
    if cluster_pk is None:
        _take_over(tx, agent, report, now)
    scope = cluster_pk or agent.id
    known = store.known_node(tx, scope, report.name)
    listed = report.guests if cluster_pk is None else None
    if too_soon is not None and known is not None and not _is_news(tx, known.body, body, scope, listed):
        raise too_soon
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
    )
    store.put(tx, node, known=known is not None)
    if listed is not None:
        store.keep_only(tx, scope, listed, at)


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
    cluster_pk = store.cluster_of(tx, agent.id)
    fresh = _guest(agent, cluster_pk, report, body, at)
    known = store.known_guest(tx, fresh.scope, report.vmid)
    told = known is not None and (known.kind, known.body, known.gone_at) == (fresh.kind, body, None)
    if too_soon is not None and told:
        raise too_soon
    if known is not None:
        # The number may have been given to a new guest of the other kind: that one did not move, it began.
        same = known.kind == fresh.kind
        moved_at = at if same and known.node != fresh.node else known.moved_at if same else None
        fresh = replace(fresh, id=known.id, created_at=known.created_at if same else at, moved_at=moved_at)
    store.put(tx, fresh, known=known is not None)


def _guest(
    agent: HostAgent, cluster_pk: str | None, report: LxcReport | QemuReport, body: Body, at: int
) -> store.Guest:
    return store.Guest(
        id=f"guest-{uuid.uuid4()}",
        team_id=agent.team_id,
        scope=cluster_pk or agent.id,
        cluster_pk=cluster_pk,
        vmid=report.vmid,
        kind="lxc" if isinstance(report, LxcReport) else "qemu",
        name=report.name,
        node=report.node,
        status=report.status,
        ostype=report.ostype,
        tags=report.tags,
        body=body,
        reported_by=agent.id,
        created_at=at,
        updated_at=at,
    )


def _begin(tx: Tx, agent: HostAgent, now: datetime) -> int:
    store.lock(tx)
    at = micros(now)
    agents.change(tx, agent.id, last_seen=at)
    return at


def _take_over(tx: Tx, agent: HostAgent, report: NodeReport, now: datetime) -> None:
    for scope, ip in store.standalone_scopes(tx, agent.team_id, report.name, besides=agent.id).items():
        former = agents.find(tx, scope)
        if former is None or former.status == "revoked" or (is_silent(former, now) and ip == report.ip):
            store.rescope(tx, scope, agent.id, None)


def _is_news(tx: Tx, stored: Body, body: Body, scope: str, listed: list[int] | None) -> bool:
    if stored != _without_guests(body):
        return True
    return listed is not None and any(store.strays(tx, scope, listed))


def _without_guests(body: Body) -> Body:
    return {key: value for key, value in body.items() if key != "guests"}
