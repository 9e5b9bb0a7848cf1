"""Signatures over real HTTP: made by the control plane, added by people, told to agents, checked by OpenSSL."""

import json
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from typer.testing import CliRunner, Result

from nanny_ops.cli import offline_key, script, signing_key
from nanny_ops.control.services.signing import Signer
from nanny_ops.errors import Conflict, Forbidden, NotFound
from nanny_ops.protocol.signature import decode, key_message, script_message
from tests.integration.control.conftest import Agent, Server

Enrol = Callable[..., Agent]


def verify(public_key: str, message: bytes, signature: str) -> None:
    key = Ed25519PublicKey.from_public_bytes(decode(public_key, 32, "public_key"))
    key.verify(decode(signature, 64, "signature"), message)


@pytest.fixture
def added(operator: httpx.Client) -> dict[str, Any]:
    """A fresh script."""
    content = f"#!/bin/sh\n# {uuid.uuid4()}\necho '[]'\n"
    answer = operator.post("/api/scripts", json={"name": "signed", "content": content})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


@pytest.fixture
def offline(admin: httpx.Client, tmp_path: Path) -> tuple[Signer, Path]:
    """A key that was entered, and its file."""
    file = tmp_path / "key.pem"
    key = offline_key.make(file)
    answer = admin.post("/api/signing-keys", json={"public_key": key.public_key, "name": "the safe"})
    assert answer.status_code == 201, answer.text
    return key, file


def call(server: Server, client: httpx.Client, app: Any, *words: str) -> Result:
    env = {"NANNY_URL": server.url, "NANNY_TOKEN": client.headers["authorization"].removeprefix("Bearer ")}
    return CliRunner().invoke(app, list(words), env=env)


def test_an_agent_learns_the_key_and_can_check_every_script(
    enrol: Enrol, operator: httpx.Client, added: dict[str, Any]
) -> None:
    agent = enrol()
    own = next(key for key in agent.tokens["signing_keys"] if key["origin"] == "control-plane")
    shipped = next(one for one in operator.get("/api/scripts?limit=500").json()["items"] if one["shipped"])
    for one in (added, shipped):
        told = agent.client.get(f"/api/patches/{one['id']}/signature").json()
        assert (told["algorithm"], told["key_id"]) == ("ed25519", own["key_id"])
        assert told["signatures"][0] == {
            "key_id": own["key_id"],
            "signature": told["signature"],
            "algorithm": "ed25519",
        }
        verify(own["public_key"], script_message(one["id"], one["sha256"]), told["signature"])


def test_a_refresh_tells_the_keys_again(enrol: Enrol, anonymous: httpx.Client) -> None:
    agent = enrol()
    body = {"action": "refresh", "refresh_token": agent.tokens["refresh_token"]}
    keys = anonymous.post("/api/auth", json=body).json()["signing_keys"]
    assert [key["key_id"] for key in agent.tokens["signing_keys"]] == [key["key_id"] for key in keys]


def test_a_signature_needs_a_caller_and_a_script(anonymous: httpx.Client, enrol: Enrol) -> None:
    assert anonymous.get("/api/patches/apt/signature").status_code == 401
    unknown = enrol().client.get("/api/patches/none-such/signature")
    assert (unknown.status_code, unknown.json()["error"]) == (404, "not_found")


