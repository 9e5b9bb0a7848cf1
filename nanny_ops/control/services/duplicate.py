"""One identity on two machines, as a cloned guest has it: noticed, told once, and forgotten when it has stopped.

Two machines show it in two ways. Each opens a stream and so replaces the other's, again and again; that may also be a
broken line, so it counts for an hour after the last replacement. Or a refresh token comes back that was traded in long
before: a copy (or an old snapshot) of the token file. That ends the identity for both, and counts until it is revoked.
"""

from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from nanny_ops.control.services.tally import Tally
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import duplicate as store
from nanny_ops.control.store import event as events
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.duplicate import Duplicate
from nanny_ops.protocol.clock import micros, stamp

log = structlog.get_logger()
#: Replaced streams that show two machines, and the seconds within which they come.
REPLACEMENTS, WINDOW = 2, 60.0
#: Agents whose replacements are remembered at most.
AGENTS = 20_000
#: How long replaced streams count after the last one.
LASTS = timedelta(hours=1)
#: Of the event for operators; no agent can subscribe to it.
TOPIC, KIND = "agents", "duplicate_identity"
REPLACED = "Two machines open streams in its name and replace each other's."
COPIED = "A refresh token was used that had been traded in long before: its token file was copied, or restored."


class Replacements:
    """Counts replaced streams in this process's memory."""

    def __init__(self) -> None:
        """Start with none."""
        self._seen = Tally(WINDOW, AGENTS)

    def note(self, agent_id: str, now: datetime) -> bool:
        """Count one; tell whether they come so fast that two machines must be at work."""
        at = now.timestamp()
        self._seen.add(agent_id, at, at)
        return len(self._seen.of(agent_id, at)) >= REPLACEMENTS


def flag(tx: Tx, agent_id: str, reason: str, now: datetime) -> None:
    """Note that two machines share an agent's identity; what is new is told to operators."""
    agent = agents.find(tx, agent_id)
    if agent is None or agent.status == "revoked":
        return
    until = None if reason == COPIED else micros(now + LASTS)
    known = store.some(tx, [agent_id], micros(now)).get(agent_id)
    if known is not None:
        if known.until is not None:
            store.put(tx, replace(known, until=until, reason=reason))
        return
    store.put(tx, Duplicate(agent_id, agent.team_id, micros(now), until, reason))
    told = {"agent_id": agent_id, "hostname": agent.hostname, "since": stamp(now), "reason": reason}
    payload = {"action": "create", "record": told}
    events.log(tx, team_id=agent.team_id, topic=TOPIC, subject=agent_id, kind=KIND, payload=payload, at=micros(now))
    log.warning("duplicate identity", agent=agent_id, hostname=agent.hostname, reason=reason)
