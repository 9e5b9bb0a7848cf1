"""One report that holds a whole reading of Proxmox VE, taken in one transaction.

Each agent tells of its own node and that node's guests. What is cluster-wide (quorum, which nodes are there, the list
of all guests) is taken from the one agent that speaks for the cluster; it also speaks for nodes whose own agents are
silent. Whatever another agent says of them is left out, so that two never tell a thing differently.
"""

from datetime import datetime, timedelta
from typing import Any

from nanny_ops.control.services import change, fact, proxmox, reboot, roster, snapshot, speaker, storage, task, usage
from nanny_ops.control.services.change import Change, Place
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.control.services.roster import Taken
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import inventory as store
from nanny_ops.control.store import proxmox as things
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.inventory import Reporter, Scope
from nanny_ops.errors import ValidationFailed
from nanny_ops.protocol.clock import micros, parse_stamp
from nanny_ops.protocol.inventory import InventoryAnswer, InventoryReport

Body = dict[str, Any]
#: How long raw usage and failed tasks are kept: older ones are not taken in.
RAW_DAYS, TASK_DAYS = 2, 30


def instant(text: str, now: datetime) -> int:
    """Read when a report was made. A clock that runs ahead counts as right now. Raises ValidationFailed."""
    try:
        return micros(min(parse_stamp(text), now))
    except ValidationFailed as wrong:
        raise ValidationFailed(f"at: {wrong.message}", field="at") from None


def take(tx: Tx, agent: HostAgent, report: InventoryReport, whole: Body, now: datetime) -> InventoryAnswer:
    """Write a report; ``whole`` is its body as it came. Raises ValidationFailed for an impossible instant.

    One that is older than the newest of its agent adds its usage to the history and changes nothing else.
    """
    at, seen = instant(report.at, now), micros(now)
    things.lock(tx)
    agents.change(tx, agent.id, last_seen=seen)
    last = store.reporter(tx, agent.id)
    place = _place(tx, agent, report, seen)
    taken = _seen(tx, agent, report, whole, at, seen, place, last)
    guests = [told for told in report.usage if told.kind == "lxc" and taken.speaks_for(told.node)]
    nodes = [told for told in report.node_usage if taken.speaks_for(told.node)]
    reboot.notice(tx, place.scope, guests, nodes, at, seen)
    body = usage.packed(report, taken.speaks_for)
    if body is not None and at >= micros(now - timedelta(days=RAW_DAYS)):
        usage.keep(tx, place.team_id, place.scope, agent.id, at, body)
    if last is not None and at < last.at and last.scope == place.scope:
        return _answer(tx, taken, lacking=None)
    lacking = _write(tx, taken)
    _remember(tx, taken, body, lacking)
    return _answer(tx, taken, lacking)


def _place(tx: Tx, agent: HostAgent, report: InventoryReport, seen: int) -> Place:
    """Return where the report belongs, and bring what the agent said before it knew its cluster under that."""
    if report.cluster is None:
        cluster_pk = things.cluster_of(tx, agent.id)
        if cluster_pk is None:
            for node in report.nodes:
                proxmox.take_over(tx, agent, node, seen)
        name = store.cluster_name(tx, cluster_pk) if cluster_pk else ""
        return Place(agent.team_id, cluster_pk or agent.id, cluster_pk, name)
    cluster = report.cluster
    known = things.known_cluster(tx, agent.team_id, cluster.cluster_id, cluster.cluster_name)
    if known is None:
        known = proxmox.cluster_row(agent, cluster, {}, seen, None)
        things.put(tx, known, known=False)
    proxmox.join(tx, agent.id, known.id)
    return Place(agent.team_id, known.id, known.id, cluster.cluster_name)


