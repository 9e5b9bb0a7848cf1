"""The package managers we know; to add one, write its leaf and name it here."""

from nanny_ops.machine.packages import apk, apt, dnf, pacman, yum, zypper
from nanny_ops.machine.packages.leaf import Leaf

LEAVES: tuple[Leaf, ...] = (apt.LEAF, dnf.LEAF, yum.LEAF, zypper.LEAF, pacman.LEAF, apk.LEAF)


def for_distribution(identity: str, like: str = "", version: str = "") -> Leaf | None:
    """Return the package manager for os-release's ID, ID_LIKE and VERSION_ID, None if we know none.

    A word with a version, as ``centos:7``, goes before the same without; a child's version is not its parent's.
    """
    major = version.partition(".")[0]
    for word in (f"{identity}:{major}", identity, *like.split()):
        for leaf in LEAVES:
            if word in leaf.distributions:
                return leaf
    return None
