"""People's accounts: who may sign in, and with which role where. A password travels towards the control plane only."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import MaxLen, MinLen

Role = Literal["viewer", "operator", "admin"]
Email = Annotated[str, MinLen(3), MaxLen(255)]
Password = Annotated[str, MinLen(1), MaxLen(1024)]


@dataclass(frozen=True, kw_only=True)
class UserRequest:
    """An admin makes an account. The role ``admin`` is that of the whole installation unless a team is named.

    An empty ``name`` is what stands before the @, an empty ``team_id`` the first team of which one is admin.
    """

    email: Email
    role: Role
    password: Password = field(repr=False)
    name: Annotated[str, MaxLen(255)] = ""
    team_id: Annotated[str, MaxLen(64)] = ""


@dataclass(frozen=True, kw_only=True)
class UserChange:
    """What is to be otherwise; what is null stays. ``team_id`` is where the role counts, else the only team."""

    role: Role | None = None
    team_id: Annotated[str, MaxLen(64)] = ""
    name: Annotated[str, MinLen(1), MaxLen(255)] | None = None
    disabled: bool | None = None


@dataclass(frozen=True, kw_only=True)
class NewPassword:
    """An admin gives an account another password; ``current`` is needed for one's own, and for nobody else's."""

    password: Password = field(repr=False)
    current: Annotated[str, MaxLen(1024)] = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True)
class PasswordAnswer:
    """Whether the password was another one before; if so, whoever was signed in must sign in again."""

    changed: bool


@dataclass(frozen=True, kw_only=True)
class User:
    """An account as admins see it; ``roles`` by team. An admin of the installation is admin in every team."""

    id: str
    email: str
    name: str
    is_admin: bool
    disabled: bool
    roles: dict[str, str]
    created_at: str
    updated_at: str
