"""What every operation and every collector is given to work with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from nanny_ops.agent.client import ApiClient
from nanny_ops.agent.hands import Hands
from nanny_ops.agent.trial import Ground
from nanny_ops.agent.trust import Trust
from nanny_ops.machine.policy import Policy
from nanny_ops.machine.verbs import ProxmoxAccess


@dataclass(frozen=True, kw_only=True)
class Equipment:
    """The control plane, the machine, the owner's policy, and time."""

    client: ApiClient
    hands: Hands
    agent_id: str
    now: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[None]]
    policy: Policy
    trust: Trust
    #: Where the policy is written; empty where nothing is.
    policy_file: str = ""
    #: None where no Proxmox VE is to be read.
    proxmox: ProxmoxAccess | None = None
    ground: Ground = field(default_factory=Ground)
