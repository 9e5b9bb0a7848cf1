"""Files on their way into and out of a guest, with what pct says when it cannot be done."""

from pathlib import Path
from typing import NoReturn

import pytest

from nanny_ops.lab.guest import CopyFailed, pull, push


class Folder:
    """A guest that is a plain directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.inside = False

    def pid(self) -> int | None:
        return 1

    def replace_process(self, argv: list[str], *, keep_env: bool) -> NoReturn:
        raise AssertionError(argv)

    def enter(self) -> None:
        self.inside = True

    def leave(self, outside: int) -> None:
        self.inside = False

    def resolve(self, path: str) -> str:
        return str(self.root) + path if self.inside else path

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def shutdown(self, timeout: float) -> bool:
        return True


@pytest.fixture
def guest(tmp_path: Path) -> Folder:
    (tmp_path / "guest/etc").mkdir(parents=True)
    (tmp_path / "guest/etc/passwd").write_text("root:x:0:0::/:/bin/sh\nweb:x:33:33::/:/bin/sh\n")
    return Folder(tmp_path / "guest")


def test_push_sets_the_mode(guest: Folder, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"x" * 3_000_000)
    push(guest, str(tmp_path / "source"), "/etc/target", perms="0700")
    target = guest.root / "etc/target"
    assert target.stat().st_mode & 0o7777 == 0o700
    assert target.stat().st_size == 3_000_000


@pytest.mark.parametrize(
    ("source", "target", "user", "text"),
    [
        ("missing", "/x", "", "failed to open {tmp}/missing for reading"),
        ("source", "/no/x", "", "failed to create file: /no/x: No such file or directory"),
        ("source", "/etc", "", "failed to create file: /etc: Is a directory"),
        ("source", "/x", "stranger", "failed to get uid for: stranger"),
    ],
)
def test_push_says_why_not(guest: Folder, tmp_path: Path, source: str, target: str, user: str, text: str) -> None:
    (tmp_path / "source").write_text("x")
    with pytest.raises(CopyFailed) as failed:
        push(guest, str(tmp_path / source), target, user=user)
    assert str(failed.value) == text.format(tmp=tmp_path)


def test_pull_writes_outside(guest: Folder, tmp_path: Path) -> None:
    pull(guest, "/etc/passwd", str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == (guest.root / "etc/passwd").read_bytes()


def test_pull_says_what_is_missing(guest: Folder, tmp_path: Path) -> None:
    with pytest.raises(CopyFailed, match="failed to open /etc/none: No such file or directory"):
        pull(guest, "/etc/none", str(tmp_path / "copy"))
