"""The agent under the shipped units on whole machines: it enrols, patches, and is killed at each step of an order."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from nanny_ops.lab.deb import Deb
from nanny_ops.protocol.operation import ENDED
from tests.integration.control.conftest import Server, sign_in
from tests.machines.agent_node import VMID, AgentNode
from tests.machines.tls_door import TlsDoor

pytestmark = [pytest.mark.machine, pytest.mark.timeout(600)]
DAEMON, HELPER = "nanny-agent.service", "nanny-agent-helper.service"
#: Waiting less for restarts is all that differs from the shipped units.
DROP_INS = f"/etc/systemd/system/{DAEMON}.d"
SETTINGS = 'url = "{url}"\nca_file = "/etc/nanny-ops/ca.pem"\nmetrics_interval = 5\npull_interval = 5\n'
POLICY = f'targets = ["host", {VMID}]\n'
#: Where scripts and packages of these tests leave their traces: kept over a restart of the machine.
TRACES = "/var/tmp/traces"
GATE = f"turns=0; until [ -e {TRACES}/gate ] || [ $turns -gt 900 ]; do sleep 0.1; turns=$((turns + 1)); done"
SLOW_OLD = Deb("nanny-demo-slow", "1.0-1", {"usr/lib/nanny-demo-slow/version": "1.0\n"})
SLOW_NEW = Deb(
    "nanny-demo-slow",
    "1.1-1",
    {"usr/lib/nanny-demo-slow/version": "1.1\n"},
    scripts={"postinst": f"#!/bin/sh\n[ -d {TRACES} ] || exit 0\necho run >>{TRACES}/runs\n{GATE}\n"},
)
WAITING = f"""#!/bin/sh
echo run >>{TRACES}/runs
echo $PPID >{TRACES}/supervisor
{GATE}
echo through >>{TRACES}/runs
echo '[]'
"""


@dataclass
class Site:
    """A machine with its agent, and an operator at its control plane."""

    node: AgentNode
    door: TlsDoor
    operator: httpx.Client
    admin: httpx.Client
    agent_id: str = ""
    scripts: dict[str, str] = field(default_factory=dict)

    def open(self) -> None:
        """Tell the agent what it needs, and let systemd start it: it registers by a credential."""
        answer = self.admin.post("/api/enrollment-tokens", json={"name": self.node.machine.name})
        assert answer.status_code == 201, answer.text
        keys = self.operator.get("/api/signing-keys")
        assert keys.status_code == 200, keys.text
        lines = [f"{key['public_key']} {key['origin']}\n" for key in keys.json()]
        self.node.write("/etc/nanny-ops/ca.pem", self.door.ca_pem.decode())
        self.node.write("/etc/nanny-ops/agent.toml", SETTINGS.format(url=self.door.url))
        self.node.write("/etc/nanny-ops/policy.toml", POLICY)
        self.node.write("/etc/nanny-ops/trusted-keys", "".join(lines))
        self.node.sh("mkdir -p -m 700 /etc/credstore")
        self.node.write("/etc/credstore/nanny-agent.enrollment-token", answer.json()["token"], "600")
        self.node.sh(f"mkdir -p {DROP_INS}")
        self.node.write(f"{DROP_INS}/restart.conf", "[Service]\nRestartSec=1\n")
        self.node.sh(f"systemctl daemon-reload; systemctl enable --now {DAEMON}")
        self.agent_id = str(self.node.token()["agent_id"])
        self.node.offer_packages(SLOW_NEW, installed=SLOW_OLD)
        self.node.start_container()

    def order(self, **fields: Any) -> str:
        """Order a patch of the host, unless ``vmid`` names another target, and return the operation's id."""
        answer = self.operator.post("/api/patches", json={"agent_id": self.agent_id, "mode": "apply", **fields})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def wait_script(self) -> str:
        """Return the id of the script that waits for the gate."""
        if not self.scripts:
            answer = self.admin.post("/api/scripts", json={"name": f"wait-{self.agent_id}", "content": WAITING})
            assert answer.status_code == 201, answer.text
            self.scripts["wait"] = answer.json()["id"]
        return self.scripts["wait"]

    def look(self, operation: str) -> dict[str, Any]:
        """Return an operation as it stands."""
        found: dict[str, Any] = self.operator.get(f"/api/patches/{operation}").json()
        return found

    def end_of(self, operation: str) -> dict[str, Any]:
        """Wait for an operation's end."""
        self.node.wait(lambda: self.look(operation)["status"] in ENDED, f"the end of {self.look(operation)}", 120)
        return self.look(operation)

    def has(self, trace: str) -> bool:
        """Tell whether a trace is there."""
        return self.node.machine.run(["test", "-s", f"{TRACES}/{trace}"]).exit_code == 0

    def begun(self) -> None:
        """Wait until a script or a package is at the gate."""
        self.node.wait(lambda: self.has("runs"), "something runs")

    def open_gate(self) -> None:
        """Let what waits go on."""
        self.node.sh(f"touch {TRACES}/gate")

    def runs(self) -> list[str]:
        """Return what was counted."""
        return self.node.sh(f"cat {TRACES}/runs").split()


