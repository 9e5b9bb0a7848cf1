"""What operators type about keys, against a real control plane."""

from pathlib import Path
from typing import Any

import httpx
from typer.testing import CliRunner, Result

from nanny_ops.cli import script, signing_key
from nanny_ops.errors import Conflict, NotFound, SettingsError
from tests.integration.control.conftest import Server


def call(server: Server, client: httpx.Client, app: Any, *words: str) -> Result:
    env = {"NANNY_URL": server.url, "NANNY_TOKEN": client.headers["authorization"].removeprefix("Bearer ")}
    return CliRunner().invoke(app, list(words), env=env)


def test_keys_are_listed_with_where_they_lie(server: Server, admin: httpx.Client, tmp_path: Path) -> None:
    made = call(server, admin, script.app, "keygen", "--out", str(tmp_path / "key"))
    name, public = made.stdout.split()
    for given in (public, str(tmp_path / "key.pub")):
        assert call(server, admin, signing_key.app, "add", given, "--name", "a safe").stdout.strip() == name
    listed = call(server, admin, signing_key.app, "list").stdout
    assert [line.split()[1] for line in listed.splitlines() if name in line] == ["offline"]
    assert "control-plane" in listed
    assert "retired" in call(server, admin, signing_key.app, "retire", name).stdout


def test_what_cannot_be_is_said(server: Server, admin: httpx.Client, tmp_path: Path) -> None:
    file = str(tmp_path / "key")
    assert call(server, admin, script.app, "keygen", "--out", file).exit_code == 0
    unknown = call(server, admin, signing_key.app, "endorse", "none-such", "--key", file)
    assert isinstance(unknown.exception, NotFound)
    assert isinstance(call(server, admin, signing_key.app, "retire", "none-such").exception, NotFound)
    assert isinstance(call(server, admin, signing_key.app, "add", file, "--name", "x").exception, SettingsError)
    own = next(key for key in admin.get("/api/signing-keys").json() if key["origin"] == "control-plane")
    assert isinstance(call(server, admin, signing_key.app, "retire", own["key_id"]).exception, Conflict)
