"""A Ceph cluster. Nothing of it has been recorded but its absence."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Ceph:
    """One Ceph cluster; sizes in bytes; ``checks`` maps the name of a health check to its sentence."""

    fsid: str = "00000000-0000-4000-8000-0000000000ce"
    health: str = "HEALTH_OK"
    checks: dict[str, str] = field(default_factory=dict)
    osds: int = 3
    osds_up: int = 3
    osds_in: int = 3
    monitors: tuple[str, ...] = ()
    total: int = 6 << 40
    used: int = 2 << 40
    placement_groups: int = 129