@pytest.fixture(scope="module")
def opened(node: AgentNode, plane: Server) -> Iterator[Site]:
    with (
        TlsDoor(node.machine.host_address, lambda: plane.port) as door,
        sign_in(plane, "operator") as operator,
        sign_in(plane, "admin") as admin,
    ):
        site = Site(node, door, operator, admin)
        site.open()
        yield site
        node.machine.run(["systemctl", "disable", "--now", DAEMON])


@pytest.fixture
def site(opened: Site) -> Iterator[Site]:
    """The agent at work, and no traces of the test before."""
    opened.node.sh(f"rm -rf {TRACES} && mkdir {TRACES}")
    yield opened
    opened.open_gate()


def once(value: str) -> object:
    """A parameter of a test that one Debian proves."""
    return pytest.param(value, marks=pytest.mark.one_debian)


def test_it_registered_by_a_credential_and_is_as_closed_as_promised(site: Site) -> None:
    node = site.node
    assert (node.show(DAEMON, "ActiveState"), node.show(DAEMON, "Type")) == ("active", "notify")
    assert node.sh(f"stat --format=%U /proc/{node.pid()}").strip() == "nannyagent"
    assert "CapEff:\t0000000000000000" in node.sh(f"cat /proc/{node.pid()}/status")
    for unit, most in ((DAEMON, 2.0), (HELPER, 4.5)):
        said = node.sh(f"systemd-analyze --no-pager security {unit}")
        found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
        assert found is not None, said
        assert 0 < float(found[1]) <= most
    refused = node.machine.run(
        ["nsenter", f"--target={node.pid()}", "--mount", "touch", "/usr/written", "/etc/written"]
    )
    assert refused.stderr.decode().count("Read-only file system") == 2


def test_its_sandbox_hides_nothing_that_it_reports(site: Site) -> None:
    newest = f"/api/agent/{site.agent_id}/metrics/latest"
    site.node.wait(lambda: site.operator.get(newest).status_code == 200, "a reading arrives")
    told = site.operator.get(newest).json()
    size = int(site.node.sh("df --block-size=1 --output=size / | tail -n 1"))
    text = str(told)
    assert str(size) in text, "the size of the machine's own file system"
    assert site.node.machine.address in text


def test_it_stays_small(site: Site) -> None:
    pss = int(site.node.sh(f"sed -n 's/^Pss: *\\([0-9]*\\) kB/\\1/p' /proc/{site.node.pid()}/smaps_rollup"))
    assert pss < 45 * 1024


@pytest.mark.rows("F9")
def test_host_and_container_are_patched(site: Site) -> None:
    """The host first dry: nothing changes; then what apt does writes to /usr, which the units keep closed."""
    node = site.node
    dry = site.end_of(site.order(mode="dry-run", exclude=["nanny-demo-slow"]))
    assert (dry["outcome"], node.version("nanny-demo-web")) == ("ok", "1.0-1")
    done = site.end_of(site.order(exclude=["nanny-demo-slow"]))
    assert done["outcome"] == "ok", done
    assert node.version("nanny-demo-web") == "1.1-1"
    assert node.sh("cat /usr/lib/nanny-demo-tls/version") == "3.0.1 fixed\n"
    assert f"event=job_over job={done['id']} outcome=ok" in node.journal(f"nanny-job-{done['id']}.service")
    assert node.version("nanny-demo-web", inside=True) == "1.0-1"
    done = site.end_of(site.order(vmid=str(VMID)))
    assert done["outcome"] == "ok", done
    assert node.version("nanny-demo-web", inside=True) == "1.1-1"


