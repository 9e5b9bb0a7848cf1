"""From a token to the principal that holds it."""

from collections import OrderedDict
from dataclasses import replace
from datetime import datetime

import structlog

from nanny_ops.control.services import token as tokens
from nanny_ops.control.services.keyring import Audience, Claims, Keyring
from nanny_ops.control.services.principal import HostAgent, Person, Principal
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import team as teams
from nanny_ops.control.store import token as store
from nanny_ops.control.store import user as users
from nanny_ops.control.store.database import Database, Tx
from nanny_ops.errors import AgentRevoked, Forbidden, TokenExpired, TokenInvalid, Unavailable
from nanny_ops.protocol.clock import micros

log = structlog.get_logger()
#: Tokens remembered between two requests; beyond that the least recently used is looked up again.
REMEMBERED = 20_000
#: Seconds after which an answer is looked up again: rights may have been changed by another process.
TRUSTED = 5.0


class Sessions:
    """Resolves tokens and remembers the answer until the token expires or :meth:`forget` is called."""

    def __init__(self, keyring: Keyring, database: Database) -> None:
        """Start with nothing remembered."""
        self.keyring = keyring
        self._database = database
        self._known: OrderedDict[str, tuple[Principal, Claims, float]] = OrderedDict()
        self._forgotten = 0

    async def resolve(self, token: str, now: datetime) -> tuple[Principal, Claims]:
        """Return who holds the token. Raises TokenInvalid, TokenExpired, AgentRevoked or Forbidden."""
        known = self._known.get(token)
        if known is None or not 0 <= now.timestamp() - known[2] < TRUSTED:
            return await self._look_up(token, now)
        if known[1].expires <= now.timestamp():
            self._known.pop(token, None)
            raise TokenExpired
        return known[0], known[1]

    async def _look_up(self, token: str, now: datetime) -> tuple[Principal, Claims]:
        before = self._forgotten
        if tokens.is_opaque(token):
            principal, claims = await self._look_up_opaque(token, now)
        else:
            claims = self.keyring.read_access(token, now)
            principal = await self._database.read(lambda tx: _principal(tx, claims))
        if before == self._forgotten:  # else rights changed while we read: this answer may be the old one
            self._known[token] = (principal, claims, now.timestamp())
            self._known.move_to_end(token)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return principal, claims

    async def _look_up_opaque(self, secret: str, now: datetime) -> tuple[Principal, Claims]:
        found, principal = await self._database.read(lambda tx: _holder(tx, secret, now))
        since = micros(now) - tokens.NOTED * 1_000_000
        if found.last_used_at is None or found.last_used_at <= since:
            try:
                await self._database.write(lambda tx: store.touch(tx, found.id, micros(now), since))
            except Unavailable as wrong:  # a full disk must not take away the sight of what fills it
                log.warning("use of a token not noted", token=found.id, reason=wrong.message)
        audience: Audience = "agent" if found.kind == "agent" else "user"
        return principal, Claims(principal.id, audience, found.id, found.expires_at // 1_000_000)

    def forget(self, subject: str) -> None:
        """Look everything about this user, agent or token up again: call it when their rights have changed."""
        self._forgotten += 1
        for token in [token for token, (who, *_) in self._known.items() if subject in {who.id, who.token_id}]:
            del self._known[token]


def _principal(tx: Tx, claims: Claims) -> Principal:
    if users.is_revoked(tx, claims.jti):
        raise TokenInvalid("The token was given back by signing out; sign in again.")
    return _agent(tx, claims.subject) if claims.audience == "agent" else _person(tx, claims.subject, claims.issued)


def _holder(tx: Tx, secret: str, now: datetime) -> tuple[store.Token, Principal]:
    found = tokens.presented(tx, secret, now)
    if found.kind == "agent" and found.agent_id is not None:
        return found, replace(_agent(tx, found.agent_id), token_id=found.id)
    if found.kind != "operator":
        raise TokenInvalid("This token enrols agents, and does nothing else.")
    owner = _person(tx, found.created_by)
    role = owner.roles.get(found.team_id)
    if role is None:
        raise Forbidden("Who made this token is no longer in its team.")
    # Not an admin of the installation, whoever made it: a token works in one team.
    scoped = replace(owner, is_admin=False, roles={found.team_id: role}, scopes=frozenset(found.scopes))
    return found, replace(scoped, token_id=found.id)


def _person(tx: Tx, user_id: str, issued: float | None = None) -> Person:
    user = users.get(tx, user_id)
    if user is None:
        raise TokenInvalid
    if user.disabled:
        raise Forbidden("This account is disabled.")
    if issued is not None and user.sessions_since is not None and round(issued * 1_000_000) < user.sessions_since:
        raise TokenInvalid("The password was changed since; sign in again.")
    return as_person(tx, user)


def _agent(tx: Tx, agent_id: str) -> HostAgent:
    agent = agents.find(tx, agent_id)
    if agent is None:
        raise TokenInvalid
    if agent.status == "revoked":
        raise AgentRevoked
    return HostAgent(agent.id, agent.team_id, agent.hostname, dialect=agent.dialect)


def as_person(tx: Tx, user: users.User) -> Person:
    """Return a stored user with the roles they have now."""
    roles = dict.fromkeys(teams.every(tx), "admin") if user.is_admin else teams.roles_of(tx, user.id)
    return Person(user.id, user.email, user.name, user.is_admin, roles)
