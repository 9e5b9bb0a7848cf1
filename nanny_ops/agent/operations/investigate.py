"""An investigation order: this agent cannot look into a machine yet, so it says so at once."""

from typing import ClassVar
from urllib.parse import quote

from nanny_ops.agent.equipment import Equipment
from nanny_ops.agent.order import Desk, Finding, Order
from nanny_ops.protocol.investigation import InvestigationReport
from nanny_ops.protocol.operation import Kind, Outcome

TARGET = "investigations"
REASON = "This version of the agent cannot investigate; it patches and reports."


class Investigate:
    """Declines investigations, so that none waits for ever."""

    kind: ClassVar[Kind] = "investigation"
    #: Nothing is begun, so nothing has to be reserved first.
    acknowledged: ClassVar[bool] = False

    def __init__(self, equipment: Equipment) -> None:
        """Take what is needed to work."""
        self._client = equipment.client

    def target(self, order: Order) -> str:
        """Return a target of its own, so that declining never waits for a patch."""
        del order
        return TARGET

    async def carry_out(self, order: Order, desk: Desk) -> Finding:
        """Find that it cannot be done."""
        del order, desk
        return Finding(outcome=Outcome.UNSUPPORTED, reason=REASON)

    async def deliver(self, order: Order, finding: Finding) -> None:
        """Report the refusal. Raises Rejected, Unreachable."""
        words = {"unsupported", "refused"}
        outcome = finding.outcome if finding.outcome in words else "agent_error"
        report = InvestigationReport(outcome=outcome, reason=finding.reason)  # type: ignore[arg-type]
        await self._client.request("POST", f"/api/investigations/{quote(order.id, safe='')}/report", body=report)

    async def tidy(self, order_id: str) -> None:
        """Do nothing: a refusal leaves nothing behind."""
        del order_id