@pytest.mark.rows("F9")
def test_a_restart_of_agent_and_helper_does_not_reach_dpkg(site: Site) -> None:
    node = site.node
    operation = site.order(only=["nanny-demo-slow"])
    site.begun()
    dpkg, before = node.sh("pgrep --exact dpkg").split()[0], node.pid()
    node.machine.must("systemctl", "restart", DAEMON)
    node.machine.must("systemctl", "restart", HELPER)
    assert node.pid() not in (0, before)
    assert node.sh("pgrep --exact dpkg").split()[0] == dpkg
    site.open_gate()
    done = site.end_of(operation)
    assert done["outcome"] == "ok", done
    assert (node.version("nanny-demo-slow"), site.runs()) == ("1.1-1", ["run"])
    assert node.sh("dpkg --audit") == ""


@pytest.mark.parametrize("moment", [once("ordered"), "running", once("over")])
@pytest.mark.parametrize("victim", [DAEMON, HELPER])
def test_a_killed_daemon_or_helper_costs_nothing(site: Site, victim: str, moment: str) -> None:
    def strike() -> None:
        site.node.sh(f"systemctl kill --signal=KILL {victim} 2>&1 || true")

    operation = site.order(script_id=site.wait_script())
    if moment == "ordered":
        strike()
    site.begun()
    if moment == "running":
        strike()
    site.open_gate()
    if moment == "over":
        strike()
    done = site.end_of(operation)
    assert done["outcome"] == "nothing_to_do", done
    assert site.runs() == ["run", "through"]


def test_a_killed_supervisor_is_told_and_nothing_is_begun_again(site: Site) -> None:
    operation = site.order(script_id=site.wait_script())
    site.begun()
    site.node.wait(lambda: site.has("supervisor"), "the supervisor is known")
    site.node.sh(f"kill -KILL $(cat {TRACES}/supervisor)")
    site.open_gate()
    done = site.end_of(operation)
    assert done["outcome"] == "unknown", done
    assert site.runs() == ["run", "through"]


@pytest.mark.parametrize("how", ["reboot", once("loss of power")])
def test_a_restart_of_the_machine_is_told_and_nothing_is_begun_again(site: Site, how: str) -> None:
    operation = site.order(script_id=site.wait_script())
    site.begun()
    site.node.sh("sync")
    if how == "reboot":
        site.node.machine.reboot()
    else:
        site.node.machine.cut_power()
        site.node.machine.boot()
    done = site.end_of(operation)
    assert done["outcome"] == "unknown", done
    assert site.runs() == ["run"]
    site.open_gate()
    again = site.end_of(site.order(script_id=site.wait_script()))
    assert again["outcome"] == "nothing_to_do", "the agent works as before"


@pytest.mark.one_debian
def test_the_watchdog_replaces_a_daemon_that_hangs(site: Site) -> None:
    """With shorter times than the unit's own, which are no others."""
    node = site.node
    hurry = f"{DROP_INS}/hurry.conf"
    node.write(hurry, "[Service]\nWatchdogSec=2\nTimeoutAbortSec=1\n")
    with contextlib.ExitStack() as stack:
        stack.callback(node.sh, f"rm {hurry}; systemctl daemon-reload; systemctl restart {DAEMON}")
        node.sh(f"systemctl daemon-reload; systemctl restart {DAEMON}")
        before = node.pid()
        node.sh("sleep 4")
        assert node.pid() == before, "one that is alive is let alone"
        node.sh(f"kill -STOP {before}")
        node.wait(lambda: node.pid() not in (0, before), "another daemon")
    assert "Watchdog timeout" in node.journal(DAEMON)
