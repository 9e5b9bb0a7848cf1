"""What the name of a wheel says, and where wheels come from."""

from pathlib import Path

import pytest

from release.wheel import LIBRARIES, PYTHONS, Wheel, fetch


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("anyio-4.16.0-py3-none-any.whl", ["3.11", "3.13"]),
        ("six-1.17-py2.py3-none-any.whl", ["3.11", "3.13"]),
        ("msgspec-0.22.0-cp311-cp311-manylinux2014_x86_64.manylinux_2_28_x86_64.whl", ["3.11"]),
        ("msgspec-0.22.0-cp313-cp313-manylinux_2_28_x86_64.whl", ["3.13"]),
        ("msgspec-0.22.0-cp313-cp313t-manylinux_2_28_x86_64.whl", []),
        ("psutil-7.2.2-cp36-abi3-manylinux2010_x86_64.whl", ["3.11", "3.13"]),
        ("young-1.0-cp312-abi3-manylinux_2_28_x86_64.whl", ["3.13"]),
    ],
)
def test_a_wheel_says_which_pythons_it_is_for(name: str, fits: list[str]) -> None:
    assert [python for python in ("3.11", "3.13") if Wheel(Path(name)).fits(python)] == fits


def test_a_wheel_says_what_it_is() -> None:
    wheel = Wheel(Path("wheels/typing_extensions-4.16.0-py3-none-any.whl"))
    assert (wheel.name, wheel.version) == ("typing-extensions", "4.16.0")


def test_what_was_fetched_once_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text("left==1.0 --hash=sha256:00\n")
    asked: list[list[str]] = []

    def pip(argv: list[str], deadline: float) -> None:
        asked.append(argv)
        target = next(word for word in argv if word.startswith("--dest=")).removeprefix("--dest=")
        Path(target, "left-1.0-py3-none-any.whl").write_bytes(b"wheel")

    monkeypatch.setattr("release.wheel.must", pip)
    for _ in range(2):
        found = fetch([lock], "x86_64", tmp_path / "cache")
        assert [wheel.path.name for wheel in found] == ["left-1.0-py3-none-any.whl"]
    assert len(asked) == len(PYTHONS)
    assert all("--require-hashes" in argv and "--only-binary=:all:" in argv for argv in asked)
    assert all(f"--platform={library}_x86_64" in argv for argv in asked for library in LIBRARIES)
    lock.write_text("left==1.1 --hash=sha256:00\n")
    fetch([lock], "x86_64", tmp_path / "cache")
    assert len(asked) == 2 * len(PYTHONS)
