"""Scripts in a virtual machine through a real QEMU guest agent: its program runs in a Debian with systemd.

Only the hardware is missing: Proxmox VE's API is the lab's, which hands each call to the agent's own socket.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nanny_ops.lab.fleet import LabPlan
from nanny_ops.lab.image import cache_dir
from nanny_ops.lab.lab import ADMIN_TOKEN, Lab
from nanny_ops.lab.machine_image import machine_image
from nanny_ops.lab.pve.state.guest_agent import Programs
from nanny_ops.lab.qemu_ga import RealInside
from nanny_ops.lab.systemd_machine import SystemdMachine
from nanny_ops.machine import job
from nanny_ops.machine.inside import Inside
from nanny_ops.machine.procedure import access, question, symptom
from nanny_ops.machine.proxmox.client import Client
from nanny_ops.machine.qemu import Qemu
from nanny_ops.machine.script_run import ScriptRun, Verdict
from nanny_ops.machine.shebang import parse
from nanny_ops.machine.target import Call
from nanny_ops.machine.verbs import JobPhase, ProxmoxAccess, ScriptJob
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.probe import Probe
from tests.machines.conftest import need_machines

pytestmark = [pytest.mark.machine, pytest.mark.timeout(600)]
VMID = 201
#: What somebody between here and the script might take for something of his own.
WORDS = "two 'quoted' words $HOME ${X} $$ %h \\ \""
SOCKET = "/var/lib/qga/qga.sock"
UNIT = f"""[Service]
ExecStartPre=/bin/rm -f {SOCKET}
ExecStart=/usr/sbin/qemu-ga --method=unix-listen --path={SOCKET} --statedir=/var/lib/qga
"""


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemdMachine]:
    need_machines()
    image = machine_image(cache_dir(dict(os.environ)), request.param)
    with SystemdMachine(image, tmp_path_factory.mktemp(request.param)) as made:
        (made.rootfs / "var/lib/qga").mkdir()
        (made.rootfs / "etc/systemd/system/qga.service").write_text(UNIT)
        made.must("systemctl", "daemon-reload")
        made.must("systemctl", "start", "qga")
        yield made


@pytest.fixture(scope="module")
def lab(machine: SystemdMachine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab whose machine 201 is the Debian."""
    with Lab(LabPlan(1, 12, 0), tmp_path_factory.mktemp("lab"), cache=tmp_path_factory.mktemp("cache")) as made:
        inside = RealInside({VMID: machine.rootfs / SOCKET.lstrip("/")}, made.inside)
        made.api.programs = Programs(inside, made.inside.spawn)
        yield made


@pytest.fixture
def target(lab: Lab, tmp_path: Path) -> Iterator[Qemu]:
    jobs = tmp_path / "jobs"
    jobs.mkdir()
    admin = lab.tokens[ADMIN_TOKEN]
    how = ProxmoxAccess(url=lab.nodes[0].url, token=f"{admin.token_id}={admin.secret}", ca_file=str(lab.ca_file))
    access.write(jobs, access.JobAccess(access=how, node="pve1"))
    with Client(how) as api:
        yield Qemu(VMID, Inside(api, VMID), jobs, os.environ)


def restart_agent(machine: SystemdMachine) -> None:
    """Start the agent anew and wait until its socket is there."""
    machine.must("systemctl", "restart", "qga")
    machine.must("sh", "-c", f"for n in $(seq 100); do [ -S {SOCKET} ] && exit; sleep 0.1; done; exit 1")


def ordered(script: str, directory: Path, *arguments: str, timeout: int = 60) -> Call:
    """Return the call of a script that lies in a job's directory."""
    path, text = directory / "script", script.encode()
    path.write_bytes(text)
    interpreter = parse(text)
    assert interpreter is not None
    digest = hashlib.sha256(text).hexdigest()
    return Call(
        job_id=f"t-{time.monotonic_ns()}",
        script=path,
        sealed=path,
        sha256=digest,
        interpreter=interpreter,
        arguments=arguments,
        timeout=timeout,
    )


def carried_out(target: Qemu, call: Call, directory: Path) -> Verdict:
    return ScriptRun(directory, target, 1 << 20, needs_halt=True).run(call, begun=lambda: None)


