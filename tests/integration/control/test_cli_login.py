"""What operators type, against a real control plane: sign in, look around, order, follow, read."""

import json
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from nanny_ops.cli import agent, login, patch, proxmox, script, user
from nanny_ops.errors import Conflict, Forbidden, NannyError, NotFound, SettingsError, Unauthorized
from tests.integration.control.conftest import PASSWORD, Agent, Server, email
from tests.integration.control.listener import deliver, eventually, order

Enrol = Callable[..., Agent]
Call = Callable[..., Result]
NGINX = {"name": "nginx", "version": "2", "old_version": "1"}


@pytest.fixture
def call(server: Server, tmp_path: Path) -> Call:
    """A function that runs a command as the operator, signed in by a file."""
    runner, env = CliRunner(), {"XDG_CONFIG_HOME": str(tmp_path), "NANNY_URL": "", "NANNY_TOKEN": ""}

    def run(app: Any, *words: str, stdin: str = "") -> Result:
        return runner.invoke(app, list(words), input=stdin, env=env)

    sign_in = ["--url", server.url, "--email", email("operator"), "--password-stdin"]
    done = run(login.app, *sign_in, stdin=PASSWORD + "\n")
    assert done.exit_code == 0, done.output
    assert PASSWORD not in done.output
    return run


def error(result: Result) -> NannyError:
    assert isinstance(result.exception, NannyError), result.output
    return result.exception


def ids(result: Result) -> list[str]:
    return [row.get("id") or row["agent_id"] for row in json.loads(result.stdout)]


def test_a_wrong_password_is_said(server: Server, tmp_path: Path) -> None:
    words = ["--url", server.url, "--email", email("operator"), "--password-stdin"]
    result = CliRunner().invoke(login.app, words, input="wrong\n", env={"XDG_CONFIG_HOME": str(tmp_path)})
    assert isinstance(error(result), Unauthorized)
    assert list(tmp_path.iterdir()) == []


def test_who_is_no_admin_changes_their_own_password(server: Server, admin: httpx.Client, tmp_path: Path) -> None:
    asked = {"email": "own@example.com", "role": "viewer", "password": "first pass phrase"}
    admin.post("/api/users", json=asked).raise_for_status()
    runner, env = CliRunner(), {"XDG_CONFIG_HOME": str(tmp_path), "NANNY_URL": "", "NANNY_TOKEN": ""}

    def sign_in(typed: str) -> Result:
        words = ["--url", server.url, "--email", "own@example.com", "--password-stdin"]
        return runner.invoke(login.app, words, input=typed + "\n", env=env)

    def renew(*options: str, typed: str, email: str = "own@example.com") -> Result:
        return runner.invoke(user.app, ["password", "--email", email, *options], input=typed, env=env)

    assert sign_in("first pass phrase").exit_code == 0
    assert isinstance(error(renew("--password-stdin", typed="wrong\nsecond pass phrase\n")), Forbidden)
    assert isinstance(error(renew("--password-stdin", typed="x\ny\n", email=email("admin"))), Forbidden)
    assert "a new password" in renew("--password-stdin", typed="first pass phrase\nsecond pass phrase\n").output
    assert sign_in("second pass phrase").exit_code == 0
    prompted = renew(typed="second pass phrase\n" + "third pass phrase\n" * 2).output
    assert "a new password" in prompted
    assert "pass phrase" not in prompted
    assert sign_in("third pass phrase").exit_code == 0


def test_agents_are_found_by_id_and_by_host_name(call: Call, enrol: Enrol) -> None:
    one, twin = enrol("twin"), enrol("twin")
    assert {one.id, twin.id} <= set(ids(call(agent.app, "list", "--json")))
    assert one.id in call(agent.app, "list").stdout
    assert isinstance(error(call(agent.app, "show", "twin")), Conflict)
    assert isinstance(error(call(agent.app, "show", "nobody")), NotFound)
    assert call(agent.app, "revoke", twin.id).exit_code == 0
    assert json.loads(call(agent.app, "show", "twin", "--json").stdout)["agent_id"] == one.id
    assert twin.client.get(f"/api/agent/{twin.id}").status_code == 403


def test_an_order_is_followed_to_its_table(call: Call, enrol: Enrol) -> None:
    machine = enrol(platform="debian")
    worker = threading.Thread(target=_work, args=(machine,))
    worker.start()
    result = call(patch.app, "run", "--agent", machine.id, "--guest", "100", "--exclude", "a,b", "--watch")
    worker.join()
    assert result.exit_code == 0, result.output
    assert "Packages that would change" in result.stdout
    assert "nginx" in result.stdout
    assert "Reading package lists" in result.stderr
    assert "completed ok" in result.stderr
    placed = json.loads(call(patch.app, "list", "--agent", machine.id, "--json").stdout)
    assert [(row["target"], row["exclude"], row["mode"]) for row in placed] == [("lxc:100", ["a", "b"], "dry-run")]
    log = call(patch.app, "log", placed[0]["id"])
    assert log.stdout == "Reading package lists\nDone\n"
    assert call(patch.app, "log", placed[0]["id"], "--watch").stdout == log.stdout
    assert call(patch.app, "log", placed[0]["id"], "--stderr").stdout == ""
    for noise in ("script_url", "lxc_id", "delivered_at", "stdout_truncated"):
        assert noise not in result.stdout
    listed = call(patch.app, "list", "--agent", machine.id).stdout.splitlines()
    assert listed[1].split()[:2] == [placed[0]["id"], "dry-run"]
    assert "lxc:100 on " in listed[1]
    shown = json.loads(call(patch.app, "show", placed[0]["id"], "--json").stdout)
    assert [package["name"] for package in shown["package_list"]] == ["nginx"]


