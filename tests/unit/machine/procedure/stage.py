"""A whole job in memory: a node with one guest, a target whose commands end at once, time that nobody waits."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nanny_ops.machine.plan import HookScript, Plan
from nanny_ops.machine.procedure.course import Course
from nanny_ops.machine.procedure.journal import Journal
from nanny_ops.machine.procedure.record import Records
from nanny_ops.machine.procedure.scene import Scene
from nanny_ops.machine.procedure.ward import Ward
from nanny_ops.machine.run import Done
from nanny_ops.machine.script_run import Verdict
from nanny_ops.machine.target import Call, Standing
from nanny_ops.machine.verbs import ScriptJob
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.probe import Probe
from tests.fakes import question_round
from tests.fakes.guest_node import NODE, GuestNode
from tests.unit.machine.proxmox.recorded import Time

LIST = b'[{"name":"app","version":"2"}]\n'
UNIT = Probe(kind="unit", unit="app.service")
DF = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/x 9 9 4194304 1% /\n"


def ended(code: int | None, stdout: bytes = b"", stderr: bytes = b"", **more: Any) -> Done:
    return Done(argv=(), exit_code=code, stdout=stdout, stderr=stderr, **more)


@dataclass
class FakeTarget:
    """A guest's inside: programs run only while it does; its unit is active while ``disk`` holds what works."""

    node: GuestNode
    works_with: tuple[str, ...] = ("1", "2")
    df: str = DF
    serving: str = "service app.service\nport 0050\n"
    halted: list[str] = field(default_factory=list)
    before: Callable[[], None] = lambda: None

    def command(self, argv: Sequence[str], seconds: float) -> Done:
        del seconds
        self.before()
        if not self.node.running:
            return ended(255, stderr=b"container '101' not running!\n")
        return question_round.answer(argv, self.one) if question_round.is_round(argv) else self.one(argv)

    def one(self, argv: Sequence[str]) -> Done:
        if argv[0] == "df":
            return ended(0, self.df.encode())
        if argv[0] == "systemctl":
            well = self.node.disk["app"] in self.works_with
            return ended(0, b"active\n") if well else ended(3, b"failed\n")
        if argv[:2] == ["sh", "-c"] and "list-units" in argv[2]:
            return ended(0, self.serving.encode())
        return ended(0)

    def halt(self, job_id: str) -> None:
        self.halted.append(job_id)

    def standing(self, job_id: str) -> Standing:
        del job_id
        return Standing.GONE


@dataclass
class FakeScripts:
    """Runs hooks: each is noted by the last word of its job's id, and ends as ``codes`` says."""

    codes: dict[str, int] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    before: Callable[[], None] = lambda: None
    cap: int = 0
    at_once: bool = False

    def run(self, call: Call, *, begun: Callable[[], None], prefix: str = "") -> Verdict:
        del begun, prefix
        self.before()
        name = call.job_id.rpartition("-")[2]
        self.ran.append(name)
        code = self.codes.get(name, 0)
        word = Outcome.SCRIPT_FAILED if code else Outcome.BAD_OUTPUT
        return Verdict(word, f"It ended with exit code {code}.", ended(code, b"said\n"))

    def __replace__(self, **_changes: Any) -> "FakeScripts":
        return self


@dataclass
class Play:
    """One job from its order to its end; ``run`` may be called again after a kill, as another supervisor would."""

    directory: Path
    plan: Plan = field(default_factory=Plan)
    node: GuestNode = field(default_factory=GuestNode)
    dry_run: bool = False
    host: bool = False
    api: bool = True
    #: What the script does and comes to.
    script: Callable[[], Verdict] | None = None
    time: Time = field(default_factory=lambda: Time(now=1_795_295_800.0))
    journal_kind: Callable[..., Journal] = Journal
    scripts_run: int = 0

    def __post_init__(self) -> None:
        self.job_dir = self.directory / "jobs" / "op-1"
        self.job_dir.mkdir(parents=True)
        self.target, self.scripts = FakeTarget(self.node), FakeScripts()
        self.node.clock = lambda: self.time.now

    def scene(self) -> Scene:
        job = ScriptJob(
            job_id="op-1",
            vmid=None if self.host else self.node.vmid,
            script=b"#!/bin/sh\n",
            sha256="",
            argv=[],
            timeout_seconds=60,
            dry_run=self.dry_run,
            output_cap=1000,
            plan=self.plan,
        )
        ward = Ward(self.node, NODE, self.node.vmid, self.time.pace) if self.api and not self.host else None
        return Scene(
            directory=self.job_dir,
            job=job,
            plan=self.plan,
            target=self.target,  # type: ignore[arg-type]
            scripts=self.scripts,  # type: ignore[arg-type]
            journal=self.journal_kind(self.job_dir, self.now),
            records=Records(self.job_dir.parent),
            ward=ward,
            no_ward="" if self.api else "no access to its API is set up for jobs.",
            node_api=self.node if self.api and self.host else None,
            now=self.now,
            pace=self.time.pace,
        )

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time.now, UTC)

    def course(self) -> Course:
        return Course(self.scene(), self._run_script, lambda: None)

    def _run_script(self, begun: Callable[[], None]) -> Verdict:
        begun()
        self.scripts_run += 1
        if self.script is not None:
            return self.script()
        self.node.disk["app"] = "2"
        return Verdict(Outcome.OK, "1 package.", ended(0, LIST))


def hook(stage: str, on_failure: str = "must-succeed") -> HookScript:
    body = b"#!/bin/sh\n"
    return HookScript(
        stage=stage,  # type: ignore[arg-type]
        script_id=f"{stage}-{on_failure}",
        script=body,
        sha256=hashlib.sha256(body).hexdigest(),
        on_failure=on_failure,  # type: ignore[arg-type]
    )
