"""The image of a machine with rpm's packages is made once for each name that it goes by."""

from pathlib import Path

import pytest

from nanny_ops.lab import rpm_machine as module


def test_each_release_has_an_image_that_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "base/usr").mkdir(parents=True)
    made: list[str] = []
    monkeypatch.setattr(module, "machine_image", lambda *given, **more: tmp_path / "base")
    monkeypatch.setattr(module, "_prepare", lambda root, release: made.append(release))
    first = module.rpm_machine(tmp_path, "fedora")
    assert module.rpm_machine(tmp_path, "fedora") == first
    assert module.rpm_machine(tmp_path, "opensuse").is_dir()
    assert made == [module.RELEASES["fedora"], module.RELEASES["opensuse"]]


def test_a_prepared_root_goes_by_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.rpm_repository, "lay_rpm_repository", lambda root: None)
    for relative in module.TELLTALES:
        (tmp_path / relative).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / relative).touch()
    module._prepare(tmp_path, module.RELEASES["fedora"])
    assert "ID=fedora" in (tmp_path / "etc/os-release").read_text()
    assert [name for name in module.TELLTALES if (tmp_path / name).exists()] == []
