"""Agents as people see them."""

from dataclasses import dataclass

from nanny_ops.protocol.enrollment import AgentStatus
from nanny_ops.protocol.policy import PolicyReport


@dataclass(frozen=True, kw_only=True)
class Unread:
    """A part of Proxmox VE that an agent cannot read: which, how that stands, which privilege it lacks, and why."""

    section: str
    state: str
    privilege: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Resting:
    """The rest that a node is given after failures in a row; with ``trial`` it is over and an order is tried."""

    failures: int
    reason: str
    until: str
    trial: bool


@dataclass(frozen=True, kw_only=True)
class Agent(AgentStatus):
    """An agent of one's teams; ``cluster`` is the control plane's id of it, ``features`` what it does beside orders."""

    platform_family: str
    os_type: str
    primary_ip: str
    all_ips: list[str]
    tags: list[str]
    cluster: str | None
    proxmox_unread: list[Unread]
    dialect: str
    features: list[str]
    enrolled_at: str | None
    revoked_at: str | None
    resting: Resting | None = None


@dataclass(frozen=True, kw_only=True)
class ToldPolicy(PolicyReport):
    """The policy of a machine's owner, and when its agent told it."""

    reported_at: str


@dataclass(frozen=True, kw_only=True)
class AgentDetail(Agent):
    """One agent with the policy of its machine's owner; none where it never told one."""

    policy: ToldPolicy | None = None
