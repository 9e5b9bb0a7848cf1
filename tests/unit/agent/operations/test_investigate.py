"""An investigation is declined at once, with a reason."""

import asyncio
from pathlib import Path

import pytest

from nanny_ops.agent.operations.investigate import REASON, Investigate
from nanny_ops.agent.order import Finding, Order
from nanny_ops.protocol.operation import Outcome
from tests.fakes.control_plane import FakeControlPlane, make_equipment
from tests.fakes.hands import FakeHands


@pytest.mark.rows("G0-IV-06")
@pytest.mark.parametrize(
    ("outcome", "told"),
    [(Outcome.UNSUPPORTED, "unsupported"), (Outcome.REFUSED, "refused"), (Outcome.DISK_FULL, "agent_error")],
)
def test_the_report_says_failed_and_why(tmp_path: Path, outcome: Outcome, told: str) -> None:
    plane = FakeControlPlane()
    plane.add({"id": "inv-1", "agent_id": "agent-1", "user_prompt": "slow", "status": "pending"})

    async def go() -> None:
        equipment = make_equipment(plane, FakeHands(tmp_path))
        order = Order(id="inv-1", kind="investigation", record=plane.operations["inv-1"])
        await Investigate(equipment).deliver(order, Finding(outcome=outcome, reason=REASON))
        await equipment.client.close()

    asyncio.run(go())
    assert plane.reports["inv-1"] == {"status": "failed", "outcome": told, "reason": REASON}
