"""What the installation does by itself: backup jobs and replication."""

from dataclasses import dataclass


@dataclass(frozen=True)
class BackupJob:
    """One backup job, of the guests in ``vmids``, of a pool or, without either, of all but ``exclude``."""

    job_id: str
    schedule: str = "21:00"
    storage: str = "local"
    mode: str = "snapshot"
    compress: str = "zstd"
    enabled: bool = True
    vmids: tuple[int, ...] = ()
    exclude: tuple[int, ...] = ()
    pool: str = ""
    node: str = ""
    comment: str = ""

    def covers(self, vmid: int, node: str, pool: str) -> bool:
        """Return whether it backs a guest up."""
        if not self.enabled or self.node not in {"", node}:
            return False
        if self.pool:
            return self.pool == pool
        return vmid in self.vmids if self.vmids else vmid not in self.exclude


@dataclass(frozen=True)
class Replication:
    """One replication of a guest's disks to another node; times in seconds of the epoch, ``error`` of the last try."""

    vmid: int
    number: int
    target: str
    schedule: str = "*/15"
    enabled: bool = True
    last_sync: int = 0
    last_try: int = 0
    next_sync: int = 0
    fail_count: int = 0
    duration: float = 0.0
    error: str = ""

    @property
    def job_id(self) -> str:
        """Return the guest's id and the number."""
        return f"{self.vmid}-{self.number}"
