"""A machine that only pretends: it counts how often each job was begun."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nanny_ops.machine.prune_verbs import PruneState, PruneVerb, StartPrune
from nanny_ops.machine.verbs import (
    CancelJob,
    DescribeHost,
    ForgetJob,
    HostFacts,
    JobPhase,
    JobResult,
    JobState,
    LookJob,
    MetricsReading,
    ReadMetrics,
    ReadProxmox,
    RebootState,
    RebootVerb,
    StartReboot,
    StartScript,
)
from nanny_ops.protocol.patch import PackageChange

FACTS = HostFacts(
    hostname="node-1",
    platform="debian",
    platform_family="debian",
    platform_version="13.1",
    kernel_version="6.12.0",
    kernel_arch="x86_64",
    os_type="linux",
    primary_ip="192.0.2.7",
    all_ips=["192.0.2.7"],
    proxmox=False,
    boot_id="boot-1",
)
METRICS = {
    "hostname": "node-1",
    "cpu_usage": 12.5,
    "cpu_cores": 2,
    "memory_usage": 512.0,
    "memory_total": 1024,
    "memory_used": 512,
    "memory_free": 512,
    "memory_available": 512,
    "disk_usage": 50.0,
    "disk_total": 100,
    "disk_used": 50,
    "disk_free": 50,
}


def result(outcome: str = "ok", **values: Any) -> JobResult:
    given = {
        "outcome": outcome,
        "reason": "",
        "exit_code": 0,
        "started_at": "2026-01-01T00:00:00.000Z",
        "finished_at": "2026-01-01T00:00:02.000Z",
        "duration_ms": 2000,
        "packages": [PackageChange(name="nginx", version="2", old_version="1")],
    }
    return JobResult(**{**given, **values})


class FakeHands:
    """Jobs end after ``looks`` looks; ``answers`` overrides a verb's answer, or raises."""

    def __init__(self, directory: Path, *, looks: int = 2, step: Callable[[str], None] = lambda _name: None) -> None:
        self.directory, self.looks, self.step = directory, looks, step
        self.starts: Counter[str] = Counter()
        self.jobs: dict[str, list[Any]] = {}
        self.started: list[Any] = []
        self.cancelled: list[str] = []
        self.forgotten: list[str] = []
        self.running: Counter[str] = Counter()
        self.most_at_once: Counter[str] = Counter()
        self.answers: dict[type, Any] = {DescribeHost: FACTS, ReadMetrics: MetricsReading(values=METRICS)}
        self.outcome = result()

    async def do(self, verb: Any) -> Any:
        name = type(verb).__name__
        self.step(f"before {name}")
        given = self.answers.get(type(verb))
        answer = given(verb) if callable(given) else given if given is not None else self._job(verb)
        self.step(f"after {name}")
        return answer

    def _job(self, verb: Any) -> JobState | RebootState | PruneState:
        if isinstance(verb, ReadProxmox):
            raise AssertionError("no Proxmox reading was prepared")
        if isinstance(verb, RebootVerb):
            return RebootState(reboot_id=verb.order.reboot_id if isinstance(verb, StartReboot) else verb.reboot_id)
        if isinstance(verb, PruneVerb):
            return PruneState(prune_id=verb.order.prune_id if isinstance(verb, StartPrune) else verb.prune_id)
        if isinstance(verb, StartScript):
            self._start(verb)
        job_id = verb.job.job_id if isinstance(verb, StartScript) else verb.job_id
        if isinstance(verb, CancelJob):
            self.cancelled.append(job_id)
            self._end(job_id, result("cancelled"))
        if isinstance(verb, ForgetJob):
            self.forgotten.append(job_id)
            self.jobs.pop(job_id, None)
        if isinstance(verb, LookJob):
            self._tick(job_id)
        return self.state(job_id)

    def _start(self, verb: StartScript) -> None:
        job_id, target = verb.job.job_id, str(verb.job.vmid)
        if job_id in self.jobs and self.jobs[job_id][0] is not JobPhase.READY:
            return
        self.starts[job_id] += 1
        self.started.append(verb.job)
        self.jobs[job_id] = [JobPhase.RUNNING, self.looks, None, target]
        self.running[target] += 1
        self.most_at_once[target] = max(self.most_at_once[target], self.running[target])
        for end in ("stdout", "stderr"):
            (self.directory / f"{job_id}.{end}").write_text(f"{end} of {job_id}\n")

    def _tick(self, job_id: str) -> None:
        job = self.jobs.get(job_id)
        if job is not None and job[0] is JobPhase.RUNNING:
            job[1] -= 1
            if job[1] <= 0:
                self._end(job_id, self.outcome)

    def _end(self, job_id: str, outcome: JobResult) -> None:
        job = self.jobs.get(job_id)
        if job is not None and job[0] is JobPhase.RUNNING:
            job[0], job[2] = JobPhase.DONE, outcome
            self.running[job[3]] -= 1

    def state(self, job_id: str) -> JobState:
        job = self.jobs.get(job_id)
        if job is None:
            return JobState(job_id=job_id, phase=JobPhase.ABSENT)
        paths = {f"{end}_path": str(self.directory / f"{job_id}.{end}") for end in ("stdout", "stderr")}
        claim = next((one.claim for one in reversed(self.started) if one.job_id == job_id), "")
        return JobState(job_id=job_id, phase=job[0], result=job[2], claim=claim, **paths)
