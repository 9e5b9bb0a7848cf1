"""How Proxmox VE says no."""

import pytest

from nanny_ops.lab.pve.refusal import PasswordWrong, Refusal, not_implemented, wrong_parameters


@pytest.mark.rows("PVE-01")
@pytest.mark.parametrize("status", [401, 595, 596])
def test_some_refusals_have_no_body(status: int) -> None:
    assert Refusal(status, "No ticket").answer() is None


@pytest.mark.rows("PVE-01")
def test_the_sentence_ends_with_a_newline_in_the_body() -> None:
    assert Refusal(500, "CT 103 not running").answer() == {"data": None, "message": "CT 103 not running\n"}


@pytest.mark.rows("PVE-01")
def test_wrong_parameters_are_named() -> None:
    refusal = wrong_parameters({"type": "no"})
    assert (refusal.status, refusal.text) == (400, "Parameter verification failed.")
    assert (refusal.answer() or {})["errors"] == {"type": "no"}


def test_an_unknown_call_is_not_implemented() -> None:
    assert not_implemented("GET", "/nosuch").answer() == {
        "data": None,
        "message": "Method 'GET /nosuch' not implemented",
    }


def test_a_wrong_password_is_late_and_has_a_body() -> None:
    refusal = PasswordWrong()
    assert (refusal.status, refusal.delay, (refusal.answer() or {})["data"]) == (401, True, None)
