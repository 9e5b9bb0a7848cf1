"""Patches in a virtual machine that is emulated: a real boot, a real disk, a real guest agent on its virtio port.

Proxmox VE's API is the lab's; its power, its snapshots and its guest agent are those of the machine.
"""

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from nanny_ops.lab import emulated_machine
from nanny_ops.lab.apt_repository import OFFERED
from nanny_ops.lab.demo_guest import prepared_image
from nanny_ops.lab.emulated_machine import EmulatedMachine
from nanny_ops.lab.fleet import LabPlan
from nanny_ops.lab.image import cache_dir, must
from nanny_ops.lab.lab import ADMIN_TOKEN, Lab
from nanny_ops.lab.machine_image import machine_image
from nanny_ops.lab.power import LabPower
from nanny_ops.lab.pve.state.guest import Guest
from nanny_ops.lab.pve.state.guest_agent import Programs
from nanny_ops.lab.qemu_ga import AgentRefused, RealInside
from nanny_ops.machine import job
from nanny_ops.machine.plan import Plan
from nanny_ops.machine.procedure import access
from nanny_ops.machine.run import run
from nanny_ops.machine.verbs import JobPhase, JobResult, ProxmoxAccess, ScriptJob
from nanny_ops.protocol.probe import Probe

pytestmark = [pytest.mark.machine, pytest.mark.timeout(900)]
VMID = 201
#: Seconds for one job; it takes ten to twenty where nothing else runs.
LONGEST = 400.0
RELEASE = Probe(kind="command", argv=["grep", "-q", "^12", "/etc/debian_version"])
#: The shipped script starts some hundred programs, which costs half a minute here; apt is the same.
LOOKS = r"""#!/bin/sh
[ "$1" = --dry-run ] || exit 2
apt-get -q -s upgrade | awk '
    $1 == "Inst" { gsub(/[][(]/, ""); list = list ",{\"name\":\"" $2 "\",\"version\":\"" $4 "\"}" }
    END { print "[" substr(list, 2) "]" }'
"""
#: Ends the guest agent under itself, as an upgrade of its package does, and breaks what is looked for.
BREAKS = """#!/bin/sh
echo x >>/srv/runs
kill "$(pidof qemu-ga)"
sleep 4
echo two >/etc/debian_version
echo '[{"name":"app","version":"2"}]'
"""


