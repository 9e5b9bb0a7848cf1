"""A snapshot and an order to remove it, written as agents and people would have."""

from nanny_ops.control.store import operation as operations
from nanny_ops.control.store import snapshot as snapshots
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.snapshot import Snapshot
from nanny_ops.protocol.clock import micros, now
from tests.integration.control.conftest import Server


def make(server: Server, team_id: str, agent_id: str) -> dict[str, str]:
    """Write both for an agent and return their ids by the names that addresses have for them."""
    at = micros(now())
    row = Snapshot(
        id=f"snapshot-of-{agent_id}", team_id=team_id, scope=agent_id, target="lxc:100", vmid=100, kind="snapshot",
        name="nanny-1", agent_id=agent_id, state="kept", state_at=at, created_at=at,
    )  # fmt: skip
    named = [{"name": "nanny-1", "operation_id": "patch-1"}]
    order = Operation(
        f"prune-of-{agent_id}"[:64], team_id, agent_id, "prune", "pending", "lxc:100",
        {"snapshots": named, "timeout_seconds": 60, "name": "web"}, "user", at, at, at + 86_400 * 1_000_000, vmid=100,
    )  # fmt: skip

    def write(tx: Tx) -> None:
        snapshots.put(tx, row, known=False)
        operations.add(tx, order)

    server.in_store(write)
    return {"snapshot_id": row.id, "prune_id": order.id}
