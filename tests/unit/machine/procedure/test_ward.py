"""The guest is looked up anew each time."""

import pytest

from nanny_ops.errors import ProxmoxUnreachable
from nanny_ops.machine.procedure.halt import Halt
from nanny_ops.machine.procedure.ward import Ward
from nanny_ops.machine.proxmox.power import Guest
from nanny_ops.protocol.operation import Outcome
from tests.fakes.guest_node import NODE, GuestNode


@pytest.mark.rows("F15")
def test_a_guest_that_has_moved_is_named_with_its_new_node() -> None:
    node = GuestNode()
    ward = Ward(node, NODE, 101)
    assert ward.find() == Guest(NODE, "lxc", 101)
    assert ward.left_in() == "running"
    node.where = "pve2"
    with pytest.raises(Halt, match="pve2") as caught:
        ward.find()
    assert caught.value.problem.outcome is Outcome.TARGET_LOST
    assert ward.left_in() == "gone"


def test_a_node_that_does_not_answer_tells_nothing_about_the_guest() -> None:
    node = GuestNode()
    ward = Ward(node, NODE, 101)
    node.running = False
    assert ward.left_in() == "stopped"

    def away(_method: str, path: str) -> None:
        if path.endswith("current"):
            raise ProxmoxUnreachable("away")

    node.before = away
    assert ward.left_in() == "unknown"
