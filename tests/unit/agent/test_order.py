"""What an order can come to."""

import pytest

from nanny_ops.agent.order import ENDED, Finding, Refused, State
from nanny_ops.protocol.operation import Outcome


@pytest.mark.parametrize("outcome", list(Outcome))
def test_only_good_outcomes_are_success(outcome: Outcome) -> None:
    assert Finding(outcome=outcome).success is (outcome in {Outcome.OK, Outcome.NOTHING_TO_DO})


def test_a_refusal_carries_what_is_reported() -> None:
    finding = Refused(Outcome.REFUSED, "because").finding
    assert (finding.outcome, finding.reason, finding.success) == (Outcome.REFUSED, "because", False)


def test_an_undelivered_result_is_not_an_end() -> None:
    assert State.FINISHED not in ENDED
    assert State.UNDELIVERABLE in ENDED
