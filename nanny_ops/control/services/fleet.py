"""Clusters, nodes, guests, storages and failed tasks as people see them: what was said, by whom, and how old it is.

What nobody can say now is ``unknown``, whatever was said last: neither running nor stopped, and not well.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from nanny_ops.control.services import series, upkeep, usage
from nanny_ops.control.services.agent import is_silent
from nanny_ops.control.services.principal import Person
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import fact as facts
from nanny_ops.control.store import inventory
from nanny_ops.control.store import proxmox as store
from nanny_ops.control.store import storage as storages_
from nanny_ops.control.store import task as tasks_
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.inventory import Reporter
from nanny_ops.errors import NotFound
from nanny_ops.protocol.clock import micros, stamp_micros

Measured = store.Node | store.Guest | storages_.Storage
MeasuredNoun = Literal["guest", "node", "storage"]
Thing = store.Cluster | store.Node | store.Guest | storages_.Storage | tasks_.Task
#: Things of one kind that are told to a monitoring system at once.
MOST = 100_000
#: Names in a sentence that says what there is.
NAMED = 20
#: The first words of sections that say something of each kind of thing.
SECTIONS: dict[type, frozenset[str]] = {
    store.Cluster: frozenset({"cluster", "rights", "resources", "guests", "storages"}),
    store.Node: frozenset({"node", "nodes"}),
    store.Guest: frozenset({"guest", "guests", "rights", "resources"}),
    storages_.Storage: frozenset({"storage", "storages"}),
    tasks_.Task: frozenset({"task", "tasks"}),
}
#: The part that guests of a kind do not have: a line for all guests says nothing of them.
_OTHER_KIND = {"lxc": "guest.agent", "qemu": "guest.addresses"}


@dataclass(frozen=True)
class Page:
    """One page of rendered things, and how many there are on all pages."""

    items: list[dict[str, Any]]
    total: int


@dataclass(frozen=True)
class Fleet:
    """Everything, rendered; ``bodies`` are what was told of nodes and guests, by our id."""

    clusters: list[dict[str, Any]]
    nodes: list[dict[str, Any]]
    guests: list[dict[str, Any]]
    storages: list[dict[str, Any]]
    bodies: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Sources:
    """Who told of some things, and what they said of usage and of how well it is known."""

    agents: Mapping[str, agents.Agent]
    reporters: Mapping[str, Reporter]
    clusters: Mapping[str, str]
    usage: Mapping[str, Mapping[str, Mapping[str, float | None]]]
    lines: Mapping[tuple[str, str], Mapping[str, str]]
    now: datetime


def clusters(tx: Tx, who: Person, limit: int, offset: int, name: str, now: datetime) -> Page:
    """List clusters."""
    found, total = store.cluster_page(tx, who.teams, limit, offset, name)
    return Page(_rendered(tx, found, now), total)


def nodes(tx: Tx, who: Person, limit: int, offset: int, cluster: str, name: str, now: datetime, **more: Any) -> Page:
    """List nodes; ``more`` are further filters of the store. Raises NotFound for a cluster that is not there."""
    found, total = store.node_page(tx, who.teams, limit, offset, cluster=cluster, name=name, **more)
    if not total:
        _must_be(tx, who, cluster)
    return Page(_rendered(tx, found, now), total)


def guests(tx: Tx, who: Person, limit: int, offset: int, wanted: store.GuestFilter, now: datetime) -> Page:
    """List guests. Raises NotFound for a cluster or node that is not there."""
    found, total = store.guest_page(tx, who.teams, limit, offset, wanted)
    if not total:
        _must_be(tx, who, wanted.cluster, wanted.node)
    return Page(_rendered(tx, found, now), total)


def storages(tx: Tx, who: Person, limit: int, offset: int, wanted: storages_.StorageFilter, now: datetime) -> Page:
    """List storages. Raises NotFound for a cluster or node that is not there."""
    found, total = storages_.page(tx, who.teams, limit, offset, wanted)
    if not total:
        _must_be(tx, who, wanted.cluster, wanted.node)
    return Page(_rendered(tx, found, now), total)


def tasks(tx: Tx, who: Person, limit: int, offset: int, wanted: tasks_.TaskFilter, now: datetime) -> Page:
    """List tasks that failed. Raises NotFound for a cluster or node that is not there."""
    found, total = tasks_.page(tx, who.teams, limit, offset, wanted)
    if not total:
        _must_be(tx, who, wanted.cluster, wanted.node)
    return Page(_rendered(tx, found, now), total)


def everything(tx: Tx, who: Person, cluster: str, now: datetime) -> Fleet:
    """Return all that is there in a person's teams, or in one cluster, by its id or name. Raises NotFound."""
    wanted = store.GuestFilter(cluster=cluster)
    found_clusters, _ = store.cluster_page(tx, who.teams, MOST, 0)
    found_nodes, _ = store.node_page(tx, who.teams, MOST, 0, cluster=cluster, gone=False)
    found_guests, _ = store.guest_page(tx, who.teams, MOST, 0, wanted)
    found_storages, _ = storages_.page(tx, who.teams, MOST, 0, storages_.StorageFilter(cluster=cluster))
    chosen = [one for one in found_clusters if cluster in {"", one.id, one.cluster_name}]
    if cluster and not chosen:
        _must_be(tx, who, cluster)
    return Fleet(
        clusters=_rendered(tx, chosen, now),
        nodes=_rendered(tx, found_nodes, now),
        guests=_rendered(tx, found_guests, now),
        storages=_rendered(tx, found_storages, now),
        bodies={**{one.id: one.body for one in found_nodes}, **{one.id: one.body for one in found_guests}},
    )