def test_a_key_made_by_openssl_signs_by_the_command_line(
    server: Server, admin: httpx.Client, operator: httpx.Client, enrol: Enrol, added: dict[str, Any], tmp_path: Path
) -> None:
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    for argv in (
        ["genpkey", "-algorithm", "ed25519", "-out", private],
        ["pkey", "-in", private, "-pubout", "-out", public],
    ):
        subprocess.run(["openssl", *argv], check=True, timeout=20)
    entered = call(server, admin, signing_key.app, "add", str(public), "--name", "by openssl")
    assert entered.exit_code == 0, entered.output
    name = entered.stdout.strip()
    signed = call(server, operator, script.app, "sign", added["id"], "--key", str(private))
    assert signed.exit_code == 0, signed.output
    assert name in signed.stdout
    told = enrol().client.get(f"/api/patches/{added['id']}/signature").json()
    assert told["key_id"] != name, "the control plane's own signature goes first"
    entry = next(key for key in operator.get("/api/signing-keys").json() if key["key_id"] == name)
    text = next(one["signature"] for one in told["signatures"] if one["key_id"] == name)
    verify(entry["public_key"], script_message(added["id"], added["sha256"]), text)
    listed = json.loads(call(server, operator, signing_key.app, "list", "--json").stdout)
    assert next(key for key in listed if key["key_id"] == name)["name"] == "by openssl"


def test_what_is_not_the_file_in_hand_is_not_signed(
    server: Server, operator: httpx.Client, added: dict[str, Any], offline: Any, tmp_path: Path
) -> None:
    key, file = offline
    other = tmp_path / "other.sh"
    other.write_text("#!/bin/sh\n")
    words = ("sign", added["id"], "--key", str(file), "--same-as", str(other))
    assert isinstance(call(server, operator, script.app, *words).exception, Conflict)
    other.write_bytes(operator.get(f"/api/patches/{added['id']}/script").content)
    assert call(server, operator, script.app, *words).exit_code == 0
    told = operator.get(f"/api/patches/{added['id']}/signature").json()
    assert key.key_id in [one["key_id"] for one in told["signatures"]]


def test_who_may_not_is_told_so(
    server: Server,
    viewer: httpx.Client,
    operator: httpx.Client,
    stranger: httpx.Client,
    added: dict[str, Any],
    offline: Any,
) -> None:
    key, file = offline
    sign = ("sign", added["id"], "--key", str(file))
    assert isinstance(call(server, viewer, script.app, *sign).exception, Forbidden)
    assert isinstance(call(server, stranger, script.app, *sign).exception, NotFound)
    assert isinstance(call(server, operator, signing_key.app, "retire", key.key_id).exception, Forbidden)
    assert isinstance(call(server, stranger, signing_key.app, "retire", key.key_id).exception, NotFound)
    assert key.key_id not in stranger.get("/api/signing-keys").text
    forged = {"key_id": key.key_id, "signature": key.sign(b"another message")}
    refused = operator.post(f"/api/scripts/{added['id']}/signatures", json=forged)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "VALIDATION_ERROR")


def test_a_new_key_comes_with_the_word_of_an_old_one_and_goes_for_good(
    server: Server, admin: httpx.Client, operator: httpx.Client, enrol: Enrol, offline: Any, tmp_path: Path
) -> None:
    old, file = offline
    made = CliRunner().invoke(script.app, ["keygen", "--out", str(tmp_path / "new.pem")]).stdout.split()
    assert (tmp_path / "new.pem").stat().st_mode & 0o777 == 0o600
    added = call(server, admin, signing_key.app, "add", str(tmp_path / "new.pem.pub"), "--name", "next year")
    assert added.stdout.strip() == made[0]
    done = call(server, operator, signing_key.app, "endorse", made[0], "--key", str(file))
    assert done.exit_code == 0, done.output
    told = {key["key_id"]: key for key in enrol().tokens["signing_keys"]}
    (word,) = told[made[0]]["endorsements"]
    assert (word["key_id"], told[made[0]]["public_key"], told[made[0]]["origin"]) == (old.key_id, made[1], "offline")
    verify(old.public_key, key_message(decode(made[1], 32, "key"), "offline"), word["signature"])
    assert call(server, admin, signing_key.app, "retire", old.key_id).exit_code == 0
    told = {key["key_id"]: key for key in enrol().tokens["signing_keys"]}
    assert (told[old.key_id]["retired"], told[made[0]]["retired"]) == (True, False)


def test_the_private_key_is_the_process_owners_only_and_in_no_log(server: Server) -> None:
    file = server.data_dir / "signing.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE" not in server.log_file.read_bytes()
