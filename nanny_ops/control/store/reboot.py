"""Reboots that are open on a target, and those that still wait for a proof."""

from sqlalchemy import func, select

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.lease import same_target
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.tables import agents, operations
from nanny_ops.protocol.operation import OPEN, Status

#: Reboots looked at in one go: bounds the writer's time.
MOST = 200


def open_on(tx: Tx, scope: str, target: str) -> Operation | None:
    """Return the reboot of a target that has not ended, if any."""
    chosen = (operations.c.kind == "reboot") & operations.c.status.in_(OPEN) & same_target(scope, target)
    mine = select(operations).join(agents, agents.c.id == operations.c.agent_id).where(chosen).limit(1)
    row = tx.connection.execute(mine).first()
    return None if row is None else Operation(**row._mapping)


def unproved(tx: Tx, since: int, scope: str = "") -> list[Operation]:
    """Return acknowledged reboots without a proof whose time was over after an instant, or is not over yet.

    ``scope`` narrows them down to those of a cluster, or of an agent outside one.
    """
    chosen = (operations.c.kind == "reboot") & operations.c.status.in_([Status.RUNNING, Status.EXPIRED])
    # An agent that made a claim tells by itself what it came to, with a better proof.
    chosen &= operations.c.claim.is_(None)
    chosen &= (operations.c.expires_at > since) & operations.c.started_at.is_not(None)
    query = select(operations).where(chosen).order_by(operations.c.expires_at.desc()).limit(MOST)
    if scope:  # not held: a report holds its agent's row by now
        of_scope = func.coalesce(agents.c.cluster_pk, agents.c.id) == scope
        query = query.join(agents, agents.c.id == operations.c.agent_id).where(of_scope)
    else:
        query = tx.held(query, pass_over=True)
    return [Operation(**row._mapping) for row in tx.connection.execute(query)]
