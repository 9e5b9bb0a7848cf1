"""A script is fetched, compared with what was promised, and judged by the owner's policy."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from nanny_ops.agent.order import Refused
from nanny_ops.agent.script import Script, Scripts
from nanny_ops.machine.policy import Policy
from nanny_ops.protocol.operation import Outcome
from tests.fakes.control_plane import SCRIPT, FakeControlPlane, make_equipment
from tests.fakes.hands import FakeHands


def fetch(tmp_path: Path, plane: FakeControlPlane, policy: Policy) -> Script:
    async def go() -> Script:
        equipment = make_equipment(plane, FakeHands(tmp_path), policy=policy)
        try:
            scripts = Scripts(equipment.client, equipment.trust, equipment.policy)
            return await scripts.fetch("apt", "/api/patches/apt/script", mode="apply", target="host")
        finally:
            await equipment.client.close()

    return asyncio.run(go())


def test_what_was_promised_is_returned(tmp_path: Path) -> None:
    found = fetch(tmp_path, FakeControlPlane(), Policy())
    assert (found.content, found.sha256) == (SCRIPT, hashlib.sha256(SCRIPT).hexdigest())


def test_what_was_not_promised_or_is_forbidden_is_refused(tmp_path: Path) -> None:
    plane = FakeControlPlane()
    with pytest.raises(Refused) as caught:
        fetch(tmp_path, plane, Policy(modes=frozenset({"dry-run"})))
    assert caught.value.finding.outcome is Outcome.REFUSED
    plane.sha256 = "0" * 64
    with pytest.raises(Refused) as caught:
        fetch(tmp_path, plane, Policy())
    assert caught.value.finding.outcome is Outcome.CHECKSUM_MISMATCH
