"""How an agent becomes known: the device flow (RFC 8628), a token, and the refresh of tokens (RFC 6749, section 6)."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import MaxLen, MinLen

from nanny_ops.protocol.signature import SigningKey

#: Symbols of a user code: no I, O, 0 or 1, which people misread.
USER_CODE_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
USER_CODE_LENGTH = 8
#: Seconds a device code lives.
DEVICE_CODE_LIFETIME = 600
#: Seconds between two polls, at first.
POLL_INTERVAL = 5
#: Seconds an access token lives.
ACCESS_TOKEN_LIFETIME = 3600

Text = Annotated[str, MaxLen(255)]
Addresses = Annotated[list[Annotated[str, MaxLen(64)]], MaxLen(256)]


@dataclass(frozen=True, kw_only=True)
class DeviceAuthStart:
    """An agent asks for a code; what it says of itself is a claim."""

    action: Literal["device-auth-start"] = "device-auth-start"
    hostname: Text = ""
    all_ips: Addresses = field(default_factory=list)
    name: Text = ""


@dataclass(frozen=True, kw_only=True)
class DeviceAuthStarted:
    """The answer to :class:`DeviceAuthStart`."""

    device_code: str
    user_code: str
    verification_uri: str
    expires_in: int
    #: Seconds between polls.
    interval: int = POLL_INTERVAL
    verification_uri_complete: str = ""


@dataclass(frozen=True, kw_only=True)
class Authorize:
    """A signed-in person allows the agent that shows this code."""

    user_code: Annotated[str, MinLen(1), MaxLen(32)]
    action: Literal["authorize"] = "authorize"


@dataclass(frozen=True, kw_only=True)
class Deny:
    """A signed-in person refuses the agent that shows this code."""

    user_code: Annotated[str, MinLen(1), MaxLen(32)]
    action: Literal["deny"] = "deny"


@dataclass(frozen=True, kw_only=True)
class Register:
    """An agent polls with its device code until a person has decided."""

    device_code: Annotated[str, MinLen(1), MaxLen(128)]
    action: Literal["register"] = "register"
    hostname: Text = ""
    platform: Text = ""
    platform_family: Text = ""
    version: Text = ""
    primary_ip: Annotated[str, MaxLen(64)] = ""
    kernel_version: Text = ""
    all_ips: Addresses = field(default_factory=list)
    os_type: Text = "linux"


@dataclass(frozen=True, kw_only=True)
class RegisterWithToken:
    """An agent enrols without a person; the enrolment token travels in the Authorization header."""

    action: Literal["register-with-token"] = "register-with-token"
    hostname: Text = ""
    platform: Text = ""
    platform_family: Text = ""
    version: Text = ""
    primary_ip: Annotated[str, MaxLen(64)] = ""
    kernel_version: Text = ""
    all_ips: Addresses = field(default_factory=list)
    os_type: Text = "linux"
    #: Made anew for each attempt to enrol and kept while that is repeated: a lost answer costs no second use.
    attempt: Annotated[str, MaxLen(128)] = ""


@dataclass(frozen=True, kw_only=True)
class Refresh:
    """An agent trades its refresh token for a new pair."""

    refresh_token: Annotated[str, MinLen(1), MaxLen(512)]
    action: Literal["refresh"] = "refresh"


@dataclass(frozen=True, kw_only=True)
class TokenAnswer:
    """The answer to :class:`Register`, :class:`RegisterWithToken` and :class:`Refresh`."""

    access_token: str
    refresh_token: str
    agent_id: str
    token_type: str = "Bearer"  # noqa: S105  the word of the protocol, not a secret
    #: Seconds.
    expires_in: int = ACCESS_TOKEN_LIFETIME
    #: The keys that sign scripts; none where the control plane signs nothing.
    signing_keys: list[SigningKey] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class AgentIdentity:
    """The answer to ``GET /api/agent-identity``: for whom the token that was sent speaks, and until when."""

    agent_id: str
    expires_at: str
    #: The keys that sign scripts; none where the control plane signs nothing.
    signing_keys: list[SigningKey] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class TokenFile:
    """What the agent keeps in ``token.json``; ``expires_at`` is UTC in ISO 8601 with ``Z``."""

    access_token: str
    refresh_token: str
    token_type: str
    expires_at: str
    agent_id: str


@dataclass(frozen=True, kw_only=True)
class AgentStatus:
    """The answer to ``GET /api/agent/{agent_id}``."""

    agent_id: str
    hostname: str
    status: Literal["active", "revoked"]
    last_seen: str | None
    version: str
    platform: str
    kernel_version: str
    health_status: Literal["healthy", "stale", "offline", "unknown"]
    #: Two machines use this agent's identity, and since when that is known.
    duplicate_identity: bool = False
    duplicate_identity_since: str | None = None


#: Seconds of silence after which an agent is no longer healthy, and after which it is offline.
STALE_AFTER = 300
OFFLINE_AFTER = 900
