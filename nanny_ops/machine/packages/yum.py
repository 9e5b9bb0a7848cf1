"""yum: the RHEL 7 generation, which is known by its version."""

from nanny_ops.machine.packages.leaf import Leaf

LEAF = Leaf(
    name="yum",
    script="yum.sh",
    program="yum",
    distributions=frozenset({"rhel:7", "centos:7", "ol:7", "scientific:7", "cloudlinux:7", "amzn:2"}),
)
