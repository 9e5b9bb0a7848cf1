"""A rollout of agents without a shell: ordered over the API, carried out by the control plane on a whole machine."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from nanny_ops.lab.image import cache_dir
from nanny_ops.lab.machine_image import machine_image
from nanny_ops.lab.systemd_machine import SystemdMachine
from nanny_ops.protocol.clock import now, stamp
from release.package import build
from release.wheel import MACHINES, architecture
from release.wheelhouse import build as build_wheelhouse
from tests.integration.collection.conftest import Ansible
from tests.integration.control.conftest import Server, make_server, sign_in
from tests.integration.control.test_playbook_api import order
from tests.machines.conftest import SUITES, need_machines
from tests.machines.disk_image import TOKEN, DiskImage
from tests.machines.tls_door import TlsDoor

pytestmark = [pytest.mark.machine, pytest.mark.one_debian, pytest.mark.timeout(1800)]
EPOCH = 1_760_000_000
OLD, NEW = "9.0.0", "9.0.1"
NODE = "pve9"
CREDENTIAL = "/etc/credstore/nanny-agent.token"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
#: Seconds for one run; it takes one minute on idle cores.
PATIENCE = 600.0
#: How an order is taken back by the task after the one that made it.
BACK = {"kind": "reboot", "state": "cancelled", "operation_id": "{{ it.operation.id }}"}


@dataclass
class Site:
    """A control plane that has a key for a machine without agent, and knows a release and a package."""

    server: Server
    machine: SystemdMachine
    boss: httpx.Client
    release: str
    package: str
    door: TlsDoor
    disk: DiskImage

    def asked(self, **variables: Any) -> dict[str, Any]:
        """Return an order of a rollout to the machine, which is named in the order itself."""
        key = self.machine.must("cat", "/etc/ssh/ssh_host_ed25519_key.pub").rsplit(" ", 1)[0].strip()
        return {
            "vars": {
                "agent_url": self.door.url,
                "agent_ca_certificate": self.door.ca_pem.decode(),
                "agent_settings": {"metrics_interval": 5},
                "agent_policy": {"operations": ["patch", "reboot"], "modes": ["dry-run", "apply"], "targets": ["host"]},
                **variables,
            },
            "new_hosts": [{"name": NODE, "address": self.machine.address}],
            "host_keys": [f"{self.machine.address} {key}"],
            "limit": ["new"],
        }

    def events(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        """Return what was told of a run."""
        found: list[dict[str, Any]] = self.boss.get(
            f"/api/playbook-runs/{run['id']}/events", params={"limit": 500}
        ).json()["items"]
        return found

    def run(self, playbook: str, **asked: Any) -> dict[str, Any]:
        """Check and run, as must be; return the run that changed something."""
        check = ended(self.boss, order(self.boss, playbook, check=True, **asked))
        assert check["outcome"] == "ok", self.failures(check)
        run = ended(self.boss, order(self.boss, playbook, **asked))
        assert (run["outcome"], run["checked_by"]) == ("ok", check["id"]), self.failures(run)
        return run

    def failures(self, run: dict[str, Any]) -> str:
        """Return what a run says of its failures."""
        said = self.boss.get(f"/api/playbook-runs/{run['id']}/output").text
        return f"{run['reason']}\n{said[-4000:]}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    need_machines()
    home = tmp_path_factory.mktemp("rollout")
    key, own = home / "key", home / "own"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, timeout=30)
    (own / "packages").mkdir(parents=True)
    package = build(OLD, EPOCH, own / "packages", architecture())
    archive = build_wheelhouse(NEW, EPOCH, home, MACHINES[architecture()])
    # Systemd 252 shows the services of a machine that is a container the boot of the host below it, not its own.
    image, heard = machine_image(cache_dir(dict(os.environ)), SUITES[1]), bytearray()
    with (
        DiskImage(home / "d") as disk,
        SystemdMachine(image, home / "machine", hostname=NODE) as machine,
        TlsDoor(machine.host_address, lambda: server.port, heard=heard) as door,
    ):
        (home / "ca.pem").write_bytes(door.ca_pem)
        named = {
            "NANNY_PLAYBOOK_SSH_KEY_FILE": str(key),
            "NANNY_PLAYBOOK_DIR": str(own),
            "NANNY_PLAYBOOK_URL": door.url,
            "NANNY_PLAYBOOK_CA_FILE": str(home / "ca.pem"),
        }
        (disk.place / "tmp").mkdir()
        environ = {"HOME": str(disk.place), "TMPDIR": str(disk.place / "tmp")}
        server = make_server(disk.place / "data", NANNY_PLAYBOOK_REMOTE_USER="root", **named, **environ)
        server.start()
        with sign_in(server, "admin") as boss:
            machine.must("mkdir", "-p", "-m", "700", "/root/.ssh")
            machine.put(key.with_suffix(".pub"), "/root/.ssh/authorized_keys")
            added = boss.post("/api/releases", content=archive.read_bytes(), timeout=60)
            assert added.status_code == 201, added.text
            yield Site(server, machine, boss, added.json()["id"], package.name, door, disk)
        server.stop()


def typed(site: Site, home: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Type ``nanny-ops playbook run rollout_agents`` as an admin does, with what the order says of the machine."""
    asked = site.asked(rollout_package=site.package)
    (home / "vars.json").write_text(json.dumps(asked["vars"]))
    (home / "host-keys").write_text("# as ssh-keyscan writes it\n" + "\n".join(asked["host_keys"]) + "\n")
    token = site.boss.headers["Authorization"].removeprefix("Bearer ")
    argv = [Path(sys.executable).parent / "nanny-ops", "playbook", "run", "rollout_agents"]
    argv += ["--vars-file", home / "vars.json", "--host-keys", home / "host-keys"]
    argv += ["--new-host", f"{NODE}={site.machine.address}", "--limit", "new", "--watch", *words]
    environ = {"PATH": os.environ["PATH"], "NANNY_URL": site.server.url, "NANNY_TOKEN": token, "COLUMNS": "110"}
    return subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False)


