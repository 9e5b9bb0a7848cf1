"""What patching containers costs: calls of ``pct``, and our own CPU, with eight jobs at once.

Fifty containers are a stand-in: a ``pct`` that runs each program here and counts its calls. With ``--real N`` the lab's
``pct`` does its work in N containers of LXC, each patched again and again until there were 50 jobs. Either way jobs are
begun as the agent does, in supervisors that the product's own fork server makes. Counted as ours is the CPU of whoever
begins a job and looks at it, of the fork server with its interpreter and imports, and of each supervisor; not that of
``pct``, and of what runs in the container. Other work on the machine makes these figures larger.
"""

import argparse
import hashlib
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks._counted_supervisors import own
from benchmarks._figures import Figure, show
from nanny_ops.lab.fleet import LabPlan
from nanny_ops.lab.lab import Lab
from nanny_ops.machine import carrier, forked
from nanny_ops.machine.perform_job import perform_job
from nanny_ops.machine.plan import HookScript, Plan
from nanny_ops.machine.verbs import JobPhase, LookJob, ScriptJob, StartScript
from nanny_ops.protocol.probe import Probe

CONTAINERS, AT_ONCE = 50, 8
#: Calls of ``pct`` for a dry run and for an apply, what each hook adds, and seconds of our own CPU for each container.
DRY_CALLS, APPLY_CALLS, HOOK_CALLS, CPU = 4, 6, 2, 0.05
#: Seconds between two looks at a job, and for one job.
LOOK, LONG = 0.5, 300.0
SCRIPT = b"""#!/bin/sh\necho '[{"name":"app","version":"2"}]'\n"""
HERE = '#!/bin/sh\nshift 3\nexec setsid -w "$@"\n'
COUNTING = '#!/bin/sh\necho >>{calls}/$2\nexec {pct} "$@"\n'
PROBES = [
    Probe(kind="services"),
    Probe(kind="load", most=10_000.0),
    Probe(kind="command", argv=["true"]),
    Probe(kind="command", argv=["test", "-d", "/var"]),
]
HOOK = HookScript(stage="pre", script_id="hook", script=SCRIPT, sha256=hashlib.sha256(SCRIPT).hexdigest())


@dataclass
class Kind:
    """One kind of job, and what is around its script."""

    name: str
    plan: Plan | None
    calls: int

    @property
    def dry_run(self) -> bool:
        """Tell whether it changes nothing."""
        return self.plan is None


KINDS = (
    Kind("dry run", None, DRY_CALLS),
    Kind("apply, four probes", Plan(probes=PROBES), APPLY_CALLS),
    Kind("apply, four probes, a hook", Plan(probes=PROBES, hooks=[HOOK]), APPLY_CALLS + HOOK_CALLS),
)


def one(folder: Path, vmid: int, turn: int, kind: Kind) -> None:
    """See one job through. Raises AssertionError where it did not go well."""
    order = ScriptJob(
        job_id=f"bench-{folder.name}-{vmid}-{turn}",
        vmid=vmid,
        script=SCRIPT,
        sha256=hashlib.sha256(SCRIPT).hexdigest(),
        argv=["--dry-run"] if kind.dry_run else [],
        timeout_seconds=60,
        dry_run=kind.dry_run,
        output_cap=1 << 20,
        plan=kind.plan,
    )
    place, ends = folder / "jobs", time.monotonic() + LONG
    state = perform_job(StartScript(job=order), jobs_dir=place)
    while state.phase is JobPhase.RUNNING and time.monotonic() < ends:
        time.sleep(LOOK)
        state = perform_job(LookJob(job_id=order.job_id), jobs_dir=place)
    assert state.result is not None, f"{order.job_id}: {state.phase}"
    assert state.result.outcome == "ok", state.result.reason


@contextmanager
def server(folder: Path) -> Iterator[Path]:
    """Have the fork server at work that notes its CPU; it has ended, and its note is there, afterwards."""
    place, notes = folder / forked.FOLDER, folder / "notes"
    place.mkdir(mode=0o700)
    notes.mkdir()
    words = [sys.executable, "-P", "-m", "benchmarks._counted_supervisors", str(place), str(notes)]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(words, env=environ, start_new_session=True) as process:
        while not (notes / "ready").exists() and process.poll() is None:
            time.sleep(0.02)
        yield notes


def fleet(folder: Path, pct: Path, vmids: list[int], kind: Kind) -> tuple[float, float, float]:
    """Return the calls for a job, and the seconds of our own CPU for each: all of it, and the supervisor's."""
    turns = range(math.ceil(CONTAINERS / len(vmids)))
    for name in ("bin", "calls", "jobs"):
        (folder / name).mkdir(parents=True)
    counting = folder / "bin" / "pct"
    counting.write_text(COUNTING.format(calls=folder / "calls", pct=pct))
    counting.chmod(0o755)
    os.environ["PATH"] = f"{counting.parent}:{os.environ['PATH']}"
    try:
        with server(folder) as notes:
            before = own()
            with ThreadPoolExecutor(AT_ONCE) as workers:
                list(workers.map(lambda vmid: [one(folder, vmid, turn, kind) for turn in turns], vmids))
            here = own() - before
    finally:
        os.environ["PATH"] = os.environ["PATH"].partition(":")[2]
    supervisors = sum(float(note.read_text()) for note in notes.glob("bench-*"))
    spent = here + supervisors + float((notes / "server").read_text())
    calls = max(len(file.read_text().splitlines()) for file in (folder / "calls").iterdir())
    count = len(turns) * len(vmids)
    return calls / len(turns), spent / count, supervisors / count


def interpreter() -> float:
    """Return the seconds of CPU until a supervisor with a Python of its own has its lock."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory(prefix="nanny-bench-") as place:
        carrier.detached(Path(place) / "no-job", "")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(place: Path, pct: Path, vmids: list[int], what: str) -> list[Figure]:
    """Run every kind of job on all containers."""
    count = math.ceil(CONTAINERS / len(vmids)) * len(vmids)
    figures = [Figure(what, len(vmids), "containers"), Figure("jobs of each kind", count, "jobs")]
    figures.append(Figure("at once", min(AT_ONCE, len(vmids)), "jobs"))
    for number, kind in enumerate(KINDS):
        calls, spent, supervisor = fleet(place / str(number), pct, vmids, kind)
        figures += [
            Figure(f"{kind.name}: pct", calls, "calls", kind.calls),
            Figure(f"{kind.name}: own CPU", spent * 1000, "ms", CPU * 1000),
            Figure(f"{kind.name}: supervisor", supervisor * 1000, "ms"),
        ]
    return [*figures, Figure("a supervisor by its own Python", interpreter() * 1000, "ms")]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="./run bench patch", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--real", type=int, metavar="N", default=0, help="in N real containers of LXC, as root")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nanny-bench-") as place:
        if not arguments.real:
            here = Path(place) / "here"
            here.write_text(HERE)
            here.chmod(0o755)
            figures = measure(Path(place), here, list(range(100, 100 + CONTAINERS)), "simulated")
        else:
            plan = LabPlan(nodes=1, guests=2 * arguments.real, real=arguments.real)  # a third are no containers
            with Lab(plan, Path(place) / "lab", refusal_delay=0.05) as lab:
                figures = measure(Path(place), lab.nodes[0].bin_dir / "pct", lab.real_vmids(), "real")
    return show(figures, arguments.json)


if __name__ == "__main__":
    raise SystemExit(main())
