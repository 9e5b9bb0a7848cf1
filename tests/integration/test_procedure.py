"""Whole jobs over real containers: real snapshots on a btrfs, a service that answers or does not, real kills.

The API is the lab's; what it does to a container is done by LXC and btrfs.
"""

import contextlib
import hashlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from nanny_ops.lab import btrfs
from nanny_ops.lab.fleet import LabPlan
from nanny_ops.lab.lab import ADMIN_TOKEN, Lab
from nanny_ops.lab.lxc import Container
from nanny_ops.lab.pve.state.storage import Storage
from nanny_ops.machine import job as jobs
from nanny_ops.machine.plan import HookScript, Plan
from nanny_ops.machine.procedure import access
from nanny_ops.machine.proxmox.task import Pace
from nanny_ops.machine.run import run, signal_session
from nanny_ops.machine.supervisor import Supervisor
from nanny_ops.machine.target import Call, Lxc, folder
from nanny_ops.machine.verbs import JobPhase, JobResult, ProxmoxAccess, ScriptJob
from nanny_ops.protocol.probe import Probe
from tests import served_page
from tests.job_contract import supervisors
from tests.lab_fixtures import need_real_containers
from tests.served_page import ONE

pytestmark = pytest.mark.lxc

#: A container on the btrfs, and one on directory storage.
SNAP, PLAIN = 101, 102
LIST = """echo '[{"name":"app","version":"2"}]'"""
#: Time passes sixty times as fast where somebody waits for a lock or for health.
QUICK = Pace(tick=lambda: time.monotonic() * 60, sleep=lambda seconds: time.sleep(seconds / 60))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One node with two real containers; what lies on the btrfs serves a page, also after a start."""
    need_real_containers()
    with (
        btrfs.mounted(tmp_path_factory.mktemp("disk")) as disk,
        Lab(LabPlan(nodes=1, guests=3, real=2), disk, refusal_delay=0.05, pace=0.02) as made,
    ):
        made.cluster.storages["fast"] = Storage("fast", "btrfs", "/srv/fast")
        made.cluster.update(SNAP, rootfs=f"fast:{SNAP}/vm-{SNAP}-disk-0.raw,size=4G")
        served_page.install(inside(made, SNAP))
        restart(made, SNAP)
        yield made


@pytest.fixture
def job_dir(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory whose jobs may use the lab; afterwards its containers run and nothing is locked."""
    token = f"{ADMIN_TOKEN}={lab.tokens[ADMIN_TOKEN].secret}"
    found = ProxmoxAccess(url=lab.nodes[0].url, token=token, ca_file=str(lab.ca_file))
    monkeypatch.setenv("PATH", f"{lab.nodes[0].bin_dir}:{os.environ['PATH']}")
    access.write(tmp_path / "jobs", access.JobAccess(access=found, node=lab.nodes[0].name))
    for vmid in (SNAP, PLAIN):
        if inside(lab, vmid).pid() is None:
            lab.start(vmid)
    (inside(lab, SNAP).rootfs / "srv/page").write_text("one\n")
    return tmp_path / "jobs"


def inside(lab: Lab, vmid: int) -> Container:
    container = lab.guest(vmid)
    assert isinstance(container, Container)
    return container


def restart(lab: Lab, vmid: int) -> None:
    inside(lab, vmid).stop()
    lab.start(vmid)


def order(body: str, plan: Plan, *, vmid: int = SNAP, seconds: int = 60) -> ScriptJob:
    script = f"#!/bin/sh\n{body}\n".encode()
    return ScriptJob(
        job_id=f"op-{os.urandom(4).hex()}",
        vmid=vmid,
        script=script,
        sha256=hashlib.sha256(script).hexdigest(),
        argv=[],
        timeout_seconds=seconds,
        dry_run=False,
        output_cap=1 << 20,
        plan=plan,
    )


def go(job_dir: Path, one: ScriptJob, **more: Any) -> JobResult:
    """Run a job to its end in this process."""
    jobs.start(job_dir, one, launch=lambda *_: None)
    directory = job_dir / one.job_id
    with jobs.supervised(directory) as alone:
        assert alone
        Supervisor(directory, dict(os.environ), jobs.seal(one), pace=QUICK, **more).supervise()
    return ended(job_dir, one)


def ended(job_dir: Path, one: ScriptJob) -> JobResult:
    state = jobs.look(job_dir, one.job_id)
    assert state.phase is JobPhase.DONE
    assert state.result is not None
    assert state.result.report is not None
    return state.result


def snapshots(lab: Lab, vmid: int) -> list[str]:
    return sorted(lab.cluster.guests[vmid].snapshots)


@pytest.mark.rows("F16", "F6")
def test_a_change_that_breaks_the_service_is_gone_after_the_rollback_and_the_service_answers(
    lab: Lab, job_dir: Path
) -> None:
    plan = Plan(protect="require-snapshot", probes=[ONE, Probe(kind="services"), Probe(kind="tcp", port=8080)])
    result = go(job_dir, order(f"echo two >/srv/page; echo new >/srv/after; {LIST}", plan))
    assert result.outcome == "rolled_back", result
    assert "does not say what it should" in result.reason
    root = inside(lab, SNAP).rootfs
    assert ((root / "srv/page").read_text(), (root / "srv/after").exists()) == ("one\n", False)
    report = result.report
    assert report is not None
    assert (report.rolled_back, report.found, report.left_in) == (True, "running", "running")
    last = [one for one in report.probes if one.stage == "after_rollback"]
    assert [one.healthy for one in last] == [True, True, True]
    assert [one.name for one in result.packages] == ["app"]


