"""How a request proves who makes it: an API token, or a ticket with a second token against forged requests."""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.state.access import Access

#: Seconds that a ticket is good for.
TICKET_LIFE = 7200
_COOKIE = re.compile(r"PVEAuthCookie=([^;]+)")


@dataclass(frozen=True)
class Login:
    """Checks tokens and tickets, and makes tickets; ``key`` is the installation's own."""

    access: Access
    key: bytes = field(default=b"lab", repr=False)

    def identify(self, method: str, headers: Mapping[str, str], now: float) -> str:
        """Return who asks: a token's id or a user's. Raises Refusal 401, to be answered late."""
        header = headers.get("authorization", "")
        if header.startswith(("PVEAPIToken=", "PVEAPIToken ")):
            return self._token(header[len("PVEAPIToken=") :], now)
        cookie = _COOKIE.search(headers.get("cookie", ""))
        if cookie is None:
            raise Refusal(401, "No ticket", delay=True)
        user = self.holder(unquote(cookie[1]), now)
        if user is None:
            raise Refusal(401, "Authentication failed!", delay=True)
        if method != "GET" and not self._csrf_fits(headers.get("csrfpreventiontoken", ""), user):
            raise Refusal(401, "Permission denied - invalid csrf token", delay=True)
        return user

    def _token(self, text: str, now: float) -> str:
        token_id, _, secret = text.partition("=")
        token = self.access.tokens.get(token_id)
        good = token is not None and hmac.compare_digest(token.secret.encode(), secret.encode())
        if token is None or not good or 0 < token.expire <= now or not self._may_log_in(token.user, now):
            raise Refusal(401, "Authentication failed!", delay=True)
        return token_id

    def _may_log_in(self, userid: str, now: float) -> bool:
        user = self.access.users.get(userid)
        return user is not None and user.enabled and not 0 < user.expire <= now

    def password_fits(self, userid: str, password: str, now: float) -> bool:
        """Return whether a user may log in with a password, or with a ticket in its place."""
        user = self.access.users.get(userid)
        if user is None or not self._may_log_in(userid, now):
            return False
        if password.startswith("PVE:"):
            return self.holder(password, now) == userid
        return bool(user.password) and hmac.compare_digest(user.password.encode(), password.encode())

    def ticket(self, userid: str, now: float) -> str:
        """Return a fresh ticket, without ``=`` in its signature so that it needs no escaping in a cookie."""
        head = f"PVE:{userid}:{int(now):08X}"
        return f"{head}::{self._sign(head)}"

    def csrf_token(self, userid: str, now: float) -> str:
        """Return the token that must come with every request that changes something."""
        head = f"{int(now):08X}"
        return f"{head}:{self._sign(f'{head}:{userid}')}"

    def holder(self, ticket: str, now: float) -> str | None:
        """Return whose ticket this is, or None when it is forged, too old or its user may not log in."""
        head, _, signature = ticket.rpartition("::")
        parts = head.split(":")
        if len(parts) != 3 or not hmac.compare_digest(self._sign(head).encode(), signature.encode()):
            return None
        fresh = now - TICKET_LIFE <= int(parts[2], 16) <= now + 300
        return parts[1] if fresh and self._may_log_in(parts[1], now) else None

    def _csrf_fits(self, token: str, userid: str) -> bool:
        head, _, signature = token.partition(":")
        return hmac.compare_digest(self._sign(f"{head}:{userid}").encode(), signature.encode())

    def _sign(self, text: str) -> str:
        digest = hmac.new(self.key, text.encode(), hashlib.sha256).digest()
        return base64.b64encode(digest).decode().rstrip("=")
