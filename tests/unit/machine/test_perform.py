"""Every verb reaches its hand, and the hands stay light."""

import hashlib
import sys
from typing import get_args

import pytest

from nanny_ops.errors import VerbRefused
from nanny_ops.machine.perform import perform
from nanny_ops.machine.prune_verbs import ForgetPrune, LookPrune, PrunePhase, StartPrune
from nanny_ops.machine.run import run
from nanny_ops.machine.verbs import (
    CancelJob,
    DescribeHost,
    DescribeTracing,
    ForgetJob,
    ForgetReboot,
    HostFacts,
    JobPhase,
    LookJob,
    LookReboot,
    MetricsReading,
    ProxmoxAccess,
    ReadMetrics,
    ReadProxmox,
    RebootOrder,
    RunCommand,
    ScriptJob,
    StartReboot,
    StartScript,
    Verb,
    VerifySignature,
)
from nanny_ops.protocol.inventory import UNNAMED

SCRIPT = b"#!/bin/sh\necho '[]'\n"
ORDER = ScriptJob(
    job_id="op-1",
    vmid=None,
    script=SCRIPT,
    sha256=hashlib.sha256(SCRIPT).hexdigest(),
    argv=[],
    timeout_seconds=10,
    dry_run=True,
    output_cap=1000,
)
ACCESS = ProxmoxAccess(url="https://127.0.0.1:9", token="a@pve!t=secret", fingerprint="ab" * 32)


def test_host_and_metrics(tmp_path):
    assert isinstance(perform(DescribeHost(), jobs_dir=tmp_path), HostFacts)
    assert isinstance(perform(ReadMetrics(), jobs_dir=tmp_path), MetricsReading)


def test_a_job_from_beginning_to_end(tmp_path):
    assert perform(LookJob(job_id="op-1"), jobs_dir=tmp_path).phase is JobPhase.ABSENT
    state = perform(StartScript(job=ORDER), jobs_dir=tmp_path)
    for _ in range(500):
        if state.phase is JobPhase.DONE:
            break
        run(["sleep", "0.02"], timeout=5)
        state = perform(LookJob(job_id="op-1"), jobs_dir=tmp_path)
    assert state.result.outcome == "nothing_to_do"
    assert perform(CancelJob(job_id="op-1"), jobs_dir=tmp_path).phase is JobPhase.DONE
    assert perform(ForgetJob(job_id="op-1"), jobs_dir=tmp_path).phase is JobPhase.ABSENT


def test_a_dead_proxmox_is_told_with_the_fix(tmp_path):
    found = perform(ReadProxmox(access=ACCESS), jobs_dir=tmp_path)
    assert (found.node_name, found.values.keys()) == (UNNAMED, {"node", "facts"})
    assert any("cannot be reached" in problem for problem in found.problems)


def test_no_verb_is_forgotten(tmp_path):
    tried = {DescribeHost, ReadMetrics, ReadProxmox, VerifySignature, StartScript, LookJob, CancelJob, ForgetJob}
    prunes = {StartPrune, LookPrune, ForgetPrune}
    assert set(get_args(Verb)) == tried | prunes | {RunCommand, DescribeTracing, StartReboot, LookReboot, ForgetReboot}
    for verb in (LookPrune(prune_id="p"), ForgetPrune(prune_id="p")):
        assert perform(verb, jobs_dir=tmp_path / "jobs").phase is PrunePhase.ABSENT
    assert not perform(LookReboot(reboot_id="r"), jobs_dir=tmp_path / "jobs").begun
    assert not perform(ForgetReboot(reboot_id="r"), jobs_dir=tmp_path / "jobs").begun
    nobody = RebootOrder(reboot_id="r", kind="qemu", vmid=999_999_999, reason="", timeout_seconds=60)
    with pytest.raises(VerbRefused, match="no virtual machine"):
        perform(StartReboot(order=nobody), jobs_dir=tmp_path / "jobs")


def test_a_command_and_the_tracers(tmp_path):
    found = perform(RunCommand(name="df"), jobs_dir=tmp_path)
    assert (found.name, found.timed_out, "/" in found.stdout) == ("df", False, True)
    assert set(perform(DescribeTracing(), jobs_dir=tmp_path).tracers) <= {"bpftrace", "bcc", "tracefs"}


def test_importing_it_stays_light():
    code = (
        "import nanny_ops.machine.perform, sys; print(open('/proc/self/status').read().split('VmRSS:')[1].split()[0]);"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    size, modules = run([sys.executable, "-c", code], timeout=30).stdout.decode().splitlines()
    assert int(size) < 40 * 1024, "KiB resident"
    heavy = {"fastapi", "starlette", "uvicorn", "sqlalchemy", "pydantic", "structlog", "cryptography", "asyncio"}
    assert not heavy & set(modules.split())