def cluster(tx: Tx, who: Person, key: str, now: datetime) -> dict[str, Any]:
    """Show one cluster with everything that was said of it. Raises NotFound."""
    return _detail(tx, store.cluster(tx, key, who.teams), "cluster", key, now)


def node(tx: Tx, who: Person, key: str, now: datetime) -> dict[str, Any]:
    """Show one node with everything that was said of it. Raises NotFound."""
    return _detail(tx, store.node(tx, key, who.teams), "node", key, now)


def guest(tx: Tx, who: Person, key: str, now: datetime) -> dict[str, Any]:
    """Show one guest with everything that was said of it. Raises NotFound."""
    return _detail(tx, store.guest(tx, key, who.teams), "guest", key, now)


def storage(tx: Tx, who: Person, key: str, now: datetime) -> dict[str, Any]:
    """Show one storage. Raises NotFound."""
    return _detail(tx, storages_.find(tx, key, who.teams), "storage", key, now)


def task(tx: Tx, who: Person, key: str, now: datetime) -> dict[str, Any]:
    """Show one task that failed, by our id or its UPID. Raises NotFound."""
    return _detail(tx, tasks_.find(tx, key, who.teams), "task", key, now)


def measured(tx: Tx, who: Person, noun: MeasuredNoun, key: str) -> Measured:
    """Return a thing whose usage is kept. Raises NotFound."""
    finders: dict[str, Callable[[Tx, str, Collection[str]], Measured | None]] = {
        "guest": store.guest,
        "node": store.node,
        "storage": storages_.find,
    }
    found = finders[noun](tx, key, who.teams)
    if found is None:
        raise NotFound(f"There is no {noun} '{key}'.")
    return found


def object_of(thing: Thing) -> str:
    """Return what a thing is called in readings of usage."""
    match thing:
        case store.Guest():
            return usage.guest_key(thing.kind, thing.vmid)
        case store.Node():
            return usage.node_key(thing.name)
        case storages_.Storage():
            return usage.storage_key(thing.node, thing.name)
    return ""


def _must_be(tx: Tx, who: Person, cluster: str, node: str = "") -> None:
    """Tell an empty list from one that was asked of what is not there. Raises NotFound."""
    for noun, name in (("cluster", cluster), ("node", node)):
        there = store.names(tx, who.teams, noun) if name else {}
        if name and name not in there and name not in there.values():
            listed = ", ".join(sorted(set(there.values()))[:NAMED]) or "none"
            raise NotFound(f"There is no {noun} '{name}'. There are: {listed}.")


def _detail(tx: Tx, thing: Thing | None, noun: str, key: str, now: datetime) -> dict[str, Any]:
    if thing is None:
        raise NotFound(f"There is no {noun} '{key}'.")
    shown = {**_rendered(tx, [thing], now)[0], "known": _known(tx, thing, now)}
    return {**shown, "reported": thing.body} if hasattr(thing, "body") else shown


