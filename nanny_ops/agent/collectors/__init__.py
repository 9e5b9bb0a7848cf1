"""Everything that an agent reads on an interval."""

from typing import ClassVar, Protocol

from nanny_ops.agent.collectors.metrics import Metrics
from nanny_ops.agent.collectors.proxmox import Proxmox
from nanny_ops.agent.equipment import Equipment
from nanny_ops.agent.spool import Reading


class Collector(Protocol):
    """Reads one thing."""

    name: ClassVar[str]
    #: The setting that holds the seconds between two readings.
    interval: ClassVar[str]

    def __init__(self, equipment: Equipment) -> None:
        """Take what is needed to read."""

    async def collect(self) -> list[Reading]:
        """Return what was read, in an order that can be sent as it is. Raises MachineError."""

    async def deliver(self, readings: list[Reading]) -> list[Reading]:
        """Send what needs an answer; return what may be sent whenever there is a way."""


COLLECTORS: tuple[type[Collector], ...] = (Metrics, Proxmox)