@pytest.mark.rows("F15", "F6")
def test_a_stopped_container_is_patched_and_stopped_again_and_stale_snapshots_go(lab: Lab, job_dir: Path) -> None:
    inside(lab, SNAP).stop()
    plan = Plan(protect="require-snapshot", start_stopped=True, probes=[ONE], keep_snapshots=1)
    before = snapshots(lab, SNAP)
    for number in (1, 2):
        result = go(job_dir, order(f"echo {number} >/srv/count; {LIST}", plan))
        assert result.outcome == "ok", result.reason
        assert inside(lab, SNAP).pid() is None
    assert (inside(lab, SNAP).rootfs / "srv/count").read_text() == "2\n"
    assert len([name for name in snapshots(lab, SNAP) if name not in before]) == 1
    assert result.report is not None
    assert (result.report.found, result.report.left_in) == ("stopped", "stopped")


@pytest.mark.rows("F5")
def test_directory_storage_refuses_and_the_container_is_not_touched(lab: Lab, job_dir: Path) -> None:
    one = order(f"touch /srv/touched; {LIST}", Plan(protect="require-snapshot"), vmid=PLAIN)
    result = go(job_dir, one)
    assert result.outcome == "unprotected"
    assert not (inside(lab, PLAIN).rootfs / "srv/touched").exists()
    liked = go(job_dir, order(LIST, Plan(protect="prefer-snapshot"), vmid=PLAIN))
    assert liked.outcome == "ok"
    assert liked.report is not None
    assert liked.report.protection is not None
    assert "cannot make snapshots" in liked.report.protection.why_not


@pytest.mark.rows("F6")
@pytest.mark.parametrize(("fault", "outcome"), [("lock", "blocked"), ("quorum", "unprotected")])
def test_what_is_locked_or_cannot_be_changed_is_not_begun(lab: Lab, job_dir: Path, fault: str, outcome: str) -> None:
    if fault == "lock":
        lab.cause(f"lock={SNAP}:snapshot-delete")
    else:
        lab.cluster.quorate = False
    try:
        result = go(job_dir, order(f"touch /srv/touched; {LIST}", Plan(protect="require-snapshot")))
    finally:
        lab.cluster.update(SNAP, lock=None)
        lab.cluster.quorate = True
    assert result.outcome == outcome, result.reason
    assert not (inside(lab, SNAP).rootfs / "srv/touched").exists()


@pytest.mark.rows("F2")
def test_a_grandchild_that_holds_the_output_neither_holds_the_job_nor_outlives_its_time(
    lab: Lab, job_dir: Path
) -> None:
    began = time.monotonic()
    result = go(job_dir, order(f"setsid sleep 4242 & {LIST}", Plan()))
    assert (result.outcome, time.monotonic() - began < 30) == ("ok", True)
    late = go(job_dir, order("sleep 4343 & sleep 4343", Plan(), seconds=1))
    assert late.outcome == "timed_out"
    assert living("sleep\0004343") == []
    for pid in living("sleep\0004242"):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.rows("F2")
def test_a_frozen_container_is_told_within_bounds(lab: Lab, job_dir: Path) -> None:
    container = inside(lab, SNAP)
    freeze(container)
    try:
        result = go(job_dir, order(LIST, Plan()), choose=impatient)
    finally:
        container.thaw()
    assert result.outcome == "target_stopped"
    assert "frozen" in result.reason


@pytest.mark.rows("F2")
def test_a_container_that_freezes_under_the_script_is_not_said_to_be_rid_of_it(lab: Lab, job_dir: Path) -> None:
    """It goes on when the container does, and its own limit ends it there: nothing of it runs for good."""
    container = inside(lab, SNAP)
    begun = container.rootfs / "srv/begun"
    begun.unlink(missing_ok=True)
    one = order("echo x >/srv/begun; sleep 4545 & sleep 4545; echo x >/srv/after", Plan(), seconds=5)
    freezer = threading.Thread(target=lambda: (wait_for(begun.exists, "the script runs"), freeze(container)))
    freezer.start()
    try:
        result = go(job_dir, one, choose=impatient)
        frozen = living("sleep\0004545")
    finally:
        freezer.join()
        container.thaw()
    assert result.outcome == "unknown", result.reason
    assert "could not be ended" in result.reason
    assert result.report is not None
    assert result.report.left_in == "running"
    assert len(frozen) == 2, "the script and its child stand still"
    wait_for(lambda: living("sleep\0004545") == [], "the script's own limit ends it", 20)
    assert not (container.rootfs / "srv/after").exists()
    assert go(job_dir, order(LIST, Plan())).outcome == "ok"


