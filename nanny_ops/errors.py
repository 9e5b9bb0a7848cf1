"""Everything that can go wrong and has a name, on one page.

::

    NannyError
    ├── BadRequest (400)
    │   ├── ValidationFailed (400 to agents, 422 to operators)
    │   ├── UnknownChannel · UnknownAction · NoScriptForTarget · OperationMismatch
    │   └── AuthorizationPending · SlowDown · ExpiredToken · AccessDenied · InvalidGrant      RFC 8628, RFC 6749
    ├── Unauthorized (401): TokenMissing · TokenMalformed · TokenInvalid · TokenExpired · LoginFailed
    ├── Forbidden (403): AgentRevoked
    ├── NotFound (404)
    ├── MethodNotAllowed (405)
    ├── Conflict (409)
    ├── TooLarge (413)
    ├── RateLimited (429)
    ├── Internal (500)
    ├── Unavailable (503): NotConfigured
    ├── AgentError (agent side, never an HTTP answer)
    │   ├── NotRegistered · AlreadyRegistered · AlreadyRunning · TokenFileBroken · TrustedKeysBroken · IdentityRefused
    │   └── Unreachable · Rejected · ForeignHost
    └── MachineError (agent side, never an HTTP answer)
        ├── ProgramMissing · ProgramTimeout
        ├── ProxmoxError: ProxmoxUnauthorized · ProxmoxForbidden · ProxmoxGone · ProxmoxUnreachable
        └── SpoolError: DiskFull
    SettingsError (exit code 2: a person typed something wrong)

A service raises one of these; the HTTP edge renders it, flat for agents and nested for operators. The docstring of a
class is its default message. ``code`` is the agent plane's word, ``operator_code`` the operator plane's.
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class NannyError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "internal_error"
    operator_code: ClassVar[str] = "INTERNAL_ERROR"
    status: ClassVar[int] = 500
    severity: ClassVar[str] = "medium"

    def __init__(self, message: str = "", /, **details: Any) -> None:
        """Take the sentence for a person and the details for a program."""
        self.message = message or (type(self).__doc__ or "").splitlines()[0]
        self.details: Mapping[str, Any] = details
        super().__init__(self.message)

    @property
    def headers(self) -> dict[str, str]:
        """Return the HTTP headers that belong to this error."""
        return {}


class BadRequest(NannyError):
    """The request cannot be understood."""

    code = "bad_request"
    operator_code = "BAD_REQUEST"
    status = 400
    severity = "low"


class ValidationFailed(BadRequest):
    """A field of the request has a wrong value."""

    code = "validation_error"
    operator_code = "VALIDATION_ERROR"
    operator_status: ClassVar[int] = 422


class UnknownChannel(BadRequest):
    """There is no such channel to subscribe to."""

    code = "unknown_channel"


class UnknownAction(BadRequest):
    """There is no such action."""

    code = "unknown_action"


class NoScriptForTarget(BadRequest):
    """No shipped script fits this target; name one with script_id."""

    code = "no_script_for_target"


class OperationMismatch(BadRequest):
    """The results name another operation than the address does."""

    code = "operation_mismatch"


class AuthorizationPending(BadRequest):
    """Nobody has entered the code yet."""

    code = "authorization_pending"


class SlowDown(BadRequest):
    """Polling too fast; wait five seconds longer between polls."""

    code = "slow_down"


class ExpiredToken(BadRequest):
    """The code has expired; start again."""

    code = "expired_token"


class AccessDenied(BadRequest):
    """A person denied this request."""

    code = "access_denied"


class InvalidGrant(BadRequest):
    """The code is unknown or already used."""

    code = "invalid_grant"


class Unauthorized(NannyError):
    """Sign in first."""

    code = "unauthorized"
    operator_code = "AUTH_FAILED"
    status = 401

    @property
    def headers(self) -> dict[str, str]:
        """Name the scheme, as RFC 6750 asks."""
        return {"WWW-Authenticate": f'Bearer error="{self.code}"' if self.code != "unauthorized" else "Bearer"}


class TokenMissing(Unauthorized):
    """The Authorization header is missing; send 'Authorization: Bearer <token>'."""


class TokenMalformed(Unauthorized):
    """The Authorization header is not of the form 'Bearer <token>'."""

    code = "invalid_token"
    operator_code = "AUTH_TOKEN_INVALID"


class TokenInvalid(Unauthorized):
    """The token is not one of ours, or is meant for something else."""

    code = "invalid_token"
    operator_code = "AUTH_TOKEN_INVALID"


class TokenExpired(Unauthorized):
    """The token has expired; refresh it or sign in again."""

    code = "token_expired"
    operator_code = "AUTH_TOKEN_EXPIRED"


class LoginFailed(Unauthorized):
    """E-mail or password is wrong."""

    code = "login_failed"


class Forbidden(NannyError):
    """Not allowed for this principal."""

    code = "forbidden"
    operator_code = "AUTH_UNAUTHORIZED"
    status = 403


class AgentRevoked(Forbidden):
    """This agent was revoked; enrol it again to use it."""

    code = "agent_revoked"


class NotFound(NannyError):
    """There is no such thing."""

    code = "not_found"
    operator_code = "DB_RECORD_NOT_FOUND"
    status = 404
    severity = "low"


class MethodNotAllowed(NannyError):
    """This address does not take that method."""

    code = "method_not_allowed"
    operator_code = "METHOD_NOT_ALLOWED"
    status = 405
    severity = "low"


class Conflict(NannyError):
    """The present state does not allow this."""

    code = "conflict"
    operator_code = "CONFLICT"
    status = 409


class TooLarge(NannyError):
    """The request is larger than allowed."""

    code = "too_large"
    operator_code = "PAYLOAD_TOO_LARGE"
    status = 413


class RateLimited(NannyError):
    """Too many requests; wait and try again."""

    code = "rate_limited"
    operator_code = "RATE_LIMIT_EXCEEDED"
    status = 429

    @property
    def headers(self) -> dict[str, str]:
        """Say how many seconds to wait."""
        return {"Retry-After": str(self.details.get("retry_after", 1))}


class Internal(NannyError):
    """Something broke on this side; the log has the trace."""

    severity = "high"


class Unavailable(NannyError):
    """Not ready; try again shortly."""

    code = "unavailable"
    operator_code = "SERVICE_UNAVAILABLE"
    status = 503

    @property
    def headers(self) -> dict[str, str]:
        """Say how many seconds to wait."""
        return {"Retry-After": str(self.details.get("retry_after", 5))}


class NotConfigured(Unavailable):
    """This feature is not configured on this control plane."""

    code = "not_configured"


class AgentError(NannyError):
    """The agent cannot go on with this."""

    code = "agent_error"


class NotRegistered(AgentError):
    """This machine is not registered; run 'nanny-agent register'."""

    code = "not_registered"


class AlreadyRegistered(AgentError):
    """This machine is registered already; add --force to replace its identity."""

    code = "already_registered"


class AlreadyRunning(AgentError):
    """Another agent runs with this state directory."""

    code = "already_running"


class TokenFileBroken(AgentError):
    """The token file cannot be read; run 'nanny-agent register --force'."""

    code = "token_file_broken"


class TrustedKeysBroken(AgentError):
    """The file of pinned keys cannot be read; run 'nanny-agent register --force'."""

    code = "trusted_keys_broken"


class IdentityRefused(AgentError):
    """The control plane no longer accepts this agent's tokens; run 'nanny-agent register --force'."""

    code = "identity_refused"


