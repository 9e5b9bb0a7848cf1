"""Orders to remove snapshots that are open on a guest."""

from sqlalchemy import select

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.lease import same_target
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.tables import agents, operations
from nanny_ops.protocol.operation import OPEN


def open_on(tx: Tx, scope: str, target: str) -> list[Operation]:
    """Return the orders about a guest's snapshots that have not ended."""
    chosen = (operations.c.kind == "prune") & operations.c.status.in_(OPEN) & same_target(scope, target)
    found = select(operations).join(agents, agents.c.id == operations.c.agent_id).where(chosen)
    return [Operation(**row._mapping) for row in tx.connection.execute(found)]