@dataclass(frozen=True)
class Wired(LabPower):
    """The lab's power over one machine is real: it boots, its power is cut, its disk is kept and brought back."""

    machine: EmulatedMachine
    inside: RealInside

    def start(self, guest: Guest) -> None:
        super().start(guest)
        if guest.vmid == VMID:
            guest.habits = replace(guest.habits, agent_answers=False)
            self.machine.start()
            threading.Thread(target=self._await_agent, args=(guest,), daemon=True).start()

    def stop(self, guest: Guest) -> None:
        super().stop(guest)
        self.machine.stop()

    def shutdown(self, guest: Guest, timeout: float) -> bool:
        self.inside.ask(VMID, "guest-exec", path="/bin/sync")
        time.sleep(1)
        self.machine.stop()
        return super().shutdown(guest, timeout)

    def keep(self, guest: Guest, name: str) -> None:
        self._copy(self.machine.disk, self.machine.directory / name)

    def bring_back(self, guest: Guest, name: str) -> None:
        self._copy(self.machine.directory / name, self.machine.disk)

    def _copy(self, source: Path, target: Path) -> None:
        must(["cp", "--sparse=always", "--reflink=auto", str(source), str(target)], 120)

    def _await_agent(self, guest: Guest) -> None:
        until = time.monotonic() + LONGEST
        while time.monotonic() < until:
            try:
                self.inside.ask(VMID, "guest-ping")
            except (OSError, AgentRefused, ValueError):
                time.sleep(0.3)
            else:
                guest.habits = replace(guest.habits, agent_answers=True)
                return


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedMachine]:
    """A Debian with the demo packages, switched off."""
    if missing := emulated_machine.missing():
        reason = " ".join(missing)
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    cache = cache_dir(dict(os.environ))
    image = prepared_image(cache, base=machine_image(cache, "bookworm"))
    made = EmulatedMachine(image, emulated_machine.boot_files(cache), tmp_path_factory.mktemp("vm"))
    made.create()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def lab(machine: EmulatedMachine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab whose machine 201 is this one, stopped, on a storage that makes snapshots."""
    with Lab(LabPlan(1, 12, 0), tmp_path_factory.mktemp("lab"), cache=tmp_path_factory.mktemp("cache")) as made:
        inside = RealInside({VMID: machine.socket}, made.inside)
        made.api.programs = Programs(inside, made.inside.spawn)
        made.cluster.power.stop(made.cluster.guests[VMID])
        made.cluster.power = Wired(made.home, made.prefix, made.power.figures, machine, inside)
        yield made


@pytest.fixture
def jobs_dir(lab: Lab, tmp_path: Path) -> Path:
    admin = lab.tokens[ADMIN_TOKEN]
    how = ProxmoxAccess(url=lab.nodes[0].url, token=f"{admin.token_id}={admin.secret}", ca_file=str(lab.ca_file))
    access.write(tmp_path / "jobs", access.JobAccess(access=how, node="pve1"))
    return tmp_path / "jobs"


def go(jobs_dir: Path, script: bytes, plan: Plan, *, dry_run: bool = False) -> JobResult:
    one = ScriptJob(
        job_id=f"j-{time.monotonic_ns()}",
        vmid=VMID,
        guest="qemu",
        script=script,
        sha256=hashlib.sha256(script).hexdigest(),
        argv=["--dry-run"] if dry_run else [],
        timeout_seconds=int(LONGEST),
        dry_run=dry_run,
        output_cap=1 << 20,
        plan=plan,
    )
    state, until = job.start(jobs_dir, one), time.monotonic() + LONGEST
    while state.phase is not JobPhase.DONE and time.monotonic() < until:
        time.sleep(0.5)
        state = job.look(jobs_dir, one.job_id)
    assert state.result is not None, (jobs_dir / one.job_id / job.JOURNAL).read_text()[-2000:]
    return state.result


@pytest.mark.rows("F15", "F8")
def test_a_stopped_machine_is_looked_at_by_the_real_apt_and_stopped_again(lab: Lab, jobs_dir: Path) -> None:
    result = go(jobs_dir, LOOKS.encode(), Plan(start_stopped=True), dry_run=True)
    assert result.outcome == "ok", result
    offered = {(deb.name, deb.version) for deb in OFFERED}
    assert {(one.name, one.version) for one in result.packages} == offered
    assert result.report is not None
    assert (result.report.found, result.report.left_in) == ("stopped", "stopped")
    assert not lab.cluster.power.read(lab.cluster.guests[VMID]).running


@pytest.mark.rows("F6", "F8", "F16")
def test_a_change_that_breaks_a_machine_and_its_guest_agent_is_set_back(
    lab: Lab, machine: EmulatedMachine, jobs_dir: Path
) -> None:
    """The script's end is heard though the agent is begun anew under it; what it wrote is gone from the disk."""
    plan = Plan(protect="require-snapshot", start_stopped=True, probes=[RELEASE])
    result = go(jobs_dir, BREAKS.encode(), plan)
    assert result.outcome == "rolled_back", result
    assert [one.name for one in result.packages] == ["app"]
    report = result.report
    assert report is not None
    assert {one.stage: one.healthy for one in report.probes} == {"before": True, "after": False, "after_rollback": True}
    assert (report.rolled_back, report.found, report.left_in) == (True, "stopped", "stopped")
    assert not lab.cluster.power.read(lab.cluster.guests[VMID]).running
    assert on_disk(machine, "/etc/debian_version").startswith(b"12.")
    assert on_disk(machine, "/srv/runs") == b""


def on_disk(machine: EmulatedMachine, path: str) -> bytes:
    """Return what a file of a machine without power holds, nothing where there is none."""
    return run(["debugfs", "-R", f"cat {path}", str(machine.disk)], timeout=60).stdout
