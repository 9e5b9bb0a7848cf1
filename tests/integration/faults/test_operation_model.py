"""The operation machine under whatever order of events hypothesis finds: a model of what must always be true.

Control plane, store, link, worker, spool and the jobs' files are the product's own; only clock, network and the runner
of scripts are fakes. ``MODEL_EXAMPLES`` asks for more examples than a check-in has time for:

    MODEL_EXAMPLES=2000 .venv/bin/pytest tests/integration/faults/test_operation_model.py
"""

import asyncio
import contextlib
import itertools
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.tables import events, operations
from nanny_ops.protocol.operation import ENDED, MOVES, OPEN, Status
from tests.fakes.life import never
from tests.fakes.virtual_time import VirtualLoop, play
from tests.integration.faults.cluster import CLONE, NAMES, Member, Site, enrol
from tests.integration.faults.schedules import after
from tests.integration.faults.test_schedules import MEMORY
from tests.integration.faults.wire import Trouble

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "0"))
#: Seconds after which what has not ended is stuck: the longest run that is ordered here, and the grace for a report.
PATIENCE = 3 * 3600
REQUESTS = ("POST api/operations/ack", "POST api/operations/renew", "POST api/patches/results", "POST api/realtime")
TROUBLES = (
    Trouble(lost=True),
    Trouble(answer_lost=True),
    Trouble(twice=True),
    Trouble(again=30.0),
    Trouble(before=20.0),
    Trouble(after=20.0),
)
Names = st.sampled_from(NAMES)
Moments = st.sampled_from([0.05, 1.0, 5.0, 30.0, 130.0, 700.0])


