"""How well things are known: one line for what most have in common, one for each exception."""

import pytest

from nanny_ops.errors import ProxmoxForbidden, ProxmoxUnreachable
from nanny_ops.machine.proxmox.ledger import LINES, Ledger, Line, of_error


def test_what_most_have_in_common_is_said_once_with_the_oldest_time() -> None:
    ledger = Ledger()
    for number in range(5):
        ledger.note("guest.config", f"lxc/{number}", Line("ok", 1000.0 + number))
    ledger.note("guest.config", "lxc/9", Line("failed", reason="no."))
    facts = ledger.facts()
    assert [(one["object"], one["state"], one["at"]) for one in facts] == [
        ("", "ok", "1970-01-01T00:16:40.000Z"),
        ("lxc/9", "failed", ""),
    ]


def test_another_reason_is_not_told_as_the_common_one() -> None:
    ledger = Ledger()
    for name, place in (("a", "a"), ("b", "a"), ("c", "c")):
        ledger.note("node.updates", name, Line("forbidden", privilege="Sys.Modify", reason=f"not on {place}"))
    assert [(one["object"], one["reason"]) for one in ledger.facts()] == [("", "not on a"), ("c", "not on c")]


def test_very_many_reasons_take_one_line() -> None:
    ledger = Ledger()
    for number in range(LINES):
        ledger.note("guest.config", f"lxc/{number}", Line("failed", reason=f"{number} is away."))
    assert len(ledger.facts()) == 1


def test_problems_are_said_once_with_their_number_and_what_is_absent_is_none() -> None:
    ledger = Ledger()
    for number in range(3):
        ledger.note("guest.config", f"lxc/{number}", Line("failed", reason=f"{number} is away."))
    ledger.note("cluster.ceph", "", Line("absent", reason="not installed"))
    assert ledger.problems() == ["0 is away. (3 times in guest.config)"]


@pytest.mark.rows("F17")
@pytest.mark.parametrize(
    ("wrong", "at", "state"),
    [
        (ProxmoxUnreachable("x"), 0.0, "failed"),
        (ProxmoxUnreachable("x"), 5.0, "stale"),
        (ProxmoxForbidden("x", privilege="VM.Audit"), 5.0, "forbidden"),
    ],
)
def test_an_error_is_failed_stale_or_forbidden_and_never_ok(wrong: ProxmoxUnreachable, at: float, state: str) -> None:
    assert of_error(wrong, at).state == state


def test_the_lines_have_a_bound() -> None:
    ledger = Ledger()
    for number in range(LINES + 100):
        ledger.note("s", f"lxc/{number}", Line("ok", privilege=str(number)))
    assert len(ledger.facts()) == LINES
