"""Reboot orders in the agent: one reboot for each, told by whoever comes back, and done only when it is proved."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from nanny_ops.agent.operations.reboot import POLL
from nanny_ops.agent.spool import Spool
from nanny_ops.agent.worker import Worker
from nanny_ops.errors import HelperAway, VerbRefused
from nanny_ops.machine.policy import Policy
from nanny_ops.machine.verbs import ForgetReboot, LookReboot, RebootState, StartReboot
from nanny_ops.protocol.clock import stamp
from tests.fakes.control_plane import AGENT, NOON, FakeControlPlane, make_equipment
from tests.fakes.hands import FakeHands

ALLOWED = Policy(operations=frozenset({"reboot"}))


def record(**values: Any) -> dict[str, Any]:
    told = {
        "id": "reboot-1", "agent_id": AGENT, "lxc_id": "", "vmid": "", "reason": "new kernel", "requested_at": "x",
        "status": "pending", "timeout_seconds": 60, "acknowledged_at": "", "completed_at": "", "error_message": "",
        "target": "host",
    }  # fmt: skip
    return {**told, **values}


class Bench:
    """An agent whose machine reboots after some looks, and a control plane that takes results."""

    def __init__(self, folder: Path, policy: Policy = ALLOWED) -> None:
        self.folder, self.policy = folder, policy
        self.plane, self.hands = FakeControlPlane(), FakeHands(folder)
        self.results: list[dict[str, Any]] = []
        self.started: list[Any] = []
        self.state, self.looks, self.after = RebootState(reboot_id="reboot-1"), 0, "boot-2"
        self.seconds = 0.0
        self.dies_at = -1
        self.plane.rules.append(self._take)
        for kind in (StartReboot, LookReboot, ForgetReboot):
            self.hands.answers[kind] = self._do

    def _take(self, request: httpx.Request) -> httpx.Response | None:
        if not request.url.path.endswith("/result"):
            return None
        self.results.append(json.loads(request.content))
        return httpx.Response(200, json={"success": True, "new": True})

    def _do(self, verb: Any) -> RebootState:
        if isinstance(verb, StartReboot):
            self.started.append(verb.order)
            self.state = RebootState(
                reboot_id="reboot-1", begun=True, kind=verb.order.kind, before="boot-1", now="boot-1",
                begun_at=stamp(self.now()), timeout_seconds=verb.order.timeout_seconds, claim=verb.order.claim,
            )  # fmt: skip
        elif isinstance(verb, ForgetReboot):
            self.state = RebootState(reboot_id="reboot-1")
        elif self.state.begun:
            self.looks += 1
            if self.looks >= 3:
                self.state = replace(self.state, now=self.after)
        return self.state

    def now(self) -> Any:
        return NOON + timedelta(seconds=self.seconds)

    async def _sleep(self, seconds: float) -> None:
        if seconds != POLL:  # the lease's renewal, beside it
            await asyncio.Event().wait()
        self.seconds += seconds
        if self.dies_at >= 0 and self.looks >= self.dies_at:
            raise asyncio.CancelledError
        await asyncio.sleep(0)

    def run(self, *records: dict[str, Any]) -> None:
        async def go() -> None:
            equipment = make_equipment(self.plane, self.hands, policy=self.policy, now=self.now, sleep=self._sleep)
            kept = Spool(self.folder / "spool.db", cap=10)
            worker = Worker(equipment, kept)
            for one in records:
                worker.submit("reboot_operations", "create", self.plane.add(one))
            worker.resume()
            await worker.idle()
            await worker.close()
            kept.close()
            await equipment.client.close()

        asyncio.run(go())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_another_boot_id_is_the_proof_and_what_was_kept_is_removed(bench: Bench) -> None:
    bench.run(record())
    [told] = bench.results
    assert (told["outcome"], told["before"], told["after"]) == ("ok", "boot-1", "boot-2")
    assert told["claim"]
    assert len(bench.started) == 1
    assert not bench.state.begun


@pytest.mark.rows("F14")
def test_a_host_that_did_not_reboot_is_told_so_at_the_deadline(bench: Bench) -> None:
    bench.after = "boot-1"
    bench.run(record())
    [told] = bench.results
    assert (told["outcome"], told["before"], told["after"]) == ("not_rebooted", "boot-1", "boot-1")
    assert "molly-guard" in told["reason"]
    assert 60 <= bench.seconds < 120


def test_what_goes_away_and_does_not_come_back_is_lost(bench: Bench) -> None:
    bench.after = ""
    bench.run(record(target="lxc:101", vmid="101", lxc_id="lxc-101"))
    assert (bench.results[0]["outcome"], bench.started[0].kind, bench.started[0].vmid) == ("target_lost", "lxc", 101)


def test_the_agent_that_comes_back_tells_and_reboots_nothing_again(bench: Bench) -> None:
    bench.dies_at = 1
    bench.run(record())
    assert (bench.results, len(bench.started)) == ([], 1)
    bench.dies_at = -1
    bench.run()
    assert (bench.results[0]["outcome"], len(bench.started)) == ("ok", 1)


def test_an_agent_without_its_spool_finds_the_reboot_by_the_machine(bench: Bench) -> None:
    bench.dies_at = 1
    bench.run(record())
    claim = bench.started[0].claim
    (bench.folder / "spool.db").unlink()
    bench.dies_at = -1
    bench.run(bench.plane.operations["reboot-1"])
    assert (bench.results[0]["outcome"], bench.results[0]["claim"], len(bench.started)) == ("ok", claim, 1)


def test_one_that_another_began_is_not_begun_again(bench: Bench) -> None:
    bench.run(record(status="running"))
    assert (bench.results[0]["outcome"], bench.started) == ("unknown", [])


@pytest.mark.parametrize("policy", [Policy(), Policy(operations=frozenset({"reboot"}), targets=frozenset({"101"}))])
def test_the_owner_must_have_allowed_it(tmp_path: Path, policy: Policy) -> None:
    bench = Bench(tmp_path, policy)
    bench.run(record())
    assert (bench.results[0]["outcome"], bench.started) == ("refused", [])


@pytest.mark.parametrize(
    ("wrong", "outcome"),
    [
        (VerbRefused("It is stopped.", outcome="target_stopped"), "target_stopped"),
        (VerbRefused("No."), "agent_error"),
        (HelperAway("Away."), "agent_error"),
    ],
)
def test_what_cannot_be_begun_is_told_with_its_own_word(bench: Bench, wrong: Exception, outcome: str) -> None:
    def refuse(_verb: Any) -> RebootState:
        raise wrong

    bench.hands.answers[StartReboot] = refuse
    bench.run(record())
    assert bench.results[0]["outcome"] == outcome


def test_an_order_that_names_two_targets_is_refused(bench: Bench) -> None:
    bench.run(record(target="host", vmid="101"))
    assert (bench.results[0]["outcome"], bench.started) == ("refused", [])


def test_a_problem_ends_the_wait(bench: Bench) -> None:
    real = bench._do

    def asked(verb: Any) -> RebootState:
        bench.state = replace(real(verb), problem="systemctl reboot ended with exit code 1: inhibited")
        return bench.state

    bench.hands.answers[StartReboot] = asked
    bench.run(record())
    assert bench.results[0]["outcome"] == "not_rebooted"
    assert "inhibited" in bench.results[0]["reason"]
    assert bench.seconds < 10
