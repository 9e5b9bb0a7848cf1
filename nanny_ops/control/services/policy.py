"""What the owner of a machine allows, as its agent tells it: shown to people, and asked before an order is placed.

The agent judges for itself and alone decides. An order that it would refuse anyway is refused here at once, where its
word is fresh; times are left to it, since an order may wait for its hour at the agent's door.
"""

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any

from nanny_ops.control.store import policy as store
from nanny_ops.control.store.agent import Agent
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.script import Script
from nanny_ops.errors import Conflict
from nanny_ops.protocol.agent import ToldPolicy
from nanny_ops.protocol.clock import from_micros, micros, stamp
from nanny_ops.protocol.policy import PolicyReport

#: Age after which what an agent has told no longer keeps an order from being placed.
FRESH = timedelta(minutes=10)


def shown(tx: Tx, agent: Agent) -> ToldPolicy | None:
    """Return an agent's policy and when it was told, as people see it; None where it never told one."""
    told = store.told(tx, agent.id, (agent.team_id,))
    if told is None:
        return None
    return ToldPolicy(**vars(_restored(told)), reported_at=stamp(from_micros(told.at)))


def demand(
    tx: Tx,
    agent: Agent,
    operation: str,
    vmid: int | None,
    now: datetime,
    *,
    mode: str | None = None,
    scripts: Sequence[Script] = (),
) -> None:
    """Raise Conflict where the agent has lately told that it would refuse such an order, whenever it came."""
    told = store.told(tx, agent.id, (agent.team_id,))
    if told is None or from_micros(told.at) < now - FRESH:
        return
    policy = _restored(told)
    target = "host" if vmid is None else str(vmid)
    questions = [
        (operation, policy.operations, f"operations of the kind {operation}"),
        (mode, policy.modes, f"the mode {mode}"),
        (target, policy.targets, f"the target {target}"),
        *((one.sha256, policy.scripts, f"the script {one.name} with SHA-256 {one.sha256}") for one in scripts),
    ]
    for word, allowed, what in questions:
        if word is not None and allowed is not None and word not in allowed:
            where = policy.file or "none is written there, so only readings and dry runs are allowed"
            raise Conflict(f"The local policy of {agent.hostname} does not allow {what} ({where}).", policy=policy.file)


def _restored(told: store.Told) -> PolicyReport:
    """Return what is stored; what a later release has written beside it is left out."""
    known = {one.name for one in fields(PolicyReport)}
    return PolicyReport(**{name: value for name, value in told.body.items() if name in known})


def row(agent_id: str, team_id: str, told: PolicyReport, at: datetime) -> dict[str, Any]:
    """Return a report as a row for :func:`nanny_ops.control.store.policy.telling`."""
    return {"agent_id": agent_id, "team_id": team_id, "body": asdict(told), "at": micros(at)}
