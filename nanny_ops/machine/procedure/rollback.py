"""Set a guest back to the snapshot that was made before its change, and see that it is as healthy as it was then."""

from nanny_ops.errors import ProxmoxError
from nanny_ops.machine.procedure import probe, state
from nanny_ops.machine.procedure.halt import Halt
from nanny_ops.machine.procedure.scene import Scene
from nanny_ops.machine.proxmox import snapshot
from nanny_ops.protocol.operation import Outcome

#: Tries of a rollback that a lock keeps from beginning, and seconds between them.
TRIES, PAUSE = 3, 30.0


def possible(scene: Scene) -> bool:
    """Tell whether the plan allows it and there is a snapshot to go back to."""
    kept = scene.journal.facts.get("protection") or {}
    return scene.plan.rollback == "auto" and kept.get("kind") == "snapshot" and scene.ward is not None


def roll_back(scene: Scene) -> str:
    """Set the guest back, start it, and ask the same questions as before. Raises Halt where one of these fails."""
    name = str(scene.journal.facts["protection"]["name"])
    if not scene.journal.facts.get("rolled_back"):  # else another supervisor has done it, and was killed
        _set_back(scene, name)
    scene.journal.note(rolled_back=True, started=scene.journal.facts.get("found") == "stopped")
    state.await_ready(scene, heed=False)
    results = probe.settle(scene, "after_rollback", heed=False)
    if ill := probe.worse(scene, results):
        told = "; ".join(f"{one.name}: {one.reason}" for one in ill)
        raise Halt(Outcome.ROLLBACK_FAILED, f"It was set back to {name} and is still not as it was: {told}"[:2000])
    return f"It was set back to {name} and is as healthy as before."


def _set_back(scene: Scene, name: str) -> None:
    if scene.ward is None:
        raise Halt(Outcome.ROLLBACK_FAILED, f"It could not be set back to {name}: {scene.no_ward}")
    for left in range(TRIES - 1, -1, -1):
        try:
            snapshot.rollback(scene.ward.api, scene.ward.find(), name, run_after=True, pace=scene.pace)
        except ProxmoxError as wrong:
            if not left:
                sentence = f"It could not be set back to {name}: {wrong.message}"
                raise Halt(Outcome.ROLLBACK_FAILED, sentence) from wrong
            scene.pace.sleep(PAUSE)
        else:
            return
