"""Refusals have names, whichever dialect they are in."""

import httpx
import pytest

from nanny_ops.cli.refusal import refusal
from nanny_ops.errors import Conflict, Internal, Unavailable


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (
            httpx.Response(409, json={"error": "conflict", "error_description": "It has ended."}),
            Conflict,
            "It has ended.",
        ),
        (httpx.Response(503, json={"error": {"message": "Later."}}), Unavailable, "Later."),
        (httpx.Response(502, text="<html>"), Internal, "The control plane answered 502."),
    ],
)
def test_a_refusal_has_a_name_and_says_why(answer: httpx.Response, kind: type, message: str) -> None:
    found = refusal(answer)
    assert (type(found), found.message) == (kind, message)
