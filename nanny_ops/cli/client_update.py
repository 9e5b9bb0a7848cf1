"""The client's calls about releases of the agent and updates to them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from nanny_ops.cli.client_call import Calls, segment
from nanny_ops.protocol.release import Release
from nanny_ops.protocol.update import Update

T = TypeVar("T")


class UpdateCalls(Calls):
    """What :class:`nanny_ops.cli.client.Client` can say about the agents' own versions."""

    def add_release(self, archive: Path) -> Release:
        """Add a release, or find the one that is there already. Raises ValidationFailed, Forbidden, TooLarge."""
        with archive.open("rb") as file:
            return self._record(Release, self._send("POST", "/api/releases", content=file).json())

    def releases(self, limit: int) -> list[Release]:
        """List releases, newest first."""
        return [self._record(Release, row) for row in self._every("/api/releases", {}, limit)]

    def release(self, release_id: str) -> Release:
        """Show one release. Raises NotFound."""
        return self._one(Release, "GET", f"/api/releases/{segment(release_id)}")

    def sign_release(self, release_id: str, key_id: str, signature: str) -> list[str]:
        """Add a signature and return the names of all keys that have signed. Raises NotFound, ValidationFailed."""
        body = {"key_id": key_id, "signature": signature}
        path = f"/api/releases/{segment(release_id)}/signatures"
        return [one["key_id"] for one in self._send("POST", path, body=body, repeatable=True).json()["signatures"]]

    def place_update(self, order: Mapping[str, Any]) -> Update:
        """Order an update; fields as in UpdateRequest. Raises ValidationFailed, Forbidden, NotFound, Conflict."""
        return self._record(Update, self._send("POST", "/api/updates", body=dict(order)).json())

    def updates(self, limit: int, **filters: str) -> list[Update]:
        """List updates, newest first; filters are agent_id, status and outcome."""
        return [self._record(Update, row) for row in self._every("/api/updates", filters, limit)]

    def update(self, update_id: str) -> Update:
        """Show an update. Raises NotFound."""
        return self._one(Update, "GET", f"/api/updates/{segment(update_id)}")

    def cancel_update(self, update_id: str) -> Update:
        """Take an update back. Raises NotFound, Forbidden, Conflict when it has begun or ended."""
        return self._one(Update, "POST", f"/api/updates/{segment(update_id)}/cancel")

    def _one(self, kind: type[T], method: str, path: str) -> T:
        return self._record(kind, self._send(method, path, repeatable=True).json())
