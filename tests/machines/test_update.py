"""An agent from a wheelhouse updates itself on a whole machine, survives a bad release, and goes back when told."""

import io
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from nanny_ops.lab.image import cache_dir
from nanny_ops.lab.machine_image import machine_image
from nanny_ops.lab.systemd_machine import SystemdMachine
from release.wheel import MACHINES, Wheel, architecture
from release.wheelhouse import build, manifest, pack, requirements
from tests.integration.control.conftest import make_server, sign_in
from tests.machines.conftest import need_machines
from tests.machines.tls_door import TlsDoor

pytestmark = [pytest.mark.machine, pytest.mark.timeout(900)]
EPOCH = 1_760_000_000
OLD, NEW, BAD = "9.0.0", "9.0.1", "9.0.2"
#: What makes a release that installs and passes its self-test, and ends at each start.
CRASH = "\n\nasync def run_until_signal(settings: object, world: object) -> None:\n    raise SystemExit(1)\n"
#: Seconds for an update with three failed starts.
WITHIN = 180.0
POLICY = 'operations = ["patch", "update"]\n'


def broken(house: Path, folder: Path) -> Path:
    """Return a wheelhouse like another whose agent ends at each start."""
    shutil.unpack_archive(house, folder, filter="data")
    own = next((folder / "wheels").glob("nanny_ops-*.whl"))
    out = io.BytesIO()
    with zipfile.ZipFile(own) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            new.writestr(entry, content + CRASH.encode() if entry.filename == "nanny_ops/agent/app.py" else content)
    own.write_bytes(out.getvalue())
    (folder / "requirements.txt").write_text(requirements([Wheel(one) for one in (folder / "wheels").iterdir()]))
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").write_text(manifest(BAD, MACHINES[architecture()], folder))
    return pack(folder, EPOCH, folder.with_suffix(".tar"))


@dataclass
class Site:
    """A machine with an agent, its control plane, and releases by their versions."""

    machine: SystemdMachine
    operator: httpx.Client
    agent: str
    releases: dict[str, str] = field(default_factory=dict)

    def update(self, version: str, **more: Any) -> dict[str, Any]:
        """Order an update and return how it ended."""
        asked = {"agent_id": self.agent, "release_id": self.releases[version], **more}
        placed = self.operator.post("/api/updates", json=asked)
        assert placed.status_code == 201, placed.text
        path = f"/api/updates/{placed.json()['id']}"
        self.until(lambda: self.operator.get(path).json()["finished_at"], f"the update to {version} ends")
        found: dict[str, Any] = self.operator.get(path).json()
        return found

    def running(self) -> str:
        """Return the version that the daemon's process was started from."""
        pid = self.machine.must("systemctl", "show", "--value", "--property=MainPID", "nanny-agent.service").strip()
        words = self.machine.must("cat", f"/proc/{pid}/cmdline").split("\0")
        return next(word for word in words if "/versions/" in word).split("/versions/")[1].partition("/")[0]

    def versions(self) -> set[str]:
        """Return which versions lie on the disk."""
        return {name.partition("-")[0] for name in self.machine.must("ls", "/opt/nanny-agent/versions").split()}

    def until(self, true: Callable[[], object], what: str) -> None:
        """Wait until something holds."""
        ends = time.monotonic() + WITHIN
        while not true():
            journal = self.machine.run(["journalctl", "--no-pager", "--output=cat", "-n", "60"]).stdout.decode()
            assert time.monotonic() < ends, f"not within {WITHIN:.0f} s: {what}\n{journal}"
            time.sleep(1)


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place, machine = tmp_path_factory.mktemp("wheelhouses"), MACHINES[architecture()]
    made = {version: build(version, EPOCH, place, machine) for version in (OLD, NEW, BAD)}
    return {**made, BAD: broken(made[BAD], place / "bad")}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, houses: dict[str, Path]) -> Iterator[Site]:
    need_machines()
    place = tmp_path_factory.mktemp("site")
    server = make_server(place / "data")
    server.start()
    try:
        image = machine_image(cache_dir(dict(os.environ)), "trixie")
        with (
            SystemdMachine(image, place / "machine") as machine,
            TlsDoor(machine.host_address, lambda: server.port) as door,
            sign_in(server, "operator") as operator,
            sign_in(server, "admin") as admin,
        ):
            made = Site(machine, operator, install(machine, houses[OLD], door, admin, place / "house"))
            for version, house in houses.items():
                added = operator.post("/api/releases", content=house.read_bytes(), timeout=60)
                assert added.status_code == 201, added.text
                made.releases[version] = added.json()["id"]
            yield made
    finally:
        server.stop()


def install(machine: SystemdMachine, house: Path, door: TlsDoor, admin: httpx.Client, folder: Path) -> str:
    """Install and register as a person does, and return the agent's id."""
    shutil.unpack_archive(house, folder, filter="data")
    machine.put(folder, "/root/house")
    machine.must("/root/house/install.sh", "--service", timeout=180)
    token = admin.post("/api/enrollment-tokens", json={"name": "node"}).json()["token"]
    settings = machine.must("cat", "/etc/nanny-ops/agent.toml")
    settings += f'url = "{door.url}"\nca_file = "/etc/nanny-ops/ca.pem"\n'
    # A helper of the version before keeps a third one out until it ends; the shipped minute would only be waited for.
    machine.must("sh", "-c", "echo 'idle_seconds = 2' >>/etc/nanny-ops/helper.toml")
    files = {"agent.toml": settings, "ca.pem": door.ca_pem, "policy.toml": POLICY, "token": token}
    for name, text in files.items():
        content = text.encode() if isinstance(text, str) else text
        mode = "0600" if name == "token" else "0644"
        assert (
            machine.run(["install", "-m", mode, "/dev/stdin", f"/etc/nanny-ops/{name}"], stdin=content).exit_code == 0
        )
    machine.must("/usr/local/bin/nanny-agent", "register", "--token-file", "/etc/nanny-ops/token")
    machine.must("systemctl", "enable", "--now", "nanny-agent")
    agents: list[dict[str, Any]] = admin.get("/api/agents").json()["items"]
    agent_id: str = agents[0]["agent_id"]
    return agent_id


@pytest.mark.rows("F7", "F9")
def test_it_updates_itself_comes_back_from_a_bad_release_and_goes_back_when_told(site: Site) -> None:
    assert site.running() == OLD
    done = site.update(NEW)
    assert (done["outcome"], done["running_version"]) == ("ok", NEW), done
    assert site.running().startswith(f"{NEW}-")
    assert site.versions() == {OLD, NEW}
    bad = site.update(BAD)
    assert (bad["outcome"], bad["running_version"]) == ("rolled_back", NEW), bad
    assert site.running().startswith(f"{NEW}-")
    assert site.update(BAD)["outcome"] == "refused"
    down = site.update(OLD)
    assert (down["outcome"], down["running_version"]) == ("ok", OLD), down
    assert len(site.versions()) == 2
    assert site.machine.must("systemctl", "is-system-running").strip() == "running"
