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


def test_accounts_are_made_changed_and_removed_by_admins(
    server: Server, admin: httpx.Client, operator: httpx.Client
) -> None:
    asked = {"email": "New@Example.com", "role": "operator", "password": "first pass phrase"}
    assert operator.post("/api/users", json=asked).status_code == 403
    assert operator.get("/api/users").status_code == 403
    made = admin.post("/api/users", json=asked)
    assert (made.status_code, made.json()["email"]) == (201, "new@example.com")
    assert "pass phrase" not in made.text
    assert admin.post("/api/users", json=asked).status_code == 409
    where = made.headers["Location"]
    assert admin.get("/api/users", params={"email": "new@example.com"}).json()["items"] == [made.json()]

    sign = {"email": "new@example.com", "password": "first pass phrase"}
    token = httpx.post(f"{server.url}/api/auth/login", json=sign, timeout=20).json()["access_token"]
    with client_of(server, token) as own:
        assert own.get("/api/auth/me").json()["roles"] == {"team-default": "operator"}
        assert admin.patch(where, json={"role": "viewer"}).json()["roles"] == {"team-default": "viewer"}
        assert own.get("/api/auth/me").json()["roles"] == {"team-default": "viewer"}
        password = f"{where}/password"
        assert own.put(password, json={"password": "stolen pass phrase"}).status_code == 403
        same = {"password": "first pass phrase"}
        assert admin.put(password, json=same).json() == {"changed": False}
        assert own.get("/api/auth/me").status_code == 200
        assert admin.put(password, json={"password": "second pass phrase"}).json() == {"changed": True}
        assert own.get("/api/auth/me").status_code == 401
    sign["password"] = "second pass phrase"
    token = httpx.post(f"{server.url}/api/auth/login", json=sign, timeout=20).json()["access_token"]
    with client_of(server, token) as own:
        mine = {"password": "third pass phrase", "current": "second pass phrase"}
        assert own.put(f"{where}/password", json=mine).json() == {"changed": True}
        assert own.get("/api/auth/me").status_code == 401
    assert admin.patch(where, json={"disabled": True}).json()["disabled"]
    sign["password"] = "third pass phrase"
    assert httpx.post(f"{server.url}/api/auth/login", json=sign, timeout=20).status_code == 401
    assert admin.delete(where).status_code == 200
    assert admin.get(where).status_code == 404
    said = server.log() + admin.get("/api/audit").text
    assert "pass phrase" not in said


def test_a_password_of_the_wrong_shape_is_not_repeated(admin: httpx.Client) -> None:
    for asked in ({"password": ["hunter2-hunter2"]}, {"pasword": "hunter2-hunter2"}, {"password": "hunter2"}):
        refused = admin.post("/api/users", json={"email": "x@example.com", "role": "viewer", **asked})
        assert refused.status_code == 422
        assert "hunter2" not in refused.text


def test_an_admin_keeps_their_own_account(admin: httpx.Client) -> None:
    me = admin.get("/api/auth/me").json()["id"]
    for refused in (
        admin.patch(f"/api/users/{me}", json={"role": "viewer"}),
        admin.patch(f"/api/users/{me}", json={"disabled": True}),
        admin.delete(f"/api/users/{me}"),
    ):
        assert refused.status_code == 409
    scoped = admin.post("/api/tokens", json={"name": "t", "scopes": ["admin"]}).json()["token"]
    asked = {"password": "any pass phrase", "current": PASSWORD}
    headers = {"Authorization": f"Bearer {scoped}"}
    assert admin.put(f"/api/users/{me}/password", json=asked, headers=headers).status_code == 403
