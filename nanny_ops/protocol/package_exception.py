"""Packages that stay as they are: which, where, why and until when."""

from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import MaxLen, MinLen

from nanny_ops.protocol.patch_order import HoldScope


@dataclass(frozen=True, kw_only=True)
class ExceptionRequest:
    """An operator holds a package back.

    ``scope`` says where: ``fleet`` is all of the team; ``group`` all agents and guests with the tag ``tag``; ``host``
    the host of ``agent_id`` itself, not its guests; ``guest`` the guest ``guest_id``, wherever it moves.
    """

    package: Annotated[str, MinLen(1), MaxLen(255)]
    reason: Annotated[str, MinLen(1), MaxLen(1024)]
    scope: HoldScope = "fleet"
    tag: Annotated[str, MaxLen(255)] = ""
    agent_id: Annotated[str, MaxLen(64)] = ""
    guest_id: Annotated[str, MaxLen(64)] = ""
    #: UTC in ISO 8601; empty means until it is removed.
    expires_at: Annotated[str, MaxLen(64)] = ""


@dataclass(frozen=True, kw_only=True)
class Unreached:
    """A patch that had begun before a change of the exceptions, and keeps to those it began with."""

    operation_id: str
    agent_id: str
    target: str
    mode: str


@dataclass(frozen=True, kw_only=True)
class PackageException:
    """An exception as people see it; ``active`` is false once it has expired or was removed.

    The answer to who adds or removes one also counts the waiting orders that it ``reaches`` and names the running ones
    that it does not.
    """

    id: str
    package: str
    reason: str
    scope: HoldScope
    tag: str
    agent_id: str
    guest_id: str
    created_by: str
    created_at: str
    expires_at: str | None
    removed_at: str | None
    active: bool
    reaches: int | None = None
    unreached: list[Unreached] = field(default_factory=list)