def _known(tx: Tx, thing: Thing, now: datetime) -> list[dict[str, Any]]:
    """Return how well each part is known: a line of its own counts before one for all things of a section."""
    scope = thing.id if isinstance(thing, store.Cluster) else thing.scope
    lines = facts.about(tx, scope, thing.reported_by, _all_names(thing), SECTIONS[type(thing)])
    foreign = _OTHER_KIND.get(thing.kind) if isinstance(thing, store.Guest) else None
    by_section: dict[str, facts.Fact] = {}
    for line in lines:
        if line.section != foreign and (line.object or line.section not in by_section):
            by_section[line.section] = line
    return [_fact(line, now) for line in by_section.values()]


def _names(thing: Thing) -> set[str]:
    """Return what a thing may be called in a line about it."""
    match thing:
        case store.Cluster():
            return {thing.cluster_name}
        case store.Node():
            return {thing.name}
        case store.Guest():
            return {usage.guest_key(thing.kind, thing.vmid)}
        case storages_.Storage():
            return {thing.name, f"{thing.node}/{thing.name}"}
    return {thing.node}


def _all_names(thing: Thing) -> set[str]:
    """Return the names of a thing's own lines; some parts of guests are told under their node's name."""
    return _names(thing) | ({thing.node} if isinstance(thing, store.Guest) else set())


def _trouble(thing: Thing, lines: Mapping[tuple[str, str], Mapping[str, str]]) -> dict[str, int]:
    """Count the parts that are not known as they are now, per state, those too of which one line tells for all."""
    found: dict[str, str] = {}
    for name in ("", *sorted(_all_names(thing) - _names(thing)), *sorted(_names(thing))):
        found.update(lines.get((thing.reported_by, name), {}))
    mine = SECTIONS[type(thing)]
    foreign = _OTHER_KIND.get(thing.kind) if isinstance(thing, store.Guest) else None
    parts = [state for section, state in found.items() if section.partition(".")[0] in mine and section != foreign]
    return dict(Counter(state for state in parts if state in facts.TROUBLE))


