"""Clusters, nodes and guests as people see them: what was said, by whom, and how old it is."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nanny_ops.control.services.agent import is_silent
from nanny_ops.control.services.principal import Person
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import proxmox as store
from nanny_ops.control.store.database import Tx
from nanny_ops.errors import NotFound
from nanny_ops.protocol.clock import micros, stamp_micros

Thing = store.Cluster | store.Node | store.Guest


@dataclass(frozen=True)
class Page:
    """One page of rendered things, and how many there are on all pages."""

    items: list[dict[str, Any]]
    total: int


def clusters(tx: Tx, who: Person, limit: int, offset: int, name: str, now: datetime) -> Page:
    """List clusters."""
    found, total = store.cluster_page(tx, who.teams, limit, offset, name)
    return Page(_rendered(tx, found, now), total)


def nodes(tx: Tx, who: Person, limit: int, offset: int, cluster: str, name: str, now: datetime) -> Page:
    """List nodes."""
    found, total = store.node_page(tx, who.teams, limit, offset, cluster=cluster, name=name)
    return Page(_rendered(tx, found, now), total)


def guests(tx: Tx, who: Person, limit: int, offset: int, wanted: store.GuestFilter, now: datetime) -> Page:
    """List guests."""
    found, total = store.guest_page(tx, who.teams, limit, offset, wanted)
    return Page(_rendered(tx, found, now), total)


def cluster(tx: Tx, who: Person, key: str, now: datetime) -> dict[str, Any]:
    """Show one cluster with everything that was said of it. Raises NotFound."""
    return _detail(tx, store.cluster(tx, key, who.teams), "cluster", key, now)


def node(tx: Tx, who: Person, key: str, now: datetime) -> dict[str, Any]:
    """Show one node with everything that was said of it. Raises NotFound."""
    return _detail(tx, store.node(tx, key, who.teams), "node", key, now)


def guest(tx: Tx, who: Person, key: str, now: datetime) -> dict[str, Any]:
    """Show one guest with everything that was said of it. Raises NotFound."""
    return _detail(tx, store.guest(tx, key, who.teams), "guest", key, now)


def _detail(tx: Tx, thing: Thing | None, noun: str, key: str, now: datetime) -> dict[str, Any]:
    if thing is None:
        raise NotFound(f"There is no {noun} '{key}'.")
    return {**_rendered(tx, [thing], now)[0], "reported": thing.body}


def _rendered(tx: Tx, things: Sequence[Thing], now: datetime) -> list[dict[str, Any]]:
    reporters = agents.some(tx, {thing.reported_by for thing in things})
    names = store.cluster_names(tx, _clusters_of(things))
    return [{**_own(thing, names), **_source(thing, reporters.get(thing.reported_by), now)} for thing in things]


def _clusters_of(things: Sequence[Thing]) -> Collection[str]:
    return {thing.cluster_pk for thing in things if not isinstance(thing, store.Cluster) and thing.cluster_pk}


def _own(thing: Thing, names: dict[str, str]) -> dict[str, Any]:
    if isinstance(thing, store.Cluster):
        return {
            name: getattr(thing, name) for name in ("id", "cluster_id", "cluster_name", "nodes", "quorate", "version")
        }
    place = {"cluster": thing.cluster_pk, "cluster_name": names.get(thing.cluster_pk or "")}
    if isinstance(thing, store.Node):
        return {**{name: getattr(thing, name) for name in ("id", "name", "ip", "online", "pve_version")}, **place}
    return {
        **{name: getattr(thing, name) for name in ("id", "vmid", "kind", "name", "node", "status", "ostype")},
        **place,
        "tags": thing.tags.replace(";", " ").replace(",", " ").split(),
        "moved_at": stamp_micros(thing.moved_at),
        "gone_at": stamp_micros(thing.gone_at),
    }


def _source(thing: Thing, reporter: agents.Agent | None, now: datetime) -> dict[str, Any]:
    """Say who told it and when; ``stale`` means that the teller is silent, so that the state is not known now."""
    return {
        "agent_id": thing.reported_by,
        "agent_hostname": reporter.hostname if reporter else None,
        "created_at": stamp_micros(thing.created_at),
        "updated_at": stamp_micros(thing.updated_at),
        "freshness_seconds": max(0, (micros(now) - thing.updated_at) // 1_000_000),
        "stale": is_silent(reporter, now),
    }
