"""People sign in, see themselves, and sign out."""

import httpx
import pytest

from tests.integration.control.conftest import PASSWORD, Server, client_of, email, sign_in


@pytest.mark.rows("A-01")
def test_login_with_json(anonymous: httpx.Client) -> None:
    answer = anonymous.post("/api/auth/login", json={"email": email("viewer"), "password": PASSWORD})
    body = answer.json()
    assert answer.status_code == 200
    assert body["token_type"] == "bearer"
    assert body["user"].keys() == {"id", "email", "name"}
    wrong = anonymous.post("/api/auth/login", json={"email": email("viewer"), "password": "wrong"})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "AUTH_FAILED")
    invalid = anonymous.post("/api/auth/login", json={"email": email("viewer")})
    assert (invalid.status_code, invalid.json()["error"]["code"]) == (422, "VALIDATION_ERROR")
    assert invalid.json()["error"]["details"]["field"] == "password"


@pytest.mark.rows("A-07")
def test_token_with_a_form(server: Server, anonymous: httpx.Client) -> None:
    answer = anonymous.post("/api/auth/token", data={"username": email("viewer"), "password": PASSWORD})
    assert answer.json()["token_type"] == "bearer"
    with client_of(server, answer.json()["access_token"]) as client:
        assert client.get("/api/auth/me").json()["email"] == email("viewer")
    assert anonymous.post("/api/auth/token", data={"username": "x", "password": "y"}).status_code == 401


@pytest.mark.rows("A-08")
def test_me_shows_the_account(viewer: httpx.Client, anonymous: httpx.Client) -> None:
    body = viewer.get("/api/auth/me").json()
    assert {"id", "email", "name", "created_at", "updated_at"} <= body.keys()
    assert viewer.get("/api/users/me").json() == body
    refused = anonymous.get("/api/auth/me")
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "AUTH_FAILED")


@pytest.mark.rows("A-05")
def test_logout_makes_the_token_worthless(server: Server) -> None:
    with sign_in(server, "viewer") as client:
        answer = client.post("/api/auth/logout")
        assert (answer.status_code, answer.json()) == (200, {"message": "Successfully logged out", "success": True})
        assert client.get("/api/auth/me").json()["error"]["code"] == "AUTH_TOKEN_INVALID"


def test_no_password_and_no_token_reaches_the_log(server: Server) -> None:
    said = server.log()
    assert PASSWORD not in said
    assert "eyJ" not in said
