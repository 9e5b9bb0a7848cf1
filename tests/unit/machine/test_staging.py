"""A release is installed whole beside the running one, or not at all; nothing of it is used before it is verified."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from nanny_ops.errors import MachineError, VerbRefused
from nanny_ops.machine import staging
from nanny_ops.machine.update_verbs import StageUpdate, TryUpdate
from nanny_ops.machine.verbs import KeySignature, SignatureCheck
from nanny_ops.machine.versions import Versions
from nanny_ops.protocol.signature import encode
from tests.fakes.release import archive
from tests.fakes.versions import FakeRun, make_prefix, make_version, release


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    return make_prefix(tmp_path / "prefix")


def stage(order: StageUpdate, versions: Versions, run: FakeRun | None = None, *, valid: bool = True) -> str:
    processes = versions.prefix.parent / "proc"
    return staging.stage(
        order,
        versions,
        run=run or FakeRun(versions.prefix),
        verify=lambda _verb: SignatureCheck(valid=valid),
        processes=processes,
    )


def names(versions: Versions) -> list[str]:
    """Return what lies below the prefix and its versions, without the lock."""
    below = [*versions.prefix.iterdir(), *(versions.prefix / "versions").iterdir()]
    return sorted(path.name for path in below if path.name != ".lock")


@pytest.mark.rows("F7")
def test_at_most_two_versions_lie_on_the_disk_and_asking_twice_installs_once(
    tmp_path: Path, versions: Versions
) -> None:
    make_version(versions.prefix, "0.9")
    order, run = release(tmp_path, "2.0"), FakeRun(versions.prefix)
    name = stage(order, versions, run)
    assert stage(order, versions, run) == name
    assert names(versions) == sorted(["1.0", name, "current", "versions"])
    assert versions.current == "1.0"
    assert versions.installed() == {order.sha256: name}
    assert [argv[-1] for argv in run.seen].count("--version") == 1
    pip = next(argv for argv in run.seen if "install" in argv)
    assert {"--no-index", "--require-hashes"} <= set(pip)


@pytest.mark.rows("F7")
@pytest.mark.parametrize("word", ["venv", "install", "--version"])
def test_whatever_fails_leaves_only_the_running_version(tmp_path: Path, versions: Versions, word: str) -> None:
    with pytest.raises(VerbRefused) as told:
        stage(release(tmp_path, "2.0"), versions, FakeRun(versions.prefix, fails=(word, "it broke")))
    assert told.value.details["outcome"] == "update_failed"
    assert names(versions) == ["1.0", "current", "versions"]
    with pytest.raises(VerbRefused) as full:
        stage(release(tmp_path, "2.0"), versions, FakeRun(versions.prefix, fails=(word, "No space left on device")))
    assert full.value.details["outcome"] == "disk_full"


def test_nothing_is_unpacked_that_is_not_what_was_ordered_and_signed(tmp_path: Path, versions: Versions) -> None:
    run = FakeRun(versions.prefix)
    key = KeySignature(public_key=encode(bytes(32)), signature=encode(bytes(64)))
    wrong = {
        "checksum_mismatch": release(tmp_path, "2.0", sha256="0" * 64),
        "signature_invalid": release(tmp_path, "2.0", signatures=[key], threshold=1),
    }
    for outcome, order in wrong.items():
        with pytest.raises(VerbRefused) as told:
            stage(order, versions, run, valid=False)
        assert told.value.details["outcome"] == outcome
    other = replace(release(tmp_path, "2.0"), version="3.0")
    with pytest.raises(VerbRefused, match="holds version"):
        stage(other, versions, run)
    for shape in ({"version": "../../../x"}, {"sha256": "../x"}):
        with pytest.raises(VerbRefused, match="malformed"):
            stage(replace(other, **shape), versions, run)
    with pytest.raises(VerbRefused, match="agent's user"):
        staging.stage(release(tmp_path, "2.0"), versions, run=run, uid=4_000_000_000)
    (tmp_path / "link").symlink_to(other.path)
    with pytest.raises(VerbRefused, match="cannot be installed"):
        stage(release(tmp_path, "2.0", path=str(tmp_path / "link")), versions, run)
    assert run.seen == []
    assert names(versions) == ["1.0", "current", "versions"]


def test_a_version_from_which_a_job_runs_makes_no_room(tmp_path: Path, versions: Versions) -> None:
    old = make_version(versions.prefix, "0.9")
    (tmp_path / "proc/77").mkdir(parents=True)
    (tmp_path / "proc/77/cmdline").write_bytes(f"{old}/bin/python\0-m\0job".encode())
    with pytest.raises(MachineError, match="Process 77"):
        stage(release(tmp_path, "2.0"), versions)
    assert names(versions) == ["0.9", "1.0", "current", "versions"]


def test_too_little_room_is_told_before_anything_is_written(tmp_path: Path, versions: Versions) -> None:
    with pytest.raises(VerbRefused) as told:
        staging.stage(release(tmp_path, "2.0"), versions, run=FakeRun(versions.prefix), free=lambda _folder: 2**20)
    assert told.value.details["outcome"] == "disk_full"
    assert names(versions) == ["1.0", "current", "versions"]


def test_a_staged_version_tries_itself(tmp_path: Path, versions: Versions) -> None:
    name = stage(release(tmp_path, "2.0"), versions, FakeRun(versions.prefix, self_test="echo no module >&2; exit 1"))
    assert staging.rehearse(TryUpdate(version=name), find=lambda: versions).problem == "no module"
    with pytest.raises(MachineError):
        staging.rehearse(TryUpdate(version="../../bin"), find=lambda: versions)


def test_archives_are_the_same_for_the_same_content() -> None:
    assert hashlib.sha256(archive("1")).digest() == hashlib.sha256(archive("1")).digest()
