"""The client's calls about accounts."""

import json

import httpx
import pytest

from nanny_ops.cli.client import Client
from nanny_ops.errors import NotFound

OP = {
    "id": "user/1", "email": "op@example.com", "name": "op", "is_admin": False, "disabled": False,
    "roles": {"team-default": "viewer"}, "created_at": "", "updated_at": "", "new": "in a later release",
}  # fmt: skip


def test_accounts_are_found_by_address_and_changed_by_id() -> None:
    asked: list[tuple[str, str, object]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, request.url.raw_path.decode(), json.loads(request.content or "null")))
        if request.method == "GET":
            items = [OP] if request.url.params["email"] == OP["email"] else []
            return httpx.Response(200, json={"items": items, "total": len(items)})
        return httpx.Response(200, json={"changed": True} if request.method == "PUT" else OP)

    with Client("http://127.0.0.1", transport=httpx.MockTransport(answer)) as client:
        with pytest.raises(NotFound):
            client.user("nobody@example.com")
        user = client.user("op@example.com")
        assert client.change_user(user.id, {"role": "viewer"}) == user
        assert client.set_password(user.id, "a pass phrase")
        assert client.remove_user(user.id) == user
        assert client.add_user({"email": "op@example.com"}) == user
    assert asked[2:] == [
        ("PATCH", "/api/users/user%2F1", {"role": "viewer"}),
        ("PUT", "/api/users/user%2F1/password", {"password": "a pass phrase"}),
        ("DELETE", "/api/users/user%2F1", None),
        ("POST", "/api/users", {"email": "op@example.com"}),
    ]


def test_ones_own_account_is_known_without_the_list() -> None:
    asked: list[tuple[str, str, object]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, request.url.path, json.loads(request.content or "null")))
        if request.url.path == "/api/users":
            return httpx.Response(200, json={"items": [{**OP, "id": "user-2"}], "total": 1})
        return httpx.Response(200, json=OP if request.method == "GET" else {"changed": True})

    with Client("http://127.0.0.1", transport=httpx.MockTransport(answer)) as client:
        assert client.whose("Op@example.com") == ("user/1", True)
        assert client.set_password("user-1", "a new pass phrase", "a pass phrase")
        assert client.whose("other@example.com") == ("user-2", False)
    assert asked[:2] == [
        ("GET", "/api/auth/me", None),
        ("PUT", "/api/users/user-1/password", {"password": "a new pass phrase", "current": "a pass phrase"}),
    ]