def test_a_script_runs_in_the_machine_and_leaves_nothing(target: Qemu, machine: SystemdMachine, tmp_path: Path) -> None:
    script = "#!/bin/sh\ncat /etc/hostname; echo \"$1|$2\"; echo warned >&2; echo '[]'\n"
    verdict = carried_out(target, ordered(script, tmp_path, "--dry-run", WORDS), tmp_path)
    assert verdict.outcome is Outcome.NOTHING_TO_DO, verdict
    assert (tmp_path / "stdout").read_text() == f"pve1\n--dry-run|{WORDS}\n[]\n"
    assert (tmp_path / "stderr").read_text() == "warned\n"
    assert machine.must("sh", "-c", "ls /var/tmp | grep nanny-ops || true") == ""


@pytest.mark.rows("F8")
def test_a_script_that_restarts_the_guest_agent_goes_on_and_is_heard_to_its_end(target: Qemu, tmp_path: Path) -> None:
    script = "#!/bin/sh\necho before\nsystemctl restart qga\nsleep 2\necho after\necho '[]'\n"
    verdict = carried_out(target, ordered(script, tmp_path), tmp_path)
    assert verdict.outcome is Outcome.NOTHING_TO_DO, verdict
    assert (tmp_path / "stdout").read_text() == "before\nafter\n[]\n"


@pytest.mark.one_debian
@pytest.mark.rows("F8")
def test_a_script_is_heard_to_its_end_though_the_way_to_its_machine_was_cut(
    target: Qemu, lab: Lab, tmp_path: Path
) -> None:
    """As when the network is patched: for a while nobody answers, then the rest of what was said arrives, once."""
    call = ordered("#!/bin/sh\necho before\nsleep 5\necho after\necho '[]'\n", tmp_path)
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(carried_out, target, call, tmp_path)
        until = time.monotonic() + 60
        while time.monotonic() < until and not (tmp_path / "stdout").exists():
            time.sleep(0.1)
        while time.monotonic() < until and not (tmp_path / "stdout").read_text():
            time.sleep(0.1)
        lab.cause("status=595")
        try:
            time.sleep(7)
            assert not running.done()
        finally:
            lab.faults.clear()
        verdict = running.result(120)
    assert verdict.outcome is Outcome.NOTHING_TO_DO, verdict
    assert (tmp_path / "stdout").read_text() == "before\nafter\n[]\n"


@pytest.mark.rows("F2")
def test_a_script_past_its_time_is_ended_with_its_grandchildren(
    target: Qemu, machine: SystemdMachine, tmp_path: Path
) -> None:
    script = "#!/bin/sh\n(sleep 3600 & sleep 3600) &\nwait\n"
    verdict = carried_out(target, ordered(script, tmp_path, timeout=3), tmp_path)
    assert verdict.outcome is Outcome.TIMED_OUT, verdict
    assert machine.run(["pgrep", "-f", "sleep 3600"]).exit_code == 1


@pytest.mark.one_debian
def test_a_cancelled_script_is_ended(target: Qemu, machine: SystemdMachine, tmp_path: Path) -> None:
    (tmp_path / "cancel").touch()
    verdict = carried_out(target, ordered("#!/bin/sh\nsleep 3601\n", tmp_path), tmp_path)
    assert verdict.outcome is Outcome.CANCELLED, verdict
    assert machine.run(["pgrep", "-f", "sleep 3601"]).exit_code == 1


@pytest.mark.one_debian
def test_a_script_that_fails_tells_its_exit_code_and_last_words(target: Qemu, tmp_path: Path) -> None:
    verdict = carried_out(target, ordered("#!/bin/sh\necho 'no luck' >&2\nexit 9\n", tmp_path), tmp_path)
    assert verdict.outcome is Outcome.SCRIPT_FAILED
    assert "exit code 9: no luck" in verdict.reason


