"""A machine whose jobs are real directories and whose supervisors run in virtual time, outside of any agent."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from nanny_ops.errors import DiskFull
from nanny_ops.machine import job
from nanny_ops.machine.verbs import (
    CancelJob,
    DescribeHost,
    ForgetJob,
    JobResult,
    LookJob,
    MetricsReading,
    ReadMetrics,
    SignatureCheck,
    StartScript,
    VerifySignature,
)
from nanny_ops.protocol.clock import stamp
from nanny_ops.protocol.patch import PackageChange
from tests.fakes.hands import FACTS, METRICS


@dataclass
class Machine:
    """What stays when an agent is killed: its jobs with their files, and who has ever begun to run.

    ``launch`` is where the real product starts a supervisor's process; all around it is the product's own.
    """

    jobs: Path
    clock: Callable[[], datetime]
    #: Seconds from a supervisor's lock to its script's first step, and of the script.
    rise: float = 0.05
    length: float = 3.0
    printed: int = 50_000
    full: bool = False
    #: One for each script that was begun, by job.
    runs: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    at_once: int = 0
    most_at_once: int = 0
    _supervisors: list[asyncio.Task[None]] = field(default_factory=list)

    def perform(self, verb: Any, step: Callable[[str], None]) -> Any:
        """Do what the product's machine does with a verb; ``step`` is told about the moments in between."""
        match verb:
            case DescribeHost():
                return FACTS
            case ReadMetrics():
                return MetricsReading(values=METRICS)
            case VerifySignature():
                return SignatureCheck(valid=_verifies(verb))
            case StartScript(job=order):
                if self.full and not (self.jobs / order.job_id).exists():
                    raise DiskFull("No space is left for a job's files.")
                return job.start(self.jobs, order, launch=lambda home, _seal: self._launch(home, step))
            case LookJob(job_id=job_id):
                return job.look(self.jobs, job_id)
            case CancelJob(job_id=job_id):
                return job.cancel(self.jobs, job_id, launch=lambda home, _seal: self._launch(home, step))
            case ForgetJob(job_id=job_id):
                return job.forget(self.jobs, job_id)
        raise AssertionError(verb)

    async def stop(self) -> None:
        """End whatever still runs, at the end of a play."""
        for task in self._supervisors:
            task.cancel()
        await asyncio.gather(*self._supervisors, return_exceptions=True)

    def _launch(self, home: Path, step: Callable[[str], None]) -> None:
        step("before the supervisor")
        held = contextlib.ExitStack()
        if held.enter_context(job.supervised(home)):
            self._supervisors.append(asyncio.create_task(self._supervise(home, held)))
        else:
            held.close()
        step("after the supervisor")

    async def _supervise(self, home: Path, held: contextlib.ExitStack) -> None:
        with held:
            await asyncio.sleep(self.rise)
            if (home / "started").exists() or (home / "result.json").exists():
                return
            began = self.clock()
            outcome = "cancelled" if (home / "cancel").exists() else await self._script(home)
            packages = [PackageChange(name="proof", version="2", old_version="1")] if outcome == "ok" else []
            job.write_result(
                home,
                JobResult(
                    outcome=outcome,
                    reason="",
                    exit_code=0 if outcome == "ok" else None,
                    started_at=stamp(began),
                    finished_at=stamp(self.clock()),
                    duration_ms=round(self.length * 1000),
                    packages=packages,
                ),
            )

    async def _script(self, home: Path) -> str:
        (home / "started").touch(exist_ok=False)
        self.runs[home.name] += 1
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        for _ in range(4):
            await asyncio.sleep(self.length / 4)
            with (home / "stdout").open("ab") as file:
                file.write(printed(home.name, self.printed // 4))
            if (home / "cancel").exists():
                break
        self.at_once -= 1
        self.ended[home.name] += 1
        return "cancelled" if (home / "cancel").exists() else "ok"


def printed(name: str, size: int) -> bytes:
    """Return what a quarter of a job's script prints: its own name over and over."""
    line = json.dumps({"job": name}).encode() + b"\n"
    return (line * (size // len(line) + 1))[:size]


def _verifies(verb: VerifySignature) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(verb.public_key).verify(verb.signature, verb.message)
    except InvalidSignature:
        return False
    return True
