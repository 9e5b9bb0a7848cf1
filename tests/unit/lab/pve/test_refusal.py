"""How Proxmox VE says no."""

import json

import pytest

from nanny_ops.lab.pve.refusal import Refusal, not_implemented, wrong_parameters


@pytest.mark.parametrize("status", [401, 595, 596])
def test_some_refusals_have_no_body(status: int) -> None:
    assert Refusal(status, "No ticket").body() == b""


def test_the_sentence_ends_with_a_newline_in_the_body() -> None:
    assert json.loads(Refusal(500, "CT 103 not running").body()) == {"data": None, "message": "CT 103 not running\n"}


def test_wrong_parameters_are_named() -> None:
    refusal = wrong_parameters({"type": "no"})
    assert (refusal.status, refusal.text) == (400, "Parameter verification failed.")
    assert json.loads(refusal.body())["errors"] == {"type": "no"}


def test_an_unknown_call_is_not_implemented() -> None:
    refusal = not_implemented("GET", "/nosuch")
    assert json.loads(refusal.body()) == {"data": None, "message": "Method 'GET /nosuch' not implemented"}
