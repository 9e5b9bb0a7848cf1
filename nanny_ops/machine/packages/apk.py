"""apk: Alpine Linux and what descends from it."""

from nanny_ops.machine.packages.leaf import Leaf

LEAF = Leaf(
    name="apk",
    script="apk.sh",
    program="apk",
    distributions=frozenset({"alpine", "postmarketos"}),
)
