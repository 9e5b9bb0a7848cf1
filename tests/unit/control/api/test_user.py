"""Signing in while the password is changed."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from nanny_ops.control.app import create_app, prepare
from nanny_ops.control.services import user as people
from nanny_ops.control.settings import Settings
from nanny_ops.control.store import user as users
from nanny_ops.protocol.clock import micros, now

ADDRESS, PASSWORD = "a@example.com", "correct horse battery staple"


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/api/auth/login", {"json": {"email": ADDRESS, "password": PASSWORD}}),
        ("/api/auth/token", {"data": {"username": ADDRESS, "password": PASSWORD}}),
    ],
)
async def test_a_password_that_changes_while_it_is_checked_opens_no_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, sent: dict[str, dict[str, str]]
) -> None:
    app = create_app(Settings(data_dir=tmp_path))
    control = app.state.control
    control.phase = "ready"
    prepare(control.database)
    control.database.start()
    hashed = people.hash_password(PASSWORD)
    user = await control.database.write(lambda tx: people.add(tx, ADDRESS, "viewer", hashed, now()))
    meanwhile: list[Callable[[], None]] = [
        lambda: None,
        lambda: control.database.write_now(lambda tx: users.change(tx, user.id, sessions_since=micros(now()))),
    ]

    def checked(stored: str, password: str) -> bool:
        meanwhile.pop(0)()
        return is_password(stored, password)

    is_password = people.is_password
    monkeypatch.setattr(people, "is_password", checked)
    came = []
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        for _ in range(2):
            token = (await client.post(path, **sent)).json()["access_token"]
            came.append((await client.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"})).status_code)
    control.database.close()
    assert came == [200, 401]
