"""The client's calls about people's accounts."""

from collections.abc import Mapping
from typing import Any

from nanny_ops.cli.client_call import Calls, segment
from nanny_ops.errors import NotFound
from nanny_ops.protocol.user import User


class UserCalls(Calls):
    """What :class:`nanny_ops.cli.client.Client` can say about accounts; only one's own password needs no admin."""

    def users(self, limit: int, **filters: str) -> list[User]:
        """List accounts by address; the filter is email. Raises Forbidden."""
        return [self._record(User, row) for row in self._every("/api/users", filters, limit)]

    def user(self, email: str) -> User:
        """Show the account of an address. Raises NotFound, Forbidden."""
        found = self.users(1, email=email)
        if not found:
            raise NotFound(f"There is no account for {email}.")
        return found[0]

    def whose(self, email: str) -> tuple[str, bool]:
        """Return the id of an address's account, and whether it is one's own. Raises NotFound, Forbidden."""
        mine = self._send("GET", "/api/auth/me").json()
        if mine["email"] == email.strip().lower():  # as addresses are kept
            return str(mine["id"]), True
        return self.user(email).id, False

    def add_user(self, asked: Mapping[str, Any]) -> User:
        """Make an account; fields as in UserRequest. Raises Conflict, Forbidden, ValidationFailed."""
        return self._record(User, self._send("POST", "/api/users", body=dict(asked)).json())

    def change_user(self, user_id: str, wanted: Mapping[str, Any]) -> User:
        """Change an account; fields as in UserChange. Raises NotFound, Forbidden, Conflict."""
        answer = self._send("PATCH", f"/api/users/{segment(user_id)}", body=dict(wanted), repeatable=True)
        return self._record(User, answer.json())

    def set_password(self, user_id: str, password: str, current: str = "") -> bool:
        """Give another password; one's own needs the ``current`` one. Return whether it was another one before.

        Raises NotFound, Forbidden, ValidationFailed.
        """
        body = {"password": password} | ({"current": current} if current else {})
        path = f"/api/users/{segment(user_id)}/password"
        changed: bool = self._send("PUT", path, body=body, repeatable=True).json()["changed"]
        return changed

    def remove_user(self, user_id: str) -> User:
        """Remove an account. Raises NotFound, Forbidden, Conflict."""
        return self._record(User, self._send("DELETE", f"/api/users/{segment(user_id)}").json())
