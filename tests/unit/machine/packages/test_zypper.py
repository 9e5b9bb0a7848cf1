"""The facts about zypper."""

from nanny_ops.machine.packages import zypper


def test_facts():
    assert (zypper.LEAF.name, zypper.LEAF.script, zypper.LEAF.program) == ("zypper", "zypper.sh", "zypper")
    assert "opensuse" in zypper.LEAF.distributions
