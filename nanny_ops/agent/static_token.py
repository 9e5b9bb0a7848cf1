"""A static token: an identity that a setting gives, without enrolment, without refresh and without a token file.

Its file is read again when the control plane refuses the token, so that a person replaces it without a restart.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from nanny_ops.agent.client import ApiClient
from nanny_ops.errors import (
    AgentRevoked,
    IdentityRefused,
    NannyError,
    Rejected,
    SettingsError,
    TokenExpired,
    TokenInvalid,
    Unauthorized,
)
from nanny_ops.machine import kept_file
from nanny_ops.protocol.enrollment import AgentIdentity

log = logging.getLogger(__name__)
PATH = "/api/agent-identity"
#: The file in the state directory that remembers for whom the token spoke, for starts while the control plane is away.
NAME = "identity.json"
#: Time after which the control plane is asked again what it thinks of the token, and after which when it was away.
ASK_EVERY, ASK_AGAIN = timedelta(hours=1), timedelta(minutes=1)
#: The control plane's own words for a token that is no good any more; another 401 comes from something in between.
FINAL = frozenset({TokenExpired.code, TokenInvalid.code, Unauthorized.code})
#: Bytes of the file, at most.
CAP = 4096
Ask = Callable[[str], Awaitable[AgentIdentity]]
Learn = Callable[[AgentIdentity], Awaitable[None]]


class Given:
    """A token as it is: using it renews nothing."""

    def __init__(self, token: str) -> None:
        """Take the token."""
        self._token = token

    async def access(self) -> str:
        """Return it."""
        return self._token

    async def renew(self, stale: str) -> str:
        """Return the one that was refused: there is no other."""
        return stale


async def ask(client: ApiClient, token: str) -> AgentIdentity:
    """Ask once for whom a token speaks, and close the client. Raises IdentityRefused, Rejected, Unreachable."""
    client.tokens = Given(token)
    try:
        return (await client.request("GET", PATH, tries=1)).read(AgentIdentity)
    except AgentRevoked as wrong:
        raise IdentityRefused(wrong.message) from wrong
    except Rejected as wrong:
        if wrong.details.get("status") == Unauthorized.status and wrong.details.get("error") in FINAL:
            raise IdentityRefused(f"The static token is not accepted: {wrong.message}") from wrong
        raise
    finally:
        await client.close()


async def unheeded(answer: AgentIdentity) -> None:
    """Learn nothing from an answer."""
    del answer


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """For whom a token spoke when it was last asked; the token itself is not kept, only its SHA-256."""

    agent_id: str
    expires_at: str
    token_sha256: str


def recall(path: Path, token: str) -> Remembered | None:
    """Return what is remembered of a token; None for another token, and for a file that is missing or damaged."""
    try:
        with path.open("rb") as file:
            found = msgspec.json.decode(file.read(CAP), type=Remembered)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as wrong:  # msgspec's errors are ValueErrors
        log.warning("event=identity_forgotten path=%s reason=%r", path, str(wrong))
        return None
    return found if found.agent_id and found.token_sha256 == _digest(token) else None


class StaticToken:
    """The token in use; many may ask at once, the control plane is asked about it once an hour."""

    def __init__(
        self,
        read: Callable[[], str],
        ask: Ask,
        kept: Path,
        clock: Callable[[], datetime],
    ) -> None:
        """Read the token by ``read``, and from ``kept`` for whom it spoke. Raises SettingsError."""
        self._read, self._ask, self._kept, self._clock = read, ask, kept, clock
        self._token = read()
        self._learn: Learn = unheeded
        known = recall(kept, self._token)
        self.agent_id = known.agent_id if known is not None else ""
        self._due: datetime | None = None
        self._one = asyncio.Lock()

    @property
    def mark(self) -> tuple[str, str]:
        """Return what changes when a person gives this machine another identity."""
        return self.agent_id, self._token

    def peek(self) -> tuple[str, str] | None:
        """Return the mark of what the setting gives now; None where nothing new can be read."""
        try:
            found = self._read()
        except SettingsError:
            return None
        return None if found == self._token else ("", found)

    def hear(self, learn: Learn) -> None:
        """Have ``learn`` called with each answer, from the next use of the token on."""
        self._learn, self._due = learn, None

    async def access(self) -> str:
        """Return the token. Raises IdentityRefused once the control plane has said that it is no good any more."""
        if self._is_due():
            async with self._one:
                if self._is_due():
                    await self._look_again()
        return self._token

    async def renew(self, stale: str) -> str:
        """Return what the setting gives now, or the same if the control plane accepts it. Raises IdentityRefused."""
        async with self._one:
            if self._token == stale:
                await self.identify()
            return self._token

    async def identify(self) -> None:
        """Ask for whom the token speaks. Raises IdentityRefused, Rejected, Unreachable."""
        token = self._current()
        answer = await self._ask(token)
        if self.agent_id and answer.agent_id != self.agent_id:
            raise IdentityRefused("The static token speaks for another agent now; start this one again.")
        self._token, self.agent_id = token, answer.agent_id
        self._due = self._clock() + ASK_EVERY
        self._keep(answer)
        await self._learn(answer)

    def _is_due(self) -> bool:
        # Further ahead than it was ever put: the clock was set back.
        return self._due is None or not self._due - ASK_EVERY <= self._clock() < self._due

    async def _look_again(self) -> None:
        try:
            await self.identify()
        except IdentityRefused:
            raise
        except NannyError as wrong:  # what is asked next will tell by itself how the control plane is
            self._due = self._clock() + ASK_AGAIN
            log.info("event=identity_unconfirmed reason=%r", wrong.message)

    def _current(self) -> str:
        try:
            return self._read()
        except SettingsError as wrong:
            log.warning("event=token_unread reason=%r", wrong.message)
            return self._token

    def _keep(self, answer: AgentIdentity) -> None:
        fresh = Remembered(agent_id=answer.agent_id, expires_at=answer.expires_at, token_sha256=_digest(self._token))
        if recall(self._kept, self._token) == fresh:
            return
        try:
            self._kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            kept_file.replace(self._kept, msgspec.json.encode(fresh) + b"\n")
        except OSError as wrong:  # the next start asks before it works
            log.error("event=identity_not_kept path=%s reason=%r", self._kept, wrong.strerror)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
