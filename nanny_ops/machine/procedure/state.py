"""Start a guest that was stopped, wait until programs run in it, and in the end leave it as it was found."""

from nanny_ops.errors import MachineError, ProxmoxError
from nanny_ops.machine.procedure.halt import Halt
from nanny_ops.machine.procedure.scene import Scene, Skip
from nanny_ops.machine.procedure.ward import Ward
from nanny_ops.machine.proxmox import power
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.patch_report import LeftIn

#: Seconds until programs must run in a guest that was started, and between two tries.
READY, PAUSE = 240.0, 2.0
#: Seconds that a guest gets to shut down before its power is cut, and tries to stop one that is locked.
SHUTDOWN, STOP_TRIES, STOP_PAUSE = 90, 4, 15.0
#: Ends with 0 once a guest's own start is over, or where no systemd tells.
_STARTED = """
command -v systemctl >/dev/null || exit 0
case $(systemctl is-system-running 2>/dev/null) in initializing|starting) exit 1 ;; esac
exit 0
"""


def start(scene: Scene) -> str:
    """Start a guest that was found stopped and wait until programs run in it. Raises Halt, ProxmoxError."""
    if scene.ward is None or scene.journal.facts.get("found") != "stopped":
        raise Skip("It runs already.")
    scene.journal.note(started=True)  # before it is: who comes after a crash must know that it may run because of us
    power.start(scene.ward.api, scene.ward.find(), pace=scene.pace)
    await_ready(scene)
    return "It was stopped and is started for this job."


def await_ready(scene: Scene, *, heed: bool = True) -> None:
    """Wait until programs run in the target, for a bounded time. Raises Halt."""
    until = scene.pace.tick() + READY
    while not _answers(scene):
        if scene.pace.tick() >= until:
            sentence = f"In {scene.target_name} no program could be run for {READY:.0f} s after its start."
            raise Halt(Outcome.TARGET_STOPPED, sentence)
        if heed:
            scene.wait(PAUSE)
        else:
            scene.pace.sleep(PAUSE)


def restore(scene: Scene) -> str:
    """Stop a guest that was stopped before; whatever the job came to. Raises Halt; Skip where nothing is to do."""
    if scene.ward is None or not scene.journal.facts.get("started"):
        raise Skip("It was not started by this job.")
    for left in range(STOP_TRIES - 1, -1, -1):
        try:
            _stop(scene, scene.ward)
        except ProxmoxError as wrong:
            if not left:
                sentence = f"It was stopped before and could not be stopped again: {wrong.message}"
                raise Halt(Outcome.AGENT_ERROR, sentence) from wrong
            scene.pace.sleep(STOP_PAUSE)
        else:
            break
    return "It is stopped again, as it was found."


def left_in(scene: Scene) -> LeftIn:
    """Say how the target is now, as far as it can be told; a frozen one still counts as running for Proxmox VE."""
    if scene.job.vmid is None:
        return "running"
    return "" if scene.ward is None else scene.ward.left_in()


def _stop(scene: Scene, ward: Ward) -> None:
    guest = ward.find()
    if power.current(ward.api, guest).get("status") == "stopped":
        return
    power.shutdown(ward.api, guest, timeout=SHUTDOWN, force=True, pace=scene.pace)


def _answers(scene: Scene) -> bool:
    try:
        done = scene.target.command(["sh", "-c", _STARTED], 10)
    except MachineError:
        return False
    return done.exit_code == 0 and not done.timed_out