def test_a_large_script_and_a_large_output_arrive_whole(target: Qemu, tmp_path: Path) -> None:
    filler = "# " + "x" * 98 + "\n"
    script = "#!/bin/sh\n" + filler * 1500 + "seq 1 60000\necho '[]'\n"  # 150 kB, four pieces for the agent
    verdict = carried_out(target, ordered(script, tmp_path), tmp_path)
    assert verdict.outcome is Outcome.NOTHING_TO_DO, verdict
    assert (tmp_path / "stdout").read_text() == "".join(f"{n}\n" for n in range(1, 60001)) + "[]\n"


@pytest.mark.one_debian
def test_an_interpreter_that_is_not_there_is_named(target: Qemu, tmp_path: Path) -> None:
    verdict = carried_out(target, ordered("#!/usr/bin/env fish\n", tmp_path), tmp_path)
    assert verdict.outcome is Outcome.INTERPRETER_MISSING
    assert "fish" in verdict.reason


def test_a_guest_agent_that_forbids_programs_is_named(target: Qemu, machine: SystemdMachine, tmp_path: Path) -> None:
    settings = "[general]\nblock-rpcs=guest-exec\n"
    machine.must("sh", "-c", f"mkdir -p /etc/qemu && printf '%s' '{settings}' >/etc/qemu/qemu-ga.conf")
    restart_agent(machine)
    try:
        verdict = carried_out(target, ordered("#!/bin/sh\necho '[]'\n", tmp_path), tmp_path)
    finally:
        machine.must("rm", "/etc/qemu/qemu-ga.conf")
        restart_agent(machine)
    assert verdict.outcome is Outcome.NO_GUEST_AGENT
    assert "block-rpcs" in verdict.reason


@pytest.mark.one_debian
def test_a_guest_agent_that_is_not_there_is_named(target: Qemu, lab: Lab, tmp_path: Path) -> None:
    guest = lab.cluster.guests[VMID]
    guest.conf["agent"] = "0"
    try:
        verdict = carried_out(target, ordered("#!/bin/sh\necho '[]'\n", tmp_path), tmp_path)
    finally:
        guest.conf["agent"] = "1"
    assert verdict.outcome is Outcome.NO_GUEST_AGENT
    assert "not switched on" in verdict.reason


@pytest.mark.one_debian
def test_a_short_command_tells_its_end(target: Qemu) -> None:
    done = target.command(["sh", "-c", "echo yes; exit 3"], 10)
    assert (done.exit_code, done.stdout) == (3, b"yes\n")


@pytest.mark.one_debian
def test_a_look_asks_the_machine_itself_and_all_of_it_at_once(target: Qemu) -> None:
    """What runs in it, what it serves, and how a command ends there; the guest agent runs one program for all."""
    asked = [
        Probe(kind="unit", unit="qga.service"),
        Probe(kind="unit", unit="no-such.service"),
        Probe(kind="services"),
        Probe(kind="load", most=10_000.0),
        Probe(kind="tcp", port=9),
        Probe(kind="command", argv=["sh", "-c", "echo bad >&2; exit 3"]),
    ]
    answers = question.ask(target, [symptom.question(one) for one in asked])
    served = symptom.serving(answers[2])
    assert served is not None
    assert "qga.service" in served
    found = [symptom.judge(one, said, sorted(served)) for one, said in zip(asked, answers, strict=True)]
    assert [healthy for healthy, _ in found] == [True, False, True, True, False, False]
    assert found[5][1] == "It ended with 3. bad"


def test_a_job_for_a_machine_is_seen_through_by_its_supervisor(target: Qemu) -> None:
    script = b"#!/bin/sh\necho '[]'\n"
    ordered_job = ScriptJob(
        job_id=f"j-{time.monotonic_ns()}",
        vmid=VMID,
        guest="qemu",
        script=script,
        sha256=hashlib.sha256(script).hexdigest(),
        argv=["--dry-run"],
        timeout_seconds=60,
        dry_run=True,
        output_cap=1 << 20,
    )
    state, until = job.start(target.jobs_dir, ordered_job), time.monotonic() + 60
    while state.phase is not JobPhase.DONE and time.monotonic() < until:
        time.sleep(0.2)
        state = job.look(target.jobs_dir, ordered_job.job_id)
    assert state.result is not None
    assert (state.result.outcome, state.result.reason) == ("nothing_to_do", "There is nothing to update.")
