"""The device flow and tokens over real HTTP."""

import time
from collections.abc import Callable

import httpx
import pytest

from tests.integration.control.conftest import Agent, Server, make_server, sign_in

START = {"action": "device-auth-start"}


def start(client: httpx.Client, **claims: object) -> dict[str, str]:
    answer = client.post("/api/auth", json={**START, **claims})
    assert answer.status_code == 200
    body: dict[str, str] = answer.json()
    return body


@pytest.mark.rows("G0-AU-02")
def test_start_answers_with_both_codes(anonymous: httpx.Client, server: Server) -> None:
    body = start(anonymous)
    assert body["device_code"]
    assert len(body["user_code"]) == 8
    assert body["verification_uri"] == f"{server.url}/device"
    assert body["expires_in"] == 600


@pytest.mark.rows("G0-AU-03", "G0-AU-05")
def test_the_whole_flow(anonymous: httpx.Client, operator: httpx.Client) -> None:
    codes = start(anonymous, hostname="pve1")
    allowed = operator.post("/api/auth", json={"action": "authorize", "user_code": codes["user_code"]})
    assert (allowed.status_code, allowed.json()) == (200, {"success": True, "message": "Authorized"})
    register = {
        "action": "register",
        "device_code": codes["device_code"],
        "hostname": "pve1",
        "platform": "debian",
        "platform_family": "debian",
        "version": "0.1.0",
        "primary_ip": "192.0.2.5",
        "kernel_version": "6.8.12-1-pve",
        "all_ips": ["192.0.2.5"],
        "os_type": "linux",
    }
    body = anonymous.post("/api/auth", json=register).json()
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 3600
    assert body["agent_id"].startswith("agent-")
    assert body["access_token"]
    assert body["refresh_token"]
    shown = operator.get(f"/api/agent/{body['agent_id']}").json()
    assert (shown["hostname"], shown["platform"], shown["kernel_version"]) == ("pve1", "debian", "6.8.12-1-pve")


@pytest.mark.rows("G0-AU-06", "G0-ER-02")
def test_refusals_are_flat_and_in_rfc_8628_words(anonymous: httpx.Client, operator: httpx.Client) -> None:
    codes = start(anonymous)
    poll = {"action": "register", "device_code": codes["device_code"]}
    first = anonymous.post("/api/auth", json=poll)
    assert (first.status_code, first.json()["error"]) == (400, "authorization_pending")
    assert {"error", "error_description", "timestamp"} <= first.json().keys()
    assert anonymous.post("/api/auth", json=poll).json()["error"] == "slow_down"
    unknown = anonymous.post("/api/auth", json={**poll, "device_code": "nothing"})
    assert unknown.json()["error"] == "invalid_grant"
    operator.post("/api/auth", json={"action": "deny", "user_code": codes["user_code"]}).raise_for_status()
    assert anonymous.post("/api/auth", json=poll).json()["error"] == "access_denied"


@pytest.mark.rows("G0-AU-06")
def test_a_used_and_an_expired_code_are_refused(
    anonymous: httpx.Client, operator: httpx.Client, server: Server
) -> None:
    used = start(anonymous)
    operator.post("/api/auth", json={"action": "authorize", "user_code": used["user_code"]}).raise_for_status()
    register = {"action": "register", "device_code": used["device_code"], "hostname": "pve1"}
    assert anonymous.post("/api/auth", json=register).status_code == 200
    assert anonymous.post("/api/auth", json=register).json()["error"] == "invalid_grant"
    late = start(anonymous)
    from sqlalchemy import update

    from nanny_ops.control.store.tables import device_codes

    aged = update(device_codes).where(device_codes.c.user_code == late["user_code"]).values(expires_at=1)
    server.in_store(lambda tx: tx.connection.execute(aged).rowcount)
    expired = anonymous.post("/api/auth", json={"action": "register", "device_code": late["device_code"]})
    assert expired.json()["error"] == "expired_token"


@pytest.mark.rows("G0-AU-03")
@pytest.mark.parametrize(("who", "status"), [("anonymous", 401), ("viewer", 403), ("operator", 404)])
def test_who_may_authorise(request: pytest.FixtureRequest, who: str, status: int) -> None:
    client: httpx.Client = request.getfixturevalue(who)
    assert client.post("/api/auth", json={"action": "authorize", "user_code": "ABCD2345"}).status_code == status


def test_an_agent_cannot_authorise_another(enrol: Callable[..., Agent], anonymous: httpx.Client) -> None:
    codes = start(anonymous)
    answer = enrol().client.post("/api/auth", json={"action": "authorize", "user_code": codes["user_code"]})
    assert answer.status_code == 403


def test_a_code_is_decided_once(anonymous: httpx.Client, operator: httpx.Client, admin: httpx.Client) -> None:
    codes = start(anonymous)
    allow = {"action": "authorize", "user_code": codes["user_code"]}
    operator.post("/api/auth", json=allow).raise_for_status()
    assert admin.post("/api/auth", json=allow).status_code == 409


