"""Which targets an order of many is for: every one that fits, and of those left out the reason."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from nanny_ops.control.services.word import tags
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import proxmox as inventory
from nanny_ops.control.store import selection as store
from nanny_ops.control.store.agent import Agent
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.proxmox import Guest
from nanny_ops.control.store.selection import Pending
from nanny_ops.errors import ValidationFailed
from nanny_ops.protocol.patch_batch import Select, Skipped, SkipReason

#: Things of one kind that are looked through at most.
MOST = 100_000
RANGE = re.compile(r"([1-9][0-9]{0,8})-([1-9][0-9]{0,8})")
#: The family of distributions that Proxmox VE and /etc/os-release name otherwise.
FAMILIES = {
    **dict.fromkeys(("ubuntu", "devuan", "proxmox", "raspbian"), "debian"),
    **dict.fromkeys(("fedora", "centos", "rocky", "almalinux", "rhel"), "redhat"),
    **dict.fromkeys(("opensuse", "opensuse-leap", "opensuse-tumbleweed", "sles"), "suse"),
    "archlinux": "arch",
}
#: Names that people use for the same family.
SAME = {"rhel": "redhat", "archlinux": "arch", "opensuse": "suse"}


@dataclass(frozen=True)
class Candidate:
    """One host or guest with all that a selection can ask for; ``agent`` is who would carry an order out."""

    kind: str
    target: str
    name: str
    node: str
    cluster: Collection[str]
    agent: Agent | None
    tags: Collection[str]
    os: Collection[str]
    pending: Pending | None
    guest: Guest | None = None


@dataclass(frozen=True)
class Chosen:
    """What a selection comes to."""

    targets: list[Candidate]
    skipped: list[Skipped]


def choose(tx: Tx, team_id: str, wanted: Select, unwanted: Select, *, start_stopped: bool) -> Chosen:
    """Return all targets of a team that fit, in the order of nodes and numbers. Raises ValidationFailed."""
    ranges, less = _ranges("select", wanted), _ranges("exclude", unwanted)
    found = Chosen([], [])
    for one in _candidates(tx, [team_id]):
        if not _fits(one, wanted, ranges):
            continue
        why = _why_not(one, wanted, start_stopped=start_stopped)
        if _asks(unwanted) and _fits_any(one, unwanted, less):
            why = ("excluded", "It fits what is excluded.")
        if why is None:
            found.targets.append(one)
        else:
            found.skipped.append(skipped(one, *why))
    return found


def skipped(one: Candidate, why: SkipReason, reason: str) -> Skipped:
    """Return that a target was left out."""
    return Skipped(target=one.target, name=one.name, node=one.node, why=why, reason=reason)


def asks_nothing(select: Select) -> bool:
    """Tell whether a selection says nothing at all, and so would mean everything."""
    return not _asks(select)


def _candidates(tx: Tx, teams: Collection[str]) -> Iterable[Candidate]:
    found, _ = agents.page(tx, teams, MOST, 0)
    by_id = {one.id: one for one in found if one.status != "revoked"}
    speaking = {place: by_id[agent] for place, agent in store.reporting(tx, teams).items() if agent in by_id}
    homes = {agent.id: node for (_, node), agent in speaking.items()}
    clusters = inventory.names(tx, teams, "cluster")
    pending = store.pending(tx, teams)
    for agent in by_id.values():
        yield _host(agent, homes.get(agent.id, agent.hostname), clusters, pending)
    guests, _ = inventory.guest_page(tx, teams, MOST, 0, inventory.GuestFilter(gone=None))
    for guest in sorted(guests, key=lambda one: (one.scope, one.node, one.vmid)):
        agent_ = speaking.get((guest.scope, guest.node))
        if agent_ is None and guest.reported_by not in homes:  # one that reports guest by guest is on its node
            agent_ = by_id.get(guest.reported_by)
        yield _guest(guest, agent_, clusters, pending)


def _host(
    agent: Agent, node: str, clusters: Mapping[str, str], pending: Mapping[tuple[str, str], Pending]
) -> Candidate:
    return Candidate(
        kind="host",
        target="host",
        name=agent.hostname,
        node=node,
        cluster=_cluster(agent.cluster_pk, clusters),
        agent=agent,
        tags=[tag.lower() for tag in agent.tags],
        os=_os([agent.platform, agent.platform_family]),
        pending=pending.get((agent.id, "host")),
    )


def _guest(
    guest: Guest, agent: Agent | None, clusters: Mapping[str, str], pending: Mapping[tuple[str, str], Pending]
) -> Candidate:
    told = guest.body.get("guest_agent") or {}
    target = f"{guest.kind}:{guest.vmid}"
    return Candidate(
        kind=guest.kind,
        target=target,
        name=guest.name,
        node=guest.node,
        cluster=_cluster(guest.cluster_pk, clusters),
        agent=agent,
        tags=tags(guest.tags),
        os=_os([guest.ostype, str(told.get("os_id") or "")]),
        pending=pending.get((guest.scope, target)),
        guest=guest,
    )


def _fits(one: Candidate, wanted: Select, ranges: list[range]) -> bool:
    """Tell whether a target fits every field that is given."""
    kinds = wanted.kinds or (["host"] if wanted.agents else ["lxc", "qemu"])
    if one.kind not in kinds or (_is_gone(one) and _vmid(one) not in wanted.vmids):
        return False
    return all(_answers(one, wanted, ranges))


def _fits_any(one: Candidate, unwanted: Select, ranges: list[range]) -> bool:
    """Tell whether a target fits one field that is given."""
    if one.kind in unwanted.kinds:
        return True
    names = _given(unwanted)
    single = [replace(Select(), **{name: getattr(unwanted, name)}) for name in names if name != "ranges"]
    listed = any(all(_answers(one, select, [])) for select in single if _asks(select))
    updates = bool(unwanted.updates) and _has_updates(one, unwanted.updates)
    return listed or updates or (bool(ranges) and _in(one, [], ranges))


def _answers(one: Candidate, wanted: Select, ranges: list[range]) -> Iterable[bool]:
    if wanted.agents:
        yield one.agent is not None and bool({one.agent.id, one.agent.hostname}.intersection(wanted.agents))
    if wanted.vmids or ranges:
        yield _in(one, wanted.vmids, ranges)
    if wanted.names:
        yield any(fnmatchcase(one.name.lower(), pattern.lower()) for pattern in wanted.names)
    if wanted.tags:
        yield bool(set(one.tags).intersection(tag.lower() for tag in wanted.tags))
    if wanted.pools:
        yield one.guest is not None and one.guest.pool in wanted.pools
    if wanted.nodes:
        yield one.node in wanted.nodes
    if wanted.clusters:
        yield bool(set(one.cluster).intersection(wanted.clusters))
    if wanted.os:
        yield bool(set(one.os).intersection(SAME.get(word.lower(), word.lower()) for word in wanted.os))
    if wanted.updates:
        # What nothing is known of may have some: it is named among what was left out.
        yield one.pending is None or _has_updates(one, wanted.updates)


def _why_not(one: Candidate, wanted: Select, *, start_stopped: bool) -> tuple[SkipReason, str] | None:
    guest = one.guest
    if guest is not None:
        if guest.gone_at is not None:
            return "gone", "The guest is gone."
        if guest.template:
            return "template", "It is a template; nothing runs in it."
        if guest.unknown_since is not None:
            return "unknown", "Nobody can say now whether it runs."
        if guest.status != "running" and not start_stopped:
            return "stopped", f"It is {guest.status}; with start_stopped it is started for the order and stopped again."
    if one.agent is None:
        return "no_agent", f"No agent runs on its node {one.node}."
    if wanted.updates in {"security", "any"} and one.pending is None:
        return "unknown_updates", "Nothing is known of its updates; a dry run tells."
    return None


def _has_updates(one: Candidate, asked: str) -> bool:
    if asked == "unknown" or one.pending is None:
        return asked == "unknown" and one.pending is None
    return (one.pending.security if asked == "security" else one.pending.all) > 0


def _in(one: Candidate, vmids: Collection[int], ranges: list[range]) -> bool:
    vmid = _vmid(one)
    return vmid is not None and (vmid in vmids or any(vmid in some for some in ranges))


def _vmid(one: Candidate) -> int | None:
    return one.guest.vmid if one.guest is not None else None


def _is_gone(one: Candidate) -> bool:
    return one.guest is not None and one.guest.gone_at is not None


def _ranges(field: str, select: Select) -> list[range]:
    found = []
    for text in select.ranges:
        match = RANGE.fullmatch(text.replace(" ", ""))
        if match is None or int(match[1]) > int(match[2]):
            raise ValidationFailed(f"{field}.ranges: '{text}' is not a range such as 100-199.", field=f"{field}.ranges")
        found.append(range(int(match[1]), int(match[2]) + 1))
    return found


def _given(select: Select) -> list[str]:
    return [name for name, value in vars(select).items() if value and name not in {"kinds", "updates"}]


def _asks(select: Select) -> bool:
    return select != Select()


def _cluster(key: str | None, clusters: Mapping[str, str]) -> list[str]:
    return [] if key is None else [key, clusters.get(key, "")]


def _os(words: Iterable[str]) -> set[str]:
    """Return distributions with their families, as words that people use."""
    said = {part.lower() for word in words for part in word.split()}
    return said | {FAMILIES[word] for word in said if word in FAMILIES} | {SAME[word] for word in said if word in SAME}
