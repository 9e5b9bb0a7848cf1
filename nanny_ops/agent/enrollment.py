"""How the agent becomes known: the device flow, the token file, and the refresh of tokens."""

import asyncio
import fcntl
import logging
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from nanny_ops.errors import (
    AccessDenied,
    AuthorizationPending,
    ExpiredToken,
    IdentityRefused,
    InvalidGrant,
    NotRegistered,
    Rejected,
    SlowDown,
    SpoolError,
    TokenFileBroken,
    TokenInvalid,
    Unauthorized,
    Unreachable,
    ValidationFailed,
)
from nanny_ops.machine import kept_file
from nanny_ops.protocol.clock import parse_stamp, stamp
from nanny_ops.protocol.enrollment import (
    DeviceAuthStart,
    DeviceAuthStarted,
    Refresh,
    Register,
    RegisterWithToken,
    TokenAnswer,
    TokenFile,
)

log = logging.getLogger(__name__)
PATH = "/api/auth"
#: Seconds added to the interval when the control plane asks to slow down (RFC 8628, section 3.5).
SLOWER = 5
#: Seconds before its expiry at which an access token is renewed unasked.
AHEAD = timedelta(seconds=60)
#: The control plane's own words for a refresh token that is no good any more. A 400 or 401 without one of them comes
#: from something in between, and says nothing about the agent's identity.
FINAL = frozenset({ExpiredToken.code, InvalidGrant.code, TokenInvalid.code, Unauthorized.code})
#: Bytes of a token file, at most.
FILE_CAP = 64 * 1024
Clock = Callable[[], datetime]
T = TypeVar("T")


class Decodable(Protocol):
    """An answer whose JSON body can be read as a record."""

    def read(self, kind: type[T]) -> T:
        """Decode the body."""


Post = Callable[[object], Awaitable[Decodable]]
#: Hears every answer that carries tokens, since it also tells the keys that sign scripts.
Learn = Callable[[TokenAnswer], Awaitable[None]]


async def unheeded(answer: TokenAnswer) -> None:
    """Learn nothing from an answer."""
    del answer


class TokenStore:
    """The file ``token.json``: mode 0600, replaced atomically, on disk before it is used."""

    def __init__(self, path: Path) -> None:
        """Name the file; nothing is read yet."""
        self.path = path

    def load(self) -> TokenFile:
        """Return what is stored. Raises NotRegistered, TokenFileBroken."""
        try:
            with self.path.open("rb") as file:
                raw = file.read(FILE_CAP)
        except FileNotFoundError:
            raise NotRegistered from None
        except OSError as wrong:
            raise TokenFileBroken(f"The token file {self.path} cannot be read: {wrong.strerror}.") from wrong
        try:
            found = msgspec.json.decode(raw, type=TokenFile)
            parse_stamp(found.expires_at)
        except (msgspec.MsgspecError, UnicodeDecodeError, ValidationFailed) as wrong:
            raise _broken(self.path, wrong) from wrong
        if not found.agent_id or not found.refresh_token:
            raise _broken(self.path, ValueError("a field is empty"))
        return found

    def save(self, tokens: TokenFile) -> None:
        """Replace the file. Raises SpoolError where the disk does not take it."""
        directory = self.path.parent
        content = msgspec.json.format(msgspec.json.encode(asdict(tokens)), indent=2) + b"\n"
        with self._writing():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _alone(directory):
                self._write(self.path, content)

    def renew(self, tokens: TokenFile) -> None:
        """Replace the file if it still holds the same agent's tokens. Raises IdentityRefused, SpoolError.

        A person may register this machine anew, or remove its identity, while a refresh is under way; both stay.
        """
        content = msgspec.json.format(msgspec.json.encode(asdict(tokens)), indent=2) + b"\n"
        with self._writing(), _alone(self.path.parent):
            self.same(tokens.agent_id)
            self._write(self.path, content)

    def _write(self, path: Path, content: bytes) -> None:
        kept_file.replace(path, content)

    def same(self, agent_id: str) -> TokenFile | None:
        """Return what is stored, None if it is damaged. Raises IdentityRefused if it is not this agent's."""
        try:
            stored = self.load()
        except NotRegistered:
            raise IdentityRefused("The token file was removed; run 'nanny-agent register'.") from None
        except TokenFileBroken:
            return None
        if stored.agent_id != agent_id:
            raise IdentityRefused("The token file names another agent now.")
        return stored

    def rehearse(self) -> None:
        """Find out whether the file could be written, without writing it. Raises SpoolError."""
        with self._writing():
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(prefix=".token-", dir=self.path.parent) as file:
                file.write(bytes(FILE_CAP))
                file.flush()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as wrong:
            raise SpoolError(f"The token file {self.path} cannot be written: {wrong.strerror}.") from wrong

    def remove(self) -> bool:
        """Delete the file and tell whether there was one. Raises SpoolError."""
        try:
            with _alone(self.path.parent):
                self.path.unlink()
        except FileNotFoundError:
            return False
        except OSError as wrong:
            raise SpoolError(f"The token file {self.path} cannot be removed: {wrong.strerror}.") from wrong
        kept_file.sync_folder(self.path.parent)
        return True


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Hold the lock on the token file's directory, which needs no file of its own; held for one write each time."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _broken(path: Path, wrong: Exception) -> TokenFileBroken:
    return TokenFileBroken(f"The token file {path} is damaged ({wrong}); run 'nanny-agent register --force'.")


