"""Whole patches under whatever hypothesis finds: plans, troubles of guests, kills at every step, cancels, lost answers.

Control plane, store, worker, spool, the jobs' files, their supervisors and the procedure around the script are the
product's own; fakes are clock, network, the Proxmox VE API and what runs programs in a guest. A run is one order with
a plan and troubles of its own; :data:`FLEET` of them are under way at once, so that they also compete.

``MODEL_EXAMPLES`` asks for more plays than a check-in has time for.
"""

import asyncio
import contextlib
import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
import structlog
from hypothesis import HealthCheck, Phase, seed, settings
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

from nanny_ops.control.services import patch
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.tables import scripts
from nanny_ops.machine.procedure.record import Record, Records
from nanny_ops.protocol.operation import ENDED, Status
from tests.fakes.life import never
from tests.fakes.virtual_time import BEGINNING, VirtualClock, VirtualLoop, play
from tests.integration.faults.guest_room import Room
from tests.integration.faults.plane import Plane
from tests.integration.faults.post import Post
from tests.integration.faults.procedure_machine import ProcedureMachine
from tests.integration.faults.scene import Cast, Scene, enrol
from tests.integration.faults.schedules import after
from tests.integration.faults.test_schedules import MEMORY
from tests.integration.faults.wire import FAIR, Network, Trouble

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "0"))
#: Orders of one play, what all plays together come to, and into how many tests they are split, for as many cores.
FLEET, RUNS, PARTS = 10, 1000, 4
#: Seconds after which what has not ended is stuck.
PATIENCE = 6 * 3600
REQUESTS = ("POST api/operations/ack", "POST api/operations/renew", "POST api/patches/results", "POST api/realtime")
TROUBLES = (
    Trouble(lost=True),
    Trouble(answer_lost=True),
    Trouble(twice=True),
    Trouble(before=20.0),
    Trouble(after=20.0),
)
FOREIGN = ("before-upgrade", "nanny-20200101000000-0000")
#: Snapshots that earlier orders have made and written down.
EARLIER = ("nanny-20260101000000-0000", "nanny-20260101000000-0001")
UNIT = {"kind": "unit", "unit": "app.service"}


@dataclass(frozen=True)
class Case:
    """One order, how its guest is, and what goes wrong."""

    running: bool
    start_stopped: bool
    protect: str
    rollback: str
    bake: int
    probed: bool
    hooks: tuple[tuple[str, str], ...]
    length: float
    code: int
    change: str
    hook_code: int
    faults: tuple[tuple[str, int], ...]
    can_snapshot: bool
    backup: bool
    earlier: int
    kills: tuple[int, ...]
    torn: int | None
    client_dies: int
    dry: bool


CASES = st.builds(
    Case,
    running=st.booleans(),
    start_stopped=st.sampled_from([True, True, True, False]),
    protect=st.sampled_from(["none", "prefer-snapshot", "require-snapshot", "require-snapshot", "require-backup"]),
    rollback=st.sampled_from(["auto", "auto", "never"]),
    bake=st.sampled_from([0, 3]),
    probed=st.sampled_from([True, True, False]),
    hooks=st.lists(
        st.tuples(st.sampled_from(["pre", "post"]), st.sampled_from(["must-succeed", "ignore", "always"])), max_size=2
    ).map(lambda found: tuple(one for one in found if one != ("pre", "always"))),
    length=st.sampled_from([1.0, 3.0, 30.0]),
    code=st.sampled_from([0, 0, 0, 100]),
    change=st.sampled_from(["2", "2", "broken"]),
    hook_code=st.sampled_from([0, 0, 1]),
    faults=st.lists(
        st.tuples(
            st.sampled_from(["vzsnapshot", "vzstart", "vzrollback", "vzshutdown", "vzdelsnapshot"]), st.integers(1, 3)
        ),
        max_size=2,
    ).map(tuple),
    can_snapshot=st.sampled_from([True, True, True, False]),
    backup=st.booleans(),
    earlier=st.integers(0, 2),
    kills=st.lists(st.integers(0, 50), max_size=3).map(tuple),
    torn=st.sampled_from([None, 0, 9]),
    client_dies=st.sampled_from([0, 0, 1, 2]),
    dry=st.sampled_from([False, False, False, False, True]),
)


