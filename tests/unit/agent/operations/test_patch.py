"""A patch order: verified before it runs, refused by name, delivered whole."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from nanny_ops.agent.operations.patch import SHORT, Patch
from nanny_ops.agent.order import Finding, Order, Refused, State
from nanny_ops.errors import DiskFull, MachineError, Rejected, Unreachable, VerbRefused
from nanny_ops.machine.policy import Policy
from nanny_ops.machine.times import parse
from nanny_ops.machine.verbs import JobPhase, LookJob, StartScript
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.patch import PackageChange
from tests.fakes.control_plane import NOON, SCRIPT, FakeControlPlane, make_equipment, patch_record, refuse
from tests.fakes.hands import FakeHands, result


class FreeDesk:
    """Nobody cancels, everybody wants it."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.told: list[str] = []
        self.order = Order(id="op-1", kind="patch", record={}, claim="mine", lease=3)
        #: What the answer changes that lets the order begin.
        self.amended: dict[str, Any] = {}

    async def begin(self) -> None:
        self.told.append("begin")

    def adopt(self, claim: str) -> None:
        self.order = replace(self.order, claim=claim)

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        self.told.append("held")
        yield

    async def remark(self, sentence: str) -> None:
        if sentence:
            self.told.append(sentence)

    def started(self) -> None:
        self.told.append("started")


class Bench:
    """One patch operation and its surroundings."""

    def __init__(self, tmp_path: Path) -> None:
        self.plane, self.hands, self.desk = FakeControlPlane(), FakeHands(tmp_path), FreeDesk()
        self.policy = Policy()
        #: Whether five minutes go by while the control plane is asked.
        self.late = False

    def run(self, state: State = State.ACKED, **values: Any) -> Finding:
        return self.do(lambda patch, order: patch.carry_out(order, self.desk), state, **values)

    def do(self, work: Any, state: State = State.ACKED, **values: Any) -> Any:
        async def go() -> Any:
            equipment = make_equipment(self.plane, self.hands, policy=self.policy)
            minutes = timedelta(minutes=5)
            if self.late:
                equipment = replace(equipment, now=lambda: NOON + (minutes if self.desk.told else timedelta()))
            order = Order(id="op-1", kind="patch", record=patch_record(**values), state=state)
            self.desk.order = replace(self.desk.order, record={**order.record, **self.desk.amended})
            try:
                return await work(Patch(equipment), order)
            finally:
                await equipment.client.close()

        return asyncio.run(go())

    def refusal(self, **values: Any) -> Outcome:
        with pytest.raises(Refused) as refused:
            self.run(**values)
        assert refused.value.finding.reason
        assert not self.hands.starts
        return refused.value.finding.outcome


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_script_is_verified_and_handed_over_with_its_arguments(bench: Bench) -> None:
    finding = bench.run(
        script_args="--verbose 'two words' $(reboot)",
        exclude=["a", "b"],
        only=["c"],
        security_only=True,
        lxc_id="lxc-100",
        vmid="100",
    )
    job = bench.hands.started[0]
    assert job.argv == [
        "--dry-run",
        "--exclude=a,b",
        "--only=c",
        "--security-only",
        "--verbose",
        "two words",
        "$(reboot)",
    ]
    assert (job.vmid, job.script, job.sha256) == (100, SCRIPT, hashlib.sha256(SCRIPT).hexdigest())
    assert (job.job_id, job.timeout_seconds, job.dry_run) == ("op-1", 60, True)
    assert (finding.outcome, finding.duration, finding.exit_code) == (Outcome.OK, 2000, 0)
    assert bench.desk.told == ["begin", "started", "held"]


@pytest.mark.rows("G0-PT-10")
def test_what_the_answer_to_begin_excludes_is_what_the_script_leaves(bench: Bench) -> None:
    bench.desk.amended = {"exclude": ["a", "c"]}
    bench.run(exclude=["a", "b"])
    assert bench.hands.started[0].argv == ["--dry-run", "--exclude=a,c"]


def test_a_script_that_is_not_the_promised_one_is_not_run(bench: Bench) -> None:
    bench.plane.sha256 = "0" * 64
    assert bench.refusal() is Outcome.CHECKSUM_MISMATCH
    assert bench.desk.told == []


def test_outside_its_times_a_change_is_refused_and_a_dry_run_is_not(bench: Bench) -> None:
    bench.policy = Policy(times=parse(["22:00-05:00"], "UTC"))
    assert bench.refusal(mode="apply") is Outcome.REFUSED
    assert bench.plane.requests == []
    assert bench.run(mode="dry-run").outcome is Outcome.OK


