"""Run the scripts before and after a job's own by the same rules: verified, staged, bounded, ended with children."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from nanny_ops.machine.plan import HookScript
from nanny_ops.machine.procedure.halt import Halt
from nanny_ops.machine.procedure.scene import Scene
from nanny_ops.machine.script_run import Verdict, shell_code
from nanny_ops.machine.sealed import sealed
from nanny_ops.machine.shebang import parse as parse_shebang
from nanny_ops.machine.target import Call
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.package_list import plain
from nanny_ops.protocol.patch_report import HookResult, Step

#: Bytes of a hook's outputs that are kept, and of their end that is told.
CAP, TAIL = 1024 * 1024, 2048
#: What a hook may come to as far as its exit code tells: it need not print a list of packages.
_RAN = (Outcome.OK, Outcome.NOTHING_TO_DO, Outcome.BAD_OUTPUT)


def wanted(scene: Scene, chosen: Callable[[HookScript], bool]) -> list[int]:
    """Return the numbers of the hooks that are meant and have not begun."""
    hooks = enumerate(scene.plan.hooks)
    return [number for number, hook in hooks if chosen(hook) and not scene.journal.begun(step_name(number))]


def step_name(number: int) -> str:
    """Return the name of a hook's step."""
    return f"hook-{number + 1}"


def run(scene: Scene, number: int) -> str:
    """Run one hook and note what it came to. Raises Halt for one that must succeed and did not, OSError."""
    hook = scene.plan.hooks[number]
    verdict = _run(scene, hook, number)
    well = verdict.outcome in _RAN
    code = None if verdict.done is None else shell_code(verdict.done.exit_code)
    scene.hooks.append(
        HookResult(
            stage=hook.stage,
            script_id=hook.script_id,
            outcome="ok" if well else "failed",
            exit_code=code,
            reason="" if well else plain(verdict.reason)[:4096],
            tail=_tail(verdict),
        )
    )
    if well:
        return f"Hook {hook.script_id} ended with 0."
    sentence = f"Hook {hook.script_id}: {verdict.reason}"
    if hook.on_failure == "must-succeed":
        raise Halt(Outcome.CANCELLED if verdict.outcome is Outcome.CANCELLED else Outcome.HOOK_FAILED, sentence)
    return f"{sentence} That is let pass."


def cut_short(scene: Scene) -> None:
    """End hooks that were running when their supervisor was killed; none of them is begun again."""
    for number, hook in enumerate(scene.plan.hooks):
        name = step_name(number)
        if scene.journal.begun(name) and scene.journal.ended(name) is None:
            scene.target.halt(_job_id(scene, number))
            reason = "Its supervisor was killed while it ran; it was ended and not begun again."
            scene.journal.end(Step(name=name, outcome="unknown", reason=reason))
            scene.hooks.append(HookResult(stage=hook.stage, script_id=hook.script_id, outcome="unknown", reason=reason))


def _run(scene: Scene, hook: HookScript, number: int) -> Verdict:
    interpreter = parse_shebang(hook.script)
    if interpreter is None:
        return Verdict(Outcome.INTERPRETER_MISSING, "The script has no '#!' line with the full path of a program.")
    with ExitStack() as stack:
        call = Call(
            job_id=_job_id(scene, number),
            script=scene.directory / f"hook-{number}",
            sealed=stack.enter_context(sealed(hook.script)),
            sha256=hook.sha256,
            interpreter=interpreter,
            arguments=hook.argv,
            timeout=hook.timeout_seconds,
        )
        runner = replace(scene.scripts, cap=min(CAP, scene.job.output_cap), at_once=True)
        return runner.run(call, begun=lambda: None, prefix=f"hook-{number}.")


def _job_id(scene: Scene, number: int) -> str:
    return f"{scene.job.job_id}-hook-{number + 1}"


def _tail(verdict: Verdict) -> str:
    if verdict.done is None:
        return ""
    both = verdict.done.stdout[-TAIL:] + verdict.done.stderr[-TAIL:]
    return "\n".join(plain(line) for line in both.decode("utf-8", "replace").splitlines())