def _fact(line: facts.Fact, now: datetime) -> dict[str, Any]:
    return {
        "section": line.section,
        "state": line.state,
        "source": line.source,
        "at": stamp_micros(line.at),
        "age_seconds": None if line.at is None else max(0, (micros(now) - line.at) // 1_000_000),
        "privilege": line.privilege or None,
        "reason": line.reason or None,
    }


def _rendered(tx: Tx, things: Sequence[Thing], now: datetime) -> list[dict[str, Any]]:
    sources = _sources(tx, things, now)
    kept = upkeep.of_guests(tx, [thing for thing in things if isinstance(thing, store.Guest)], now)
    return [{**_own(thing, sources), **_source(thing, sources), **kept.get(thing.id, {})} for thing in things]


def _sources(tx: Tx, things: Sequence[Thing], now: datetime) -> Sources:
    tellers = {thing.reported_by for thing in things}
    pks = {thing.cluster_pk for thing in things if not isinstance(thing, store.Cluster) and thing.cluster_pk}
    reporters = inventory.reporters_by_agent(tx, tellers)
    named = {name for thing in things for name in _all_names(thing)}
    return Sources(
        agents=agents.some(tx, tellers),
        reporters=reporters,
        clusters=store.cluster_names(tx, pks),
        usage={row.agent_id: _usage(row.usage) for row in reporters.values() if row.usage is not None},
        lines=facts.trouble(tx, tellers, named) if reporters else {},
        now=now,
    )


def _usage(body: bytes) -> dict[str, dict[str, float | None]]:
    told = series.unpack(body)
    return {key: told.at(place) for place, key in enumerate(told.keys)}


def _own(thing: Thing, sources: Sources) -> dict[str, Any]:
    match thing:
        case store.Cluster():
            return _cluster(thing, sources)
        case store.Node():
            return {**_node(thing, sources), **_told_beside(thing, sources)}
        case store.Guest():
            return {**_guest(thing, sources), **_told_beside(thing, sources)}
        case storages_.Storage():
            return _storage(thing, sources)
    return _task(thing, sources)


def _place(thing: store.Node | store.Guest | storages_.Storage | tasks_.Task, sources: Sources) -> dict[str, Any]:
    return {"cluster": thing.cluster_pk, "cluster_name": sources.clusters.get(thing.cluster_pk or "")}


def _cluster(thing: store.Cluster, sources: Sources) -> dict[str, Any]:
    names = ("id", "cluster_id", "cluster_name", "nodes", "quorate", "version")
    known = not _is_mute(thing, sources)
    status = ("quorate" if thing.quorate else "no quorum") if known else "unknown"
    return {**{name: getattr(thing, name) for name in names}, "status": status}


def _node(thing: store.Node, sources: Sources) -> dict[str, Any]:
    mute = thing.unknown_since is not None or _is_mute(thing, sources)
    status = "unknown" if mute else "online" if thing.online else "offline"
    return {
        **{name: getattr(thing, name) for name in ("id", "name", "ip", "online", "pve_version")},
        **_place(thing, sources),
        "status": status,
        "state_since": stamp_micros(thing.state_since),
        "unknown_since": stamp_micros(thing.unknown_since),
        "gone_at": stamp_micros(thing.gone_at),
    }


def _guest(thing: store.Guest, sources: Sources) -> dict[str, Any]:
    mute = thing.unknown_since is not None or _is_mute(thing, sources)
    return {
        **{name: getattr(thing, name) for name in ("id", "vmid", "kind", "name", "node", "ostype")},
        "status": "unknown" if mute else thing.status,
        "last_status": thing.status,
        **_place(thing, sources),
        "tags": thing.tags.replace(";", " ").replace(",", " ").split(),
        "pool": thing.pool,
        "lock": thing.lock,
        "template": thing.template,
        "state_since": stamp_micros(thing.state_since),
        "unknown_since": stamp_micros(thing.unknown_since),
        "moved_at": stamp_micros(thing.moved_at),
        "gone_at": stamp_micros(thing.gone_at),
    }


def _storage(thing: storages_.Storage, sources: Sources) -> dict[str, Any]:
    names = ("id", "name", "node", "kind", "shared", "used", "total")
    return {
        **{name: getattr(thing, name) for name in names},
        "status": "unknown" if _is_mute(thing, sources) else thing.status,
        "last_status": thing.status,
        "content": [word for word in thing.content.split(",") if word],
        "used_fraction": round(thing.used / thing.total, 4) if thing.total and thing.used is not None else None,
        "full_since": stamp_micros(thing.full_since),
        **_place(thing, sources),
    }


def _task(thing: tasks_.Task, sources: Sources) -> dict[str, Any]:
    names = ("id", "upid", "node", "kind", "about", "user", "status")
    return {
        **{name: getattr(thing, name) for name in names},
        "started_at": stamp_micros(thing.started_at),
        "ended_at": stamp_micros(thing.ended_at),
        **_place(thing, sources),
    }


def _told_beside(thing: store.Node | store.Guest, sources: Sources) -> dict[str, Any]:
    """Return the last reading of usage (None: none), and how many parts are not known as they are now, per state."""
    told = sources.usage.get(thing.reported_by, {}).get(object_of(thing))
    return {
        "usage": None if told is None else {key: value for key, value in told.items() if value is not None},
        "trouble": _trouble(thing, sources.lines),
    }


def _is_mute(thing: Thing, sources: Sources) -> bool:
    return is_silent(sources.agents.get(thing.reported_by), sources.now)


def _heard_at(thing: Thing, sources: Sources) -> int:
    """Return when a thing was told of last: a report need not repeat what has not changed."""
    reporter = sources.reporters.get(thing.reported_by)
    told = thing.created_at if isinstance(thing, tasks_.Task) else thing.updated_at
    return told if reporter is None or isinstance(thing, tasks_.Task) else max(told, reporter.heard_at)


def _source(thing: Thing, sources: Sources) -> dict[str, Any]:
    """Say who told it and when; ``stale`` means that the teller is silent, so that the state is not known now."""
    reporter = sources.agents.get(thing.reported_by)
    heard_at = _heard_at(thing, sources)
    return {
        "agent_id": thing.reported_by,
        "agent_hostname": reporter.hostname if reporter else None,
        "created_at": stamp_micros(thing.created_at),
        "updated_at": stamp_micros(heard_at),
        "freshness_seconds": max(0, (micros(sources.now) - heard_at) // 1_000_000),
        "stale": is_silent(reporter, sources.now),
    }
