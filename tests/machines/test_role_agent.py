"""What the scenario ``agent`` of Molecule does not show of the role: check mode, secrets, refusals, a wheelhouse."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from nanny_ops.lab.deb import Deb
from nanny_ops.lab.deb import build as build_deb
from nanny_ops.lab.file_tree import OF_SSH, differences, of_system
from nanny_ops.lab.image import cache_dir
from nanny_ops.lab.machine_image import machine_image
from nanny_ops.lab.systemd_machine import SystemdMachine
from release.package import build
from release.wheel import MACHINES, architecture
from release.wheelhouse import build as build_wheelhouse
from tests.house.tree import ROOT
from tests.integration.control.conftest import Server, sign_in
from tests.machines.conftest import SUITES, need_machines
from tests.machines.playbook import Controller, Play
from tests.machines.tls_door import TlsDoor

# The first test of each Debian may have to make its image.
pytestmark = [pytest.mark.machine, pytest.mark.one_debian, pytest.mark.timeout(900)]
EPOCH = 1_760_000_000
OLD, NEW = "9.0.0", "9.0.1"
#: Folders of systemd, where files for it may lie; empty ones stay.
OF_SYSTEMD = ("/etc/credstore", "/etc/sysusers.d")


@dataclass
class Site:
    """A machine, the controller that reaches it, and the control plane that both reach."""

    machine: SystemdMachine
    controller: Controller
    variables: dict[str, Any]
    admin: httpx.Client
    files: dict[str, Path]
    before: dict[str, str]

    def role(self, *options: str, **variables: Any) -> Play:
        """Run the role, by the package of the old version unless said."""
        given = {"agent_package": str(self.files[OLD])} | self.variables | variables
        return self.controller.role("agent", given, *options)

    def agents(self) -> list[dict[str, Any]]:
        """Return what the control plane knows of this machine's agents."""
        found = self.admin.get("/api/agents", params={"limit": 500}).json()["items"]
        return [one for one in found if one["hostname"] == self.machine.hostname]

    def read(self) -> dict[str, str]:
        """Describe the machine's lasting files."""
        return of_system(self.machine.rootfs, without=(*OF_SSH, *OF_SYSTEMD))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("agents")
    made = {OLD: build(OLD, EPOCH, folder, architecture())}
    return made | {"wheelhouse": build_wheelhouse(NEW, EPOCH, folder, MACHINES[architecture()])}


@pytest.fixture(scope="module", params=SUITES[:1])
def site(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    files: dict[str, Path],
    plane: Server,
) -> Iterator[Site]:
    need_machines()
    home = tmp_path_factory.mktemp(request.param)
    image = machine_image(cache_dir(dict(os.environ)), request.param)
    with (
        SystemdMachine(image, home, hostname=f"node-{request.param}") as machine,
        TlsDoor(machine.host_address, lambda: plane.port) as door,
        sign_in(plane, "admin") as admin,
    ):
        token = admin.post("/api/tokens", json={"name": request.param, "scopes": ["read", "enrol", "admin"]}).json()
        authority = home / "ca.pem"
        authority.write_bytes(door.ca_pem)
        controller = Controller(home, {"NANNY_OPS_TOKEN": token["token"], "NANNY_OPS_CA_FILE": str(authority)})
        controller.admit(machine.hostname, machine)
        variables = {
            "agent_url": door.url,
            "agent_ca_certificate": door.ca_pem.decode(),
            "agent_policy": {"modes": ["dry-run", "apply"], "targets": ["host", 101], "dry_runs_anytime": True},
            "agent_settings": {"metrics_interval": 5},
            "agent_pve_token": "nanny@pve!agent=00000000-0000-0000-0000-000000000000",
        }
        yield Site(machine, controller, variables, admin, files, {})


def passed(play: Play) -> Play:
    """Return a run that has to succeed."""
    assert play.exit_code == 0, "\n".join(play.failures()) or play.said[-3000:]
    return play


def test_check_mode_tells_and_changes_nothing(site: Site) -> None:
    passed(site.controller.play([{"hosts": "all", "tasks": [{"ansible.builtin.ping": {}}]}], {}))
    site.before.update(site.read())
    told = passed(site.role("--check", "--diff"))
    assert "Bring the package" in told.changed(site.machine.hostname)
    assert differences(site.before, site.read()) == []
    assert site.agents() == []


def test_no_secret_is_left_with_the_controller_or_told(site: Site) -> None:
    passed(site.role())
    token = site.controller.environ["NANNY_OPS_TOKEN"]
    identity = site.machine.must("cat", "/var/lib/nannyagent/token.json")
    for file in site.controller.home.rglob("*"):
        if not file.is_file() or "machines" in file.parts or file.name in ("envvars", "command"):
            continue
        content = file.read_bytes()
        assert b"nsk_" not in content, file
        assert token.encode() not in content, file
    assert token not in identity


def test_check_mode_tells_what_was_stopped_or_removed(site: Site) -> None:
    site.machine.must("systemctl", "stop", "nanny-agent")
    assert passed(site.role("--check")).changed(site.machine.hostname) == ["Start the agent"]
    passed(site.role(agent_state="absent"))
    assert "Bring the package" in passed(site.role("--check")).changed(site.machine.hostname)
    passed(site.role())


def test_a_version_that_is_not_heard_of_is_taken_back(site: Site, tmp_path: Path) -> None:
    mute = Deb("nanny-agent", "9.0.2", {"opt/nanny-agent/bin/nanny-agent": "#!/bin/sh\nexit 1\n"})
    given = {
        "rollout_package": str(build_deb(mute, tmp_path)),
        "rollout_package_before": str(site.files[OLD]),
        "agent_healthy_seconds": 6,
    }
    ended = site.controller.run(ROOT / "playbooks/rollout_agents.yml", site.variables | given)
    assert ended.exit_code != 0
    assert any("it has the earlier one again" in one for one in ended.failures()), ended.failures()
    assert site.machine.must("nanny-agent", "--version").strip() == f"nanny-agent {OLD}"
    assert passed(site.role()).changed(site.machine.hostname) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"agent_package": ""}, "Give agent_url, and one of"),
        ({"agent_state": "gone"}, "value of agent_state must be one of"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_done(site: Site, wrong: dict[str, str], said: str) -> None:
    refused = site.role(**wrong)
    assert refused.exit_code != 0
    assert any(said in one for one in refused.failures()), refused.failures()


def test_a_wheelhouse_does_as_well_and_the_operator_allows_the_code(site: Site) -> None:
    passed(site.role(agent_state="purged"))
    given = {
        "agent_package": "",
        "agent_wheelhouse": str(site.files["wheelhouse"]),
        "agent_enrolment": "device",
        "agent_revoke": False,
    }
    passed(site.role(**given))
    assert [one["status"] for one in site.agents()].count("active") == 1
    assert site.machine.must("/opt/nanny-agent/bin/nanny-agent", "--version").strip() == f"nanny-agent {NEW}"
    assert passed(site.role(**given)).changed(site.machine.hostname) == []
    passed(site.role(**given, agent_state="purged"))
    assert differences(site.before, site.read()) == []
