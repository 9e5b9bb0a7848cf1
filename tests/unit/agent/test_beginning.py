"""What operations have in common before something begins."""

import pytest

from nanny_ops.agent.beginning import understood, why_not
from nanny_ops.agent.order import Order, Refused
from nanny_ops.errors import MachineError, VerbRefused
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.reboot import RebootRecord


def test_an_order_that_is_no_record_is_refused_with_what_is_wrong() -> None:
    order = Order(id="reboot-1", kind="reboot", record={"id": 7})
    with pytest.raises(Refused, match="cannot be understood") as refused:
        understood(order, RebootRecord)
    assert refused.value.finding.outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    ("wrong", "outcome"),
    [
        (VerbRefused("no", outcome="target_stopped"), Outcome.TARGET_STOPPED),
        (VerbRefused("no", outcome="made up"), Outcome.REFUSED),
        (VerbRefused("no"), Outcome.AGENT_ERROR),
        (MachineError("broken"), Outcome.AGENT_ERROR),
    ],
)
def test_who_refused_has_chosen_the_word(wrong: MachineError, outcome: Outcome) -> None:
    assert why_not(wrong) is outcome