class ProcedureModel(RuleBasedStateMachine):
    """A fleet of guests is patched while people, agents, the control plane and the node do what they can."""

    cast: ClassVar[Cast]
    runs: ClassVar[int] = 0
    ends: ClassVar[Counter[str]] = Counter()

    @initialize(cases=st.lists(CASES, min_size=FLEET, max_size=FLEET))
    def begin(self, cases: list[Case]) -> None:
        """Copy the enrolled installation, start it, and order a patch of each guest."""
        self.stack = contextlib.ExitStack()
        self.stack.enter_context(structlog.testing.capture_logs())
        self.home = Path(self.stack.enter_context(tempfile.TemporaryDirectory(dir=self.cast.home.parent)))
        for name in ("plane", "agent"):
            shutil.copytree(self.cast.home / name, self.home / name, ignore=shutil.ignore_patterns("*-shm"))
        self.runner = self.stack.enter_context(asyncio.Runner(loop_factory=VirtualLoop))
        self.cases = {100 + number: case for number, case in enumerate(cases)}
        self.moved: set[int] = set()
        self.meddled: set[int] = set()
        self.orders: dict[int, str] = {}
        self.cancelled: set[str] = set()
        self.troubles: dict[str, list[Trouble]] = {}
        self.do(self.start())

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Let the play go on until something is done."""
        return self.runner.run(work)

    async def start(self) -> None:
        """Begin with everything in order but what the cases draw."""
        loop = asyncio.get_running_loop()
        plane = Plane(self.home / "plane", VirtualClock())
        machine = self.machine = ProcedureMachine(self.home / "jobs", VirtualClock(), time=loop.time)
        machine.prepare()
        network = Network(plane, weather=lambda name: (self.troubles.get(name) or [FAIR]).pop(0))
        dice = random.Random(0)
        self.scene = Scene(plane, Post(self.home / "agent", machine, network, dice), machine, network, dice,
                           self.cast.person, self.cast.agent)  # fmt: skip
        for vmid, case in self.cases.items():
            machine.rooms[vmid] = self.furnish(vmid, case)
            machine.fates[vmid] = [after(steps) for steps in case.kills]
            machine.torn[vmid] = case.torn
        await plane.start(rested=True)
        self.scene.post.start()
        await self.scene.until(lambda: plane.read(self.described), "the agent has told what it can do")
        hooked = plane.read(lambda tx: tx.connection.execute(select(scripts.c.id)).scalars().first())
        for vmid, case in self.cases.items():
            self.orders[vmid] = await self.scene.order(**self.asked(vmid, case, hooked))

    def described(self, tx: Tx) -> bool:
        """Tell whether the control plane knows what the agent can do."""
        agent = agents.find(tx, self.cast.agent)
        return agent is not None and bool(agent.features)

    def furnish(self, vmid: int, case: Case) -> Room:
        """Make a guest as its case has it, with snapshots of others and of ours."""
        loop = self.runner.get_loop()
        room = Room(vmid=vmid, running=case.running, length=case.length, change=case.change, play_now=loop.time)
        room.clock = lambda: BEGINNING.timestamp() + loop.time()
        room.codes = {"script": case.code} | {f"hook-{number}": case.hook_code for number in (1, 2)}
        room.faults_left, room.can_snapshot, room.client_dies = dict(case.faults), case.can_snapshot, case.client_dies
        room.snapshots = {name: {"snaptime": 1, "disk": {"app": "1"}} for name in FOREIGN}
        if case.backup:
            room.backups = [{"volid": "store:backup/b", "vmid": vmid, "size": 5, "ctime": int(room.clock())}]
        for number in range(case.earlier):
            name, made = EARLIER[number], room.clock() - 100 + number
            room.snapshots[name] = {"snaptime": int(made), "disk": {"app": "0"}}
            Records(self.machine.jobs).add(Record(vmid=vmid, name=name, job_id="earlier", made=made))
        return room

    def asked(self, vmid: int, case: Case, script: str) -> dict[str, Any]:
        """Return what a person orders."""
        hooks = [{"stage": stage, "script_id": script, "on_failure": policy} for stage, policy in case.hooks]
        return {
            "vmid": str(vmid),
            "mode": "dry-run" if case.dry else "apply",
            "timeout_seconds": 20,
            "protect": case.protect,
            "rollback": case.rollback,
            "start_stopped": case.start_stopped,
            "bake_seconds": case.bake,
            "hooks": hooks,
            "probes": [UNIT] if case.probed else [],
        }

    @rule(seconds=st.sampled_from([0.5, 2.0, 10.0, 60.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.do(asyncio.sleep(seconds))

    @rule(at=st.integers(0, FLEET - 1), seconds=st.sampled_from([0.1, 3.0]))
    @precondition(lambda self: self.scene.plane.app is not None)
    def cancel(self, at: int, seconds: float) -> None:
        """Take an order back."""
        order = self.orders[100 + at]
        with contextlib.suppress(httpx.TransportError):
            self.do(self.scene._ask(f"/api/patches/{order}/cancel", {}, {}))
        self.cancelled.add(order)
        self.wait(seconds)

    @rule(at=st.integers(0, FLEET - 1))
    def switch_off(self, at: int) -> None:
        """A person stops a guest by hand."""
        self.meddled.add(100 + at)
        self.machine.rooms[100 + at].power(False)

    @rule(at=st.integers(0, FLEET - 1))
    def migrate(self, at: int) -> None:
        """A guest goes to another node."""
        self.moved.add(100 + at)
        room = self.machine.rooms[100 + at]
        room.settle()
        room.where = "pve2"

    @rule(at=st.integers(0, FLEET - 1), seconds=st.sampled_from([5.0, 30.0]))
    def lock(self, at: int, seconds: float) -> None:
        """A backup locks a guest for a while."""
        room = self.machine.rooms[100 + at]
        room.lock = "backup"
        self.wait(seconds)
        room.lock = ""

    @rule(request=st.sampled_from(REQUESTS), trouble=st.sampled_from(TROUBLES))
    def trouble(self, request: str, trouble: Trouble) -> None:
        """Let the next request of a kind get lost, come twice or late, or lose its answer."""
        self.troubles.setdefault(request, []).append(trouble)

    @rule(steps=st.integers(0, 40), away=st.sampled_from([1.0, 30.0]))
    def kill_agent(self, steps: int, away: float) -> None:
        """Let the agent die so many steps from now, and come back."""
        self.scene.post.life.fate = after(steps)
        self.wait(away)
        self.scene.post.life.fate = never
        self.do(self.raise_agent())

    @rule(steps=st.integers(0, 40), away=st.sampled_from([1.0, 30.0]))
    def kill_plane(self, steps: int, away: float) -> None:
        """Let the control plane die so many steps from now, and come back."""
        self.scene.plane.life.fate = after(steps)
        self.wait(away)
        self.do(self.raise_plane())

    @invariant()
    def nothing_runs_twice_or_beside_another(self) -> None:
        """No script and no hook is ever begun twice, and no two programs of ours run in one guest."""
        if hasattr(self, "machine"):
            for vmid, room in self.machine.rooms.items():
                assert max(room.begun.values(), default=0) <= 1, self.tell(vmid)
                assert room.overlaps == [], self.tell(vmid)
                assert set(FOREIGN) <= set(room.snapshots), self.tell(vmid)

    async def raise_agent(self) -> None:
        """Start the agent unless it runs."""
        if self.scene.post.died.is_set():
            self.scene.post.start()

    async def raise_plane(self) -> None:
        """Start the control plane unless it runs."""
        self.scene.plane.life.fate = never
        if self.scene.plane.app is None:
            await self.scene.plane.start(rested=True)

    def teardown(self) -> None:
        """Heal everything, wait for the end of every order, and compare."""
        if not hasattr(self, "scene"):
            return
        try:
            self.do(self.settle())
            self.nothing_runs_twice_or_beside_another()
            for vmid in self.orders:
                self.check(vmid)
            found = [*self.machine.broken, *self.scene.plane.troubles, *self.scene.post.troubles]
            assert found == [], found
        finally:
            self.do(self.bury())
            self.stack.close()

    async def settle(self) -> None:
        """Make the lines and the processes good again, and wait until every order has ended on both sides."""
        await self.raise_plane()
        self.scene.post.life.fate = never
        await self.raise_agent()
        self.troubles.clear()
        await self.scene.until(self.scene.settled, "everything has ended", PATIENCE, every=30)

    async def bury(self) -> None:
        """End everything."""
        await self.scene.post.bury()
        await self.machine.stop()
        await self.scene.plane.bury()

    def check(self, vmid: int) -> None:
        """Compare one order's end with what happened in its guest."""
        case, room, order = self.cases[vmid], self.machine.rooms[vmid], self.orders[vmid]
        room.settle()
        row = self.scene.found(order)
        assert Status(row.status) in ENDED, self.tell(vmid)
        assert row.outcome, self.tell(vmid)
        type(self).runs += 1
        self.ends[row.outcome] += 1
        ran = order in room.begun
        if row.outcome in {"ok", "rolled_back"}:
            assert ran, self.tell(vmid)
        if row.outcome in {"unprotected", "blocked", "target_unknown", "expired"}:
            assert not ran, self.tell(vmid)
        if case.protect.startswith("require") and not case.dry and ran:
            assert self.kept(vmid), self.tell(vmid)
        self.check_power(vmid)
        self.check_snapshots(vmid, row.outcome)
        self.check_health(vmid, row.outcome)

    def kept(self, vmid: int) -> list[str]:
        """Return what the order had to go back to when its script began, of the kind that it asked for."""
        backups = self.cases[vmid].protect == "require-backup"
        found = self.machine.rooms[vmid].kept_at[self.orders[vmid]]
        return [name for name in found if name not in (*FOREIGN, *EARLIER) and name.startswith("store:") is backups]

    def check_power(self, vmid: int) -> None:
        """A guest that was stopped is stopped again; where that could not be done, the result says so."""
        case, room = self.cases[vmid], self.machine.rooms[vmid]
        if case.running or not room.running:
            return
        row = self.scene.found(self.orders[vmid])
        assert vmid in self.moved, self.tell(vmid)
        assert "stopped before" in row.reason or "is on node" in row.reason, self.tell(vmid)

    def check_snapshots(self, vmid: int, outcome: str) -> None:
        """After an order that ended well one snapshot of ours stays; one that was never begun leaves none."""
        case, room, order = self.cases[vmid], self.machine.rooms[vmid], self.orders[vmid]
        earlier = EARLIER[: case.earlier]
        own = set(room.snapshots) - {*FOREIGN, *EARLIER}
        if vmid in self.moved or dict(case.faults).get("vzdelsnapshot"):
            return
        if outcome == "ok" and case.protect.endswith("snapshot") and not case.dry and own:
            assert len(own) == 1, self.tell(vmid)
            assert not set(earlier) & set(room.snapshots), self.tell(vmid)
        if order not in room.begun and outcome != "unknown":
            assert not own, self.tell(vmid)

    def check_health(self, vmid: int, outcome: str) -> None:
        """A change that broke its guest never counts as good; with a snapshot it is set back, or said not to be."""
        case, room, order = self.cases[vmid], self.machine.rooms[vmid], self.orders[vmid]
        if outcome == "rolled_back":
            assert room.disk["app"] == "1", self.tell(vmid)
        run = room.programs.get(order)
        broke = run is not None and run.over and not run.gone and run.change == "broken" and run.code == 0
        looked = case.probed and not case.dry and order not in self.cancelled and vmid not in self.moved | self.meddled
        if broke and looked:
            hooked = (
                {"hook_failed"} if ("post", "must-succeed") in case.hooks else set[str]()
            )  # as one cut short by a kill
            assert outcome in {"unhealthy", "rolled_back", "rollback_failed", "unknown"} | hooked, self.tell(vmid)
            if self.kept(vmid) and case.rollback == "auto" and case.protect.endswith("snapshot"):
                assert outcome in {"rolled_back", "rollback_failed"}, self.tell(vmid)

    def tell(self, vmid: int) -> str:
        """Say how things stand with a guest and its order."""
        room, order = self.machine.rooms[vmid], self.orders.get(vmid, "")
        row = self.scene.found(order)
        at = self.scene.plane.clock()
        report = self.scene.plane.read(lambda tx: patch.detail(tx, row, at)).report if row.result else None
        steps = [(one.name, one.outcome, one.reason) for one in report.steps] if report else None
        return "\n".join(
            [
                f"{vmid} {order}: {row.status} {row.outcome} {row.reason}",
                f"{self.cases[vmid]}",
                f"moved {vmid in self.moved}, meddled {vmid in self.meddled}, cancelled {order in self.cancelled}",
                f"{room.programs} begun {room.begun} kept {room.kept_at} beside {room.overlaps}",
                f"running {room.running} on {room.where}, disk {room.disk}, snapshots {list(room.snapshots)}",
                f"steps {steps}",
                f"killed {[one for one in self.machine.killed if order in one]}",
                f"supervisor {self.machine.steps.get(order)}",
                f"calls {room.calls}",
            ]
        )


@pytest.fixture(scope="module")
def cast() -> Iterator[Cast]:
    """An enrolled installation at rest."""
    place = str(MEMORY) if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="nanny-procedure-", dir=place) as home:
        yield play(lambda: enrol(Path(home) / "cast"))


@pytest.mark.timeout(600)
@pytest.mark.rows("F2", "F15")
@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_happens_a_patch_is_done_once_and_leaves_its_guest_as_it_says(cast: Cast, part: int) -> None:
    drawn = seed(part) if not EXAMPLES else lambda found: found
    model = drawn(type(f"Part{part}", (ProcedureModel,), {"cast": cast, "runs": 0, "ends": Counter()}))
    examples = EXAMPLES or RUNS // FLEET // PARTS
    run_state_machine_as_test(
        model,
        settings=settings(
            max_examples=examples,
            stateful_step_count=6,
            deadline=None,
            database=None,
            print_blob=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert model.runs >= examples * FLEET, model.runs
    assert {"ok", "rolled_back", "unprotected", "cancelled"} <= set(model.ends) or EXAMPLES, model.ends
