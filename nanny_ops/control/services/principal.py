"""Who is asking, and what that allows."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from nanny_ops.errors import Forbidden

Role = Literal["viewer", "operator", "admin"]
_RANK: dict[str, int] = {"viewer": 1, "operator": 2, "admin": 3}


@dataclass(frozen=True)
class Person:
    """A signed-in person; ``roles`` by team. An admin of the installation is admin in every team."""

    id: str
    email: str
    name: str
    is_admin: bool
    roles: Mapping[str, str]

    @property
    def teams(self) -> Collection[str]:
        """Return the teams whose things this person may see."""
        return self.roles.keys()

    def require(self, team_id: str, role: Role) -> None:
        """Raise Forbidden unless the person has at least this role in the team."""
        if _RANK.get(self.roles.get(team_id, ""), 0) < _RANK[role]:
            raise Forbidden(f"This needs the role '{role}' in the team.")

    def team_for(self, role: Role) -> str:
        """Return the first team in which the person has this role. Raises Forbidden."""
        for team_id in sorted(self.roles):
            if _RANK.get(self.roles[team_id], 0) >= _RANK[role]:
                return team_id
        raise Forbidden(f"This needs the role '{role}'.")


@dataclass(frozen=True)
class HostAgent:
    """An enrolled agent."""

    id: str
    team_id: str
    hostname: str

    @property
    def teams(self) -> Collection[str]:
        """Return the one team it belongs to."""
        return (self.team_id,)


Principal = Person | HostAgent
