"""The facts about apk."""

from nanny_ops.machine.packages import apk


def test_facts():
    assert (apk.LEAF.name, apk.LEAF.script, apk.LEAF.program) == ("apk", "apk.sh", "apk")
    assert "alpine" in apk.LEAF.distributions
