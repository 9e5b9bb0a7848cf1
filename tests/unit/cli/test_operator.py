"""``nanny-ops`` as a program: version, help, and errors that are one line with the right exit code."""

import os
import subprocess
import sys
from pathlib import Path

import nanny_ops
from nanny_ops.cli.operator import advice
from nanny_ops.errors import LoginFailed, NotFound, Unauthorized, Unreachable

PROGRAM = Path(sys.executable).parent / "nanny-ops"


def call(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    env = {key: value for key, value in os.environ.items() if not key.startswith("NANNY_")} | environ
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=60, env=env, check=False)


def test_version() -> None:
    assert call("--version").stdout.strip() == nanny_ops.__version__


def test_a_typo_in_a_setting_is_one_line_and_exit_code_2() -> None:
    done = call("serve", NANNY_PROT="1")
    assert done.returncode == 2
    assert done.stderr.strip() == "nanny-ops: Environment: there is no setting 'NANNY_PROT'; did you mean 'NANNY_PORT'?"


def test_an_open_bind_is_refused() -> None:
    done = call("serve", "--host", "0.0.0.0")
    assert done.returncode == 2
    assert "plain text" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_typo_in_a_noun_gets_a_suggestion() -> None:
    done = call("gest", "list")
    assert done.returncode == 2
    assert "Did you mean 'guest'?" in done.stderr


def test_a_folder_that_cannot_be_made_is_one_line() -> None:
    done = call("db", "upgrade", NANNY_DATA_DIR="/proc/nowhere")
    assert (done.returncode, done.stderr) == (1, "nanny-ops: /proc/nowhere: No such file or directory.\n")


def test_what_comes_next_is_said_where_the_error_cannot_know_it() -> None:
    assert "nanny-ops login" in advice(Unauthorized())
    assert "NANNY_URL" in advice(Unreachable())
    assert advice(LoginFailed()) == advice(NotFound()) == ""
