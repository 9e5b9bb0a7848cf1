"""Look whether a target is healthy: before the change, after it, and after a rollback, by the same questions.

What cannot be told is not healthy; what was not healthy before is not blamed on the change.
"""

import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import nanny_ops
from nanny_ops.errors import MachineError, ProxmoxError
from nanny_ops.machine.procedure import knock
from nanny_ops.machine.procedure.halt import Halt
from nanny_ops.machine.procedure.scene import Scene
from nanny_ops.machine.run import run
from nanny_ops.protocol.package_list import plain
from nanny_ops.protocol.patch_report import ProbeResult
from nanny_ops.protocol.probe import Probe

#: Looks that a target gets to become healthy after a change, and seconds between them.
LOOKS, PAUSE = 4, 5.0
#: Prints what serves in a target: systemd's running services, and ports below those that come and go.
SERVING = """
if command -v systemctl >/dev/null; then
    systemctl list-units --type=service --state=running --no-legend --plain 2>/dev/null | while read -r unit rest; do
        echo "service $unit"
    done
fi
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | while read -r slot local remote state rest; do
    [ "$state" = 0A ] && echo "port ${local##*:}"
done
exit 0
"""
#: Services that come and go by themselves.
_PASSING = re.compile(
    r"(?:apt-daily|apt-news|dnf-|packagekit|unattended|user@|systemd-(?:hostnamed|localed|timedated)|polkit|fwupd)"
)
_LOAD = 'read -r load rest </proc/loadavg && echo "$load" && nproc'
#: First port of those that Linux gives away by itself.
_EPHEMERAL = 32768
Judged = tuple[bool | None, str]


def look_at_all(scene: Scene, stage: str) -> list[ProbeResult]:
    """Ask all questions once."""
    return [_look(scene, probe, stage) for probe in scene.plan.probes]


def baseline(scene: Scene) -> str:
    """Ask all questions before the change and note the answers, and what serves. Raises OSError."""
    if any(probe.kind == "services" for probe in scene.plan.probes):
        serving = _serving(scene)
        scene.journal.note(serving=None if serving is None else sorted(serving))
    results = look_at_all(scene, "before")
    scene.probes += results
    ill = [result.name for result in results if not result.healthy]
    scene.journal.note(ill=ill)
    return f"Not healthy before the change: {', '.join(ill)}." if ill else f"{len(results)} probes are healthy."


def settle(scene: Scene, stage: str, *, heed: bool = True) -> list[ProbeResult]:
    """Ask until all is as healthy as it was, a bounded number of times; return the last answers. Raises Halt."""
    results: list[ProbeResult] = []
    for left in range(LOOKS - 1, -1, -1):
        results = look_at_all(scene, stage)
        if not worse(scene, results) or not left:
            break
        if heed:
            scene.wait(PAUSE)
        else:
            scene.pace.sleep(PAUSE)
    scene.probes += results
    return results


def worse(scene: Scene, results: Sequence[ProbeResult]) -> list[ProbeResult]:
    """Return what is not healthy now and was before."""
    before = set(scene.journal.facts.get("ill") or [])
    return [result for result in results if not result.healthy and result.name not in before]


def name_of(probe: Probe) -> str:
    """Return what a person calls a probe."""
    match probe.kind:
        case "unit":
            words = probe.unit
        case "tcp":
            words = f"{probe.host}:{probe.port}" if probe.host else str(probe.port)
        case "http":
            words = _url(probe)
        case "command":
            words = " ".join(probe.argv)
        case _:
            words = ""
    return plain(f"{probe.kind} {words}".strip())[:255]


def _look(scene: Scene, probe: Probe, stage: str) -> ProbeResult:
    try:
        healthy, reason = _ASKED[probe.kind](scene, probe)
    except (MachineError, Halt) as wrong:
        healthy, reason = None, f"It cannot be told: {wrong}"
    return ProbeResult(name=name_of(probe), stage=stage, healthy=healthy, reason=plain(reason)[:4096])


def _unit(scene: Scene, probe: Probe) -> Judged:
    done = scene.target.command(["systemctl", "is-active", "--", probe.unit], probe.timeout_seconds)
    said = done.stdout.decode("utf-8", "replace").strip()[:64]
    if done.exit_code == 0:
        return True, ""
    return (False, f"{probe.unit} is {said}.") if said and not done.timed_out else (None, "systemd does not tell.")