def ended(client: httpx.Client, run: dict[str, Any]) -> dict[str, Any]:
    """Wait for the end of a run and return it."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        shown: dict[str, Any] = client.get(f"/api/playbook-runs/{run['id']}").json()
        if shown["status"] not in {"pending", "running"}:
            return shown
        time.sleep(0.5)
    raise AssertionError(f"{run['playbook']} took longer than {PATIENCE:.0f} s")


def agents(site: Site) -> list[dict[str, Any]]:
    """Return the agents that are trusted."""
    found = site.boss.get("/api/agents", params={"limit": 50}).json()["items"]
    return [one for one in found if one["status"] == "active"]


def test_an_agent_comes_to_a_node_that_nobody_knows_and_needs_no_shell(site: Site, tmp_path: Path) -> None:
    refused = typed(site, tmp_path)
    assert refused.returncode != 0
    assert "order it with 'check' first" in refused.stderr
    check = typed(site, tmp_path, "--check")
    assert check.returncode == 0, check.stderr + check.stdout
    assert agents(site) == []
    run = typed(site, tmp_path)
    (tmp_path / "told").write_text(run.stderr + run.stdout)
    assert run.returncode == 0, run.stderr + run.stdout
    (agent,) = agents(site)
    assert (agent["hostname"], agent["health_status"]) == (NODE, "healthy")
    assert site.machine.must("nanny-agent", "--version").strip() == f"nanny-agent {OLD}"
    lines = run.stderr.splitlines()
    registered = lines.index("  TASK Register the machine with that token")
    assert lines[registered + 1].startswith(f"    {NODE} ok")
    assert lines[registered + 1].endswith("hidden: no_log")


def test_the_token_of_a_run_ends_with_it(site: Site) -> None:
    tokens = site.boss.get("/api/tokens").json()["items"]
    runs = {run["id"] for run in site.boss.get("/api/playbook-runs").json()["items"]}
    of_runs = [one for one in tokens if one["name"].startswith("playbook ")]
    assert {one["name"].removeprefix("playbook ") for one in of_runs} == runs
    assert {one["condition"] for one in of_runs} == {"revoked"}


def test_a_second_run_changes_nothing(site: Site) -> None:
    run = site.run("rollout_agents", **site.asked(rollout_package=site.package))
    assert run["hosts"][NODE]["changed"] == 0, json.dumps(site.events(run))


def test_all_is_taken_away_and_a_release_of_the_control_plane_comes(site: Site) -> None:
    removed = site.run("uninstall", vars={"uninstall_hosts": "agents"}, host_keys=site.asked()["host_keys"])
    assert removed["hosts"][NODE]["changed"] > 0
    assert agents(site) == []
    site.run("rollout_agents", **site.asked(rollout_release=site.release))
    assert site.machine.must("/opt/nanny-agent/bin/nanny-agent", "--version").strip() == f"nanny-agent {NEW}"
    assert [one["hostname"] for one in agents(site)] == [NODE]


def test_a_static_token_is_rotated_and_comes_back_where_the_new_one_does_not_serve(site: Site, tmp_path: Path) -> None:
    (agent,) = agents(site)
    first = site.boss.post("/api/tokens", json={"name": "first", "kind": "agent", "agent_id": agent["agent_id"]}).json()
    (tmp_path / "token").write_text(first["token"] + "\n")
    site.machine.must("mkdir", "-p", "-m", "700", "/etc/credstore")
    site.machine.put(tmp_path / "token", CREDENTIAL)
    site.machine.must("chmod", "600", CREDENTIAL)
    site.machine.must("systemctl", "restart", "nanny-agent")
    asked: dict[str, Any] = {"limit": [NODE], "host_keys": site.asked()["host_keys"]}

    run = site.run("rotate_tokens", **asked)
    assert run["hosts"][NODE]["changed"] > 0
    (second,), given = usable(site, agent), site.machine.must("cat", CREDENTIAL)
    assert second["name"].startswith(f"{NODE} ")
    assert first["token"] not in given
    assert site.machine.run(["test", "-e", f"{CREDENTIAL}.before"]).exit_code == 1

    site.machine.must("cp", CREDENTIAL, "/root/good")
    site.machine.must("mkdir", "-p", "/etc/systemd/system/nanny-agent.service.d")
    (tmp_path / "only.conf").write_text(f"[Service]\nExecStartPre=+cmp --silent {CREDENTIAL} /root/good\n")
    site.machine.put(tmp_path / "only.conf", "/etc/systemd/system/nanny-agent.service.d/only.conf")
    site.machine.must("systemctl", "daemon-reload")
    asked["vars"] = {"rotate_healthy_seconds": 6}
    assert ended(site.boss, order(site.boss, "rotate_tokens", check=True, **asked))["outcome"] == "ok"
    failed = ended(site.boss, order(site.boss, "rotate_tokens", **asked))
    assert failed["outcome"] == "play_failed"
    assert any("it has the old one again" in one.get("message", "") for one in site.events(failed)), failed
    assert site.machine.must("cat", CREDENTIAL) == given
    assert [one["id"] for one in usable(site, agent)] == [second["id"]]
    site.machine.must("systemctl", "is-active", "nanny-agent")
    site.machine.must("rm", "-r", "/etc/systemd/system/nanny-agent.service.d")
    site.machine.must("systemctl", "daemon-reload")


def usable(site: Site, agent: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the static tokens by which an agent may come."""
    found = site.boss.get("/api/tokens", params={"limit": 200}).json()["items"]
    return [one for one in found if one["agent_id"] == agent["agent_id"] and one["condition"] == "usable"]


