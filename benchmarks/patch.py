"""What patching fifty containers costs: calls of ``pct``, and our own CPU, with eight jobs at once.

The containers are a stand-in: a ``pct`` that runs each program here and counts its calls, so that what is measured is
our own part. The jobs, their supervisors and what runs inside a container are the product's own; a supervisor's process
is not started anew for each job here, which costs a Python of its own on top.
"""

import argparse
import hashlib
import resource
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks._figures import Figure, show
from nanny_ops.machine import job as jobs
from nanny_ops.machine.plan import Plan
from nanny_ops.machine.supervisor import Supervisor
from nanny_ops.machine.verbs import ScriptJob
from nanny_ops.protocol.probe import Probe

CONTAINERS, AT_ONCE = 50, 8
#: Calls of ``pct`` for a dry run and for an apply, and seconds of our own CPU for each container.
DRY_CALLS, APPLY_CALLS, CPU = 4, 6, 0.05
SCRIPT = b"""#!/bin/sh\necho '[{"name":"app","version":"2"}]'\n"""
PCT = """#!/bin/sh
echo "$1" >>"{calls}/$2"
shift 3
exec setsid -w "$@"
"""


def one(folder: Path, vmid: int, dry_run: bool) -> None:
    """See one job through. Raises AssertionError where it did not go well."""
    plan = None if dry_run else Plan(probes=[Probe(kind="command", argv=["true"])])
    order = ScriptJob(
        job_id=f"bench-{folder.name}-{vmid}",
        vmid=vmid,
        script=SCRIPT,
        sha256=hashlib.sha256(SCRIPT).hexdigest(),
        argv=["--dry-run"] if dry_run else [],
        timeout_seconds=60,
        dry_run=dry_run,
        output_cap=1 << 20,
        plan=plan,
    )
    jobs.start(folder / "jobs", order, launch=lambda *_: None)
    directory = folder / "jobs" / order.job_id
    environ = {"PATH": f"{folder}/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    with jobs.supervised(directory):
        Supervisor(directory, environ, jobs.seal(order)).supervise()
    result = jobs.look(folder / "jobs", order.job_id).result
    assert result is not None, order.job_id
    assert result.outcome == "ok", result.reason


def fleet(folder: Path, dry_run: bool) -> tuple[float, float]:
    """Return the most calls for one container, and the seconds of our own CPU for each."""
    for name in ("bin", "calls", "jobs"):
        (folder / name).mkdir(parents=True)
    pct = folder / "bin" / "pct"
    pct.write_text(PCT.format(calls=folder / "calls"))
    pct.chmod(0o755)
    before = resource.getrusage(resource.RUSAGE_SELF)
    with ThreadPoolExecutor(AT_ONCE) as workers:
        list(workers.map(lambda vmid: one(folder, vmid, dry_run), range(100, 100 + CONTAINERS)))
    after = resource.getrusage(resource.RUSAGE_SELF)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return max(len(file.read_text().splitlines()) for file in (folder / "calls").iterdir()), spent / CONTAINERS


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="./run bench patch", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nanny-bench-") as place:
        dry_calls, dry_cpu = fleet(Path(place) / "dry", dry_run=True)
        calls, cpu = fleet(Path(place) / "apply", dry_run=False)
    figures = [
        Figure("calls of pct, dry run", dry_calls, "calls", DRY_CALLS),
        Figure("calls of pct, apply with a probe", calls, "calls", APPLY_CALLS),
        Figure("own CPU of a dry run", dry_cpu * 1000, "ms", CPU * 1000),
        Figure("own CPU of an apply", cpu * 1000, "ms", CPU * 1000),
    ]
    return show(figures, arguments.json)


if __name__ == "__main__":
    raise SystemExit(main())