def to_file(answer: TokenAnswer, now: datetime) -> TokenFile:
    """Turn the control plane's answer into what is stored."""
    return TokenFile(
        access_token=answer.access_token,
        refresh_token=answer.refresh_token,
        token_type=answer.token_type,
        expires_at=stamp(now + timedelta(seconds=answer.expires_in)),
        agent_id=answer.agent_id,
    )


class Tokens:
    """The agent's tokens in use; many may ask at once, one refresh is made."""

    def __init__(self, store: TokenStore, post: Post, clock: Clock, learn: Learn = unheeded) -> None:
        """Read the token file. Raises NotRegistered, TokenFileBroken."""
        self._store, self._post, self._clock, self._learn = store, post, clock, learn
        self._current = store.load()
        self._one = asyncio.Lock()

    @property
    def agent_id(self) -> str:
        """Return who this agent is."""
        return self._current.agent_id

    @property
    def mark(self) -> tuple[str, str]:
        """Return what changes when a person gives this machine another identity: the id and the refresh token."""
        return self._current.agent_id, self._current.refresh_token

    def peek(self) -> tuple[str, str] | None:
        """Return the mark of what is stored now; None where nothing can be read."""
        try:
            found = self._store.load()
        except (NotRegistered, TokenFileBroken):
            return None
        return found.agent_id, found.refresh_token

    async def access(self) -> str:
        """Return the access token, renewed when it is about to expire."""
        current = self._current
        if parse_stamp(current.expires_at) - self._clock() > AHEAD:
            return current.access_token
        return await self.renew(current.access_token)

    async def renew(self, stale: str) -> str:
        """Return a token other than ``stale``. Raises IdentityRefused, Unreachable, AgentRevoked."""
        async with self._one:
            self._adopt()
            if self._current.access_token != stale:
                return self._current.access_token
            answer = await self._refresh()
            self._current = self._keep(to_file(answer, self._clock()))
        await self._learn(answer)
        return self._current.access_token

    def _keep(self, fresh: TokenFile) -> TokenFile:
        """Store new tokens, or go on without: a full disk must not silence the agent.

        The refresh token on disk then stays the one in use. It is the last but one, which the control plane answers
        with the same successor as long as nobody has used that.
        """
        try:
            self._store.renew(fresh)
        except SpoolError as wrong:
            log.error("event=token_not_kept reason=%r", wrong.message)
            return replace(fresh, refresh_token=self._current.refresh_token)
        return fresh

    def _adopt(self) -> None:
        """Take what another process has stored since; what only this one has, because the disk was full, stays."""
        stored = self._store.same(self._current.agent_id)
        if stored is not None and stored.refresh_token != self._current.refresh_token:
            self._current = stored

    async def _refresh(self) -> TokenAnswer:
        try:
            answer = (await self._post(Refresh(refresh_token=self._current.refresh_token))).read(TokenAnswer)
        except Rejected as wrong:
            if wrong.details.get("status") in {400, 401} and wrong.details.get("error") in FINAL:
                raise IdentityRefused from wrong
            raise
        if answer.agent_id != self._current.agent_id:
            raise IdentityRefused("The control plane answered the refresh with another agent's tokens.")
        return answer


async def enrol_with_token(post: Post, claim: RegisterWithToken, clock: Clock, learn: Learn = unheeded) -> TokenFile:
    """Return the new identity; ``post`` sends the enrolment token. Raises AccessDenied, Rejected, Unreachable."""
    try:
        answer = (await post(claim)).read(TokenAnswer)
    except Rejected as wrong:
        if wrong.details.get("status") in {401, 403}:
            raise AccessDenied(f"The enrolment token is not accepted: {wrong.message}") from wrong
        raise
    await learn(answer)
    return to_file(answer, clock())


class DeviceFlow:
    """Asks for a code, shows it to a person, and polls until the person has decided (RFC 8628)."""

    def __init__(
        self,
        post: Post,
        *,
        tell: Callable[[str], None],
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]],
        learn: Learn = unheeded,
    ) -> None:
        """Take how to ask, how to show, how to wait, and who hears the answer."""
        self._post, self._tell, self._clock, self._sleep, self._learn = post, tell, clock, sleep, learn

    async def enrol(self, claims: DeviceAuthStart, register: Callable[[str], Register]) -> TokenFile:
        """Return the new identity. Raises AccessDenied, ExpiredToken, Rejected, Unreachable."""
        started = (await self._post(claims)).read(DeviceAuthStarted)
        self._show(started)
        ends = self._clock() + timedelta(seconds=started.expires_in)
        interval = max(1, started.interval)
        while self._clock() < ends:
            await self._sleep(interval)
            try:
                answer = (await self._post(register(started.device_code))).read(TokenAnswer)
            except Unreachable as wrong:
                self._tell(f"Still waiting: {wrong.message}")
            except Rejected as wrong:
                interval += self._slower(wrong)
            else:
                await self._learn(answer)
                return to_file(answer, self._clock())
        raise ExpiredToken

    def _show(self, started: DeviceAuthStarted) -> None:
        self._tell("To allow this machine, open")
        self._tell(f"    {started.verification_uri}")
        self._tell("and enter the code")
        self._tell(f"    {started.user_code}")
        self._tell(f"The code is good for {max(1, started.expires_in // 60)} minutes.")

    def _slower(self, refusal: Rejected) -> int:
        code = refusal.details.get("error")
        if code == AuthorizationPending.code:
            return 0
        if code == SlowDown.code:
            return SLOWER
        for ended in (AccessDenied, ExpiredToken):
            if code == ended.code:
                raise ended from refusal
        raise refusal
