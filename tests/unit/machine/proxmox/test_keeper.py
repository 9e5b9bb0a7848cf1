"""What was read is kept, asked again when it is due, and told with its age."""

import pytest

from nanny_ops.errors import ProxmoxError, ProxmoxGone, ProxmoxUnreachable
from nanny_ops.machine.proxmox.keeper import ABSENT_AGAIN, AGAIN, Keeper
from nanny_ops.machine.proxmox.ledger import Ledger
from nanny_ops.machine.proxmox.rights import Rights
from nanny_ops.machine.proxmox.sections import HOUR, Section, Subject
from tests.fakes.proxmox import refused

SECTION = Section("s", HOUR, lambda get, subject: {"x": get(subject.node)}, "/nodes/{node}", ("Sys.Audit",))
NODE = Subject("n")


def state(keeper: Keeper) -> str:
    ledger = Ledger()
    keeper.told(ledger, SECTION, NODE)
    return str(ledger.facts()[0]["state"])


def due(keeper: Keeper, now: float) -> bool:
    return bool(keeper.due([(SECTION, NODE)], now))


@pytest.mark.parametrize(
    ("answer", "word", "again"),
    [
        ({"x": 1}, "ok", HOUR),
        (ProxmoxUnreachable("away."), "failed", AGAIN),
        (refused(500, "binary not installed: /usr/bin/ceph-mon"), "absent", ABSENT_AGAIN),
        (refused(501, "Method 'GET /x' not implemented"), "absent", ABSENT_AGAIN),
        (refused(403, "Permission check failed (/, Sys.Audit)"), "forbidden", HOUR),
    ],
)
def test_each_answer_has_its_state_and_its_time(answer: object, word: str, again: float) -> None:
    keeper = Keeper()
    assert (state(keeper), due(keeper, 0.0)) == ("failed", True)
    keeper.take({(SECTION, NODE): answer}, 0.0, 1000.0)
    assert state(keeper) == word
    assert (due(keeper, again - 1), due(keeper, again)) == (False, True)


def test_beside_a_failure_the_old_answer_is_told_as_stale_and_beside_a_refusal_it_is_not() -> None:
    keeper = Keeper()
    keeper.take({(SECTION, NODE): {"x": 1}}, 0.0, 1000.0)
    keeper.take({(SECTION, NODE): ProxmoxError("odd.")}, 1.0, 2000.0)
    ledger = Ledger()
    assert keeper.told(ledger, SECTION, NODE) == {"x": 1}
    assert (ledger.facts()[0]["state"], ledger.facts()[0]["at"]) == ("stale", "1970-01-01T00:16:40.000Z")
    keeper.take({(SECTION, NODE): refused(403, "Permission check failed (/, Sys.Audit)")}, 2.0, 3000.0)
    assert keeper.told(Ledger(), SECTION, NODE) == {}


def test_what_the_token_lacks_is_noted_and_not_asked() -> None:
    keeper = Keeper()
    calls = keeper.calls([(SECTION, NODE)], lambda node: str, Rights({"/": {}}), "8.4", 0.0)
    assert (calls, state(keeper)) == ({}, "forbidden")


def test_a_guest_that_is_gone_is_dropped_and_what_waited_longest_comes_first() -> None:
    keeper, other = Keeper(), Subject("m")
    keeper.take({(SECTION, NODE): {"x": 1}, (SECTION, other): {"x": 1}}, 0.0, 0.0)
    keeper.take({(SECTION, NODE): ProxmoxGone()}, 0.0, 0.0)
    assert [one.node for _, one in keeper.due([(SECTION, other), (SECTION, NODE)], HOUR)] == ["n", "m"]
    keeper.keep_only({"n"})
    assert not keeper.has(SECTION, other)


def test_something_can_be_asked_again_early_and_is_told_meanwhile() -> None:
    keeper = Keeper()
    keeper.take({(SECTION, NODE): {"x": 1}}, 0.0, 1.0)
    keeper.forget(SECTION, "n")
    assert due(keeper, 1.0)
    assert keeper.told(Ledger(), SECTION, NODE) == {"x": 1}
