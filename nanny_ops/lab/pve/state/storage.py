"""Storages: what the installation calls them, of which type they are, what they may hold and what lies on them."""

from dataclasses import dataclass, field

#: What a directory storage may hold in the lab.
EVERYTHING = ("rootdir", "vztmpl", "backup", "snippets", "iso", "images")
#: Types on which a guest's volumes can be snapshotted.
WITH_SNAPSHOTS = frozenset({"btrfs", "zfspool", "lvmthin", "rbd"})


@dataclass(frozen=True)
class Volume:
    """One thing on a storage; ``size`` in bytes, ``created`` in seconds of the epoch."""

    volid: str
    content: str
    form: str
    size: int
    created: int
    vmid: int = 0
    notes: str = ""


@dataclass
class Storage:
    """One storage; on all nodes unless ``nodes`` names some. ``options`` are further settings as text."""

    name: str
    kind: str = "dir"
    path: str = "/var/lib/vz"
    content: tuple[str, ...] = EVERYTHING
    nodes: tuple[str, ...] = ()
    shared: bool = False
    enabled: bool = True
    options: dict[str, str] = field(default_factory=dict)
    #: Node -> total and used bytes where they differ from the node's own disk.
    usage: dict[str, tuple[int, int]] = field(default_factory=dict)
    #: Node -> what lies there; of a shared storage all lies under the empty name.
    volumes: dict[str, list[Volume]] = field(default_factory=dict)

    def on(self, node: str) -> bool:
        """Return whether a node has it."""
        return not self.nodes or node in self.nodes

    def lying(self, node: str) -> list[Volume]:
        """Return what lies on it, seen from a node; guests' disks are told by their configurations, not here."""
        return self.volumes.get("" if self.shared else node, [])

    @property
    def snapshots(self) -> bool:
        """Return whether volumes on it can be snapshotted."""
        return self.kind in WITH_SNAPSHOTS


def local() -> Storage:
    """Return the directory storage that every installation has."""
    return Storage("local", options={"prune-backups": "keep-all=1"})