def test_a_change_whose_time_ends_while_the_control_plane_is_asked_does_not_begin(bench: Bench) -> None:
    bench.policy = Policy(times=parse(["12:00-12:01"], "UTC"))
    bench.late = True
    assert bench.refusal(mode="apply") is Outcome.REFUSED
    assert bench.desk.told == ["begin"]


def test_a_script_that_no_trusted_key_has_signed_is_not_run(bench: Bench) -> None:
    bench.policy = Policy(signatures="control-plane")
    assert bench.refusal() is Outcome.SIGNATURE_MISSING
    assert bench.desk.told == []
    assert ("GET", "/api/patches/apt/signature") in bench.plane.requests


@pytest.mark.parametrize("end", ["/script", "/sha256"])
def test_a_script_nobody_knows_has_its_name(bench: Bench, end: str) -> None:
    bench.plane.rules.append(lambda request: refuse(404) if request.url.path.endswith(end) else None)
    assert bench.refusal() is Outcome.SCRIPT_UNKNOWN


@pytest.mark.parametrize(
    "values",
    [
        {"lxc_id": "lxc-100", "vmid": "101"},
        {"vmid": "everything"},
        {"script_url": "https://evil.example/script"},
        {"script_url": "//evil.example/script"},
        {"script_args": "it's"},
        {"script_args": "a\0b"},
        {"mode": "destroy"},
        {"exclude": "nginx"},
    ],
)
def test_orders_that_make_no_sense_are_refused(bench: Bench, values: dict[str, Any]) -> None:
    assert bench.refusal(**values) is Outcome.REFUSED


def test_the_owner_has_the_last_word(bench: Bench) -> None:
    bench.policy = Policy(targets=frozenset({"100"}))
    assert bench.refusal() is Outcome.REFUSED
    assert bench.run(vmid="100").outcome is Outcome.OK


def test_two_spellings_of_one_guest_are_one_target(bench: Bench) -> None:
    async def target(patch: Patch, order: Order) -> str:
        return patch.target(order)

    assert bench.do(target, lxc_id="lxc/100", vmid="100") == bench.do(target, vmid="100") == "100"
    assert bench.do(target) == "host"


@pytest.mark.parametrize(
    ("wrong", "outcome"),
    [
        (DiskFull(), Outcome.DISK_FULL),
        (MachineError("no"), Outcome.AGENT_ERROR),
        (VerbRefused("no"), Outcome.REFUSED),
        (VerbRefused("no", outcome="signature_missing"), Outcome.SIGNATURE_MISSING),
        (VerbRefused("no", outcome="of a later release"), Outcome.REFUSED),
    ],
)
def test_a_job_that_could_not_be_prepared_has_a_named_outcome(bench: Bench, wrong: Exception, outcome: Outcome) -> None:
    def fail(_verb: Any) -> Any:
        raise wrong

    bench.hands.answers[StartScript] = fail
    assert bench.refusal() is outcome


def test_a_job_whose_start_only_seemed_to_fail_is_followed(bench: Bench) -> None:
    def start(verb: Any) -> Any:
        bench.hands._start(verb)
        raise MachineError("too slow")

    bench.hands.answers[StartScript] = start
    assert bench.run().outcome is Outcome.OK
    assert bench.hands.starts["op-1"] == 1


def test_a_job_that_is_prepared_and_never_begins_is_left_for_later(bench: Bench) -> None:
    bench.hands.answers[StartScript] = lambda verb: (
        bench.hands.jobs.update({"op-1": [JobPhase.READY, 0, None, ""]}) or bench.hands.state("op-1")
    )
    with pytest.raises(MachineError, match="did not begin"):
        bench.run()


def test_a_job_that_vanishes_is_unknown(bench: Bench) -> None:
    looks = []

    def look(verb: Any) -> Any:
        looks.append(verb)
        if len(looks) == 3:
            bench.hands.jobs.clear()
        return bench.hands.state(verb.job_id)

    bench.hands.answers[LookJob] = look
    assert bench.run().outcome is Outcome.UNKNOWN
    assert bench.hands.starts["op-1"] == 1


def test_a_begun_job_that_is_gone_is_unknown_and_not_run(bench: Bench) -> None:
    with pytest.raises(Refused) as refused:
        bench.run(State.STARTED)
    assert refused.value.finding.outcome is Outcome.UNKNOWN
    assert not bench.hands.starts


def test_a_job_that_never_ends_is_given_up_in_the_end(bench: Bench) -> None:
    bench.hands.looks = 1_000_000
    finding = bench.run(timeout_seconds=1)
    assert finding.outcome is Outcome.UNKNOWN


