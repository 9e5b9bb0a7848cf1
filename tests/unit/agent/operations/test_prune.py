"""Orders to remove snapshots in the agent: begun once, followed, and told snapshot by snapshot."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from nanny_ops.agent.operations.prune import POLL
from nanny_ops.agent.spool import Spool
from nanny_ops.agent.worker import Worker, kind_of
from nanny_ops.errors import MachineError, VerbRefused
from nanny_ops.machine.policy import Policy
from nanny_ops.machine.prune_verbs import ForgetPrune, LookPrune, PrunePhase, PruneState, StartPrune
from nanny_ops.protocol.clock import stamp
from nanny_ops.protocol.prune import Removal
from tests.fakes.control_plane import AGENT, NOON, FakeControlPlane, make_equipment
from tests.fakes.hands import FakeHands

ALLOWED = Policy(operations=frozenset({"prune"}))
REMOVED = Removal(name="nanny-1", outcome="removed", upid="UPID:x")
DONE = PruneState(prune_id="prune-1", phase=PrunePhase.DONE, outcome="ok", reason="Gone.", removals=[REMOVED])


def record(**values: Any) -> dict[str, Any]:
    told = {
        "id": "prune-1", "agent_id": AGENT, "lxc_id": "lxc-101", "vmid": "101", "target": "lxc:101",
        "snapshots": [{"name": "nanny-1", "operation_id": "patch-1"}], "status": "pending", "timeout_seconds": 60,
    }  # fmt: skip
    return {**told, **values}


class Bench:
    """An agent whose machine removes after some looks, and a control plane that takes results."""

    def __init__(self, folder: Path, policy: Policy = ALLOWED) -> None:
        self.folder, self.policy, self.seconds = folder, policy, 0.0
        self.plane, self.hands = FakeControlPlane(), FakeHands(folder)
        self.results: list[dict[str, Any]] = []
        self.orders: list[Any] = []
        self.state, self.ends, self.looks, self.wrong = PruneState(prune_id="prune-1"), DONE, 0, None
        self.plane.rules.append(self._take)
        for kind in (StartPrune, LookPrune, ForgetPrune):
            self.hands.answers[kind] = self._do

    wrong: MachineError | None

    def _take(self, request: httpx.Request) -> httpx.Response | None:
        if not request.url.path.endswith("/result"):
            return None
        self.results.append(json.loads(request.content))
        return httpx.Response(200, json={"success": True, "new": True})

    def _do(self, verb: Any) -> PruneState:
        if isinstance(verb, StartPrune):
            if self.wrong is not None:
                raise self.wrong
            self.orders.append(verb.order)
            running = PrunePhase.RUNNING
            self.state = PruneState(prune_id="prune-1", phase=running, begun_at=stamp(NOON), claim=verb.order.claim)
        elif isinstance(verb, ForgetPrune):
            self.state = PruneState(prune_id="prune-1")
        elif self.state.phase is PrunePhase.RUNNING:
            self.looks += 1
            self.state = replace(self.ends, claim=self.state.claim) if self.looks >= 3 else self.state
        return self.state

    async def _sleep(self, seconds: float) -> None:
        if seconds != POLL:  # the lease's renewal, beside it
            await asyncio.Event().wait()
        self.seconds += seconds
        await asyncio.sleep(0)

    def run(self, one: dict[str, Any]) -> dict[str, Any]:
        async def go() -> None:
            now = lambda: NOON + timedelta(seconds=self.seconds)  # noqa: E731
            equipment = make_equipment(self.plane, self.hands, policy=self.policy, now=now, sleep=self._sleep)
            kept = Spool(self.folder / "spool.db", cap=10)
            worker = Worker(equipment, kept)
            worker.submit("prune_operations", "create", self.plane.add(one))
            worker.resume()
            await worker.idle()
            await worker.close()
            kept.close()
            await equipment.client.close()

        asyncio.run(go())
        [told] = self.results
        return told


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_each_snapshot_is_told_and_what_was_kept_is_removed(bench: Bench) -> None:
    assert kind_of(record()) == "prune"
    told = bench.run(record())
    assert (told["outcome"], told["reason"]) == ("ok", "Gone.")
    assert told["removals"] == [{"name": "nanny-1", "outcome": "removed", "reason": "", "upid": "UPID:x"}]
    assert told["claim"]
    [order] = bench.orders
    assert (order.vmid, order.kind, order.snapshots[0].operation_id) == (101, "lxc", "patch-1")
    assert bench.state.phase is PrunePhase.ABSENT


def test_one_that_runs_already_is_followed_and_not_begun_again(bench: Bench) -> None:
    bench.state = PruneState(prune_id="prune-1", phase=PrunePhase.RUNNING, begun_at=stamp(NOON), claim="mine")
    assert bench.run(record())["outcome"] == "ok"
    assert bench.orders == []


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ({"vmid": ""}, "refused"),
        ({"target": "lxc:102"}, "refused"),
        ({"snapshots": [{"name": "nanny-1"}]}, "refused"),
        ({"status": "running"}, "unknown"),
    ],
)
def test_what_cannot_be_understood_or_was_begun_elsewhere_is_not_begun(
    bench: Bench, values: dict[str, Any], outcome: str
) -> None:
    assert bench.run(record(**values))["outcome"] == outcome
    assert bench.orders == []


@pytest.mark.parametrize(
    ("wrong", "outcome"),
    [
        (VerbRefused("A job runs.", outcome="blocked"), "blocked"),
        (VerbRefused("No.", outcome="nonsense"), "refused"),
        (MachineError("No room."), "agent_error"),
    ],
)
def test_why_it_was_not_begun_is_told(bench: Bench, wrong: MachineError, outcome: str) -> None:
    bench.wrong = wrong
    assert bench.run(record())["outcome"] == outcome


def test_the_owner_is_asked_and_a_lost_process_is_unknown(tmp_path: Path) -> None:
    forbidding = Bench(tmp_path, Policy())
    assert "kind prune" in forbidding.run(record())["reason"]
    (tmp_path / "2").mkdir()
    lost = Bench(tmp_path / "2")
    lost.ends = PruneState(prune_id="prune-1", phase=PrunePhase.LOST, removals=[REMOVED])
    told = lost.run(record())
    assert (told["outcome"], len(told["removals"])) == ("unknown", 1)
