"""pacman: Arch Linux and what descends from it."""

from nanny_ops.machine.packages.leaf import Leaf

LEAF = Leaf(
    name="pacman",
    script="pacman.sh",
    program="pacman",
    distributions=frozenset({"arch", "archlinux", "archarm", "manjaro", "endeavouros", "cachyos"}),
)