def test_the_module_reboots_the_node_and_another_boot_is_the_proof(site: Site, tmp_path: Path) -> None:
    token = site.boss.headers["Authorization"].removeprefix("Bearer ")
    ansible, (agent,) = Ansible(site.server.url, token, tmp_path), agents(site)
    mine = {"kind": "reboot", "agent_id": agent["agent_id"], "reason": "a new kernel"}
    boot, pid = site.machine.must("cat", BOOT_ID), site.machine.pid()

    told = ansible.play([module("shown", **mine)], "--check")
    assert (told.code, told.changes()) == (0, ["shown"]), told.said
    assert site.boss.get("/api/reboots").json()["items"] == []

    told = ansible.play([module("ordered", **mine, wait_timeout=1)])
    assert told["ordered"].how == "failed"
    assert "It goes on; nanny.ops.operation_info tells" in told["ordered"].result["msg"]
    site.machine.await_boot(after=pid)
    order_id = told["ordered"].result["operation"]["id"]
    first = done(site.boss, order_id)
    assert (first["status"], first["outcome"]) == ("completed", "ok"), first
    again = {**mine, "idempotency_key": "the second"}
    told = ansible.play([module("waited", **again, timeout_seconds=300), module("the same", **again)])
    assert (told.code, told.changes()) == (0, ["waited"]), told.said
    assert told["waited"].result["operation"]["outcome"] == "ok"
    assert site.machine.must("cat", BOOT_ID) != boot
    ids = {one["id"] for one in site.boss.get("/api/reboots").json()["items"]}
    assert ids == {order_id, told["waited"].result["operation"]["id"]}


