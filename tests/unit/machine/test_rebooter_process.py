"""The process that asks for a reboot, as it is started: it leaves its caller and writes down what became of it."""

import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

from nanny_ops.machine import carrier, reboot
from nanny_ops.machine.run import run
from nanny_ops.machine.verbs import RebootOrder

ORDER = RebootOrder(reboot_id="r-1", kind="lxc", vmid=101, reason="", timeout_seconds=30)


def test_it_asks_outside_its_caller(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    pct = tmp_path / "bin" / "pct"
    pct.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/asked\necho No. >&2\nexit 3\n')
    pct.chmod(0o755)
    kept = {"order": asdict(ORDER), "before": "a", "begun_at": "2026-01-01T00:00:00Z"}
    folder = tmp_path / "reboots" / "r-1"
    folder.mkdir(parents=True)
    (folder / "order.json").write_text(json.dumps(kept))
    environ = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "PYTHONPATH": carrier._library()}
    done = run([sys.executable, "-P", "-m", "nanny_ops.machine.rebooter", str(folder)], timeout=30, env=environ)
    assert done.exit_code == 0
    ends = time.monotonic() + 30
    while not (folder / "result.json").exists():
        assert time.monotonic() < ends
        time.sleep(0.02)
    assert (tmp_path / "asked").read_text() == "reboot 101 --timeout 20\n"
    assert json.loads((folder / "result.json").read_text()) == {"problem": "pct reboot ended with exit code 3: No."}
    assert reboot.read_order(kept) == ORDER
