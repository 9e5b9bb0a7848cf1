"""Jobs in transient units, begun in one process and through the helper under its own unit."""

import pytest

from nanny_ops.errors import ProgramMissing
from nanny_ops.machine.frame import HEAD, read_reply, write_verb
from nanny_ops.machine.verbs import CommandOutput, HelperAnswer, HelperVerb, JobPhase, RunCommand, StartScript
from tests.job_contract import PUBLIC, Bench, Gated, JobContract, never_again, outcome, signed, wait
from tests.machines.agent_node import PYTHON, AgentNode

pytestmark = [pytest.mark.machine, pytest.mark.timeout(600)]
#: Carries one verb out in a process of its own, which then ends; and asks the helper, as the daemon's user.
HERE = """
import sys
from pathlib import Path
from nanny_ops.errors import NannyError
from nanny_ops.machine.frame import HEAD, read_verb, write_reply
from nanny_ops.machine.perform_job import perform_job
try:
    answer = perform_job(read_verb(sys.stdin.buffer.read()[HEAD.size:]), jobs_dir=Path(sys.argv[1]))
except NannyError as wrong:
    answer = wrong
sys.stdout.buffer.write(write_reply(answer))
"""
ASK = """
import os, pwd, socket, sys
user = pwd.getpwnam("nannyagent")
os.setgroups([]); os.setgid(user.pw_gid); os.setuid(user.pw_uid)
with socket.socket(socket.AF_UNIX) as helper:
    helper.settimeout(60)
    helper.connect(sys.argv[1])
    helper.sendall(sys.stdin.buffer.read())
    while piece := helper.recv(65536):
        sys.stdout.buffer.write(piece)
"""
SOCKET, HELPER = "/run/nanny-agent-helper.socket", "nanny-agent-helper.service"


class InOneProcess:
    """Verbs that processes of root carry out themselves."""

    program, jobs = HERE, "{folder}/jobs"

    def __init__(self, node: AgentNode) -> None:
        self.node = node
        self.folder = node.sh("mktemp -d /var/tmp/bench-XXXXXX").strip()
        self.sh = node.sh

    def ask(self, verb: HelperVerb) -> HelperAnswer:
        where = SOCKET if self.program is ASK else f"{self.folder}/jobs"
        done = self.node.machine.run([PYTHON, "-c", self.program, where], stdin=write_verb(verb))
        assert done.exit_code == 0, done
        assert HEAD.unpack(done.stdout[: HEAD.size])[0] == len(done.stdout) - HEAD.size
        return read_reply(done.stdout[HEAD.size :])

    def end_caller(self) -> None:
        """It has ended by itself."""

    def close(self) -> None:
        """End what a failed test may have left, and its traces."""
        self.sh(f"systemctl kill --signal=KILL 'nanny-job-*' 2>&1; rm -rf {self.folder}")


class OverTheSocket(InOneProcess):
    """Verbs that the helper carries out, which systemd starts."""

    program = ASK

    def __init__(self, node: AgentNode) -> None:
        super().__init__(node)
        node.write("/etc/nanny-ops/trusted-keys", f"{PUBLIC}\n")
        node.write("/etc/nanny-ops/policy.toml", "")

    def end_caller(self) -> None:
        """Kill the helper's main process; the next verb has systemd start another one."""
        self.sh(f"systemctl kill --signal=KILL {HELPER}")

    def close(self) -> None:
        super().close()
        self.sh(f"systemctl stop {HELPER}; rm -rf /var/lib/nanny-agent-helper/*")


def test_a_command_looks_at_the_machine_and_not_at_the_helpers_sandbox(node: AgentNode) -> None:
    bench = OverTheSocket(node)
    try:
        addresses = bench.ask(RunCommand(name="ip-address"))
        assert isinstance(addresses, CommandOutput)
        assert node.machine.address in addresses.stdout
        with pytest.raises(ProgramMissing):
            bench.ask(RunCommand(name="smart", arguments={"disk": "sda"}))
    finally:
        bench.close()


@pytest.mark.rows("F9")
class TestJobs(JobContract):
    """The same as for detached groups, and what only units give."""

    @pytest.fixture(params=[pytest.param(InOneProcess, marks=pytest.mark.one_debian), OverTheSocket])
    def bench(self, request: pytest.FixtureRequest, node: AgentNode):  # type: ignore[no-untyped-def]
        made = request.param(node)
        yield made
        made.close()

    def test_its_unit_has_limits_and_a_journal(self, bench: Bench, node: AgentNode) -> None:
        gated = Gated(bench)
        unit = "nanny-job-op-1.service"
        shown = node.machine.must("systemctl", "show", unit, "--property=TasksMax,RuntimeMaxUSec,KillMode,OOMPolicy")
        assert set(shown.split("\n")) >= {"TasksMax=4096", "KillMode=control-group", "OOMPolicy=continue"}
        assert "RuntimeMaxUSec=1h 1min" in shown
        total = int(node.sh("sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo")) * 1024
        assert abs(int(node.show(unit, "MemoryMax")) - total // 2) < 1 << 20
        assert int(gated.supervisor) == node.pid(unit)
        gated.open()
        wait(bench, JobPhase.DONE)
        node.wait(lambda: node.show(unit, "LoadState") == "not-found", "the unit is gone")
        journal = node.journal(unit)
        assert "event=job_supervised job=op-1" in journal
        assert "event=job_over job=op-1 outcome=nothing_to_do" in journal

    def test_no_sandbox_reaches_a_script(self, bench: Bench) -> None:
        """The helper's own /usr can only be read, and its network is none."""
        body = "touch /usr/lib/written /etc/written && rm /usr/lib/written /etc/written\n"
        body += "umask >&2; readlink /proc/self/ns/net /proc/self/ns/mnt >&2\necho '[]'\n"
        bench.ask(StartScript(job=signed(body)))
        state = wait(bench, JobPhase.DONE)
        assert outcome(state) == "nothing_to_do"
        ours = bench.sh("readlink /proc/1/ns/net /proc/1/ns/mnt")
        assert bench.sh(f"cat {state.stderr_path}") == f"0022\n{ours}"

    def test_a_unit_that_is_killed_or_stopped_takes_all_of_it_along(self, bench: Bench) -> None:
        for number, deed in enumerate(("kill --signal=KILL", "stop")):
            bench.sh(f"rm -f {bench.folder}/pids")
            gated = Gated(bench, job_id=f"op-{number}")
            bench.sh(f"systemctl {deed} nanny-job-op-{number}.service")
            assert never_again(bench, gated.job) == "unknown"
            bench.sh(f"! kill -0 {gated.script} 2>&1")
