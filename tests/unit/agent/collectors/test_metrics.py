"""Metrics: the machine's values with who, when and which version."""

import asyncio
import json
from pathlib import Path

import pytest

import nanny_ops
from nanny_ops.agent.collectors.metrics import POLICY_EVERY, Metrics
from nanny_ops.agent.spool import Reading
from nanny_ops.errors import MachineError
from nanny_ops.machine.policy import Policy
from nanny_ops.machine.verbs import MetricsReading, ReadMetrics
from tests.fakes.control_plane import FakeControlPlane, make_equipment
from tests.fakes.hands import METRICS, FakeHands


def collect(hands: FakeHands) -> list[Reading]:
    async def go() -> list[Reading]:
        equipment = make_equipment(FakeControlPlane(), hands)
        try:
            return await Metrics(equipment).collect()
        finally:
            await equipment.client.close()

    return asyncio.run(go())


def test_a_reading_says_whose_and_when(tmp_path: Path) -> None:
    found = collect(FakeHands(tmp_path))
    assert [(one.path, one.subject) for one in found] == [("/api/agent", None)]
    body = json.loads(found[0].body)
    assert body["agent_id"] == "agent-1"
    assert body["timestamp"] == "2026-01-01T12:00:00.000Z"
    assert body["version"] == nanny_ops.__version__
    assert METRICS.items() <= body.items()


def test_the_policy_is_told_with_the_first_reading_and_every_tenth(tmp_path: Path) -> None:
    async def go() -> list[Reading]:
        rules = Policy(modes=frozenset({"dry-run"}))
        equipment = make_equipment(FakeControlPlane(), FakeHands(tmp_path), policy=rules, policy_file="/p.toml")
        collector = Metrics(equipment)
        try:
            return [one for _ in range(POLICY_EVERY + 1) for one in await collector.collect()]
        finally:
            await equipment.client.close()

    told = [json.loads(one.body)["policy"] for one in asyncio.run(go())]
    assert [policy is not None for policy in told] == [True, *[False] * (POLICY_EVERY - 1), True]
    assert (told[0]["file"], told[0]["modes"], told[0]["targets"]) == ("/p.toml", ["dry-run"], None)


def test_a_reading_without_a_needed_value_is_an_error(tmp_path: Path) -> None:
    hands = FakeHands(tmp_path)
    hands.answers[ReadMetrics] = MetricsReading(values={"hostname": "h"})
    with pytest.raises(MachineError, match="cpu_usage"):
        collect(hands)
