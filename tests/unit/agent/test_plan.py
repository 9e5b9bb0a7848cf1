"""From an order's options to a plan: hooks by the rules of scripts, and nothing for a plain dry run."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nanny_ops.agent.order import Refused
from nanny_ops.agent.plan import plan_of
from nanny_ops.agent.script import Scripts
from nanny_ops.machine.plan import Plan
from nanny_ops.machine.policy import Policy
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.patch import PatchRecord
from tests.fakes.control_plane import SCRIPT, FakeControlPlane, make_equipment, patch_record
from tests.fakes.hands import FakeHands

HOOK = {"stage": "pre", "script_id": "h", "script_url": "/api/patches/h/script", "args": ["a b"], "timeout_seconds": 9}


def plan(tmp_path: Path, *, signed: bool = False, policy: Policy | None = None, **values: Any) -> Plan | None:
    async def go() -> Plan | None:
        equipment = make_equipment(FakeControlPlane(), FakeHands(tmp_path), policy=policy or Policy())
        record = msgspec.convert(patch_record(**values), PatchRecord)
        scripts = Scripts(equipment.client, equipment.trust, equipment.policy)
        try:
            return await plan_of(record, scripts, target="host", signed=signed)
        finally:
            await equipment.client.close()

    return asyncio.run(go())


def test_a_plain_dry_run_has_none_and_a_change_has_one(tmp_path: Path) -> None:
    assert plan(tmp_path) is None
    assert plan(tmp_path, mode="apply") == Plan()
    started = plan(tmp_path, start_stopped=True, protect="require-snapshot", hooks=[HOOK], bake_seconds=5)
    assert started == Plan(start_stopped=True)


def test_options_and_hooks_travel(tmp_path: Path) -> None:
    found = plan(
        tmp_path,
        mode="apply",
        protect="require-backup",
        backup_storage="store",
        bake_seconds=30,
        hooks=[HOOK],
        probes=[{"kind": "load", "most": 2}],
    )
    assert found is not None
    assert (found.protect, found.backup_storage, found.bake_seconds) == ("require-backup", "store", 30)
    (hook,) = found.hooks
    assert (hook.script, hook.argv, hook.timeout_seconds, hook.on_failure) == (SCRIPT, ["a b"], 9, "must-succeed")
    assert repr(found.probes[0].most) == "2.0"


def test_a_hook_is_judged_like_a_script_and_a_command_needs_a_signature(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        plan(tmp_path, policy=Policy(scripts=frozenset()), mode="apply", hooks=[HOOK])
    assert caught.value.finding.outcome is Outcome.REFUSED
    probes = [{"kind": "command", "argv": ["true"]}]
    assert plan(tmp_path, mode="apply", probes=probes) is not None
    with pytest.raises(Refused):
        plan(tmp_path, signed=True, mode="apply", probes=probes)
