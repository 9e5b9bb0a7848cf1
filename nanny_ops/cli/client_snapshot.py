"""The client's calls about snapshots that orders made, and their removal."""

from collections.abc import Mapping
from typing import Any

from nanny_ops.cli.client_call import Calls, segment
from nanny_ops.protocol.prune import Prune, Pruning, Removal, Spared
from nanny_ops.protocol.snapshot import SnapshotRow


class SnapshotCalls(Calls):
    """What :class:`nanny_ops.cli.client.Client` can say about snapshots."""

    def snapshots(self, limit: int, **filters: str) -> list[SnapshotRow]:
        """List what orders made, newest first; filters as in the API, empty ones do not count."""
        return [self._record(SnapshotRow, row) for row in self._every("/api/snapshots", filters, limit)]

    def snapshot(self, key: str) -> SnapshotRow:
        """Show one. Raises NotFound."""
        return self._record(SnapshotRow, self._send("GET", f"/api/snapshots/{segment(key)}", repeatable=True).json())

    def prune(self, asked: Mapping[str, Any]) -> Pruning:
        """Order the removal of old ones; fields as in PruneRequest. Raises ValidationFailed, Forbidden, NotFound."""
        told = self._send("POST", "/api/prunes", body=dict(asked)).json()
        orders = [self._prune(one) for one in told["orders"]]
        spared = [self._record(Spared, one) for one in told["spared"]]
        return self._record(Pruning, {**told, "orders": orders, "spared": spared})

    def prune_order(self, prune_id: str) -> Prune:
        """Show one order of a removal. Raises NotFound."""
        return self._prune(self._send("GET", f"/api/prunes/{segment(prune_id)}", repeatable=True).json())

    def _prune(self, told: Mapping[str, Any]) -> Prune:
        removals = [self._record(Removal, one) for one in told["removals"]]
        return self._record(Prune, {**told, "removals": removals})
