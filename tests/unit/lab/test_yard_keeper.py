"""When a yard ends by itself, and what is refused before one is made; one that stands is tried on whole machines."""

import fcntl
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from nanny_ops.errors import MachineError, SettingsError
from nanny_ops.lab import systemd_machine, yard_keeper
from nanny_ops.lab.yard_keeper import OWNER, Process, owner

GONE = Process(os.getpid(), 1)
NO_PLANE = SimpleNamespace(plane=None)


def test_a_process_is_known_again_by_its_beginning(tmp_path: Path) -> None:
    own = Process.of(os.getpid())
    own.write(tmp_path / "pid")
    assert Process.read(tmp_path / "pid") == own
    assert own.alive
    assert not GONE.alive
    assert Process.read(tmp_path / "nowhere") is None


def test_the_owner_is_named_by_the_environment() -> None:
    assert owner({}) is None
    assert owner({OWNER: str(os.getpid())}) == Process.of(os.getpid())
    with pytest.raises(SettingsError, match="number of a process"):
        owner({OWNER: "me"})


@pytest.mark.parametrize(
    ("needed_by", "noted", "until", "reason"),
    [
        (GONE, True, 1e12, "who asked for it is gone"),
        (None, False, 1e12, "its note is gone"),
        (None, True, 0.0, "its time is over"),
    ],
)
def test_a_yard_ends_when_it_is_not_needed(
    tmp_path: Path, needed_by: Process | None, noted: bool, until: float, reason: str
) -> None:
    note = tmp_path / "yard.json"
    if noted:
        note.touch()
    assert yard_keeper._linger(NO_PLANE, note, needed_by, until) == reason  # type: ignore[arg-type]


def test_a_control_plane_that_ends_is_the_end(tmp_path: Path) -> None:
    note = tmp_path / "yard.json"
    note.touch()
    child = SimpleNamespace(running=False, said=lambda: "no space left")
    with pytest.raises(MachineError, match="no space left"):
        yard_keeper._linger(SimpleNamespace(plane=SimpleNamespace(child=child)), note, None, 1e12)  # type: ignore[arg-type]


def test_what_makes_no_sense_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        yard_keeper.start(tmp_path / "yard", b"{}", {})
    assert not (tmp_path / "yard").exists()
    Process.of(os.getpid()).write(tmp_path / yard_keeper.PROCESS)
    with pytest.raises(MachineError, match="already"):
        yard_keeper.start(tmp_path, b'{"machines": [{"name": "a"}]}', {})


def test_only_what_nobody_holds_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd_machine, "remove_abandoned", list)
    for name in ("nanny-yard-held", "nanny-yard-left", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / yard_keeper.LOCK).touch()
    with (tmp_path / "nanny-yard-held" / yard_keeper.LOCK).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yard_keeper.sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["nanny-yard-held", "other"]


def test_a_wish_is_fulfilled_once(tmp_path: Path) -> None:
    switched: list[tuple[str, bool]] = []
    yard = SimpleNamespace(switch=lambda name, on: switched.append((name, on)))
    for wish in ("cut a", "boot a"):
        (tmp_path / yard_keeper.WISH).write_text(wish)
        yard_keeper.fulfil(tmp_path, yard)  # type: ignore[arg-type]
        yard_keeper.fulfil(tmp_path, yard)  # type: ignore[arg-type]
    assert switched == [("a", False), ("a", True)]


def test_only_a_machine_of_a_yard_that_stands_is_switched(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="No yard"):
        yard_keeper.switch(tmp_path, "cut", "a")
    (tmp_path / yard_keeper.PLAN).write_bytes(b'{"machines": [{"name": "a"}]}')
    GONE.write(tmp_path / yard_keeper.PROCESS)
    with pytest.raises(MachineError, match="No yard"):
        yard_keeper.switch(tmp_path, "cut", "a")
    Process.of(os.getpid()).write(tmp_path / yard_keeper.PROCESS)
    with pytest.raises(SettingsError, match="no machine 'b'"):
        yard_keeper.switch(tmp_path, "cut", "b")
    assert not (tmp_path / yard_keeper.WISH).exists()
