"""Who is asking, and what that allows."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from nanny_ops.errors import Forbidden
from nanny_ops.protocol.legacy import GUIDE, Dialect
from nanny_ops.protocol.token import Scope

Role = Literal["viewer", "operator", "admin"]
_RANK: dict[str, int] = {"viewer": 1, "operator": 2, "admin": 3}


@dataclass(frozen=True)
class Person:
    """A signed-in person; ``roles`` by team. An admin of the installation is admin in every team.

    With ``scopes`` it is a program that acts for the person by a token: in the one team of ``roles``, within them.
    """

    id: str
    email: str
    name: str
    is_admin: bool
    roles: Mapping[str, str]
    scopes: Collection[str] | None = None
    token_id: str = ""

    @property
    def teams(self) -> Collection[str]:
        """Return the teams whose things this person may see."""
        return self.roles.keys()

    def teams_as(self, role: Role) -> list[str]:
        """Return the teams in which the person has at least this role."""
        return [team_id for team_id in sorted(self.roles) if _RANK.get(self.roles[team_id], 0) >= _RANK[role]]

    def allow(self, *scopes: Scope) -> None:
        """Raise Forbidden unless this is a person, or a token with one of the scopes or with all."""
        if self.scopes is not None and not {*scopes, "admin"}.intersection(self.scopes):
            raise Forbidden(f"This needs a token with the scope {' or '.join(scopes)}.")

    def allow_method(self, method: str) -> None:
        """Raise Forbidden where a token has no scope to look, or none to change; a service then asks for its own."""
        if method in {"GET", "HEAD"}:
            self.allow("read")
        else:
            self.allow("patch", "enrol")

    def require(self, team_id: str, role: Role, scope: Scope = "admin") -> None:
        """Raise Forbidden unless the person has at least this role in the team, and a token this scope."""
        if team_id not in self.teams_as(role):
            raise Forbidden(f"This needs the role '{role}' in the team.")
        self.allow(scope)

    def team_for(self, role: Role, scope: Scope = "admin") -> str:
        """Return the first team in which the person has this role. Raises Forbidden."""
        self.allow(scope)
        for team_id in self.teams_as(role):
            return team_id
        raise Forbidden(f"This needs the role '{role}'.")


@dataclass(frozen=True)
class HostAgent:
    """An enrolled agent."""

    id: str
    team_id: str
    hostname: str
    #: Of a static token, where it came with one.
    token_id: str = ""
    dialect: Dialect = GUIDE

    @property
    def teams(self) -> Collection[str]:
        """Return the one team it belongs to."""
        return (self.team_id,)


Principal = Person | HostAgent
