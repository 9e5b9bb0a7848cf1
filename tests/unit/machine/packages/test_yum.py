"""The facts about yum."""

from nanny_ops.machine.packages import yum


def test_facts():
    assert (yum.LEAF.name, yum.LEAF.script, yum.LEAF.program) == ("yum", "yum.sh", "yum")
    assert "rhel:7" in yum.LEAF.distributions
