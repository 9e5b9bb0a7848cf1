"""What errors of the machine mean for a job."""

import pytest

from nanny_ops.errors import GuestLocked, MachineError, NoQuorum, ProxmoxGone
from nanny_ops.machine.procedure.halt import halt_of
from nanny_ops.protocol.operation import Outcome


@pytest.mark.parametrize(
    ("wrong", "outcome"),
    [
        (GuestLocked("l"), Outcome.BLOCKED),
        (NoQuorum("q"), Outcome.BLOCKED),
        (ProxmoxGone("g"), Outcome.TARGET_UNKNOWN),
        (MachineError("m"), Outcome.AGENT_ERROR),
    ],
)
def test_an_error_has_a_word_and_keeps_its_sentence(wrong: MachineError, outcome: Outcome) -> None:
    problem = halt_of(wrong).problem
    assert (problem.outcome, problem.reason) == (outcome, wrong.message)
