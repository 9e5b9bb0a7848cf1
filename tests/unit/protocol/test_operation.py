"""An order's life has no way back, and a guest is one number however it is written."""

import pytest

from nanny_ops.errors import ValidationFailed
from nanny_ops.protocol.operation import ENDED, GOOD, MOVES, OPEN, Outcome, Status, parse_vmid


@pytest.mark.parametrize("text", ["lxc-100", "lxc/100", "100", 100, " 100 ", "qemu/100", "vm-100", "ct-100"])
def test_a_guest_is_its_number(text: str | int) -> None:
    assert parse_vmid(text) == 100


@pytest.mark.parametrize("text", ["", None])
def test_no_guest_is_the_host(text: str | None) -> None:
    assert parse_vmid(text) is None


@pytest.mark.parametrize("text", ["web-1", "lxc-", "0", "-100", "100; reboot", "lxc-100 x", "1" * 10, "lxc_100"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValidationFailed, match="is not a guest"):
        parse_vmid(text)


def test_every_status_is_open_or_ended() -> None:
    assert OPEN | ENDED == set(Status) == set(MOVES)
    assert not OPEN & ENDED


def test_what_has_ended_never_opens_again() -> None:
    assert all(not MOVES[status] & OPEN for status in ENDED)


def test_an_order_that_waits_may_still_be_taken_back() -> None:
    assert all(Status.CANCELLED in MOVES[status] for status in OPEN)


def test_late_results_correct_only_what_was_given_up() -> None:
    assert {status for status in ENDED if MOVES[status]} == {Status.CANCELLED, Status.EXPIRED}


def test_only_a_run_without_trouble_is_good() -> None:
    assert {Outcome.OK, Outcome.NOTHING_TO_DO} == GOOD
