"""An error that answers a request has a status, a word and the headers that belong to it."""

import pytest

from nanny_ops import errors


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (errors.TokenMissing(), {"WWW-Authenticate": "Bearer"}),
        (errors.TokenExpired(), {"WWW-Authenticate": 'Bearer error="token_expired"'}),
        (errors.RateLimited(retry_after=17), {"Retry-After": "17"}),
        (errors.RateLimited(), {"Retry-After": "1"}),
        (errors.TargetBusy(retry_after=15), {"Retry-After": "15"}),
        (errors.NotConfigured(), {"Retry-After": "5"}),
        (errors.Forbidden(), {}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_headers_belong_to_the_error(error: errors.NannyError, headers: dict[str, str]) -> None:
    assert error.headers == headers


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (errors.AuthorizationPending, "authorization_pending"),
        (errors.SlowDown, "slow_down"),
        (errors.ExpiredToken, "expired_token"),
        (errors.AccessDenied, "access_denied"),
        (errors.InvalidGrant, "invalid_grant"),
    ],
)
def test_polls_are_refused_in_the_words_of_the_standard(error: type[errors.NannyError], word: str) -> None:
    assert (error.code, error.status) == (word, 400)


def test_a_wrong_field_has_a_status_for_each_plane() -> None:
    wrong = errors.ValidationFailed("Too long.", field="hostname", most=255)
    assert wrong.details == {"field": "hostname", "most": 255}
    assert (wrong.status, wrong.operator_status, wrong.code) == (400, 422, "validation_error")
