"""The facts about apt."""

from nanny_ops.machine.packages import apt


def test_facts():
    assert (apt.LEAF.name, apt.LEAF.script, apt.LEAF.program) == ("apt", "apt.sh", "apt-get")
    assert "debian" in apt.LEAF.distributions
