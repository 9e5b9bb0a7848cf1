"""The one door to subprocess: deadlines, bounds, and nothing left behind."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from nanny_ops.errors import ProgramMissing
from nanny_ops.machine.run import run, run_to_files, session_members
from nanny_ops.protocol.patch import TRUNCATION_MARK


def alive(pid: int) -> bool:
    try:
        return b") Z" not in Path(f"/proc/{pid}/stat").read_bytes()
    except FileNotFoundError:
        return False


def wait_until(condition, seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


def test_streams_and_exit_code_stay_apart():
    done = run(["sh", "-c", "printf out; printf err >&2; exit 42"], timeout=10)
    assert (done.exit_code, done.stdout, done.stderr) == (42, b"out", b"err")
    assert not done.timed_out
    assert not done.stdout_truncated


def test_a_signal_is_a_negative_code():
    assert run(["sh", "-c", "kill -9 $$"], timeout=10).exit_code == -signal.SIGKILL


def test_stdin_is_dev_null_unless_given():
    assert run(["cat"], timeout=10).stdout == b""
    big = b"x" * 3_000_000
    assert run(["wc", "-c"], timeout=10, stdin=big).stdout.strip() == b"3000000"


def test_a_program_that_does_not_read_its_input_is_no_error():
    assert run(["true"], timeout=10, stdin=b"x" * 3_000_000).exit_code == 0


def test_output_beyond_the_cap_is_thrown_away_and_flagged():
    done = run(["sh", "-c", "head -c 5000000 /dev/zero; echo end >&2"], timeout=20, cap=1000)
    assert len(done.stdout) == 1000
    assert done.stdout_truncated
    assert not done.stderr_truncated
    assert done.exit_code == 0


def test_output_of_exactly_the_cap_is_whole():
    assert not run(["printf", "12345"], timeout=10, cap=5).stdout_truncated


def test_a_missing_program_is_named():
    with pytest.raises(ProgramMissing, match="no-such-program"):
        run(["no-such-program"], timeout=1)


def test_arguments_are_never_expanded():
    assert run(["printf", "%s", "$HOME; *"], timeout=10).stdout == b"$HOME; *"


def test_environment_and_directory(tmp_path):
    done = run(["/bin/sh", "-c", 'printf %s "$A$(pwd)"'], timeout=10, env={"A": "1"}, cwd=str(tmp_path))
    assert done.stdout == f"1{tmp_path}".encode()


def test_the_deadline_ends_the_whole_session(tmp_path):
    note = tmp_path / "pid"
    script = f"sleep 300 & echo $! > {note}; wait"
    done = run(["sh", "-c", script], timeout=0.4)
    assert done.timed_out
    assert done.seconds < 5
    assert wait_until(lambda: not alive(int(note.read_text())))


def test_one_who_ignores_the_request_is_killed(tmp_path):
    done = run(["sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"], timeout=0.3, grace=0.3)
    assert done.timed_out
    assert done.exit_code == -signal.SIGKILL


def test_a_child_in_its_own_group_is_ended_too(tmp_path):
    note = tmp_path / "pid"
    code = f"import os,time; os.setpgid(0,0); open({str(note)!r},'w').write(str(os.getpid())); time.sleep(300)"
    done = run(["sh", "-c", f'{sys.executable} -c "{code}" & wait'], timeout=1.0)
    assert done.timed_out
    assert wait_until(lambda: not alive(int(note.read_text())))


def test_a_child_gets_its_grace_even_when_the_leader_dies_at_once(tmp_path):
    note = tmp_path / "tidied"
    inner = f"trap 'sleep 0.6; echo yes > {note}; exit 0' TERM; while :; do sleep 0.05; done"
    done = run(["sh", "-c", 'sh -c "$1" & wait', "sh", inner], timeout=0.3, grace=5)
    assert done.timed_out
    assert note.read_text() == "yes\n"


def test_a_grandchild_that_holds_the_pipe_does_not_hold_us(tmp_path):
    note = tmp_path / "pid"
    began = time.monotonic()
    done = run(["sh", "-c", f"sleep 60 & echo $! > {note}; echo started"], timeout=30)
    assert done.stdout == b"started\n"
    assert done.exit_code == 0
    assert not done.timed_out
    assert time.monotonic() - began < 10
    pid = int(note.read_text())
    assert alive(pid), "a service that a package started is not ours to kill"
    os.kill(pid, signal.SIGKILL)


def test_a_program_that_closes_its_pipes_is_still_waited_for():
    done = run(["sh", "-c", "exec >&- 2>&-; sleep 0.4; exit 7"], timeout=10)
    assert done.exit_code == 7


def test_nothing_is_left_open():
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        run(["true"], timeout=5, stdin=b"x")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def to_files(tmp_path, argv, **more):
    options = {"timeout": 10, "cap": 1 << 20, "stopping": lambda: False, **more}
    return run_to_files(argv, stdout=tmp_path / "out", stderr=tmp_path / "err", **options)


def test_files_hold_both_streams(tmp_path):
    done = to_files(tmp_path, ["sh", "-c", "echo one; echo two >&2; exit 3"])
    assert (tmp_path / "out").read_text() == "one\n"
    assert (tmp_path / "err").read_text() == "two\n"
    assert (done.exit_code, done.stdout, done.stderr) == (3, b"one\n", b"two\n")


def test_files_grow_while_the_program_runs(tmp_path):
    seen = []

    def look() -> bool:
        seen.append((tmp_path / "out").read_text())
        return seen[-1] != ""

    done = to_files(tmp_path, ["sh", "-c", "echo early; sleep 30"], stopping=look)
    assert done.stopped
    assert seen[-1] == "early\n"


def test_a_cut_file_says_so_inside_the_cap_and_the_tail_is_kept(tmp_path):
    done = to_files(tmp_path, ["sh", "-c", "head -c 5000000 /dev/zero | tr '\\0' x; echo; echo last"], cap=1000)
    text = (tmp_path / "out").read_text()
    assert len(text) == 1000
    assert text.splitlines()[-1] == TRUNCATION_MARK
    assert done.stdout.endswith(b"\nlast\n")
    assert done.stdout_truncated


def test_a_full_disk_is_noted_and_the_program_goes_on(tmp_path):
    (tmp_path / "out").symlink_to("/dev/full")
    marker = tmp_path / "reached"
    done = to_files(tmp_path, ["sh", "-c", f"head -c 300000 /dev/zero; touch {marker}; echo '[]'"])
    assert done.disk_full
    assert done.exit_code == 0
    assert done.stdout.endswith(b"[]\n")
    assert marker.exists()


def test_a_waiting_that_is_broken_off_ends_the_program(tmp_path):
    born = []

    def stopping():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_to_files(
            ["sleep", "60"],
            timeout=60,
            stdout=tmp_path / "out",
            stderr=tmp_path / "err",
            cap=100,
            stopping=stopping,
            born=born.append,
        )
    assert session_members(born[0]) == []


def test_session_members_sees_a_session():
    assert os.getpid() in session_members(os.getsid(0))
