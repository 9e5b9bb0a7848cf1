"""zypper: openSUSE and SUSE Linux Enterprise."""

from nanny_ops.machine.packages.leaf import Leaf

LEAF = Leaf(
    name="zypper",
    script="zypper.sh",
    program="zypper",
    distributions=frozenset(
        {"opensuse", "opensuse-leap", "opensuse-tumbleweed", "opensuse-slowroll", "suse", "sles", "sled"}
    ),
)
