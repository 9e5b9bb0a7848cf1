"""The guests of the recorded installation."""

from nanny_ops.lab.pve.state.cluster import Cluster
from nanny_ops.lab.pve.state.guest import Guest, Kind
from tests.integration.conformance.naming import Naming

#: Release -> id, kind, node, name, runs, tags.
GUESTS: dict[str, tuple[tuple[int, Kind, str, str, bool, tuple[str, ...]], ...]] = {
    "8.4": (
        (101, "lxc", "pve1", "web1", True, ("prod", "web")),
        (102, "lxc", "pve1", "db1", True, ("db", "prod")),
        (103, "lxc", "pve1", "batch1", False, ("a", "b", "c")),
        (104, "lxc", "pve2", "app1", True, ("app", "staging")),
        (105, "lxc", "pve1", "tmpl-debian12", False, ()),
        (106, "lxc", "pve1", "snap1", True, ("staging",)),
        (107, "lxc", "pve1", "privct", True, ()),
        (200, "qemu", "pve1", "win-vm", False, ("prod", "windows")),
        (201, "qemu", "pve2", "linux-vm", False, ()),
        (202, "qemu", "pve1", "vm-template", False, ()),
        (203, "qemu", "pve1", "alpine-vm", True, ()),
    ),
    "9.2": (
        (301, "lxc", "pve3", "nine1", True, ("prod", "web")),
        (302, "lxc", "pve3", "db9", True, ("db", "prod")),
        (303, "lxc", "pve3", "stopped9", False, ()),
        (305, "lxc", "pve3", "tmpl9", False, ()),
        (306, "lxc", "pve3", "snap9", True, ("staging",)),
        (400, "qemu", "pve3", "vm9", True, ()),
    ),
}
TEMPLATES = frozenset({105, 202, 305})


def add(cluster: Cluster, naming: Naming) -> None:
    """Create the guests of a cluster's release."""
    for vmid, kind, node, name, runs, tags in GUESTS[cluster.release]:
        guest = Guest(naming.vmid(vmid), kind, naming.name(node), naming.name(name), tags=tags)
        guest.template = vmid in TEMPLATES
        cluster.create(guest)
        if runs:
            cluster.power.start(guest)
