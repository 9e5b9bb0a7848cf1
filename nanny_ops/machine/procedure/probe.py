"""Look whether a target is healthy: before the change, after it, and after a rollback, by the same questions.

What cannot be told is not healthy; what was not healthy before is not blamed on the change. Whatever is asked inside
the target is asked in one call.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import nanny_ops
from nanny_ops.errors import MachineError
from nanny_ops.machine.procedure import knock, question, symptom
from nanny_ops.machine.procedure.halt import Halt
from nanny_ops.machine.procedure.knock import Knock
from nanny_ops.machine.procedure.scene import Scene
from nanny_ops.machine.procedure.symptom import Judged
from nanny_ops.machine.run import run
from nanny_ops.protocol.package_list import plain
from nanny_ops.protocol.patch_report import ProbeResult
from nanny_ops.protocol.probe import Probe

#: Looks that a target gets to become healthy after a change, and seconds between them.
LOOKS, PAUSE = 4, 5.0
#: Seconds that a program of our own needs beyond those of what it waits for.
MARGIN = 10
_LOCAL = {"localhost", "127.0.0.1", "::1"}


def look_at_all(scene: Scene, stage: str) -> list[ProbeResult]:
    """Ask all questions once."""
    probes = scene.plan.probes
    found: dict[int, Judged] = {}
    inside = [number for number, probe in enumerate(probes) if _is_asked_inside(scene, probe)]
    answers = question.ask(scene.target, [symptom.question(probes[number]) for number in inside])
    for number, answer in zip(inside, answers, strict=True):
        if probes[number].kind == "services" and stage == "before":
            serving = symptom.serving(answer)
            scene.journal.note(serving=None if serving is None else sorted(serving))
        found[number] = symptom.judge(probes[number], answer, scene.journal.facts.get("serving"))
    near = {n: one for n, probe in enumerate(probes) if n not in found and (one := _near(probe)) is not None}
    found |= _knock_inside(scene, near)
    for number, probe in enumerate(probes):
        if number not in found:
            found[number] = symptom.heard(_far(probe)())
    return [_result(probe, stage, found[number]) for number, probe in enumerate(probes)]


def baseline(scene: Scene) -> str:
    """Ask all questions before the change and note the answers, and what serves. Raises OSError."""
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
            words = symptom.url(probe)
        case "command":
            words = " ".join(probe.argv)
        case _:
            words = ""
    return plain(f"{probe.kind} {words}".strip())[:255]


def _result(probe: Probe, stage: str, judged: Judged) -> ProbeResult:
    healthy, reason = judged
    return ProbeResult(name=name_of(probe), stage=stage, healthy=healthy, reason=plain(reason)[:4096])


def _is_local(probe: Probe) -> bool:
    """Tell whether a port or a page is the target's own, and to be reached from inside it."""
    if probe.kind == "tcp":
        return not probe.host
    return urlsplit(symptom.url(probe)).hostname in _LOCAL


def _is_asked_inside(scene: Scene, probe: Probe) -> bool:
    """Tell whether a probe takes a program in the target; a machine's network can be entered by nothing else."""
    if probe.kind not in ("tcp", "http"):
        return True
    return scene.job.vmid is not None and scene.job.guest == "qemu" and _is_local(probe)


def _far(probe: Probe) -> Knock:
    if probe.kind == "tcp":
        return Knock(host=probe.host or "127.0.0.1", port=probe.port, seconds=probe.timeout_seconds)
    return Knock(url=symptom.url(probe), status=probe.status, body=probe.body, seconds=probe.timeout_seconds)


def _near(probe: Probe) -> Knock | None:
    return _far(probe) if _is_local(probe) else None


def _knock_inside(scene: Scene, knocks: dict[int, Knock]) -> dict[int, Judged]:
    """Knock at a target's own ports and pages; in a container's network by one program of this node's Python."""
    if scene.job.vmid is None or not knocks:
        return {number: symptom.heard(one()) for number, one in knocks.items()}
    try:
        pid = int(scene.ward.status().get("pid") or 0) if scene.ward else 0
        if not pid:
            sentence = "The container's network cannot be entered: Proxmox VE does not tell its process."
            return dict.fromkeys(knocks, symptom.untold(sentence))
        sentences = _enter(pid, list(knocks.values()))
    except (MachineError, Halt) as wrong:
        return dict.fromkeys(knocks, symptom.untold(str(wrong)))
    return dict(zip(knocks, map(symptom.heard, sentences), strict=True))


def _enter(pid: int, knocks: list[Knock]) -> list[str]:
    """Knock in the network of a process. Raises ProgramMissing."""
    words = ["nsenter", f"--net=/proc/{pid}/ns/net", "--", sys.executable, "-P", "-m", knock.__name__]
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(Path(nanny_ops.__file__).parents[1])}
    seconds = sum(one.seconds for one in knocks) + MARGIN
    done = run(words, stdin=knock.write(knocks), timeout=seconds, env=environment, cwd=os.sep, cap=1 << 20)
    return knock.read(done.stdout, len(knocks)) or ["It could not be looked at."] * len(knocks)