def _seen(
    tx: Tx,
    agent: HostAgent,
    report: InventoryReport,
    whole: Body,
    at: int,
    seen: int,
    place: Place,
    last: Reporter | None,
) -> Taken:
    """Decide who speaks, and return the report with everything that decides what of it counts."""
    scope = store.scope(tx, place.scope)
    known = scope is not None
    scope = scope or Scope(place.scope, place.team_id, created_at=seen)
    late = last is not None and at < last.at
    speaks = place.cluster_pk is None
    if report.cluster is not None and not late:
        cluster = things.cluster(tx, place.scope, (place.team_id,))
        regains = cluster is not None and not cluster.quorate and bool(report.cluster.quorate)
        speaks = speaker.is_vacant(tx, scope, agent.id, seen) or (known and regains)
        if speaks:
            scope = speaker.elect(scope, agent.id, speaker.until(last, seen))
    elif place.cluster_pk is not None:
        speaks = scope.speaker == agent.id and (scope.speaker_until or 0) >= seen
    if not known or speaks:
        store.put_scope(tx, scope, known=known)
    living = store.living_nodes(tx, place.scope, seen, besides=agent.id) if place.cluster_pk else set()
    guests = [*(whole.get("lxc") or []), *(whole.get("qemu") or [])]
    bodies = (whole.get("cluster") or {}, whole, whole.get("nodes") or [], guests)
    return Taken(agent, report, *bodies, at, seen, place, scope, last, speaks, frozenset(living))


def _write(tx: Tx, taken: Taken) -> bool:
    """Write what counts of a report; tell whether guests are listed whose bodies are missing."""
    report, place = taken.report, taken.place
    changes: list[Change] = []
    if report.cluster is not None and taken.speaks:
        changes += proxmox.write_cluster(tx, taken.agent, report.cluster, {**taken.cluster, **taken.wide}, taken.now)
    nodes, told = roster.take_nodes(tx, taken)
    changes += told
    told_of_guests, lacking = roster.take_guests(tx, taken, nodes)
    changes += told_of_guests
    storages = [told for told in report.storages if taken.speaks_for(told.node) or (taken.speaks and told.shared)]
    changes += storage.take(tx, place, storages, taken.agent.id, taken.now)
    keep_since = taken.now - TASK_DAYS * 86_400_000_000
    changes += task.take(tx, place, report.tasks, taken.agent.id, taken.now, taken.scope.created_at, keep_since)
    fact.take(tx, place, report.facts, taken.agent.id, taken.at)
    _compare_snapshots(tx, taken)
    change.tell(tx, place, changes, taken.now)
    return lacking


def _compare_snapshots(tx: Tx, taken: Taken) -> None:
    told: list[roster.Told] = [*taken.report.lxc, *taken.report.qemu]
    told = [one for one in told if taken.speaks_for(one.node)]
    read = list(snapshot.readings(told, taken.report.facts, taken.at, taken.now))
    snapshot.reconcile(tx, taken.place, taken.agent.id, read, taken.now)


def _remember(tx: Tx, taken: Taken, body: bytes | None, lacking: bool) -> None:
    last, same = taken.last, False
    if last is not None:
        same = last.at == taken.at and last.scope == taken.place.scope
    since = (last.lacking_at if last else None) or taken.at
    row = Reporter(
        agent_id=taken.agent.id,
        team_id=taken.place.team_id,
        scope=taken.place.scope,
        node=taken.report.node,
        at=taken.at,
        heard_at=last.heard_at if last and same else taken.now,
        until=last.until if last and same else speaker.until(last, taken.now),
        lacking_at=since if lacking else None,
        usage=usage.latest(last.usage if last and same else None, body, usage.hours(taken.report, taken.speaks_for)),
    )
    store.put_reporter(tx, row, known=last is not None)


def _answer(tx: Tx, taken: Taken, lacking: bool | None) -> InventoryAnswer:
    """Tell the agent whether to report the cluster's part next time, and every body again.

    Parts of one reading follow each other, so that bodies count as missing only when the next reading lacks them too.
    """
    offered = taken.speaks or speaker.is_vacant(tx, taken.scope, taken.agent.id, taken.now)
    since = taken.last.lacking_at if taken.last is not None else None
    silent: list[str] = []
    if taken.speaks and taken.place.cluster_pk is not None:
        silent = sorted(store.node_names(tx, taken.place.scope) - taken.living - {taken.report.node})
    resend = bool(lacking) and since is not None and since < taken.at
    return InventoryAnswer(reports_cluster=offered, speaks_for=silent, resend=resend)
