"""What carries a job's supervisor, so that it outlives whoever began it: a transient unit, or a group of its own.

A transient unit is started by PID 1: it has nothing of its caller's sandbox, control group or environment, so apt can
write below /usr, and a restart of agent or helper does not reach it. Its name is known, and so is its journal.
"""

import json
import math
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import nanny_ops
from nanny_ops.errors import ProgramMissing
from nanny_ops.machine.run import GRACE, Done, run

#: Seconds a supervisor may take until it has its lock.
LAUNCH = 30.0
#: Bytes of each stream of a carrier's own program that are read.
CAP = 65536
#: Seconds beyond a job's own time limit after which PID 1 ends what is left of it: the supervisor has failed by then.
MARGIN = 3600
#: Seconds more where a job protects its target: a backup of a large guest takes hours, and so does its way back.
PROTECTION = 12 * 3600
#: Seconds between asking a unit to end and killing it.
STOP = 30
#: Share of the machine's memory, and processes and threads, that a job may have. What builds a kernel's modules takes
#: gigabytes on many cores; beyond it the kernel ends one process of the job and none of the guests.
MEMORY, TASKS = "50%", 4096
#: The first systemd that waits for all processes of a unit (ExitType=), by which a script outlives its supervisor.
OLDEST = 250
#: There where PID 1 is systemd (sd_booted(3)), and listening to root there.
BOOTED, PRIVATE = Path("run/systemd/system"), Path("run/systemd/private")
#: What systemd says where a unit of this name is there.
_TAKEN = b"already loaded"
#: Whatever PID 1 gives to services by default, apt must be able to write.
_OPEN = {"ProtectSystem": "no", "ProtectHome": "no"}
#: What holds of every unit that carries supervisors.
_CARRIED: dict[str, object] = {
    "Type": "notify",
    "ExitType": "cgroup",
    "KillMode": "control-group",
    "TimeoutStartSec": int(LAUNCH) - 5,
    "TimeoutStopSec": STOP,
    "MemoryMax": MEMORY,
    "TasksMax": TASKS,
    "OOMPolicy": "continue",
    "SyslogIdentifier": "nanny-job",
    "UMask": "0022",
}
#: Words of systemd in an environment that speak of one unit and of no other.
_ABOUT_A_UNIT = re.compile(
    r"NANNY.*|NOTIFY_SOCKET|WATCHDOG_.*|LISTEN_.*|INVOCATION_ID|JOURNAL_STREAM|SYSTEMD_EXEC_PID|MEMORY_PRESSURE_.*"
    r"|(CREDENTIALS|RUNTIME|STATE|CACHE|LOGS|CONFIGURATION)_DIRECTORY"
)

#: Starts a supervisor for a job's directory, with the seal of its order, and returns when it has the job's lock.
Carrier = Callable[[Path, str], Done]


def unit(job_id: str) -> str:
    """Return the name of the unit that runs a job."""
    return f"nanny-job-{job_id}.service"


def detached(directory: Path, seal: str) -> Done:
    """Start a supervisor that leaves its caller's session by itself; it stays in the caller's sandbox. ProgramMissing.

    It gets none of the agent's own settings: some of them are secrets.
    """
    return run([*_supervisor(directory, seal)], timeout=LAUNCH, env=own_environment(), cwd="/", cap=CAP)


def own_environment() -> dict[str, str]:
    """Return the environment of what goes on without this process: nothing about its unit, and none of its settings."""
    own = {name: value for name, value in os.environ.items() if not _ABOUT_A_UNIT.fullmatch(name)}
    return {**own, "PYTHONPATH": _library()}


def fork_server(folder: Path, *, in_unit: bool) -> Done:
    """Start what forks supervisors, in a unit where systemd carries jobs; it listens when this returns. ProgramMissing.

    The unit stays as long as one of those supervisors lives, so each has a name of its own.
    """
    if not in_unit:
        return run(_fork_server(folder), timeout=LAUNCH, env=own_environment(), cwd="/", cap=CAP)
    argv = guests_argv(folder, os.environ.get("PATH", os.defpath), secrets.token_hex(3))
    return run(argv, timeout=LAUNCH, cwd="/", cap=CAP)


