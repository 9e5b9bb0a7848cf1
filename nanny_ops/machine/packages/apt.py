"""apt: Debian and everything that descends from it."""

from nanny_ops.machine.packages.leaf import Leaf

LEAF = Leaf(
    name="apt",
    script="apt.sh",
    program="apt-get",
    distributions=frozenset({"debian", "ubuntu", "raspbian", "linuxmint", "devuan", "kali", "pop", "proxmox"}),
)