def _command(scene: Scene, probe: Probe) -> Judged:
    done = scene.target.command(probe.argv, probe.timeout_seconds)
    if done.timed_out:
        return None, f"It did not end within {probe.timeout_seconds} s."
    said = done.stderr.decode("utf-8", "replace").strip()[:200]
    return done.exit_code == 0, "" if done.exit_code == 0 else f"It ended with {done.exit_code}. {said}".strip()


def _load(scene: Scene, probe: Probe) -> Judged:
    """Compare the load per CPU; a container without lxcfs is shown its node's load, and has its own CPUs."""
    done = scene.target.command(["sh", "-c", _LOAD], probe.timeout_seconds)
    try:
        load, cpus = done.stdout.split()
        each = float(load) / max(1, int(cpus))
    except ValueError:
        return None, "The load cannot be read."
    return each <= probe.most, f"The load per CPU is {each:.2f}, and may be {probe.most}."


def _tcp(scene: Scene, probe: Probe) -> Judged:
    if probe.host:
        wrong = knock.tcp(probe.host, probe.port, probe.timeout_seconds)
    else:
        wrong = _inside(scene, ["tcp", "127.0.0.1", str(probe.port), str(probe.timeout_seconds)], probe)
    return not wrong, wrong


def _http(scene: Scene, probe: Probe) -> Judged:
    url = _url(probe)
    if urlsplit(url).hostname in {"localhost", "127.0.0.1", "::1"}:
        words = ["http", url, str(probe.status), str(probe.timeout_seconds), probe.body]
        wrong = _inside(scene, words, probe)
    else:
        wrong = knock.page(url, probe.status, probe.timeout_seconds, probe.body)
    return not wrong, wrong


def _url(probe: Probe) -> str:
    return probe.url or f"http://{probe.host or '127.0.0.1'}:{probe.port or 80}{probe.path}"


def _services(scene: Scene, probe: Probe) -> Judged:
    del probe
    before, now = scene.journal.facts.get("serving"), _serving(scene)
    if before is None or now is None:
        return None, "Which services ran before, or run now, cannot be told."
    gone = sorted(set(before) - now)
    return not gone, f"No longer there: {', '.join(gone)[:1000]}." if gone else ""


def _inside(scene: Scene, words: list[str], probe: Probe) -> str:
    """Knock inside the target's own network, with this node's Python; return what is wrong. Raises MachineError."""
    python = [sys.executable, "-P", "-m", "nanny_ops.machine.procedure.knock", *words]
    environment = {"PATH": os.defpath, "PYTHONPATH": str(Path(nanny_ops.__file__).parents[1])}
    if scene.job.vmid is not None:
        pid = int(scene.ward.status().get("pid") or 0) if scene.ward else 0
        if not pid:
            raise ProxmoxError("The container's network cannot be entered: Proxmox VE does not tell its process.")
        python = ["nsenter", f"--net=/proc/{pid}/ns/net", "--", *python]
        environment["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    done = run(python, timeout=probe.timeout_seconds + 10, env=environment, cwd="/", cap=65536)
    if done.exit_code == 0:
        return ""
    return done.stdout.decode("utf-8", "replace").strip() or "It could not be looked at."


def _serving(scene: Scene) -> set[str] | None:
    """Return what serves in the target, None where it cannot be told."""
    try:
        done = scene.target.command(["sh", "-c", SERVING], 30)
    except MachineError:
        return None
    if done.exit_code != 0 or done.timed_out:
        return None
    return serving(done.stdout.decode("utf-8", "replace"))


def serving(text: str) -> set[str]:
    """Return the services and ports that :data:`SERVING` has printed, without those that come and go."""
    found = set()
    for line in text.splitlines():
        kind, _, name = line.partition(" ")
        if kind == "service" and not _PASSING.match(name):
            found.add(plain(name)[:200])
        elif kind == "port" and re.fullmatch("[0-9A-F]{4}", name) and int(name, 16) < _EPHEMERAL:
            found.add(f"port {int(name, 16)}")
    return found


_ASKED: dict[str, Callable[[Scene, Probe], Judged]] = {
    "unit": _unit,
    "tcp": _tcp,
    "http": _http,
    "command": _command,
    "load": _load,
    "services": _services,
}
