"""The facts about dnf."""

from nanny_ops.machine.packages import dnf


def test_facts():
    assert (dnf.LEAF.name, dnf.LEAF.script, dnf.LEAF.program) == ("dnf", "dnf.sh", "dnf")
    assert "fedora" in dnf.LEAF.distributions
