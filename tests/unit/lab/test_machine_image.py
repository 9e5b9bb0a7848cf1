"""Where the image of a machine comes from; making and booting one is an end-to-end test."""

from pathlib import Path

import pytest

from nanny_ops.errors import MachineError
from nanny_ops.lab import image, machine_image


def make(argv: list[str], _deadline: float) -> None:
    """Stand in for debootstrap with the few directories that the preparation expects."""
    root = Path(argv[-2])
    for directory in ("etc/apt", "etc/systemd/system", "usr/share/doc/something", "var/lib/apt/lists"):
        (root / directory).mkdir(parents=True)


def test_an_image_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(image, "must", lambda argv, deadline: (asked.append(argv[-1]), make(argv, deadline)))
    made = machine_image.machine_image(tmp_path, "trixie", mirror="http://mirror.invalid/debian")
    assert machine_image.machine_image(tmp_path, "trixie", mirror="http://mirror.invalid/debian") == made
    assert asked == ["http://mirror.invalid/debian"]
    assert (made / "etc/systemd/system/apt-daily.timer").readlink() == Path("/dev/null")
    assert not (made / "usr/share/doc/something").exists()


def test_a_failed_attempt_leaves_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(argv: list[str], _deadline: float) -> None:
        Path(argv[-2]).mkdir()
        raise MachineError("no network")

    monkeypatch.setattr(image, "must", fail)
    with pytest.raises(MachineError):
        machine_image.machine_image(tmp_path, "trixie", mirror="http://mirror.invalid/debian")
    assert [path.name for path in tmp_path.glob("machine-*") if path.suffix not in (".lock", ".new")] == []
