"""Ansible's inventory of a team's fleet: what runs, where it is reached, and no more.

Names and addresses come from agents, and Ansible evaluates templates in an inventory where the control plane runs: what
is not plainly a name or an address is left out.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nanny_ops.control.services.address import reachable
from nanny_ops.control.services.word import tags
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import proxmox as store
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Tx
from nanny_ops.errors import ValidationFailed

#: Agents and guests of one inventory.
MOST = 100_000
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_FOREIGN = re.compile(r"[^A-Za-z0-9_]")
#: Names that mean something else to Ansible or to a play. A host of that name would get what is delegated to the
#: control plane, with the run's token, or be in a group that it does not belong to.
RESERVED = frozenset({"localhost", "127.0.0.1", "all", "ungrouped", "agents", "guests", "lxc", "new", "qemu"})
LABELS = ("cluster_", "node_", "tag_")


@dataclass
class Inventory:
    """Hosts with what Ansible is told of each, and groups of them."""

    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: dict[str, set[str]] = field(default_factory=dict)

    def add(self, name: str, other: str, about: dict[str, Any], groups: Iterable[str]) -> None:
        """Add a host under its name, or under ``other`` where the name is taken or means something else."""
        key = other if name in self.hosts or _is_reserved(name) else name
        self.hosts[key] = about
        for group in groups:
            self.groups.setdefault(group, set()).add(key)

    def welcome(self, new: Mapping[str, str]) -> "Inventory":
        """Add hosts that the fleet does not know, by name and address. Raises ValidationFailed.

        One that it has come to know since, such as by an earlier run of the same, is taken as it is.
        """
        for name, address in new.items():
            where = reachable(address)
            if not NAME.fullmatch(name) or _is_reserved(name) or not where:
                raise ValidationFailed(f"new_hosts: '{name[:64]}' has no plain name and IP address.", field="new_hosts")
            known = self.hosts.get(name)
            if known is not None and known["ansible_host"] != where:
                raise ValidationFailed(f"new_hosts: '{name}' is known, with another address.", field="new_hosts")
            self.hosts[name] = known or {"ansible_host": where}
            self.groups.setdefault("new", set()).add(name)
        return self

    def only(self, terms: Collection[str]) -> dict[str, Any]:
        """Return what Ansible reads, with no more than the hosts and groups named. Raises ValidationFailed."""
        wanted = set(self.hosts) if not terms else {host for term in terms for host in self._meant(term)}
        hosts = {name: about for name, about in sorted(self.hosts.items()) if name in wanted}
        children: dict[str, Any] = {
            group: {"hosts": {name: {} for name in sorted(members & wanted)}}
            for group, members in sorted(self.groups.items())
        }
        return {"all": {"hosts": hosts, "children": children}}

    def _meant(self, term: str) -> set[str]:
        if term in self.hosts:
            return {term}
        if term in self.groups:
            return self.groups[term]
        raise ValidationFailed(f"limit: there is no host or group '{term[:64]}' in the inventory.", field="limit")


def build(tx: Tx, team_id: str) -> Inventory:
    """Return the inventory of a team: its agents' hosts, and its guests that run and whose address is known."""
    found, foreign = Inventory(), _told_by(tx, [one for one in teams.every(tx) if one != team_id])
    mine = [one for one in agents.page(tx, [team_id], MOST, 0)[0] if one.status != "revoked"]
    guests, _ = store.guest_page(tx, [team_id], MOST, 0, store.GuestFilter(status="running"))
    named = store.names(tx, [team_id], "cluster")
    for agent in mine:
        address = _first(_of_agent(agent), foreign)
        if address is not None and NAME.fullmatch(agent.hostname):
            about = {"ansible_host": address, "nanny_agent_id": agent.id}
            labels = ["agents", *_labels("cluster", named.get(agent.cluster_pk or "")), *_tagged(agent.tags)]
            found.add(agent.hostname, f"{agent.hostname}-{agent.id[-8:]}", about, labels)
    for guest in guests:
        address = _first(_of_guest(guest), foreign)
        if address is not None and NAME.fullmatch(guest.name):
            about = {"ansible_host": address, "nanny_guest_id": guest.id, "nanny_vmid": str(guest.vmid)}
            labels = ["guests", guest.kind, *_labels("cluster", named.get(guest.cluster_pk or ""))]
            labels += [*_labels("node", guest.node), *_tagged(tags(guest.tags))]
            found.add(guest.name, f"{guest.name}-{guest.vmid}", about, labels)
    return found


def _told_by(tx: Tx, others: list[str]) -> Collection[str]:
    """Return the addresses of other teams: a machine that tells one of them would have theirs opened by our key."""
    if not others:
        return ()
    there = [one for one in agents.page(tx, others, MOST, 0)[0] if one.status != "revoked"]
    hosted, _ = store.guest_page(tx, others, MOST, 0, store.GuestFilter())
    told = [_of_agent(one) for one in there] + [_of_guest(one) for one in hosted]
    return {address for texts in told for text in texts if (address := reachable(text))}


def _first(texts: Iterable[str], foreign: Collection[str]) -> str | None:
    return next((found for text in texts if (found := reachable(text)) and found not in foreign), None)


def _of_agent(agent: agents.Agent) -> list[str]:
    return [agent.primary_ip, *agent.all_ips]


def _of_guest(guest: store.Guest) -> list[str]:
    told = guest.body.get("addresses")
    return [str(one).partition("/")[0] for one in told] if isinstance(told, list) else []


def _is_reserved(name: str) -> bool:
    return name in RESERVED or name.startswith(LABELS)


def _labels(kind: str, name: str | None) -> list[str]:
    """Return the group of a thing's name; a group's name is letters, digits and underscores."""
    return [f"{kind}_{_FOREIGN.sub('_', name)}"] if name else []


def _tagged(words: Iterable[str]) -> list[str]:
    return [label for word in words for label in _labels("tag", word)]
