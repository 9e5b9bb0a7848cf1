"""From a token to the principal that holds it."""

from collections import OrderedDict
from datetime import datetime

from nanny_ops.control.services.keyring import Claims, Keyring
from nanny_ops.control.services.principal import HostAgent, Person, Principal
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import team as teams
from nanny_ops.control.store import user as users
from nanny_ops.control.store.database import Database, Tx
from nanny_ops.errors import AgentRevoked, Forbidden, TokenExpired, TokenInvalid

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
        claims = self.keyring.read_access(token)
        before = self._forgotten
        principal = await self._database.read(lambda tx: _principal(tx, claims))
        if before == self._forgotten:  # else rights changed while we read: this answer may be the old one
            self._known[token] = (principal, claims, now.timestamp())
            self._known.move_to_end(token)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return principal, claims

    def forget(self, subject: str) -> None:
        """Look everything about this user or agent up again: call it when their rights have changed."""
        self._forgotten += 1
        for token in [token for token, (who, *_) in self._known.items() if who.id == subject]:
            del self._known[token]


def _principal(tx: Tx, claims: Claims) -> Principal:
    if users.is_revoked(tx, claims.jti):
        raise TokenInvalid("The token was given back by signing out; sign in again.")
    return _person(tx, claims.subject) if claims.audience == "user" else _agent(tx, claims.subject)


def _person(tx: Tx, user_id: str) -> Person:
    user = users.get(tx, user_id)
    if user is None:
        raise TokenInvalid
    if user.disabled:
        raise Forbidden("This account is disabled.")
    return as_person(tx, user)


def _agent(tx: Tx, agent_id: str) -> HostAgent:
    agent = agents.find(tx, agent_id)
    if agent is None:
        raise TokenInvalid
    if agent.status == "revoked":
        raise AgentRevoked
    return HostAgent(agent.id, agent.team_id, agent.hostname)


def as_person(tx: Tx, user: users.User) -> Person:
    """Return a stored user with the roles they have now."""
    roles = dict.fromkeys(teams.every(tx), "admin") if user.is_admin else teams.roles_of(tx, user.id)
    return Person(user.id, user.email, user.name, user.is_admin, roles)