class OperationMachine(RuleBasedStateMachine):
    """People order and cancel; agents, the control plane and everything in between fail; time passes."""

    template: Path
    people: tuple[str, dict[str, str]]

    @initialize(length=st.sampled_from([3.0, 20.0, 140.0]))
    def begin(self, length: float) -> None:
        """Copy the enrolled installation and start it."""
        self.stack = contextlib.ExitStack()
        self.stack.enter_context(structlog.testing.capture_logs())
        self.home = Path(self.stack.enter_context(tempfile.TemporaryDirectory(dir=self.template.parent)))
        for name in ("plane", *(f"agent{one}" for one in NAMES)):
            shutil.copytree(self.template / name, self.home / name, ignore=shutil.ignore_patterns("*-shm"))
        self.runner = self.stack.enter_context(asyncio.Runner(loop_factory=VirtualLoop))
        self.site = Site(self.home, *self.people, length=length)
        self.strange = False
        self.do(self.site.start())

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Let the play go on until something is done."""
        return self.runner.run(work)

    @property
    def up(self) -> bool:
        return self.site.plane.app is not None

    @rule(name=Names, guest=st.sampled_from(["100", "101", ""]), timeout=st.sampled_from([60, 600]), seconds=Moments)
    @precondition(lambda self: self.up)
    def order(self, name: str, guest: str, timeout: int, seconds: float) -> None:
        """Place an order, and wait."""
        body = {"agent_id": self.site.agents[name], "mode": "apply", "vmid": guest, "timeout_seconds": timeout}
        answer = self.do(self.site.ask("/api/patches", body))
        assert answer is None or answer.status_code in {201, 503}, answer.text
        self.wait(seconds)

    @rule(seconds=Moments)
    @precondition(lambda self: self.up)
    def contend(self, seconds: float) -> None:
        """Order a patch of one guest from both agents, as after it has moved from one node to the other."""
        for name in NAMES:
            if self.up:
                self.order(name, "100", 600, 0.05)
        self.wait(seconds)

    @rule(at=st.integers(0, 3))
    @precondition(lambda self: self.up and bool(self.rows()))
    def cancel(self, at: int) -> None:
        """Take an order back, perhaps one that has ended."""
        rows = self.rows()
        answer = self.do(self.site.ask(f"/api/patches/{rows[at % len(rows)].id}/cancel", {}))
        assert answer is None or answer.status_code in {200, 409, 503}, answer.text

    @rule(seconds=Moments)
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.do(asyncio.sleep(seconds))

    @rule(name=Names, request=st.sampled_from(REQUESTS), trouble=st.sampled_from(TROUBLES))
    def trouble(self, name: str, request: str, trouble: Trouble) -> None:
        """Let the next request of a kind get lost, come twice, late or again, or lose its answer."""
        self.site.members[name].next[request].append(trouble)

    @rule(name=Names)
    def cut_or_mend(self, name: str) -> None:
        """Cut an agent's line, or mend it."""
        member = self.site.members[name]
        member.cut_off = not member.cut_off

    @rule(name=Names, steps=st.integers(0, 12))
    @precondition(lambda self: any(self.site.members[name].alive for name in NAMES))
    def kill_agent(self, name: str, steps: int) -> None:
        """Let an agent die so many steps from now."""
        self.site.members[name].post.life.fate = after(steps)

    @rule(name=Names)
    @precondition(lambda self: not all(self.site.members[name].alive for name in NAMES))
    def start_agent(self, name: str) -> None:
        """Start an agent that died."""
        self.raise_up(self.site.members[name])

    @rule(steps=st.integers(0, 25))
    @precondition(lambda self: self.up)
    def kill_plane(self, steps: int) -> None:
        """Let the control plane die so many steps from now."""
        self.site.plane.life.fate = after(steps)

    @rule()
    @precondition(lambda self: not self.up)
    def start_plane(self) -> None:
        """Start the control plane on what it left."""
        self.do(self.site.plane.start(rested=True))

    @rule()
    @precondition(lambda self: CLONE not in self.site.members)
    def clone(self) -> None:
        """Begin the first agent once more on another machine: a second claimant."""
        self.strange = True
        self.do(_at_once(self.site.clone))

    @rule(name=Names)
    def keep_spool(self, name: str) -> None:
        """Take a backup of a spool."""
        self.site.members[name].keep_spool()

    @rule(name=Names)
    @precondition(lambda self: any(self.site.members[name].kept for name in NAMES))
    def restore_spool(self, name: str) -> None:
        """Go back to the backup."""
        if self.site.members[name].kept is not None:
            self.strange = True
            self.do(_at_once(self.site.members[name].restore_spool))

    @invariant()
    def it_runs_once_and_alone(self) -> None:
        """No order ever runs twice, and no two run on one target."""
        if hasattr(self, "site"):
            assert max(self.site.ledger.runs.values(), default=0) <= 1, self.tell()
            assert self.site.ledger.overlaps == [], self.tell()

    @invariant()
    def the_log_tells_what_the_rows_say(self) -> None:
        """Each order's events go only where a way leads, and the last is its row."""
        if hasattr(self, "site") and self.up:
            told = self.site.plane.read(_told)
            for row in self.rows():
                steps = told[row.id]
                assert (steps[0], steps[-1]) == ("pending", row.status), f"{row.id}: {steps}"
                for one, next_one in itertools.pairwise(steps):
                    assert one == next_one or Status(next_one) in MOVES[Status(one)], f"{row.id}: {steps}"

    def teardown(self) -> None:
        """Heal everything, wait for the end of every order, and compare."""
        if not hasattr(self, "site"):
            return
        try:
            self.do(self.heal())
            self.do(self.until_ended())
            self.it_runs_once_and_alone()
            self.the_log_tells_what_the_rows_say()
            for row in self.rows():
                self.check_end(row)
            troubles = [*self.site.plane.troubles, *(said for one in self.all() for said in one.post.troubles)]
            assert troubles == [], self.tell()
        finally:
            self.do(self.site.bury())
            self.stack.close()

    async def heal(self) -> None:
        """Make everything good again."""
        self.site.plane.life.fate = never
        if not self.up:
            await self.site.plane.start(rested=True)
        for member in self.all():
            member.cut_off = False
            member.next.clear()
            member.post.life.fate = never
            if not member.alive:
                member.post.start()

    async def until_ended(self) -> None:
        """Wait for the end of every order, and of every script."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        while any(row.status in OPEN for row in self.rows()):
            assert loop.time() < deadline, f"stuck: {self.tell()}"
            await asyncio.sleep(20)
        await asyncio.sleep(300)

    def check_end(self, row: Operation) -> None:
        """Compare an order's one end with what really happened."""
        ran = self.site.ledger.runs[row.id]
        assert row.status in ENDED, self.tell()
        assert row.outcome is not None, self.tell()
        if row.outcome == "ok":
            assert (row.status, ran) == ("completed", 1), self.tell()
        if not self.strange:
            assert row.held_until is None or not ran, f"{row.id} keeps its target; {self.tell()}"
            assert not ran or row.outcome in {"ok", "cancelled"}, self.tell()
            assert ran or row.outcome in {"cancelled", "expired"}, self.tell()

    def raise_up(self, member: Member) -> None:
        """Start an agent unless it runs."""
        if not member.alive:
            self.do(_at_once(member.post.start))

    def all(self) -> list[Member]:
        """Return every agent there is."""
        return list(self.site.members.values())

    def rows(self) -> list[Operation]:
        """Return every order, as the disk has it."""
        return list(self.site.plane.read(_rows))

    def tell(self) -> str:
        """Say how things stand."""
        rows = [(one.id, one.target, one.status, one.outcome, one.reason, one.lease_token) for one in self.rows()]
        said = [*self.site.plane.troubles, *(said for one in self.all() for said in one.post.troubles)]
        steps = {name: member.post.life.steps[-15:] for name, member in self.site.members.items()}
        return f"{rows}\nran {dict(self.site.ledger.runs)}, overlaps {self.site.ledger.overlaps}\n{steps}\n{said}"