class Unreachable(AgentError):
    """The control plane cannot be reached."""

    code = "unreachable"


class Rejected(AgentError):
    """The control plane refused a request for good."""

    code = "rejected"


class ForeignHost(AgentError):
    """The address lies outside the agent's own control plane."""

    code = "foreign_host"


class MachineError(NannyError):
    """The machine did not do what was asked."""

    code = "machine_error"


class ProgramMissing(MachineError):
    """A program is not installed here."""

    code = "program_missing"


class ProgramTimeout(MachineError):
    """A program did not end in time and was killed with its children."""

    code = "program_timeout"


class ProxmoxError(MachineError):
    """Proxmox VE answered with an error."""

    code = "proxmox_error"


class ProxmoxUnauthorized(ProxmoxError):
    """Proxmox VE does not accept the API token."""

    code = "proxmox_unauthorized"


class ProxmoxForbidden(ProxmoxError):
    """The API token lacks a privilege."""

    code = "proxmox_forbidden"


class ProxmoxGone(ProxmoxError):
    """There is no such guest on that node."""

    code = "proxmox_gone"


class ProxmoxUnreachable(ProxmoxError):
    """The Proxmox VE API cannot be reached."""

    code = "proxmox_unreachable"


class SpoolError(MachineError):
    """The agent's spool cannot be used."""

    code = "spool_error"


class DiskFull(SpoolError):
    """No space is left for the spool."""

    code = "disk_full"


class SettingsError(NannyError):
    """A setting is wrong."""

    code = "settings_error"