def _work(machine: Agent) -> None:
    path = f"/api/agent/{machine.id}/operations"
    assert eventually(lambda: bool(machine.client.get(path).json()["items"]))
    operation = machine.client.get(path).json()["items"][0]["record"]["id"]
    machine.client.post(f"/api/operations/{operation}/ack", json={"state": "running"}).raise_for_status()
    said = {"text": "Reading package lists\n"}
    machine.client.post(f"/api/operations/{operation}/output", json=said).raise_for_status()
    deliver(machine, operation, b"Reading package lists\nDone\n", package_list=[NGINX]).raise_for_status()


def test_an_order_that_ends_badly_is_exit_code_1(call: Call, operator: httpx.Client, enrol: Enrol) -> None:
    machine = enrol(platform="debian")
    placed = order(operator, machine, mode="apply")
    told = {"outcome": "target_stopped", "reason": "Guest 100 is stopped."}
    deliver(machine, placed["id"], success=False, **told).raise_for_status()
    result = call(patch.app, "show", placed["id"], "--watch")
    assert result.exit_code == 1
    assert "Guest 100 is stopped." in result.stdout


def test_an_order_can_be_taken_back(call: Call, enrol: Enrol) -> None:
    machine = enrol(platform="debian")
    placed = call(patch.app, "run", "--agent", machine.id, "--apply").stdout.strip()
    assert "cancelled" in call(patch.app, "cancel", placed).stdout
    listed = call(patch.app, "list", "--agent", machine.id, "--status", "cancelled", "--mode", "apply", "--json")
    assert ids(listed) == [placed]
    assert isinstance(error(call(patch.app, "log", placed)), NotFound)
    assert isinstance(error(call(patch.app, "run", "--agent", machine.id, "--guest", "vm-1")), Conflict)


def test_scripts_are_added_and_shown(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "Mine.sh"
    file.write_text("#!/bin/sh\necho '[]'  # mine\n")
    added = call(script.app, "add", str(file), "--description", "Does nothing.").stdout.strip()
    assert added.startswith("mine-")
    assert call(script.app, "add", str(file)).stdout.strip() == added
    assert added in ids(call(script.app, "list", "--json"))
    assert call(script.app, "show", added, "--content").stdout == file.read_text()
    assert json.loads(call(script.app, "show", added, "--json").stdout)["description"] == "Does nothing."
    assert call(script.app, "add", str(tmp_path / "none.sh")).exit_code != 0


def test_a_viewer_is_told_what_is_missing(viewer: httpx.Client, server: Server, enrol: Enrol) -> None:
    token = viewer.headers["authorization"].removeprefix("Bearer ")
    env = {"NANNY_URL": server.url, "NANNY_TOKEN": token}
    words = ["run", "--agent", enrol(platform="debian").id]
    result = CliRunner().invoke(patch.app, words, env=env)
    assert isinstance(error(result), Forbidden)
    assert "operator" in error(result).message


@pytest.fixture
def guest(enrol: Enrol) -> tuple[Agent, int, str]:
    """A container that an agent outside a cluster has reported: the agent, the number, the name."""
    machine, name = enrol(platform="debian"), f"ct-{uuid.uuid4().hex[:8]}"
    vmid = 100_000 + int(name[3:], 16) % 800_000
    node = {"name": f"node-{name}", "node_id": 1, "ip": "192.0.2.1", "online": 1, "local": 1, "pve_version": "8.4"}
    lxc = {"name": name, "lxc_id": f"lxc/{vmid}", "status": "running", "vmid": vmid, "node": node["name"]}
    machine.client.post("/api/proxmox/node", json=node).raise_for_status()
    machine.client.post("/api/proxmox/lxc", json={**lxc, "ostype": "debian"}).raise_for_status()
    return machine, vmid, name


def test_the_inventory_is_shown(call: Call, guest: tuple[Agent, int, str]) -> None:
    _, vmid, name = guest
    listed = json.loads(call(proxmox.guest, "list", "--json").stdout)
    assert [row["name"] for row in listed if row["vmid"] == vmid] == [name]
    shown = json.loads(call(proxmox.guest, "show", name, "--json").stdout)
    by_number = json.loads(call(proxmox.guest, "show", str(vmid), "--json").stdout)
    assert {**shown, "freshness_seconds": 0} == {**by_number, "freshness_seconds": 0}
    assert (shown["vmid"], shown["reported"]["ostype"]) == (vmid, "debian")
    assert f"node-{name}" in call(proxmox.node, "list").stdout
    assert isinstance(json.loads(call(proxmox.cluster, "list", "--json").stdout), list)
    for app in (proxmox.cluster, proxmox.node, proxmox.guest):
        assert isinstance(error(call(app, "show", "none-such")), NotFound)


def test_a_guest_is_patched_by_who_reported_it(call: Call, guest: tuple[Agent, int, str]) -> None:
    machine, vmid, name = guest
    placed = json.loads(call(patch.app, "run", "--guest", name, "--json").stdout)
    assert (placed["agent_id"], placed["target"]) == (machine.id, f"lxc:{vmid}")
    assert isinstance(error(call(patch.app, "run")), SettingsError)
