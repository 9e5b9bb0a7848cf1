"""Scenes: what runs in the machine behind the guest agent."""

import shutil
from collections.abc import Sequence

from nanny_ops.lab.pve.state.guest import Guest
from nanny_ops.lab.pve.state.guest_agent import OUTPUT_CAP, Ended, InMemory, Programs
from nanny_ops.machine.run import run
from tests.integration.conformance.rig import Rig
from tests.integration.conformance.scenes import Asked, Scenes

SCENES = Scenes()
SYSTEM = {"id": "rig", "name": "Rig Linux", "pretty-name": "Rig Linux 1", "version": "1", "version-id": "1"}


class OnThisHost(InMemory):
    """A machine whose programs are those of the host that runs the tests; its files are not."""

    def has(self, guest: Guest, program: str) -> bool:
        return shutil.which(program) is not None

    def run(self, guest: Guest, argv: Sequence[str], stdin: bytes) -> Ended:
        done = run(argv, timeout=30, stdin=stdin, cap=OUTPUT_CAP)
        hangs = done.stdout_truncated or done.exit_code is None
        return Ended(None if hangs else done.exit_code, done.stdout, done.stderr)


@SCENES.of("*agent_*", "*__agent__*")
def a_machine_with_programs(rig: Rig, asked: Asked) -> None:
    machine = rig.guest(203) if rig.release == "8.4" else rig.guest(400)
    machine.habits.system = SYSTEM
    machine.habits.address = "10.88.0.203"
    rig.api.programs = Programs(OnThisHost())


@SCENES.of("post_qemu_agent_exec--slow")
def not_quite_as_slow(rig: Rig, asked: Asked) -> None:
    asked.body = asked.body.replace(b"sleep+3", b"sleep+0.1")


@SCENES.of("get_qemu_agent_file_read")
def a_file_was_written(rig: Rig, asked: Asked) -> None:
    rig.api.programs.inside.write(rig.guest(203), "/tmp/f", b"abc\n")
