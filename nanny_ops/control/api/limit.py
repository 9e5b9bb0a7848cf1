"""Limits as an answer shows them: three headers, which the gate writes, and 429 when one is spent."""

from starlette.types import Scope

from nanny_ops.control.services.limit import Quota
from nanny_ops.errors import RateLimited


def admit(scope: Scope, quota: Quota | None) -> None:
    """Put a limit's headers on the answer, those of the tightest where several apply. Raises RateLimited."""
    told: Quota | None = scope["state"].get("quota")
    if told is None or (quota is not None and quota.remaining <= told.remaining):
        tell(scope, quota)
    if (refused := refusal(quota)) is not None:
        raise refused


def tell(scope: Scope, quota: Quota | None) -> None:
    """Put a limit's headers on the answer, whatever it will be."""
    if quota is not None:
        scope["state"]["quota"] = quota


def refusal(quota: Quota | None) -> RateLimited | None:
    """Return what to raise where a limit is spent, else None."""
    return RateLimited(retry_after=quota.seconds) if quota is not None and quota.wait else None
