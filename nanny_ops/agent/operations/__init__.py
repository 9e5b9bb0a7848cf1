"""Every kind of order that an agent can carry out."""

from typing import ClassVar, Protocol

from nanny_ops.agent.equipment import Equipment
from nanny_ops.agent.operations.investigate import Investigate
from nanny_ops.agent.operations.patch import Patch
from nanny_ops.agent.operations.prune import Prune
from nanny_ops.agent.operations.reboot import Reboot
from nanny_ops.agent.operations.update import Update
from nanny_ops.agent.order import Desk, Finding, Order
from nanny_ops.protocol.operation import Kind


class Operation(Protocol):
    """One kind of order."""

    kind: ClassVar[Kind]
    #: Whether the control plane is asked before the order is carried out.
    acknowledged: ClassVar[bool]

    def __init__(self, equipment: Equipment) -> None:
        """Take what is needed to work."""

    def target(self, order: Order) -> str:
        """Return what the order is aimed at. Raises Refused."""

    async def carry_out(self, order: Order, desk: Desk) -> Finding:
        """Do it, or find it again after a restart. Raises Refused, Withdrawn and NannyError."""

    async def deliver(self, order: Order, finding: Finding) -> None:
        """Hand back what it came to. Raises Rejected when that is refused for good."""

    async def tidy(self, order_id: str) -> None:
        """Remove what is left of a delivered order."""


OPERATIONS: tuple[type[Operation], ...] = (Patch, Investigate, Reboot, Update, Prune)
