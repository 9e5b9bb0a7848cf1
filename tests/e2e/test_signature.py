"""No agent runs what its keys have not signed, whatever the control plane says the checksum is."""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nanny_ops.cli import offline_key
from nanny_ops.control.services.signing import Signer
from nanny_ops.control.store.tables import script_signatures, scripts
from nanny_ops.protocol.operation import Outcome
from tests.e2e.site import Post, Site, until
from tests.integration.control.conftest import sign_in

pytestmark = pytest.mark.lxc

AGENT_SETTINGS = {"NANNY_AGENT_PROXMOX_INTERVAL": "86400"}
OUTCOMES = Path(__file__).parents[2] / "docs" / "outcomes.md"
#: Where scripts of these tests write down, inside the container, that they ran.
RUNS = "var/log/runs"


@pytest.fixture
def post(site: Site) -> Iterator[Post]:
    """The first agent, its container with an empty log; settings that a test gave it are taken back."""
    site.container(site.post.vmid).rootfs.joinpath(RUNS).unlink(missing_ok=True)
    pinned = trusted(site.post).read_bytes()
    yield site.post
    if site.post.agent.settings != AGENT_SETTINGS or trusted(site.post).read_bytes() != pinned:
        site.post.agent.stop()
        trusted(site.post).write_bytes(pinned)
        restart(site.post)


@pytest.fixture(scope="module")
def admin(site: Site) -> Iterator[httpx.Client]:
    """A client signed in as admin."""
    with sign_in(site.server, "admin") as client:
        yield client


@pytest.fixture
def offline(admin: httpx.Client, tmp_path: Path) -> tuple[Signer, Path]:
    """A key that lies elsewhere than on the control plane, which knows its public half."""
    key = offline_key.make(tmp_path / "safe.pem")
    admin.post("/api/signing-keys", json={"public_key": key.public_key, "name": "the safe"}).raise_for_status()
    return key, tmp_path / "safe.pem"


def trusted(post: Post) -> Path:
    """Return the file of pinned keys."""
    return post.agent.state_dir / "trusted_keys.json"


def restart(post: Post, **settings: str) -> None:
    """Start the agent anew with these settings beside those of this file."""
    post.agent.stop()
    post.agent.settings = AGENT_SETTINGS | settings
    post.agent.start()


def a_script(site: Site, mark: str) -> str:
    """Add a script that writes down that it ran."""
    return site.upload(f"#!/bin/sh\n# {mark}\necho ran >>/{RUNS}\necho '[]'\n")


def runs(site: Site) -> int:
    """Return how often a script of this test ran."""
    log = site.container(site.post.vmid).rootfs / RUNS
    return len(log.read_text().splitlines()) if log.exists() else 0


def assert_refused(site: Site, post: Post, script: str, outcome: Outcome) -> None:
    """Order a script and check that it is not run, and that everybody has the same word for why."""
    before = runs(site)
    operation = site.carry_out(script_id=script)
    assert (operation["status"], operation["outcome"]) == ("failed", outcome), operation
    assert "not run" in operation["reason"]
    said = re.compile(rf"event=delivered operation={operation['id']} kind=patch outcome={outcome}\b")
    until(lambda: said.search(post.agent.log()), "the agent's word for it")
    assert f"| `{outcome}` |" in OUTCOMES.read_text()
    assert runs(site) == before
    until(lambda: operation["id"] not in post.agent.jobs(), "no job is left")


def assert_runs(site: Site, script: str) -> None:
    """Order a script and check that it ran once."""
    before = runs(site)
    assert site.carry_out(script_id=script)["outcome"] == "nothing_to_do"
    assert runs(site) == before + 1


