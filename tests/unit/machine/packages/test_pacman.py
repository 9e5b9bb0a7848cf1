"""The facts about pacman."""

from nanny_ops.machine.packages import pacman


def test_facts():
    assert (pacman.LEAF.name, pacman.LEAF.script, pacman.LEAF.program) == ("pacman", "pacman.sh", "pacman")
    assert "arch" in pacman.LEAF.distributions
