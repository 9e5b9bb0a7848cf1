"""dnf: Fedora, RHEL from version 8 on, and what descends from them."""

from nanny_ops.machine.packages.leaf import Leaf

LEAF = Leaf(
    name="dnf",
    script="dnf.sh",
    program="dnf",
    distributions=frozenset(
        {
            "fedora",
            "rhel",
            "centos",
            "rocky",
            "almalinux",
            "ol",
            "cloudlinux",
            "amzn",
            "eurolinux",
            "miraclelinux",
            "nobara",
            "ultramarine",
        }
    ),
)
