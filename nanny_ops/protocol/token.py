"""Opaque tokens: for machines that enrol without a person, for single agents, and for operators' automation.

The secret itself is told once, in :class:`TokenIssued`; whoever loses it makes a new one.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Le, MaxLen, MinLen

#: Beginnings of the secrets, so that a leaked one is recognised by people and scanners.
AGENT_PREFIX = "nsk_"
OPERATOR_PREFIX = "nop_"
DAY = 86_400
#: Seconds an enrolment token lives unless asked for, and any other token.
ENROLLMENT_LIFETIME = DAY
LIFETIME = 90 * DAY
#: Seconds that any token lives at most.
LONGEST_LIFETIME = 366 * DAY

Scope = Literal["read", "patch", "enrol", "admin"]
Kind = Literal["enrollment", "agent", "operator"]
Condition = Literal["usable", "used_up", "expired", "revoked"]
Name = Annotated[str, MinLen(1), MaxLen(128)]
Lifetime = Annotated[int, Ge(60), Le(LONGEST_LIFETIME)]
Tags = Annotated[list[Annotated[str, MinLen(1), MaxLen(64)]], MaxLen(32)]


@dataclass(frozen=True, kw_only=True)
class EnrollmentTokenRequest:
    """A person asks for a token with which machines enrol by themselves; they get its team and its tags."""

    name: Name
    max_uses: Annotated[int, Ge(1), Le(100_000)] = 1
    #: Seconds.
    expires_in: Lifetime = ENROLLMENT_LIFETIME
    #: Networks in CIDR notation from which it may be used; empty means from anywhere.
    ranges: Annotated[list[Annotated[str, MaxLen(64)]], MaxLen(64)] = field(default_factory=list)
    tags: Tags = field(default_factory=list)
    #: Empty means the first team in which the person may enrol.
    team_id: Annotated[str, MaxLen(64)] = ""


@dataclass(frozen=True, kw_only=True)
class TokenRequest:
    """A person asks for a token of their own for automation, or for one that speaks for one agent."""

    name: Name
    kind: Literal["operator", "agent"] = "operator"
    #: What an operator's token may do.
    scopes: Annotated[list[Scope], MaxLen(4)] = field(default_factory=list)
    #: For which agent an agent's token speaks.
    agent_id: Annotated[str, MaxLen(64)] = ""
    #: Seconds.
    expires_in: Lifetime = LIFETIME
    #: The one team in which an operator's token works; empty means the person's first.
    team_id: Annotated[str, MaxLen(64)] = ""


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token as people see it: everything but its secret."""

    id: str
    kind: Kind
    name: str
    condition: Condition
    team_id: str
    created_by: str
    created_at: str
    expires_at: str
    revoked_at: str | None
    #: To the minute.
    last_used_at: str | None
    scopes: list[Scope]
    agent_id: str | None
    uses: int
    max_uses: int | None
    ranges: list[str]
    tags: list[str]


@dataclass(frozen=True, kw_only=True)
class TokenIssued(Token):
    """The answer to a request for a token; ``token`` is the secret, which is never shown again."""

    token: str = field(repr=False)