def unit_environment() -> dict[str, str]:
    """Return the environment of a supervisor in a unit: nothing of its caller's but where programs are looked for."""
    return {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": _library()}


def guests_argv(folder: Path, path: str, more: str) -> list[str]:
    """Return the call that makes the unit of the supervisors of jobs in guests."""
    named = [f"--unit=nanny-job-guests-{more}.service", "--description=Jobs of nanny-ops in guests"]
    call = _call(named, _CARRIED, {"PATH": path, "PYTHONPATH": _library()})
    return [*call, "--", *_fork_server(folder), "--in-unit"]


def longest(directory: Path) -> int:
    """Return the seconds after which what is left of a job is ended: its supervisor has failed by then."""
    return _seconds(directory) + MARGIN


def transient(directory: Path, seal: str, token: Callable[[int], str] = secrets.token_hex) -> Done:
    """Start a supervisor as a unit of its own. Raises ProgramMissing.

    While a script outlives its supervisor the unit's name is taken, and the next supervisor's has a word more.
    """
    path = os.environ.get("PATH", os.defpath)
    done = run(unit_argv(directory, seal, path), timeout=LAUNCH, cwd="/", cap=CAP)
    if done.exit_code == 0 or _TAKEN not in done.stderr:
        return done
    return run(unit_argv(directory, seal, path, f"-{token(3)}"), timeout=LAUNCH, cwd="/", cap=CAP)


def unit_argv(directory: Path, seal: str, path: str, more: str = "") -> list[str]:
    """Return the call that makes a job's unit; it names no secret, as anybody may read a unit."""
    job_id = directory.name
    properties = {**_CARRIED, "RuntimeMaxSec": longest(directory)}
    named = [f"--unit={unit(job_id + more)}", f"--description=Job {job_id} of nanny-ops"]
    call = _call(named, properties, {"PATH": path, "PYTHONPATH": _library()})
    return [*call, "--", *_supervisor(directory, seal), "--in-unit"]


def outlive(module: str, directory: Path, name: str, seconds: int) -> Done:
    """Start a module that goes on when its caller ends, with a folder as its argument; ``seconds`` is its time limit.

    It returns when the module has begun. Raises ProgramMissing.
    """
    call = [sys.executable, "-P", "-m", module, str(directory)]
    if choose() is detached:
        return run(call, timeout=LAUNCH, env=own_environment(), cwd="/", cap=CAP)
    properties = {"Type": "exec", "RuntimeMaxSec": seconds + MARGIN, "TimeoutStopSec": STOP, "TasksMax": TASKS}
    environ = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": _library()}
    argv = [*_call([f"--unit={name}.service"], properties, environ), "--", *call, "--in-unit"]
    return run(argv, timeout=LAUNCH, cwd="/", cap=CAP)


def errand() -> Callable[..., Done]:
    """Return what runs a short program as root with all that PID 1 may do, whatever sandbox we are in ourselves.

    Its call is that of :func:`nanny_ops.machine.run.run`.
    """
    return _outside if choose() is transient else run


def _outside(
    argv: Sequence[str], *, timeout: float, env: Mapping[str, str], cwd: str = "/", cap: int = CAP, grace: float = GRACE
) -> Done:
    if shutil.which(argv[0], path=env["PATH"]) is None:
        raise ProgramMissing(f"{argv[0]} cannot be started here: it is not in {env['PATH']}.", program=argv[0])
    done = run(errand_argv(argv, timeout + grace, env), timeout=timeout, cwd=cwd, cap=cap, grace=grace)
    return replace(done, argv=tuple(argv))


def errand_argv(argv: Sequence[str], longest: float, env: Mapping[str, str]) -> list[str]:
    """Return the call that runs a program in a unit without a name, with our own files as its input and output."""
    properties = {"RuntimeMaxSec": math.ceil(longest), "TimeoutStopSec": STOP, "TasksMax": TASKS}
    return [*_call(["--wait", "--pipe"], properties, env), "--", *argv]


def _call(options: Sequence[str], properties: Mapping[str, object], env: Mapping[str, str]) -> list[str]:
    return [
        *("systemd-run", "--quiet", "--collect", "--no-ask-password", *options),
        *(f"--property={name}={value}" for name, value in {**properties, **_OPEN}.items()),
        *(f"--setenv={name}={value}" for name, value in env.items()),
    ]


def choose(
    root: Path = Path("/"),
    uid: Callable[[], int] = os.geteuid,
    find: Callable[[str], str | None] = shutil.which,
    version: Callable[[], int] | None = None,
) -> Carrier:
    """Return the carrier for this machine: a unit where systemd can make one for us, else a group of its own."""
    booted = (root / BOOTED).is_dir() and (root / PRIVATE).exists()
    if not booted or uid() != 0 or find("systemd-run") is None:
        return detached
    return transient if (version or _version)() >= OLDEST else detached


def read_version(said: bytes) -> int:
    """Return the number that ``systemd-run --version`` begins with, 0 where it tells none."""
    found = re.match(rb"systemd (\d+)", said)
    return int(found[1]) if found else 0


def _version() -> int:
    return read_version(run(["systemd-run", "--version"], timeout=LAUNCH, cap=CAP).stdout)


def _supervisor(directory: Path, seal: str) -> list[str]:
    return [sys.executable, "-P", "-m", "nanny_ops.machine.supervisor", str(directory), seal]


def _fork_server(folder: Path) -> list[str]:
    return [sys.executable, "-P", "-m", "nanny_ops.machine.fork_server", str(folder)]


def _library() -> str:
    return str(Path(nanny_ops.__file__).parents[1])


def _seconds(directory: Path) -> int:
    """Return how long a job may take by its order; that of a torn one does not matter, as it is not run."""
    try:
        order: dict[str, Any] = json.loads((directory / "order.json").read_bytes())
        plan = order.get("plan") or {}
        hooks = sum(int(hook["timeout_seconds"]) for hook in plan.get("hooks", []))
        protection = PROTECTION if plan.get("protect", "none") != "none" else 0
        return int(order["timeout_seconds"]) + int(plan.get("bake_seconds", 0)) + hooks + protection
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0
