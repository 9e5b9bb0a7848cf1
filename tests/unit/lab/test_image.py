"""Where the Debian image comes from."""

import threading
from pathlib import Path

import pytest

from nanny_ops.errors import MachineError, SettingsError
from nanny_ops.lab.image import cache_dir, configured_mirror, made_once

DEB822 = """Types: deb
# a comment
URIs: http://mirror.invalid/debian
Suites: bookworm bookworm-updates

Types: deb
URIs: http://mirror.invalid/debian-security
Suites: bookworm-security
"""


def sources(apt: Path, *, lines: str = "", stanzas: str = "") -> Path:
    (apt / "sources.list.d").mkdir(parents=True)
    (apt / "sources.list").write_text(lines)
    (apt / "sources.list.d/debian.sources").write_text(stanzas)
    return apt


def test_the_mirror_stands_in_stanzas(tmp_path: Path) -> None:
    assert configured_mirror(sources(tmp_path / "apt", stanzas=DEB822), "bookworm") == "http://mirror.invalid/debian"


def test_the_mirror_stands_in_lines(tmp_path: Path) -> None:
    lines = "# deb http://no.invalid/ bookworm main\ndeb [arch=amd64] http://one.invalid/debian bookworm main\n"
    assert configured_mirror(sources(tmp_path / "apt", lines=lines), "bookworm") == "http://one.invalid/debian"


def test_another_debian_suite_has_the_same_mirror(tmp_path: Path) -> None:
    lines = "deb http://tool.invalid/apt nodistro main\ndeb http://two.invalid/debian trixie main\n"
    assert configured_mirror(sources(tmp_path / "apt", lines=lines), "bookworm") == "http://two.invalid/debian"


def test_a_disabled_stanza_does_not_count(tmp_path: Path) -> None:
    stanza = "Enabled: no\nTypes: deb\nURIs: http://off.invalid/debian\nSuites: bookworm\n"
    with pytest.raises(SettingsError, match="No Debian mirror for bookworm"):
        configured_mirror(sources(tmp_path / "apt", stanzas=stanza), "bookworm")


def test_the_cache_follows_the_environment() -> None:
    assert cache_dir({"XDG_CACHE_HOME": "/c"}) == Path("/c/nanny-ops")
    assert cache_dir({"XDG_CACHE_HOME": "relative"}) == Path.home() / ".cache/nanny-ops"


def test_an_image_is_made_once_by_whoever_comes_first(tmp_path: Path) -> None:
    made: list[str] = []
    begun, may_end = threading.Event(), threading.Event()

    def first(root: Path) -> None:
        root.mkdir()
        begun.set()
        may_end.wait(10)
        made.append("first")

    def second(root: Path) -> None:
        made.append("second")

    image = tmp_path / "cache/image"
    thread = threading.Thread(target=made_once, args=(image, first))
    thread.start()
    assert begun.wait(10)
    assert not image.exists()  # half an image is never found
    threading.Timer(0.05, may_end.set).start()
    assert made_once(image, second) == image
    thread.join()
    assert made == ["first"]
    assert image.is_dir()


def test_what_an_attempt_left_is_taken_away_first(tmp_path: Path) -> None:
    def fail(root: Path) -> None:
        (root / "half").mkdir(parents=True)
        raise MachineError("no network")

    with pytest.raises(MachineError):
        made_once(tmp_path / "image", fail)
    made_once(tmp_path / "image", Path.mkdir)
    assert list((tmp_path / "image").iterdir()) == []