@pytest.mark.rows("G0-AU-07")
def test_refresh_rotates_forgives_a_lost_answer_and_punishes_a_copy(
    enrol: Callable[..., Agent], anonymous: httpx.Client
) -> None:
    agent = enrol()

    def refresh(token: str) -> httpx.Response:
        return anonymous.post("/api/auth", json={"action": "refresh", "refresh_token": token})

    first = refresh(agent.tokens["refresh_token"]).json()
    guide = {"access_token", "refresh_token", "token_type", "expires_in", "agent_id"}
    assert first.keys() == guide | {"signing_keys"}
    assert first["agent_id"] == agent.id
    assert refresh(agent.tokens["refresh_token"]).json()["refresh_token"] == first["refresh_token"]
    second = refresh(first["refresh_token"]).json()
    copied = refresh(agent.tokens["refresh_token"])
    assert (copied.status_code, copied.json()["error"]) == (400, "invalid_grant")
    assert refresh(second["refresh_token"]).status_code == 400


@pytest.mark.rows("G0-AU-09")
def test_revocation_counts_at_once_everywhere(
    enrol: Callable[..., Agent], operator: httpx.Client, anonymous: httpx.Client
) -> None:
    agent = enrol()
    assert agent.client.get(f"/api/agent/{agent.id}").status_code == 200
    operator.post(f"/api/agents/{agent.id}/revoke").raise_for_status()
    refused = agent.client.get(f"/api/agent/{agent.id}")
    assert (refused.status_code, refused.json()["error"]) == (403, "agent_revoked")
    body = {"action": "refresh", "refresh_token": agent.tokens["refresh_token"]}
    refreshed = anonymous.post("/api/auth", json=body)
    assert (refreshed.status_code, refreshed.json()["error"]) == (403, "agent_revoked")


@pytest.mark.rows("G0-AU-09")
@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "unauthorized"),
        ("Basic abc", "invalid_token"),
        ("Bearer", "invalid_token"),
        ("Bearer x y", "invalid_token"),
        ("Bearer not.a.token", "invalid_token"),
        ("Bearer \u00e4", "invalid_token"),
    ],
)
def test_missing_and_malformed_tokens(server: Server, header: str | None, code: str) -> None:
    headers = {} if header is None else {"Authorization": header.encode()}
    answer = httpx.get(f"{server.url}/api/agent/agent-1", headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (401, code)
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.rows("G0-ER-01", "G0-ER-02")
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "bad_request"),
        (b"[]", "validation_error"),
        (b"{}", "unknown_action"),
        (b'{"action":"dance"}', "unknown_action"),
        (b'{"action":"register"}', "validation_error"),
        (b'{"action":"refresh","refresh_token":5}', "validation_error"),
        (b"\xff\xfe", "bad_request"),
    ],
)
def test_bad_bodies_get_a_named_400(anonymous: httpx.Client, body: bytes, code: str) -> None:
    answer = anonymous.post("/api/auth", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]) == (400, code)


@pytest.mark.rows("G0-AU-04")
def test_the_page_is_there_and_shows_what_is_authorised(anonymous: httpx.Client, operator: httpx.Client) -> None:
    page = anonymous.get("/device")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for asset in ("/device/device.js", "/device/device.css"):
        assert anonymous.get(asset).status_code == 200
    assert anonymous.get("/device/secret.key").status_code == 404
    codes = start(anonymous, hostname="pve9", all_ips=["192.0.2.9"])
    shown = operator.get("/api/auth/device", params={"user_code": codes["user_code"].lower()}).json()
    assert shown["claimed"]["hostname"] == "pve9"
    assert shown["peer"] == "127.0.0.1"
    assert anonymous.get("/api/auth/device", params={"user_code": codes["user_code"]}).status_code == 401


def test_codes_are_not_handed_out_without_end(tmp_path_factory: pytest.TempPathFactory) -> None:
    limited = make_server(tmp_path_factory.mktemp("limited") / "data", NANNY_RATE_LIMITS="on")
    limited.start()
    try:
        answers = [httpx.post(f"{limited.url}/api/auth", json=START) for _ in range(31)]
        assert [answer.status_code for answer in answers] == [200] * 30 + [429]
        assert int(answers[-1].headers["retry-after"]) >= 1
        bad = {"email": "operator@example.com", "password": "wrong"}
        logins = [httpx.post(f"{limited.url}/api/auth/login", json=bad).status_code for _ in range(6)]
        assert logins == [401] * 5 + [429]
    finally:
        limited.stop()


def test_tokens_outlive_a_restart(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = make_server(tmp_path_factory.mktemp("restarted") / "data")
    server.start()
    client = sign_in(server, "operator")
    server.stop()
    server.start()
    assert client.get("/api/auth/me").status_code == 200
    client.close()
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 10
