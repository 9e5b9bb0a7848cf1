"""A session is known again by more than its number."""

import signal
import subprocess
import time

from nanny_ops.machine.run import signal_session
from nanny_ops.machine.session import living, mark


def test_a_session_lives_as_long_as_one_of_its_processes(tmp_path):
    note = tmp_path / "note"
    with subprocess.Popen(
        ["sh", "-c", f"sleep 60 & echo x >{note}; read line"], stdin=-1, start_new_session=True
    ) as one:
        while not note.exists():
            time.sleep(0.02)
        text = mark(one.pid)
        assert living(text) == one.pid
        one.communicate(b"\n")
        assert living(text) == one.pid
        signal_session(one.pid, signal.SIGKILL)
        end = time.monotonic() + 5
        while living(text) is not None:
            assert time.monotonic() < end
            time.sleep(0.02)


def test_another_process_or_another_boot_is_not_the_one_that_was_meant():
    with subprocess.Popen(["cat"], stdin=-1, start_new_session=True) as one:
        boot, number, start = mark(one.pid).split()
        assert living(f"{boot} {number} {start}") == one.pid
        assert living(f"{boot} {number} 1{start}") is None
        assert living(f"other {number} {start}") is None
        one.communicate()
    assert living("") is None
    assert living("torn") is None