def command(site: Site, person: httpx.Client, *words: str) -> None:
    """Run ``nanny-ops`` as a person does."""
    token = person.headers["authorization"].removeprefix("Bearer ")
    env = {"NANNY_URL": site.server.url, "NANNY_TOKEN": token, "PATH": "/usr/bin:/bin"}
    program = Path(sys.executable).parent / "nanny-ops"
    done = subprocess.run([program, *words], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def tampered(content: bytes) -> dict[str, Any]:
    """Return a script's forged content with the checksum that goes with it."""
    forged = content.replace(b"# genuine", b"# forged!")
    assert forged != content
    return {"content": forged, "sha256": hashlib.sha256(forged).hexdigest()}


def test_what_the_control_plane_signed_runs(site: Site, post: Post) -> None:
    keys = json.loads(trusted(post).read_text())
    assert [(key["origin"], key["how"]) for key in keys] == [("control-plane", "enrolment")]
    assert trusted(post).stat().st_mode & 0o777 == 0o600
    assert_runs(site, a_script(site, "plain"))
    assert f"keys={keys[0]['key_id']}" in post.agent.log()


def test_a_script_that_was_forged_with_its_checksum_is_not_run(site: Site, post: Post) -> None:
    script = a_script(site, "genuine")
    values = tampered(site.operator.get(f"/api/patches/{script}/script").content)
    change = scripts.update().where(scripts.c.id == script).values(**values)
    site.server.in_store(lambda tx: tx.connection.execute(change))
    told = site.operator.get(f"/api/patches/{script}/sha256").json()["sha256"]
    assert told == hashlib.sha256(site.operator.get(f"/api/patches/{script}/script").content).hexdigest()
    assert_refused(site, post, script, Outcome.SIGNATURE_INVALID)


def test_a_script_that_nobody_signed_is_not_run(site: Site, post: Post) -> None:
    script = a_script(site, "unsigned")
    gone = script_signatures.delete().where(script_signatures.c.script_id == script)
    site.server.in_store(lambda tx: tx.connection.execute(gone))
    assert_refused(site, post, script, Outcome.SIGNATURE_MISSING)


def test_two_keys_must_sign_where_the_owner_asks_for_two(
    site: Site, post: Post, offline: tuple[Signer, Path], tmp_path: Path
) -> None:
    key, file = offline
    own = json.loads(trusted(post).read_text())[0]
    policy, keys = tmp_path / "policy.toml", tmp_path / "trusted-keys"
    policy.write_text("threshold = 2\n")
    keys.write_text(f"{own['public_key']} control-plane\n{key.public_key} offline the safe\n")
    restart(post, NANNY_AGENT_POLICY_FILE=str(policy), NANNY_AGENT_TRUSTED_KEYS_FILE=str(keys))
    script = a_script(site, "by two")
    assert_refused(site, post, script, Outcome.SIGNATURE_MISSING)
    command(site, site.operator, "script", "sign", script, "--key", str(file))
    assert_runs(site, script)


def test_the_strict_owner_does_without_the_control_planes_key(
    site: Site, post: Post, offline: tuple[Signer, Path], tmp_path: Path
) -> None:
    key, file = offline
    own = json.loads(trusted(post).read_text())[0]
    policy, keys = tmp_path / "policy.toml", tmp_path / "trusted-keys"
    policy.write_text('signatures = "offline"\n')
    keys.write_text(f"{own['public_key']} control-plane\n{key.public_key}\n")
    restart(post, NANNY_AGENT_POLICY_FILE=str(policy), NANNY_AGENT_TRUSTED_KEYS_FILE=str(keys))
    script = a_script(site, "by the safe")
    assert_refused(site, post, script, Outcome.SIGNATURE_MISSING)
    command(site, site.operator, "script", "sign", script, "--key", str(file))
    assert_runs(site, script)


def test_a_new_key_is_taken_on_the_word_of_an_old_one_only(
    site: Site, post: Post, offline: tuple[Signer, Path]
) -> None:
    key, _ = offline
    refresh_at_start(post)
    assert key.key_id not in trusted(post).read_text()
    own = str(site.server.data_dir / "signing.key")
    command(site, site.operator, "signing-key", "endorse", key.key_id, "--key", own)
    refresh_at_start(post)
    until(lambda: key.key_id in trusted(post).read_text(), "the new key is pinned")


def refresh_at_start(post: Post) -> None:
    """Start the agent anew with an access token that has run out."""
    post.agent.stop()
    file = post.agent.state_dir / "token.json"
    old = json.loads(file.read_text())
    file.write_text(json.dumps({**old, "expires_at": "2026-01-01T00:00:00.000Z"}))
    post.agent.start()
    until(lambda: json.loads(file.read_text())["access_token"] != old["access_token"], "the tokens are fresh")


def test_an_agent_that_is_older_than_signatures_pins_before_it_runs_anything(site: Site, post: Post) -> None:
    pinned = [key["key_id"] for key in json.loads(trusted(post).read_text())]
    post.agent.stop()
    trusted(post).unlink()
    post.agent.start()
    assert_runs(site, a_script(site, "first sight"))
    keys = json.loads(trusted(post).read_text())
    assert {key["how"] for key in keys} == {"first-refresh"}
    assert set(pinned) <= {key["key_id"] for key in keys}
