"""One reading of the host's CPU, memory, disks and network."""

from typing import ClassVar

import msgspec

import nanny_ops
from nanny_ops.agent.equipment import Equipment
from nanny_ops.agent.feature import ANNOUNCED
from nanny_ops.agent.spool import Reading
from nanny_ops.errors import MachineError
from nanny_ops.machine import policy
from nanny_ops.machine.verbs import ReadMetrics
from nanny_ops.protocol.clock import stamp
from nanny_ops.protocol.metrics import SystemMetrics
from nanny_ops.protocol.policy import PolicyReport

PATH = "/api/agent"
#: Readings after which the policy is told again: it seldom changes, and may hold thousands of words.
POLICY_EVERY = 10


class Metrics:
    """Reads the host."""

    name: ClassVar[str] = "metrics"
    interval: ClassVar[str] = "metrics_interval"

    def __init__(self, equipment: Equipment) -> None:
        """Take what is needed to read."""
        self._hands, self._now, self._agent_id = equipment.hands, equipment.now, equipment.agent_id
        self._policy, self._policy_file, self._readings = equipment.policy, equipment.policy_file, 0

    async def collect(self) -> list[Reading]:
        """Return one reading. Raises MachineError."""
        values = (await self._hands.do(ReadMetrics())).values
        ours = {
            "agent_id": self._agent_id,
            "timestamp": stamp(self._now()),
            "version": nanny_ops.__version__,
            "features": list(ANNOUNCED),
            "policy": self._told(),
        }
        try:
            reading = msgspec.convert({**values, **ours}, SystemMetrics)
        except msgspec.ValidationError as wrong:
            raise MachineError(f"The reading of this host is incomplete: {wrong}") from wrong
        return [Reading(path=PATH, body=msgspec.json.encode(reading))]

    def _told(self) -> PolicyReport | None:
        """Return the policy as this agent judges by it, with the first reading and some later ones."""
        self._readings += 1
        return policy.report(self._policy, self._policy_file) if self._readings % POLICY_EVERY == 1 else None

    async def deliver(self, readings: list[Reading]) -> list[Reading]:
        """Return everything: a reading of the host needs no answer."""
        return readings
