"""The process that asks a target to reboot and writes down what became of asking.

Its call: ``python -m nanny_ops.machine.rebooter FOLDER [--in-unit]``.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from nanny_ops.errors import MachineError, VerbRefused
from nanny_ops.machine import kept_file, occupied, reboot, target_lock
from nanny_ops.machine.job import FOLDER
from nanny_ops.machine.run import Done, daemonize, run
from nanny_ops.machine.verbs import RebootOrder
from nanny_ops.protocol.package_list import plain

#: Seconds beyond an order's own time after which asking is given up.
MARGIN = 30
Run = Callable[..., Done]


def ask(directory: Path, run: Run = run, path: str | None = None) -> None:
    """Ask once, however often this is called, and write down what was said against it. Raises OSError.

    Where something else is at work on the target nothing is begun, and that is written down.
    """
    order = reboot.read_order(json.loads((directory / "order.json").read_bytes()))
    jobs_dir = directory.parent.with_name(FOLDER)
    try:
        with target_lock.for_reboot(jobs_dir, order.reboot_id, order.vmid):
            occupied.demand_for_reboot(jobs_dir, order, find=occupied.orphans)
            problem = _ask(directory, order, run, path)
    except VerbRefused as busy:
        problem = busy.message
    if problem is not None:
        kept_file.replace(directory / "result.json", json.dumps({"problem": problem}).encode())


def _ask(directory: Path, order: RebootOrder, run: Run, path: str | None) -> str | None:
    """Return what was said against it, nothing where it was asked before."""
    try:
        (directory / "started").touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        return None
    kept_file.sync_folder(directory)
    environ = {"PATH": path or os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    try:
        done = run(reboot.argv(order), timeout=order.timeout_seconds + MARGIN, env=environ, cwd="/", cap=65536)
    except (MachineError, OSError) as wrong:
        return str(wrong)
    return _problem(done)


def _problem(done: Done) -> str:
    if done.timed_out:
        return f"{done.argv[0]} did not come back in time."
    if done.exit_code == 0:
        return ""
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
    return f"{' '.join(done.argv[:2])} ended with exit code {done.exit_code}: {plain(' '.join(said)[:300])}"


def main(argv: list[str]) -> int:
    """Leave the caller, unless a unit of our own carries us, and ask."""
    if argv[2:] != ["--in-unit"]:
        daemonize()
    ask(Path(argv[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
