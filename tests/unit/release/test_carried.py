"""What the collection carries is what the product has."""

from pathlib import Path

import pytest

from nanny_ops.patch_scripts.distribution import SERVED
from release import carried


def test_the_collection_carries_what_is_there() -> None:
    assert carried.differing() == [], "type ./run docs"


def test_each_script_that_serves_somebody_is_carried() -> None:
    assert {name for name in carried.files() if name.startswith("scripts/")} == {f"scripts/{name}" for name in SERVED}


def test_what_is_missing_otherwise_or_too_much_is_named_and_mended(tmp_path: Path) -> None:
    carried.write(tmp_path)
    (tmp_path / "scripts/apt").unlink()
    (tmp_path / "scripts/gone").write_text("")
    (tmp_path / "carried.json").write_text("{}")
    assert carried.differing(tmp_path) == ["carried.json", "scripts/apt", "scripts/gone"]
    carried.write(tmp_path)
    assert carried.differing(tmp_path) == []


@pytest.mark.parametrize(("arguments", "code"), [(["--check"], 0), ([], 2)])
def test_the_command_says_what_it_takes(arguments: list[str], code: int) -> None:
    assert carried.main(arguments) == code
