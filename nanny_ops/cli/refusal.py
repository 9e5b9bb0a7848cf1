"""The named error behind an answer that refuses."""

import httpx

from nanny_ops.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    Internal,
    NannyError,
    NotFound,
    RateLimited,
    TooLarge,
    Unauthorized,
    Unavailable,
    ValidationFailed,
)

NAMED: dict[int, type[NannyError]] = {
    400: BadRequest, 401: Unauthorized, 403: Forbidden, 404: NotFound, 409: Conflict, 413: TooLarge,
    422: ValidationFailed, 429: RateLimited, 503: Unavailable,
}  # fmt: skip


def refusal(answer: httpx.Response) -> NannyError:
    """Return the error that an answer means, with what the control plane says of it."""
    try:
        told = answer.json()
    except ValueError:
        told = {}
    nested = told.get("error") if isinstance(told, dict) else None
    message = nested.get("message") if isinstance(nested, dict) else told.get("error_description") if nested else None
    kind = NAMED.get(answer.status_code, Internal)
    return kind(str(message or f"The control plane answered {answer.status_code}."))