async def _at_once(work: Any) -> None:
    work()


def _rows(tx: Tx) -> list[Operation]:
    found = tx.connection.execute(select(operations).order_by(operations.c.created_at, operations.c.id))
    return [Operation(**row._mapping) for row in found]


def _told(tx: Tx) -> dict[str, list[str]]:
    """Return the states that the log tells of each order, in the log's order."""
    told: defaultdict[str, list[str]] = defaultdict(list)
    rows = tx.connection.execute(select(events).where(events.c.topic == "patch_operations").order_by(events.c.seq))
    for row in rows:
        told[row.payload["record"]["id"]].append(row.payload["record"]["status"])
    return told


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    """An enrolled installation at rest."""
    place = str(MEMORY) if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="nanny-model-", dir=place) as home:
        OperationMachine.template = Path(home) / "cast"
        OperationMachine.people = play(lambda: enrol(OperationMachine.template))
        yield OperationMachine.template


@pytest.mark.rows("G0-PT-01")
def test_whatever_happens_an_order_runs_once_and_has_one_end(template: Path) -> None:
    run_state_machine_as_test(
        OperationMachine,
        settings=settings(
            max_examples=EXAMPLES or 8,
            stateful_step_count=14,
            deadline=None,
            derandomize=not EXAMPLES,
            print_blob=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_clone_that_finds_no_trace_of_a_script_lets_nobody_at_its_target(template: Path) -> None:
    """The spool of a machine was copied while a script ran; the copy cannot tell whether it still does."""
    play = OperationMachine()
    play.begin(length=140.0)
    try:
        play.contend(seconds=30.0)
        play.keep_spool(name="one")
        play.clone()
        play.wait(700.0)
        first, second = play.rows()
        assert (first.outcome, second.outcome) == ("unknown", "ok")
        assert play.site.ledger.overlaps == [], play.tell()
        assert first.held_until is None, "who ran it has told its end, which frees the target"
    finally:
        play.do(play.site.bury())
        play.stack.close()
