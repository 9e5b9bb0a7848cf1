"""The package managers we know; to add one, write its leaf and name it here."""

from nanny_ops.machine.packages import apt
from nanny_ops.machine.packages.leaf import Leaf

LEAVES: tuple[Leaf, ...] = (apt.LEAF,)


def for_distribution(identity: str, like: str = "") -> Leaf | None:
    """Return the package manager for os-release's ID and ID_LIKE, None if we know none."""
    for word in (identity, *like.split()):
        for leaf in LEAVES:
            if word in leaf.distributions:
                return leaf
    return None