def test_an_outcome_from_a_newer_machine_is_not_invented(bench: Bench) -> None:
    bench.hands.outcome = result("brand_new", reason="why")
    finding = bench.run()
    assert (finding.outcome, finding.reason) == (Outcome.AGENT_ERROR, "why")


def test_a_control_plane_that_is_away_leaves_the_order_for_later(bench: Bench) -> None:
    bench.plane.rules.append(lambda _request: refuse(503))
    with pytest.raises(Unreachable):
        bench.run()
    assert not bench.hands.starts


def test_live_output_travels_while_the_script_runs(bench: Bench) -> None:
    bench.hands.looks = 4
    bench.run()
    assert {"stream": "stdout", "offset": 0, "text": "stdout of op-1\n"} in bench.plane.chunks


def deliver(finding: Finding) -> Any:
    return lambda patch, order: patch.deliver(order, finding)


def test_results_carry_what_the_guide_asks_for(bench: Bench) -> None:
    finding = bench.run(lxc_id="lxc-100")
    bench.do(deliver(finding), lxc_id="lxc-100")
    parts = bench.plane.results["op-1"][0]
    metadata = parts["metadata"]
    expected = {
        "operation_id": "op-1",
        "success": True,
        "duration": 2000,
        "lxc_id": "lxc-100",
        "outcome": "ok",
        "exit_code": 0,
    }
    assert expected.items() <= metadata.items()
    assert metadata["timestamp"] == "2026-01-01T00:00:02.000Z"
    assert metadata["package_list"][0]["name"] == "nginx"
    assert metadata["package_list"][0]["old_version"] == "1"
    assert (parts["stdout"], parts["stderr"]) == (b"stdout of op-1\n", b"stderr of op-1\n")


def test_a_refusal_is_delivered_with_empty_outputs(bench: Bench) -> None:
    bench.do(deliver(Finding(outcome=Outcome.CHECKSUM_MISMATCH, reason="because")))
    parts = bench.plane.results["op-1"][0]
    assert parts["metadata"]["success"] is False
    assert parts["metadata"]["timestamp"] == "2026-01-01T12:00:00.000Z"
    assert (parts["stdout"], parts["stderr"]) == (b"", b"")


@pytest.mark.rows("R4")
def test_outputs_too_large_are_sent_in_part(bench: Bench, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(b"x" * (SHORT + 1000))

    def small_only(request: httpx.Request) -> httpx.Response | None:
        return (
            refuse(413)
            if len(request.content) > SHORT + 5000 or b'"stdout_truncated":false' in request.content
            else None
        )

    bench.plane.rules.append(small_only)
    bench.do(deliver(Finding(outcome=Outcome.OK, stdout_path=str(big))))
    parts = bench.plane.results["op-1"][0]
    assert len(parts["stdout"]) == SHORT
    assert parts["metadata"]["stdout_truncated"] is True


def test_a_refused_delivery_is_told(bench: Bench) -> None:
    bench.plane.rules.append(lambda _request: refuse(400))
    with pytest.raises(Rejected):
        bench.do(deliver(Finding(outcome=Outcome.OK)))


MANY = Finding(outcome=Outcome.SCRIPT_FAILED, reason="why", packages=[PackageChange(name="a", version="1")])


@pytest.mark.parametrize("status", [400, 413, 422])
def test_an_outcome_arrives_even_if_nothing_else_is_taken(bench: Bench, tmp_path: Path, status: int) -> None:
    """Whatever the control plane, or a proxy before it, dislikes about a result: that the script failed is told."""
    out = tmp_path / "out"
    out.write_text("text")

    def picky(request: httpx.Request) -> httpx.Response | None:
        return refuse(status) if b"text\r\n" in request.content or b'"name":"a"' in request.content else None

    bench.plane.rules.append(picky)
    bench.do(deliver(replace(MANY, stdout_path=str(out))))
    metadata = bench.plane.results["op-1"][0]["metadata"]
    assert (metadata["outcome"], metadata["package_list"], metadata["stdout_truncated"]) == ("script_failed", [], True)
    assert metadata["reason"].startswith("why")
    assert str(status) in metadata["reason"]


def test_a_token_trouble_is_no_reason_to_refuse_an_order(bench: Bench) -> None:
    bench.plane.rules.append(lambda request: refuse(401, "token_expired") if request.method == "GET" else None)
    with pytest.raises(Rejected):
        bench.run()
    assert not bench.hands.starts


@pytest.mark.parametrize("seconds", [-5000, 0])
def test_a_timeout_that_makes_no_sense_is_the_shortest_one(bench: Bench, seconds: int) -> None:
    assert bench.run(timeout_seconds=seconds).outcome is Outcome.OK
