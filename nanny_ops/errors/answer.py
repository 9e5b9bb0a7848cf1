"""Errors that are answers to a request; each has its HTTP status."""

from typing import ClassVar

from nanny_ops.errors.root import NannyError


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


class BodyLate(NannyError):
    """The body of the request did not arrive in time."""

    code = "request_timeout"
    operator_code = "REQUEST_TIMEOUT"
    status = 408
    severity = "low"


class Conflict(NannyError):
    """The present state does not allow this."""

    code = "conflict"
    operator_code = "CONFLICT"
    status = 409


class Fenced(Conflict):
    """Another holds this operation's lease; only its holder may tell how it ends."""

    code = "fenced"


class TooLarge(NannyError):
    """The request is larger than allowed."""

    code = "too_large"
    operator_code = "PAYLOAD_TOO_LARGE"
    status = 413


class Later(NannyError):
    """Not now; ask again after Retry-After."""

    code = "later"
    operator_code = "CONFLICT"
    status = 423
    severity = "low"

    @property
    def headers(self) -> dict[str, str]:
        """Say how many seconds to wait."""
        return {"Retry-After": str(self.details.get("retry_after", 15))}


class TargetBusy(Later):
    """Another operation has this target to itself now."""

    code = "target_busy"


class LeaseHeld(Later):
    """This operation was begun under another claim and is never begun twice."""

    code = "lease_held"


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