def freeze(container: Container) -> None:
    if not container.freeze():
        pytest.fail("This machine cannot freeze a container.")


class Hasty(Lxc):
    """A container that is given up within seconds."""

    def deadline(self, call: Call) -> float:
        return call.timeout + 2.0


def impatient(vmid: int | None, environ: Mapping[str, str]) -> Lxc:
    def soon(argv: list[str], *, timeout: float, **more: Any) -> Any:
        return run(argv, timeout=min(timeout, 2.0), grace=1.0, **more)

    return Hasty(vmid or 0, environ, soon)


def wait_for(true: Callable[[], object], what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.05)


@pytest.mark.rows("F8", "F15")
@pytest.mark.parametrize("step", ["start", "hook-1", "script", "restore"])
def test_a_killed_supervisor_is_followed_by_one_that_leaves_the_container_as_it_was(
    lab: Lab, job_dir: Path, step: str
) -> None:
    """At each step: script and hook run once at most, the outcome is honest, and the container is stopped again."""
    inside(lab, SNAP).stop()
    counts = inside(lab, SNAP).rootfs / "srv"
    for name in ("hooked", "scripted"):
        (counts / name).unlink(missing_ok=True)
    body = f"echo x >>/srv/scripted; echo before; sleep 2; {LIST}"
    plan = Plan(
        protect="require-snapshot",
        start_stopped=True,
        bake_seconds=1,
        probes=[ONE],
        hooks=[hook("echo x >>/srv/hooked; sleep 1")],
    )
    one = order(body, plan)
    jobs.start(job_dir, one)
    directory = job_dir / one.job_id
    kill(directory, step)
    end = time.monotonic() + 60
    while (state := jobs.tend(job_dir, one.job_id)).phase is not JobPhase.DONE:
        assert time.monotonic() < end, f"still {state.phase}: {(directory / jobs.JOURNAL).read_text()[-2000:]}"
        time.sleep(0.1)
    result = ended(job_dir, one)
    assert inside(lab, SNAP).pid() is None
    assert result.report is not None
    assert result.report.left_in == "stopped"
    for name in ("hooked", "scripted"):
        assert not (counts / name).exists() or (counts / name).read_text() == "x\n", name
    if step in ("script", "restore"):
        assert (result.outcome, [p.name for p in result.packages]) == ("ok", ["app"]), result.reason
        assert (directory / "stdout").read_text().startswith("before\n")
    else:
        assert result.outcome == "agent_error"
        assert not (counts / "scripted").exists()
        assert result.report.protection is None or not result.report.protection.kept
    end = time.monotonic() + 10
    while living(str(directory)) or supervisors(directory):
        assert time.monotonic() < end, "a supervisor or a client of pct is left"
        time.sleep(0.05)


@pytest.mark.rows("F8")
def test_a_script_outlives_all_that_is_ours_on_the_node_and_is_found_again(lab: Lab, job_dir: Path) -> None:
    """Supervisor, what forked it, and the client of ``pct`` are killed at once; the script runs on, and ran once."""
    scripted = inside(lab, SNAP).rootfs / "srv/scripted"
    scripted.unlink(missing_ok=True)
    one = order(f"echo x >>/srv/scripted; echo before; sleep 4; echo x >>/srv/scripted; {LIST}", Plan())
    jobs.start(job_dir, one)
    directory = job_dir / one.job_id
    kill(directory, "script")
    for pid in living(str(job_dir.parent / "supervisors")):
        os.kill(pid, signal.SIGKILL)
    signal_session(int((directory / "session").read_text().split()[1]), signal.SIGKILL)
    assert scripted.read_text() == "x\n", "they were killed too late"
    end = time.monotonic() + 60
    while (state := jobs.tend(job_dir, one.job_id)).phase is not JobPhase.DONE:
        assert time.monotonic() < end, f"still {state.phase}"
        time.sleep(0.1)
    result = ended(job_dir, one)
    assert (result.outcome, [p.name for p in result.packages]) == ("ok", ["app"]), result.reason
    assert (directory / "stdout").read_text().startswith("before\n")
    assert scripted.read_text() == "x\nx\n"
    assert living(folder(one.job_id)) == [], "something of it is left"


def hook(body: str) -> HookScript:
    script = f"#!/bin/sh\n{body}\n".encode()
    return HookScript(stage="pre", script_id="h", script=script, sha256=hashlib.sha256(script).hexdigest())


def kill(directory: Path, step: str) -> None:
    """Kill the supervisor as soon as its journal says that a step has begun; of the script as soon as it speaks."""
    end, journal, begun = time.monotonic() + 60, directory / jobs.JOURNAL, f'"begin", "step": "{step}"'
    while not (journal.exists() and begun in journal.read_text()):
        assert time.monotonic() < end, f"{step} was never begun"
        time.sleep(0.01)
    while step == "script" and not (directory / "stdout").read_text():
        assert time.monotonic() < end, "the script says nothing"
        time.sleep(0.01)
    for pid in supervisors(directory):
        os.kill(pid, signal.SIGKILL)


def living(words: str) -> list[int]:
    """Return the processes of this machine and its containers whose command line holds these words."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if words.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found