def done(client: httpx.Client, reboot_id: str) -> dict[str, Any]:
    """Wait for the end of a reboot and return it."""
    deadline = time.monotonic() + PATIENCE
    while not (shown := client.get(f"/api/reboots/{reboot_id}").json())["finished_at"]:
        assert time.monotonic() < deadline, shown
        time.sleep(0.5)
    ended_with: dict[str, Any] = shown
    return ended_with


def test_a_reboot_that_nobody_carries_out_is_taken_back(site: Site, tmp_path: Path) -> None:
    token = site.boss.headers["Authorization"].removeprefix("Bearer ")
    ansible, (agent,) = Ansible(site.server.url, token, tmp_path), agents(site)
    site.machine.must("systemctl", "stop", "nanny-agent")
    boot = site.machine.must("cat", BOOT_ID)
    mine = {"kind": "reboot", "agent_id": agent["agent_id"]}
    told = ansible.play([{**module("placed", **mine, wait=False), "register": "it"}, module("back", **BACK)])
    assert (told.code, told.changes()) == (0, ["placed", "back"]), told.said
    assert told["back"].result["operation"]["status"] == "cancelled"
    soon = stamp(now() + timedelta(seconds=5))
    told = ansible.play([module("late", **mine, expires_at=soon)])
    assert told["late"].how == "failed"
    assert (told["late"].changed, told["late"].result["operation"]["status"]) == (False, "expired"), told.said
    site.machine.must("systemctl", "start", "nanny-agent")
    assert site.machine.must("cat", BOOT_ID) == boot


def test_no_secret_of_all_this_stands_in_any_block_of_the_control_planes_disk(site: Site) -> None:
    secrets = {found.group() for found in TOKEN.finditer(bytes(site.door.heard or b""))}
    kinds = {kind: sum(one.startswith(kind) for one in secrets) for kind in (b"nop_", b"nsk_", b"eyJ")}
    assert min(kinds.values()) >= 2, f"what was handed out was not heard: {kinds}"
    (site.disk.place / "deleted").write_bytes(b"nsk_" + b"d" * 43)
    os.sync()
    (site.disk.place / "deleted").unlink()
    site.server.stop()
    assert site.disk.found({*secrets, b"nsk_" + b"d" * 43}) == {b"nsk_" + b"d" * 43}


def module(name: str, **options: Any) -> dict[str, Any]:
    """Return a task with the module ``operation``."""
    return {"name": name, "nanny.ops.operation": options}
