"""Every leaf can be built from the equipment alone."""

import asyncio
from pathlib import Path

from nanny_ops.agent.collectors import COLLECTORS
from nanny_ops.agent.operations import OPERATIONS
from nanny_ops.agent.settings import SETTINGS
from tests.fakes.control_plane import FakeControlPlane, make_equipment
from tests.fakes.hands import FakeHands


def test_leaves_need_nothing_else(tmp_path: Path) -> None:
    async def go() -> None:
        equipment = make_equipment(FakeControlPlane(), FakeHands(tmp_path))
        assert {one(equipment).kind for one in OPERATIONS} == {"patch", "investigation", "prune", "reboot", "update"}
        assert {one(equipment).name for one in COLLECTORS} == {"metrics", "proxmox"}
        await equipment.client.close()

    asyncio.run(go())


def test_every_interval_is_a_setting() -> None:
    assert {one.interval for one in COLLECTORS} <= {row.name for row in SETTINGS}
