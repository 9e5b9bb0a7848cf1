"""Who speaks for a cluster: the first agent that does, until it falls silent.

A lease in the cluster's row, renewed by each report that holds the cluster's part, and decided under the lock that
lets one control plane at a time take reports; so two of them on one PostgreSQL agree. Another agent takes over when the
lease is over, when the speaker was revoked, or when the speaker has lost the quorum that the other one has; it is
never taken from a speaker that is well, so that nothing flaps.
"""

from dataclasses import replace

from nanny_ops.control.store import agent as agents
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.inventory import Reporter, Scope

#: Seconds after which an agent counts as silent: two cycles of five minutes and some slack; longer where an agent's own
#: cycles are longer, up to a bound.
PATIENCE, LONGEST = 660, 3600
SECOND = 1_000_000


def until(last: Reporter | None, now: int) -> int:
    """Return when an agent that reports now counts as silent, by the pause between its reports. Microseconds."""
    pause = (now - last.heard_at) * 22 // 10 if last is not None else 0
    return now + min(max(pause, PATIENCE * SECOND), LONGEST * SECOND)


def is_vacant(tx: Tx, scope: Scope, agent_id: str, now: int) -> bool:
    """Tell whether an agent may speak for a cluster: it does already, or nobody does."""
    if scope.speaker in {None, agent_id} or (scope.speaker_until or 0) < now:
        return True
    holder = agents.find(tx, scope.speaker or "")
    return holder is None or holder.status == "revoked"


def elect(scope: Scope, agent_id: str, until_: int) -> Scope:
    """Return the row in which an agent speaks for the cluster."""
    return replace(scope, speaker=agent_id, speaker_until=until_)
