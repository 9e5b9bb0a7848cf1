"""High availability: which guests are managed, and in which state the manager wants them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class HaResource:
    """One managed guest; ``sid`` is ``ct:101`` or ``vm:201``, ``state`` what the manager reports."""

    sid: str
    state: str = "started"
    wanted: str = "started"
    group: str = ""
    max_restart: int = 1
    max_relocate: int = 1

    @property
    def vmid(self) -> int:
        """Return the guest's id."""
        return int(self.sid.partition(":")[2])


@dataclass(frozen=True)
class HaGroup:
    """One group of nodes of 8.x, such as ``pve1:2,pve2``."""

    name: str
    nodes: str
    restricted: bool = False
    nofailback: bool = False
