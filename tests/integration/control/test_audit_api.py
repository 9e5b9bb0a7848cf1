"""The audit's log over real HTTP and from the command line: complete, for admins only, and proof against tampering."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from nanny_ops.cli import audit as cli
from nanny_ops.errors import Forbidden, SettingsError
from tests.integration.control.conftest import PASSWORD, Server, email, enrol_by, make_server, sign_in
from tests.integration.control.listener import deliver, order


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A control plane of its own, since every test of the other one would be in its log."""
    server = make_server(tmp_path_factory.mktemp("audited") / "data")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def admin(audited: Server) -> Iterator[httpx.Client]:
    """A client signed in as admin of the installation there."""
    with sign_in(audited, "admin") as client:
        yield client


def entries(client: httpx.Client, **filters: str) -> list[dict[str, Any]]:
    answer = client.get("/api/audit", params={"limit": "500", **filters})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def test_an_order_is_told_from_the_enrolment_to_what_the_agent_answered(audited: Server, admin: httpx.Client) -> None:
    with sign_in(audited, "operator") as operator:
        agent = enrol_by(audited, operator, "pve1", platform="debian", platform_family="debian")
        placed = order(operator, agent)
        agent.client.get(f"/api/patches/{placed['script_id']}/script").raise_for_status()
        agent.client.post(f"/api/operations/{placed['id']}/ack", json={"state": "running"}).raise_for_status()
        deliver(agent, placed["id"]).raise_for_status()
        for _ in range(3):
            operator.get(f"/api/patches/{placed['id']}/stdout").raise_for_status()
        operator.post(f"/api/agents/{agent.id}/revoke").raise_for_status()
        operator.post("/api/auth/logout").raise_for_status()
        agent.client.close()
    found = list(reversed(entries(admin)))
    told = [(one["kind"], one["action"]) for one in found if one["action"] not in {"user.add", "login"}]
    assert told == [
        ("person", "allow"),
        ("nobody", "enrol"),
        ("person", "patch.create"),
        ("agent", "script.download"),
        ("agent", "patch.end"),
        ("person", "log.read"),
        ("person", "revoke"),
        ("person", "logout"),
    ]
    created = next(one for one in found if one["action"] == "patch.create")
    assert (created["name"], created["object"], created["peer"]) == (email("operator"), placed["id"], "127.0.0.1")
    assert len(created["request_id"]) == 32
    ended = next(one for one in found if one["action"] == "patch.end")
    assert (ended["name"], ended["detail"]["status"]) == ("pve1", "completed")
    assert entries(admin, action="patch.end", object=placed["id"]) == [ended]


def test_the_request_id_is_the_one_that_was_answered(audited: Server, admin: httpx.Client) -> None:
    made = admin.post("/api/tokens", json={"name": "nightly", "scopes": ["read"]})
    noted = entries(admin, action="token.add")[0]
    assert noted["request_id"] == made.headers["x-request-id"]
    assert made.json()["token"] not in json.dumps(entries(admin))


def test_failed_sign_ins_are_noted_without_what_was_typed(audited: Server, admin: httpx.Client) -> None:
    with httpx.Client(base_url=audited.url, timeout=20) as nobody:
        for name in (email("viewer"), "my-pass-phrase@example.com"):
            body = {"email": name, "password": "not this one"}
            assert nobody.post("/api/auth/login", json=body).status_code == 401
    unknown, known = entries(admin, action="login_failed")[:2]
    assert (known["kind"], known["detail"]["email"]) == ("nobody", email("viewer"))
    assert unknown["detail"] == {}
    assert "not this one" not in json.dumps(entries(admin))


def test_what_a_token_did_is_told_apart_from_its_owner(audited: Server, admin: httpx.Client) -> None:
    made = admin.post("/api/tokens", json={"name": "by night", "scopes": ["enrol"]}).json()
    headers = {"Authorization": f"Bearer {made['token']}"}
    httpx.post(f"{audited.url}/api/enrollment-tokens", json={"name": "x"}, headers=headers, timeout=20)
    noted = entries(admin, action="token.add")[0]
    assert (noted["name"], noted["token_id"]) == (email("admin"), made["id"])


@pytest.mark.parametrize("role", ["operator", "viewer", "stranger"])
@pytest.mark.parametrize("address", ["/api/audit", "/api/audit/export"])
def test_only_admins_read_it(audited: Server, role: str, address: str) -> None:
    with sign_in(audited, role) as client:
        assert client.get(address).status_code == 403


def test_a_bad_instant_is_named(admin: httpx.Client) -> None:
    assert admin.get("/api/audit", params={"since": "yesterday"}).status_code == 422


def verify(server: Server, *words: str) -> Result:
    return CliRunner().invoke(cli.app, ["verify", *words], env={"NANNY_DATA_DIR": str(server.data_dir)})


def test_it_is_listed_exported_and_verified_from_the_command_line(audited: Server, admin: httpx.Client) -> None:
    token = admin.headers["Authorization"].removeprefix("Bearer ")
    runner, env = CliRunner(), {"NANNY_URL": audited.url, "NANNY_TOKEN": token}
    listed = runner.invoke(cli.app, ["list", "--action", "user.add", "--json"], env=env)
    assert {one["kind"] for one in json.loads(listed.stdout)} == {"system"}
    assert "user.add" in runner.invoke(cli.app, ["list"], env=env).stdout
    exported = [json.loads(line) for line in runner.invoke(cli.app, ["export"], env=env).stdout.splitlines()]
    assert [one["seq"] for one in exported] == list(range(1, len(exported) + 1))
    assert [one["prev"] for one in exported[1:]] == [one["hash"] for one in exported[:-1]]
    held = verify(audited, "--contains", exported[-1]["hash"])
    assert (held.exit_code, f"{len(exported)} entries hold" in held.output) == (0, True)
    assert verify(audited, "--contains", "0" * 64).exit_code == 1


def test_a_refused_export_is_a_named_error(audited: Server) -> None:
    answer = httpx.post(f"{audited.url}/api/auth/login", json={"email": email("viewer"), "password": PASSWORD})
    env = {"NANNY_URL": audited.url, "NANNY_TOKEN": answer.json()["access_token"]}
    assert isinstance(CliRunner().invoke(cli.app, ["export"], env=env).exception, Forbidden)


def test_there_must_be_a_database_to_verify(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli.app, ["verify"], env={"NANNY_DATA_DIR": str(tmp_path / "none")})
    assert isinstance(done.exception, SettingsError)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("statement", "wrong"),
    [
        ("UPDATE audit SET actor = 'somebody' WHERE seq = 2", "Entry 2 was changed"),
        ("DELETE FROM audit WHERE seq = 2", "Entry 2 is missing"),
        ("DELETE FROM audit WHERE seq >= 3", "Entry 3 is missing, with all that followed"),
    ],
)
def test_tampering_is_found(tmp_path: Path, statement: str, wrong: str) -> None:
    server = make_server(tmp_path / "data")
    assert verify(server).exit_code == 0
    with sqlite3.connect(server.data_dir / "nanny-ops.db") as database:
        database.execute("DROP TRIGGER audit_no_update")
        database.execute("DROP TRIGGER audit_no_delete")
        database.execute(statement)
    database.close()
    done = verify(server)
    assert (done.exit_code, wrong in done.output) == (1, True), done.output
