"""``./run demo --once`` ends well, and leaves nothing behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nanny_ops.lab import lxc
from tests.e2e.agent_process import processes_naming
from tests.e2e.site import until

#: The whole environment, but nothing that would point the demo at another control plane.
ENVIRON = {key: value for key, value in os.environ.items() if not key.startswith("NANNY")}


def play(*options: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "nanny_ops.lab.demo", "--once", "--port", "18700", *options]
    return subprocess.run(argv, capture_output=True, text=True, timeout=280, env={**ENVIRON, **environ}, check=False)


@pytest.mark.lxc
@pytest.mark.timeout(300)
def test_the_demo_shows_a_dry_run_and_an_apply_in_a_real_container(tmp_path: Path) -> None:
    if missing := lxc.missing():
        pytest.skip(" ".join(missing))
    done = play(TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "real containers 101" in done.stdout
    assert done.stderr.count("completed ok") == 2  # what moves goes to stderr, results to stdout
    assert "nanny-demo-tls" in done.stdout
    assert list(tmp_path.iterdir()) == []
    # What forks supervisors sees within a second that its folder is gone.
    until(lambda: not processes_naming(str(tmp_path)), "nothing of it runs", 20)
