"""Reboots are begun once, asked for by a process of their own, and proved by another mark alone."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nanny_ops.errors import MachineError, VerbRefused
from nanny_ops.machine import carrier, reboot, rebooter
from nanny_ops.machine.reboot import argv, folder_of, look, open_reboots, perform_reboot
from nanny_ops.machine.run import Done
from nanny_ops.machine.verbs import ForgetReboot, LookReboot, RebootOrder, RebootState, RebootVerb, StartReboot

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ORDER = RebootOrder(reboot_id="reboot-1", kind="host", vmid=None, reason="new kernel", timeout_seconds=300, claim="c")
GUEST = replace(ORDER, kind="lxc", vmid=101)


class Target:
    """A target that reboots when it is asked, unless told otherwise."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder_of(folder / "jobs")
        self.life, self.asked = 1, 0
        self.obeys, self.says, self.launches = True, "", True
        self.down = False

    def mark(self, _kind: str, _vmid: int | None) -> str:
        if self.down:
            raise MachineError("It is down.")
        return f"life-{self.life}"

    def launch(self, directory: Path, _order: RebootOrder) -> Done:
        if self.launches:
            rebooter.ask(directory, self._run, "/bin")
        return Done(argv=(), exit_code=0 if self.launches else 1, stdout=b"", stderr=b"No.\n")

    def _run(self, words: list[str], **_how: Any) -> Done:
        self.asked += 1
        self.life += self.obeys
        return Done(argv=tuple(words), exit_code=1 if self.says else 0, stdout=b"", stderr=self.says.encode())

    def do(self, verb: RebootVerb) -> RebootState:
        return perform_reboot(verb, folder=self.folder, mark=self.mark, launch=self.launch, now=lambda: NOON)

    def start(self, order: RebootOrder = ORDER) -> RebootState:
        return self.do(StartReboot(order=order))


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(tmp_path)


def test_it_is_asked_once_and_proved_by_another_mark(target: Target) -> None:
    assert target.do(LookReboot(reboot_id="reboot-1")) == RebootState(reboot_id="reboot-1")
    for _ in range(3):
        state = target.start()
        assert (state.before, state.now, state.proved, state.asked) == ("life-1", "life-2", True, True)
    assert (target.asked, state.claim, state.begun_at) == (1, "c", "2026-01-01T12:00:00.000Z")
    assert open_reboots(target.folder) == [ORDER]
    assert not target.do(ForgetReboot(reboot_id="reboot-1")).begun
    assert open_reboots(target.folder) == []


@pytest.mark.rows("F14")
def test_a_target_that_only_answers_has_not_rebooted(target: Target) -> None:
    target.obeys = False
    assert not target.start().proved
    target.down = True  # that it cannot be asked proves nothing either
    assert (target.do(LookReboot(reboot_id="reboot-1")).now, target.start().proved) == ("", False)


def test_what_is_said_against_it_is_kept(target: Target) -> None:
    target.obeys, target.says = False, "noise\nOperation inhibited by ups\n"
    state = target.start()
    assert state.problem == "systemctl reboot ended with exit code 1: Operation inhibited by ups"


def test_a_target_without_a_mark_is_not_touched(target: Target) -> None:
    target.down = True
    with pytest.raises(MachineError, match="down"):
        target.start()
    assert (target.asked, target.folder.exists()) == (0, False)


def test_what_was_prepared_and_not_begun_may_be_begun(target: Target) -> None:
    target.launches = False
    with pytest.raises(MachineError, match=r"could not be begun \(exit code 1\): No\."):
        target.start()
    assert not look(target.folder, "reboot-1", target.mark).begun
    target.launches = True
    assert target.start().proved


def test_a_guest_is_not_looked_at_before_asking_has_ended(target: Target) -> None:
    target.start(GUEST)
    (target.folder / "reboot-1" / "result.json").unlink()
    assert look(target.folder, "reboot-1", target.mark).now == ""


def test_how_each_kind_is_asked() -> None:
    assert argv(replace(ORDER, reason="a\nb" + "x" * 900))[2].startswith("--message=nanny-ops: a bxxx")
    assert len(argv(replace(ORDER, reason="x" * 900))[2]) < 300
    assert argv(GUEST) == ["pct", "reboot", "101", "--timeout", "240"]
    assert argv(replace(GUEST, kind="qemu", timeout_seconds=30)) == ["qm", "reboot", "101", "--timeout", "20"]


@pytest.mark.parametrize("reboot_id", ["", "..", "../x", "a/b", "-f", "a\0"])
def test_no_id_leaves_the_folder(target: Target, reboot_id: str) -> None:
    for verb in (LookReboot(reboot_id=reboot_id), ForgetReboot(reboot_id=reboot_id)):
        with pytest.raises(VerbRefused):
            target.do(verb)


def test_a_program_that_is_not_there_is_told(target: Target, tmp_path: Path) -> None:
    """By the real runner: in a path without programs nothing is found, and nothing reboots."""
    target.launches = False
    with pytest.raises(MachineError):
        target.start()
    rebooter.ask(target.folder / "reboot-1", path=str(tmp_path))
    assert "systemctl" in look(target.folder, "reboot-1", target.mark).problem


def test_its_unit_is_called_as_no_other_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    monkeypatch.setattr(carrier, "outlive", lambda _module, _folder, name, _seconds: begun.append(name))
    reboot.launch(tmp_path, replace(ORDER, reboot_id="agent"))
    assert begun == ["nanny-reboot-agent"]
