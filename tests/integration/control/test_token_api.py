"""Tokens over real HTTP and from the command line: made once, listed without secrets, ended at once."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from nanny_ops.cli import token as cli
from nanny_ops.errors import NotFound
from tests.integration.control.conftest import Agent, Server, client_of, sign_in

Enrol = Callable[..., Agent]


def fleet(client: httpx.Client, **asked: Any) -> dict[str, Any]:
    answer = client.post("/api/enrollment-tokens", json={"name": "rack 4", **asked})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def own(client: httpx.Client, **asked: Any) -> dict[str, Any]:
    answer = client.post("/api/tokens", json={"name": "nightly", **asked})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def register(server: Server, secret: str, **said: Any) -> httpx.Response:
    body = {"action": "register-with-token", "hostname": "pve9", **said}
    return httpx.post(f"{server.url}/api/auth", json=body, headers={"Authorization": f"Bearer {secret}"}, timeout=20)


def test_a_machine_enrols_with_a_token_and_works(server: Server, operator: httpx.Client) -> None:
    made = fleet(operator, tags=["rack4"], ranges=["127.0.0.0/8"])
    answer = register(server, made["token"], attempt="1")
    assert answer.status_code == 200
    tokens = answer.json()
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 3600)
    with client_of(server, tokens["access_token"]) as agent:
        assert agent.get(f"/api/agent/{tokens['agent_id']}").json()["hostname"] == "pve9"
    refreshed = httpx.post(
        f"{server.url}/api/auth", json={"action": "refresh", "refresh_token": register_again(server, made)}, timeout=20
    )
    assert refreshed.json()["agent_id"] == tokens["agent_id"]
    shown = next(one for one in operator.get("/api/agents?limit=500").json()["items"] if one["tags"] == ["rack4"])
    assert shown["agent_id"] == tokens["agent_id"]
    used_up = register(server, made["token"], attempt="2")
    assert (used_up.status_code, used_up.json()["error"]) == (403, "forbidden")


def register_again(server: Server, made: dict[str, Any]) -> str:
    """Repeat the first attempt, as an agent does whose answer was lost."""
    refresh_token: str = register(server, made["token"], attempt="1").json()["refresh_token"]
    return refresh_token


def test_bad_tokens_enrol_nobody(server: Server, operator: httpx.Client, enrol: Enrol) -> None:
    made = fleet(operator, ranges=["192.0.2.0/24"])
    assert register(server, made["token"]).status_code == 403
    assert register(server, "nsk_guessed").status_code == 401
    assert register(server, own(operator, scopes=["admin"])["token"]).json()["error"] == "invalid_token"
    person = operator.headers["Authorization"].removeprefix("Bearer ")
    assert register(server, person).status_code == 401
    missing = httpx.post(f"{server.url}/api/auth", json={"action": "register-with-token"}, timeout=20)
    assert (missing.status_code, missing.json()["error"]) == (401, "unauthorized")
    with client_of(server, made["token"]) as holder:
        assert holder.get("/api/agents").status_code == 401


def test_secrets_are_shown_once_and_kept_nowhere(server: Server, operator: httpx.Client) -> None:
    secrets = [fleet(operator)["token"], own(operator, scopes=["read"])["token"]]
    for address in ("/api/enrollment-tokens", "/api/tokens"):
        listed = operator.get(address)
        assert listed.json()["items"][0]["condition"] == "usable"
        assert not any(secret in listed.text for secret in secrets)
    register(server, secrets[0])
    with client_of(server, secrets[1]) as automation:
        assert automation.get("/api/agents").status_code == 200
    for file in server.data_dir.glob("nanny-ops.db*"):
        assert not any(secret.encode() in file.read_bytes() for secret in secrets)
    assert not any(secret in server.log() for secret in secrets)


def test_scopes_are_kept_to(server: Server, operator: httpx.Client, enrol: Enrol) -> None:
    agent = enrol(platform="debian")
    order = {"agent_id": agent.id, "mode": "dry-run"}
    with client_of(server, own(operator, scopes=["read"])["token"]) as reader:
        assert reader.get("/api/patches").status_code == 200
        refused = reader.post("/api/patches", json=order)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "AUTH_UNAUTHORIZED")
    with client_of(server, own(operator, scopes=["patch"])["token"]) as patcher:
        placed = patcher.post("/api/patches", json=order)
        assert (placed.status_code, placed.json()["created_by"]) == (201, operator.get("/api/auth/me").json()["id"])
        assert patcher.get("/api/patches").status_code == 403
        assert patcher.post(f"/api/agents/{agent.id}/revoke").status_code == 403
        assert patcher.post("/api/enrollment-tokens", json={"name": "x"}).status_code == 403
    with client_of(server, own(operator, scopes=["enrol"])["token"]) as enroller:
        assert enroller.post("/api/patches", json=order).status_code == 403
        assert fleet(enroller)["uses"] == 0
        assert enroller.post("/api/tokens", json={"name": "x", "scopes": ["admin"]}).status_code == 403
        assert enroller.post(f"/api/agents/{agent.id}/revoke").status_code == 200


def test_a_viewers_token_does_no_more_than_a_viewer(server: Server, viewer: httpx.Client, enrol: Enrol) -> None:
    agent = enrol(platform="debian")
    assert viewer.post("/api/enrollment-tokens", json={"name": "x"}).status_code == 403
    with client_of(server, own(viewer, scopes=["admin"])["token"]) as automation:
        assert automation.get("/api/patches").status_code == 200
        assert automation.post("/api/patches", json={"agent_id": agent.id, "mode": "dry-run"}).status_code == 403


def test_a_revoked_token_is_refused_at_once(server: Server, operator: httpx.Client, viewer: httpx.Client) -> None:
    made = own(operator, scopes=["read"])
    with client_of(server, made["token"]) as automation:
        assert automation.get("/api/agents").status_code == 200
        assert viewer.post(f"/api/tokens/{made['id']}/revoke").status_code == 404
        ended = operator.post(f"/api/tokens/{made['id']}/revoke").json()
        assert (ended["condition"], bool(ended["last_used_at"])) == ("revoked", True)
        assert automation.get("/api/agents").status_code == 401


def test_a_token_signs_itself_out(server: Server, operator: httpx.Client) -> None:
    with client_of(server, own(operator, scopes=["admin"])["token"]) as automation:
        assert automation.post("/api/auth/logout").status_code == 200
        assert automation.get("/api/agents").status_code == 401


def test_a_static_token_speaks_for_one_agent(server: Server, operator: httpx.Client, enrol: Enrol) -> None:
    agent, other = enrol(), enrol()
    made = own(operator, kind="agent", agent_id=agent.id)
    with client_of(server, made["token"]) as static:
        assert static.get(f"/api/agent/{agent.id}/operations?state=open").json() == {"items": []}
        assert static.get(f"/api/agent/{other.id}/operations?state=open").status_code == 403
        assert static.get("/api/agents").status_code == 403
        told = static.get("/api/agent-identity").json()
        assert (told["agent_id"], told["expires_at"][:19]) == (agent.id, made["expires_at"][:19])
        # Other tests on this server may have entered offline keys.
        assert [key["origin"] for key in told["signing_keys"]].count("control-plane") == 1
        operator.post(f"/api/tokens/{made['id']}/revoke").raise_for_status()
        assert static.get(f"/api/agent/{agent.id}").status_code == 401
    assert agent.client.get(f"/api/agent/{agent.id}").status_code == 200


def test_another_teams_tokens_and_agents_do_not_exist(
    operator: httpx.Client, stranger: httpx.Client, enrol: Enrol
) -> None:
    made, agent = fleet(operator), enrol()
    assert stranger.post(f"/api/enrollment-tokens/{made['id']}/revoke").status_code == 404
    assert stranger.post("/api/enrollment-tokens", json={"name": "x", "team_id": "team-default"}).status_code == 403
    body = {"name": "x", "kind": "agent", "agent_id": agent.id}
    assert stranger.post("/api/tokens", json=body).status_code == 404
    assert made["id"] not in stranger.get("/api/enrollment-tokens?limit=500").text


@pytest.mark.parametrize(
    ("address", "body"),
    [
        ("enrollment-tokens", {"name": "x", "ranges": ["everywhere"]}),
        ("enrollment-tokens", {"name": "x", "max_uses": 0}),
        ("enrollment-tokens", {"name": "x", "range": ["192.0.2.0/24"]}),
        ("tokens", {"name": "x", "scopes": ["root"]}),
        ("tokens", {"name": "x"}),
    ],
)
def test_nonsense_is_refused(operator: httpx.Client, address: str, body: dict[str, Any]) -> None:
    assert operator.post(f"/api/{address}", json=body).status_code == 422


def test_the_command_line_makes_lists_and_ends_them(server: Server, operator: httpx.Client, enrol: Enrol) -> None:
    agent = enrol(f"cli-{uuid.uuid4().hex[:8]}")
    hostname = operator.get(f"/api/agent/{agent.id}").json()["hostname"]
    token = operator.headers["Authorization"].removeprefix("Bearer ")
    runner, env = CliRunner(), {"NANNY_URL": server.url, "NANNY_TOKEN": token}
    for app, words in (
        (cli.fleet, ["--uses", "3", "--hours", "2", "--from", "192.0.2.0/24", "--tag", "rack4"]),
        (cli.own, ["--scope", "read", "--scope", "patch"]),
        (cli.own, ["--agent", hostname, "--days", "2"]),
    ):
        made = runner.invoke(app, ["add", "--name", "by hand", *words], env=env)
        assert made.exit_code == 0, made.output
        assert made.stdout.strip().startswith(("nsk_", "nop_"))
        listed = json.loads(runner.invoke(app, ["list", "--json"], env=env).stdout)
        assert made.stdout.strip() not in json.dumps(listed)
        newest = listed[0]["id"]
        assert f"{newest} (by hand)" in made.stderr
        assert "is revoked" in runner.invoke(app, ["revoke", newest], env=env).output
        assert json.loads(runner.invoke(app, ["list", "--json"], env=env).stdout)[0]["condition"] == "revoked"
    assert isinstance(runner.invoke(cli.own, ["revoke", "token-none"], env=env).exception, NotFound)


def test_the_real_agent_registers_with_a_token_file(server: Server, tmp_path: Path) -> None:
    with sign_in(server, "operator") as operator:
        secret = fleet(operator, tags=["by-file"])["token"]
    file = tmp_path / "enrol"
    file.write_text(secret + "\n")
    program = Path(sys.executable).parent / "nanny-agent"
    env = {key: value for key, value in os.environ.items() if not key.startswith("NANNY")}
    env |= {"NANNYAPI_URL": server.url, "NANNY_AGENT_STATE_DIR": str(tmp_path / "state")}
    words = [str(program), "register", "--token-file", str(file)]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    kept = json.loads((tmp_path / "state" / "token.json").read_text())
    assert kept["agent_id"] in done.stdout
    assert secret not in done.stdout + done.stderr + json.dumps(kept)
    again = subprocess.run([*words, "--force"], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (again.returncode, "used up" in again.stderr) == (6, True)


def test_the_real_agent_works_on_a_static_token_until_it_is_revoked(
    server: Server, operator: httpx.Client, enrol: Enrol, tmp_path: Path
) -> None:
    agent = enrol(f"static-{uuid.uuid4().hex[:8]}")
    first, second = (own(operator, kind="agent", agent_id=agent.id) for _ in range(2))
    file, state = tmp_path / "token", tmp_path / "state"
    file.write_text(first["token"] + "\n")
    env = {key: value for key, value in os.environ.items() if not key.startswith("NANNY")}
    env |= {"NANNYAPI_URL": server.url, "NANNY_AGENT_STATE_DIR": str(state), "NANNY_AGENT_TOKEN_FILE": str(file)}
    program = str(Path(sys.executable).parent / "nanny-agent")
    said = tmp_path / "said"
    with said.open("w") as out, subprocess.Popen([program, "run"], env=env, stdout=out, stderr=out) as child:
        try:
            until(lambda: operator.get(f"/api/agent/{agent.id}").json()["last_seen"])
            until(lambda: (state / "trusted_keys.json").exists())
            until(lambda: "event=link_up" in said.read_text())
            operator.post(f"/api/tokens/{first['id']}/revoke").raise_for_status()
            shown = subprocess.run(
                [program, "status"], env=env, capture_output=True, text=True, timeout=60, check=False
            )
            assert (shown.returncode, "revoked" in shown.stdout) == (4, True)
        finally:
            child.terminate()
            child.wait(30)
    assert child.returncode == 0
    file.write_text(second["token"] + "\n")
    shown = run(program, "status", env=env)
    assert (shown.returncode, agent.id in shown.stdout, "static" in shown.stdout) == (0, True, True)
    everything = (
        said.read_text()
        + shown.stdout
        + "".join(one.read_text(errors="replace") for one in state.rglob("*") if one.is_file())
    )
    assert not any(made["token"] in everything for made in (first, second))


def run(*words: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=False)


def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
