"""The sh that runs inside a container, under each shell and tool set that containers bring."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from nanny_ops.machine import guest
from nanny_ops.machine.run import run, session_members

TOOLS = ("sh", "cat", "mkfifo", "setsid", "sha256sum", "sleep", "timeout", "rm", "mkdir", "env", "touch")


@pytest.fixture(params=["dash", "bash", "busybox"])
def path(request, tmp_path) -> str:
    """A PATH whose sh, and with busybox every other tool too, is the one under test."""
    program = shutil.which(request.param)
    assert program is not None, f"install {request.param}: containers have it"
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS if request.param == "busybox" else ("sh",):
        (folder / tool).symlink_to(program)
    return str(folder) if request.param == "busybox" else f"{folder}:/usr/bin:/bin"


@pytest.fixture
def folder(tmp_path) -> Path:
    made = tmp_path / "job"
    made.mkdir()
    return made


def sh(path: str, *argv: str, timeout: float = 20):
    shell = shutil.which("sh", path=path)
    assert shell is not None
    return run([shell, "-c", *argv], timeout=timeout, env={"PATH": path})


def launch(path: str, folder: Path, seconds: int, *command: str):
    return sh(path, guest.LAUNCH, "sh", guest.SUPERVISE, str(folder), str(seconds), *command)


def test_prepare_makes_a_private_folder_and_empties_an_old_one(path, tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    (place / "old").touch()
    assert sh(path, guest.PREPARE, "sh", str(place)).exit_code == 0
    assert place.stat().st_mode & 0o777 == 0o700
    assert list(place.iterdir()) == []


def test_prepare_replaces_a_planted_link(path, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    place = tmp_path / "place"
    place.symlink_to(elsewhere)
    assert sh(path, guest.PREPARE, "sh", str(place)).exit_code == 0
    assert not place.is_symlink()
    assert (elsewhere / "precious").exists()


def test_verify_prints_the_sum_and_the_interpreter(path, tmp_path):
    script = tmp_path / "script"
    script.write_bytes(b"hello")
    said = sh(path, guest.VERIFY, "sh", str(script), "/bin/sh", "").stdout.decode().splitlines()
    expected = "sha256 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert said == [expected, "interpreter yes"]


@pytest.mark.parametrize(("interpreter", "word"), [("/bin/no-such", ""), ("/usr/bin/env", "no-such")])
def test_verify_misses_an_interpreter(path, tmp_path, interpreter, word):
    script = tmp_path / "script"
    script.touch()
    assert b"interpreter" not in sh(path, guest.VERIFY, "sh", str(script), interpreter, word).stdout


def test_streams_and_code_pass_through(path, folder):
    done = launch(path, folder, 10, "sh", "-c", "echo out; echo err >&2; exit 42")
    assert (done.exit_code, done.stdout, done.stderr) == (42, b"out\n", b"err\n")
    assert done.seconds < 2


def test_arguments_are_kept_apart(path, folder):
    done = launch(path, folder, 10, "sh", "-c", 'for a; do echo "[$a]"; done', "sh", "a b", "*", "$HOME", "")
    assert done.stdout == b"[a b]\n[*]\n[$HOME]\n[]\n"


def test_a_service_that_keeps_the_output_open_does_not_hold_it(path, folder):
    note = folder / "service"
    done = launch(path, folder, 30, "sh", "-c", f"setsid sleep 50 & echo $! >{note}; echo started")
    assert done.stdout == b"started\n"
    assert done.exit_code == 0
    assert done.seconds < 8
    os.kill(int(note.read_text()), signal.SIGKILL)


def test_the_container_itself_ends_a_script_that_takes_too_long(path, folder):
    done = launch(path, folder, 1, "sleep", "30")
    assert done.exit_code in (124, 143)
    assert done.seconds < 8


def test_a_large_output_is_whole(path, folder):
    done = launch(path, folder, 20, "sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done")
    assert len(done.stdout) == 220_000


def test_halt_ends_the_session_but_not_its_services(path, folder):
    service, child = folder / "service", folder / "child"
    body = f"setsid sleep 50 & echo $! >{service}; sleep 40 & echo $! >{child}; wait"
    launcher = [shutil.which("sh", path=path), "-c", guest.LAUNCH, "sh", guest.SUPERVISE, str(folder), "60"]
    outer = 'PATH=$1; shift; "$@" >"$OUT" 2>&1 &'
    run(["/bin/sh", "-c", outer, "sh", path, *launcher, "sh", "-c", body], timeout=5, env={"OUT": str(folder / "log")})
    end = time.monotonic() + 5
    while not (child.exists() and child.read_text().strip()) and time.monotonic() < end:
        time.sleep(0.05)
    leader = int((folder / "pid").read_text().split()[0])
    assert int(child.read_text()) in session_members(leader)
    assert sh(path, guest.HALT, "sh", str(folder)).exit_code == 0
    end = time.monotonic() + 5
    while session_members(leader) and time.monotonic() < end:
        time.sleep(0.05)
    assert session_members(leader) == []
    os.kill(int(service.read_text()), signal.SIGKILL)


def test_halt_of_what_never_began_is_quiet(path, folder):
    assert sh(path, guest.HALT, "sh", str(folder)).exit_code == 0
