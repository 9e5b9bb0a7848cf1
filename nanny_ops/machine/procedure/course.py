"""The order of a job's steps: look, protect, start, hooks, script, look again, roll back, leave it as it was found.

Whatever happens, the aftermath is gone through to its end. A course that was cut short is taken up again after its
script: the script and the hooks are begun once and never more.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from nanny_ops.machine.packages import note
from nanny_ops.machine.procedure import hook, preflight, probe, protection, rollback, state
from nanny_ops.machine.procedure.halt import Halt
from nanny_ops.machine.procedure.scene import Scene
from nanny_ops.machine.run import TAIL, Done
from nanny_ops.machine.script_run import UNREACHABLE, Verdict
from nanny_ops.protocol.operation import GOOD, Outcome
from nanny_ops.protocol.patch_report import PatchReport

SCRIPT = "script"
#: What is told of a job whose supervisor was killed.
CUT_SHORT = "The job's supervisor was killed, as by a restart of the machine, before the script began; it was not run."
_TOLD = ("exit_code", "timed_out", "stopped", "stdout_truncated", "stderr_truncated", "seconds")
TORN = "A transaction of the package manager may be cut short: the next order tells, and one with 'repair' mends it."
LOST = "The script was begun and then lost, as by a restart of the machine; it was not run again."


@dataclass
class Course:
    """One job's way through its steps."""

    scene: Scene
    #: Runs the script, telling just before it begins; and finds it again.
    run_script: Callable[[Callable[[], None]], Verdict]
    resume_script: Callable[[], Verdict | None]

    def run(self) -> Verdict:
        """Go the whole way and return what it came to. Raises OSError where nothing has been touched."""
        try:
            self._before()
            verdict = self._script()
        except Halt as halt:
            verdict = Verdict(halt.problem.outcome, self._not_begun(halt.problem.reason))
        return self._after(verdict)

    def run_plain(self, **facts: str) -> Verdict:
        """Run the script and nothing around it; the journal begins with these facts, just before the script."""
        verdict = self.run_script(lambda: self.scene.journal.note(script_begun=True, **facts))
        if self.scene.journal.begun_anything:
            self._keep(verdict)
        return verdict

    def resume(self) -> Verdict:
        """Take up what another supervisor has left, without beginning anything that it has begun."""
        hook.cut_short(self.scene)
        kept = self.scene.journal.facts.get("verdict")
        if kept is not None:
            verdict = self._kept(kept)
        elif not self.scene.journal.facts.get("script_begun"):
            word = Outcome.CANCELLED if self.scene.cancelled else Outcome.AGENT_ERROR
            verdict = Verdict(word, CUT_SHORT)
        else:
            verdict = self.resume_script() or Verdict(Outcome.UNKNOWN, LOST)
            self._keep(verdict)
        return self._after(verdict)

    def report(self, verdict: Verdict) -> PatchReport:
        """Return all that is told beside the outcome."""
        scene, facts = self.scene, self.scene.journal.facts
        told = note.read(verdict.done.stdout).report() if verdict.done else PatchReport()
        return replace(
            told,
            steps=scene.journal.steps,
            probes=scene.probes[:256],
            hooks=scene.hooks,
            protection=protection.told(scene),
            rolled_back=facts.get("rolled_back"),
            found=facts.get("found", ""),
            left_in=state.left_in(scene),
            strays=facts.get("strays", []),
            notes=[one[:4096] for one in scene.notes[:256]],
        )

    def _before(self) -> None:
        """Do what comes before the script. Raises Halt."""
        scene = self.scene
        scene.step("preflight", lambda: preflight.look(scene))
        if scene.journal.facts.get("found") != "stopped":
            self._step("space", lambda: preflight.space(scene))
        self._step("protect", lambda: protection.protect(scene))
        if scene.journal.facts.get("found") == "stopped":
            self._step("start", lambda: state.start(scene))
            self._step("space", lambda: preflight.space(scene))
        scene.journal.note(ready=True)
        for number in hook.wanted(scene, lambda one: one.stage == "pre"):
            self._step(hook.step_name(number), partial(hook.run, scene, number))
        if scene.plan.probes and not scene.job.dry_run:
            self._step("baseline", lambda: probe.baseline(scene))

    def _step(self, name: str, work: Callable[[], str]) -> None:
        self.scene.heed()
        self.scene.step(name, work)

    def _script(self) -> Verdict:
        found: list[Verdict] = []

        def work() -> str:
            verdict = self.run_script(lambda: self.scene.journal.note(script_begun=True))
            found.append(verdict)
            self._keep(verdict)
            if verdict.outcome not in GOOD:
                raise Halt(verdict.outcome, verdict.reason)
            return verdict.reason

        self.scene.heed()
        try:
            self.scene.step(SCRIPT, work)
        except Halt:
            if not found:
                raise
        return found[0]

    def _keep(self, verdict: Verdict) -> None:
        told: dict[str, Any] = {"outcome": verdict.outcome.value, "reason": verdict.reason[:4096]}
        if verdict.done is not None:
            told |= {name: getattr(verdict.done, name) for name in _TOLD}
        self.scene.journal.note(verdict=told)

    def _kept(self, told: dict[str, Any]) -> Verdict:
        """Return a verdict that was written down, with the end of the output that belongs to it."""
        if "exit_code" not in told:
            return Verdict(Outcome(told["outcome"]), told["reason"])
        tails = [_tail(self.scene.directory / name) for name in ("stdout", "stderr")]
        done = Done(argv=(), stdout=tails[0], stderr=tails[1], **{name: told[name] for name in _TOLD})
        return Verdict(Outcome(told["outcome"]), told["reason"], done)

    def _after(self, verdict: Verdict) -> Verdict:
        """Do what comes after the script, whatever it came to, and return what all of it came to."""
        scene, begun = self.scene, bool(self.scene.journal.facts.get("script_begun"))
        if begun and not scene.job.dry_run and self._can_be_looked_at(verdict):
            verdict = self._judged(verdict)
        if scene.journal.facts.get("ready"):
            for number in hook.wanted(scene, lambda one: one.stage == "post" and one.on_failure == "always"):
                scene.attempt(hook.step_name(number), partial(hook.run, scene, number))
        restored = scene.attempt("restore", lambda: state.restore(scene))
        self._release(verdict, begun=begun)
        return replace(verdict, reason=self._reason(verdict, restored=restored))

    def _can_be_looked_at(self, verdict: Verdict) -> bool:
        return verdict.outcome not in (*UNREACHABLE, Outcome.CANCELLED, Outcome.NOTHING_TO_DO)

    def _judged(self, verdict: Verdict) -> Verdict:
        """Run the post hooks, let time pass, look at the target, and set it back where that is called for."""
        ill = self._known() or self._post_hooks(verdict) or self._ill()
        if ill is None:
            return verdict
        if ill.outcome is Outcome.CANCELLED or not rollback.possible(self.scene):
            worse = ill if verdict.outcome in GOOD or ill.outcome is Outcome.CANCELLED else verdict
            return replace(verdict, outcome=worse.outcome, reason=f"{ill.reason} The script: {verdict.reason}")
        return self._set_back(verdict, ill)

    def _known(self) -> Verdict | None:
        """Return what another supervisor found wrong before it set the target back; by now it may look healthy."""
        told = self.scene.journal.facts.get("found_ill")
        return Verdict(Outcome(told["outcome"]), told["reason"]) if told else None

    def _post_hooks(self, verdict: Verdict) -> Verdict | None:
        """Run the post hooks of a script that ended well; return the failure of one that must succeed."""
        if verdict.outcome not in GOOD:
            return None
        for number, one in enumerate(self.scene.plan.hooks):
            if one.stage != "post" or one.on_failure == "always":
                continue
            name = hook.step_name(number)
            if self.scene.journal.begun(name):
                if one.on_failure == "must-succeed" and (failure := self._failure_of(name)):
                    return failure
                continue
            try:
                self.scene.step(name, partial(hook.run, self.scene, number))
            except Halt as halt:
                return Verdict(halt.problem.outcome, halt.problem.reason)
        return None

    def _failure_of(self, name: str) -> Verdict | None:
        """Return what a hook came to that another supervisor has begun; one that was cut short did not succeed."""
        step = self.scene.journal.ended(name)
        if step is None or step.outcome not in ("failed", "unknown", "cancelled"):
            return None
        word = Outcome.CANCELLED if step.outcome == "cancelled" else Outcome.HOOK_FAILED
        return Verdict(word, step.reason)

    def _ill(self) -> Verdict | None:
        """Return what is wrong with the target after the bake time; None where nothing is, or nobody asked."""
        scene = self.scene
        if not scene.plan.probes:
            return None
        earlier = scene.journal.ended("probe")
        if earlier is not None and earlier.outcome in ("ok", "failed"):  # by now the guest may be on its way down again
            return None if earlier.outcome == "ok" else Verdict(Outcome.UNHEALTHY, earlier.reason)
        found: list[str] = []

        def look() -> str:
            results = probe.settle(scene, "after")
            found.extend(f"{one.name}: {one.reason}" for one in probe.worse(scene, results))
            still = [one.name for one in results if not one.healthy]
            if found:
                raise Halt(Outcome.UNHEALTHY, f"Not healthy after the change: {'; '.join(found)}"[:2000])
            if still:
                scene.notes.append(f"Not healthy before the change either: {', '.join(still)}.")
            return "All is as healthy as it was before."

        try:
            if scene.plan.bake_seconds:
                scene.step("bake", lambda: self._bake(scene.plan.bake_seconds))
            scene.step("probe", look)
        except Halt as halt:
            return Verdict(halt.problem.outcome, halt.problem.reason)
        return None

    def _bake(self, seconds: int) -> str:
        self.scene.wait(seconds)
        return f"{seconds} s went by."

    def _set_back(self, verdict: Verdict, ill: Verdict) -> Verdict:
        scene, changed = self.scene, f"{ill.reason} The script: {verdict.reason}"
        scene.journal.note(found_ill={"outcome": ill.outcome.value, "reason": ill.reason})
        earlier = scene.journal.ended("rollback")
        if earlier is None or earlier.outcome not in ("ok", "failed"):
            scene.attempt("rollback", lambda: rollback.roll_back(scene))
        back = scene.journal.ended("rollback")
        scene.journal.note(rolled_back=bool(scene.journal.facts.get("rolled_back")))
        told = back.reason if back else "Whether it was set back could not be written down."
        good = back is not None and back.outcome == "ok"
        word = Outcome.ROLLED_BACK if good else Outcome.ROLLBACK_FAILED
        return replace(verdict, outcome=word, reason=f"{told} {changed}")

    def _release(self, verdict: Verdict, *, begun: bool) -> None:
        """Remove snapshots that are not wanted any more; after a failure all are kept."""
        scene = self.scene
        needless = not begun or verdict.outcome is Outcome.NOTHING_TO_DO
        made = scene.journal.facts.get("snapshot")
        if (needless and made) or (verdict.outcome in GOOD and scene.plan.protect.endswith("snapshot")):
            scene.attempt("release", lambda: protection.release(scene, needless=needless))

    def _reason(self, verdict: Verdict, *, restored: bool) -> str:
        """Add to a reason in which state the target was left, where that is not as plain as it was."""
        words, kept = [verdict.reason], protection.told(self.scene)
        if verdict.outcome is Outcome.CANCELLED:
            words += self._left_by_cancel()
            if restored and self.scene.journal.facts.get("started"):
                words.append("It is stopped again, as it was found.")
        if not restored:
            step = self.scene.journal.ended("restore")
            words.append(step.reason if step else "It may still run, though it was stopped before.")
        if verdict.outcome not in GOOD and kept and kept.kind == "snapshot" and kept.kept:
            words.append(f"Snapshot {kept.name} is kept.")
        return " ".join(words)

    def _left_by_cancel(self) -> list[str]:
        """Say what a cancelled order has done to its target by then."""
        facts = self.scene.journal.facts
        if not facts.get("script_begun"):
            names = [hook.step_name(number) for number in range(len(self.scene.plan.hooks))]
            ran = any(self.scene.journal.begun(name) for name in names)
            return ["A hook was begun; the packages are as they were." if ran else "Nothing was changed."]
        cut_short = (facts.get("verdict") or {}).get("outcome") == Outcome.CANCELLED
        return [TORN] if cut_short and not self.scene.job.dry_run else []

    def _not_begun(self, reason: str) -> str:
        if self.scene.journal.facts.get("script_begun"):
            return reason
        return reason if "begun" in reason else f"{reason} The script was not begun."


def _tail(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            return file.read(TAIL)
    except FileNotFoundError:
        return b""
