"""``nanny-ops lab`` as a process: ready line, signals, nothing left."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ARGUMENTS = ["up", "--nodes", "1", "--guests", "3", "--real-containers", "0", "--json", "--fault", "no-quorum"]


def start(tmp_path: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "TMPDIR": str(tmp_path)}
    argv = [sys.executable, "-m", "nanny_ops.cli.operator", "lab", *arguments]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_one_line_when_ready_and_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    with start(tmp_path, *ARGUMENTS) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        assert Path(said["ca_file"]).is_file()
        process.send_signal(number)
        rest, _ = process.communicate(timeout=30)
    assert (process.returncode, rest) == (0, b"")
    assert {path.name for path in tmp_path.iterdir()} == {"cache"}
    assert list((tmp_path / "cache/nanny-ops/labs").iterdir()) == []


def test_down_removes_what_a_killed_lab_left(tmp_path: Path) -> None:
    with start(tmp_path, *ARGUMENTS) as process:
        assert process.stdout is not None
        json.loads(process.stdout.readline())
        process.kill()
    assert len(list(tmp_path.iterdir())) > 1
    with start(tmp_path, "down") as process:
        said, _ = process.communicate(timeout=30)
    assert said.startswith(b"removed what lab ")
    assert {path.name for path in tmp_path.iterdir()} == {"cache"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--version", "7.4"], b"Proxmox VE 7.4 is unknown here; say 8.4 or 9.2."),
        (["--fault", "frob"], b"There is no fault 'frob'"),
    ],
)
def test_an_impossible_plan_is_exit_code_2(tmp_path: Path, words: list[str], said: bytes) -> None:
    with start(tmp_path, "up", *words) as process:
        _, told = process.communicate(timeout=30)
    assert process.returncode == 2
    assert said in told
