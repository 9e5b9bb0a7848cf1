"""The pct stand-in beside the recorded runs of the real one, over a simulated guest."""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nanny_ops.lab import demo_guest
from nanny_ops.lab.simulated import SimulatedGuest
from nanny_ops.machine.run import Done, run

#: What needs the lab's process is compared in tests/integration/conformance.
ALONE = {"exec", "push", "pull", "status", "list", "frobnicate"}
FILE = Path(__file__).parents[2] / "recorded/pct-8.4.json"
RECORDED = [run for run in json.loads(FILE.read_text())["runs"] if run["cmd"][0] in ALONE]
CONFS = {
    101: "arch: amd64\nhostname: web1\nmemory: 512\n",
    103: "arch: amd64\nhostname: batch1\n",
    105: "hostname: tmpl\ntemplate: 1\n",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A node ``pve1`` with 101 running, 103 stopped and 105 a template."""
    home = tmp_path_factory.mktemp("home")
    elsewhere = Path(tempfile.mkdtemp(prefix="nanny-test-"))  # where nobody can reach it
    elsewhere.chmod(0o711)
    (home / "simulated").symlink_to(elsewhere)
    folder = home / "nodes/pve1/lxc"
    folder.mkdir(parents=True)
    for vmid, text in CONFS.items():
        (folder / f"{vmid}.conf").write_text(text)
        demo_guest.make_simulated(SimulatedGuest(elsewhere / str(vmid), vmid), f"ct{vmid}")
    SimulatedGuest(elsewhere / "101", 101).start()
    yield home
    shutil.rmtree(elsewhere)


def pct(home: Path, *words: str, stdin: bytes | None = None) -> Done:
    argv = [sys.executable, "-I", "-m", "nanny_ops.lab.pct", str(home), "pve1", "nanny-test", *words]
    return run(argv, timeout=30, stdin=stdin)


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: " ".join(recorded["cmd"])[:60])
def test_answers_as_recorded(home: Path, tmp_path: Path, recorded: dict[str, str]) -> None:
    (tmp_path / "p.txt").write_text("content\n")
    words = [str(tmp_path / "p.txt") if word == "/tmp/p.txt" else word for word in recorded["cmd"]]
    words = [str(tmp_path / Path(word).name) if word.startswith("/tmp/back") else word for word in words]
    done = pct(home, *words)
    assert done.exit_code == int(recorded["rc"])
    assert done.stdout.decode() == recorded["stdout"]
    assert done.stderr.decode() == recorded["stderr"]


def test_exec_passes_everything_through(home: Path) -> None:
    done = pct(home, "exec", "101", "--", "sh", "-c", "cat; echo err >&2; exit 42", stdin=b"in \xff")
    assert (done.exit_code, done.stdout, done.stderr) == (42, b"in \xff", b"err\n")


@pytest.mark.parametrize(("program", "code"), [("nosuchcmd", 127), ("/etc/passwd", 126)])
def test_exec_of_what_cannot_be_executed(home: Path, program: str, code: int) -> None:
    done = pct(home, "exec", "101", "--", program)
    assert done.exit_code == code
    assert b"Failed to exec" in done.stderr


def test_push_then_run_then_pull(home: Path, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\necho ran in $SIMULATED_GUEST\n")
    pushed = pct(home, "push", "101", str(script), "/var/tmp/script", "--perms", "0700")
    assert (pushed.exit_code, pushed.stderr) == (0, b"")
    assert pct(home, "exec", "101", "--", "/var/tmp/script").stdout == b"ran in 101\n"
    assert pct(home, "pull", "101", "/var/tmp/script", str(tmp_path / "back")).exit_code == 0
    assert (tmp_path / "back").read_bytes() == script.read_bytes()


def test_what_needs_the_labs_process_says_so_without_it(home: Path) -> None:
    done = pct(home, "unlock", "103")
    assert (done.exit_code, done.stderr) == (255, b"the lab is not open\n")


def test_list_has_the_columns_of_the_real_one(home: Path) -> None:
    lines = pct(home, "list").stdout.decode().splitlines()
    assert lines[0] == "VMID       Status     Lock         Name                "
    assert lines[1] == "101        running                 web1                "
