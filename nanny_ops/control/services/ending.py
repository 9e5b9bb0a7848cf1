"""The end of an order as an event of the fleet, so that whoever follows what happens hears of it."""

from datetime import datetime

from nanny_ops.control.services import change
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import proxmox as inventory
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.protocol.clock import micros

#: Who orders the daily dry runs: a thousand a day, of which upkeep tells.
QUIET = frozenset({"survey"})


def tell(tx: Tx, operation: Operation, now: datetime) -> None:
    """Log that an order has ended; a late result that tells another end is told again."""
    if operation.created_by in QUIET:
        return
    agent = agents.some(tx, [operation.agent_id]).get(operation.agent_id)
    if agent is None:
        return
    scope, name = agent.cluster_pk or agent.id, agent.hostname.partition(".")[0]
    cluster = inventory.cluster_names(tx, {scope}).get(scope, "")
    where = change.Place(operation.team_id, scope, agent.cluster_pk, cluster)
    detail = {
        "agent_id": agent.id,
        "operation_id": operation.id,
        "target": operation.target,
        "mode": operation.request.get("mode", ""),
        "status": operation.status,
        "outcome": operation.outcome,
        "reason": operation.reason,
        "batch_id": operation.batch_id or "",
    }
    is_host = operation.target == "host"
    about = f"node/{name}" if is_host else operation.target.replace(":", "/")
    told = change.Change(f"{operation.kind}.ended", about, name=name if is_host else "", node=name, detail=detail)
    change.tell(tx, where, [told], micros(now))
