"""Modules in real runs: made, a second time nothing, in check mode nothing, and what is wrong is said."""

import base64
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from nanny_ops.protocol.token import AGENT_PREFIX, OPERATOR_PREFIX
from tests.integration.collection.conftest import Ansible, task
from tests.integration.control.conftest import Agent

Enrol = Callable[..., Agent]
#: Each module is a process that Ansible packs and starts; ten of them take a minute where all cores are busy.
pytestmark = pytest.mark.timeout(300)


def test_enrolment_tokens_are_made_kept_replaced_and_ended(ansible: Ansible, admin: httpx.Client) -> None:
    rack = {"name": "rack 4", "max_uses": 3, "tags": ["rack4"], "ranges": ["127.0.0.0/8"]}
    run = ansible.play(
        [
            task("checked", "enrollment_token", check=True, **rack),
            task("none yet", "enrollment_token_info", name="rack 4"),
            task("made", "enrollment_token", check=False, **rack),
            task("kept", "enrollment_token", **rack),
            task("replaced", "enrollment_token", **{**rack, "max_uses": 5}),
            task("shown", "enrollment_token_info", name="rack 4", condition="usable"),
            task("ended", "enrollment_token", name="rack 4", state="absent"),
            task("ended before", "enrollment_token", name="rack 4", state="absent"),
        ]
    )
    assert run.code == 0, run.said
    assert run.changes() == ["checked", "made", "replaced", "ended"]
    assert run["none yet"].result["tokens"] == []
    assert run["made"].result["secret"].startswith(AGENT_PREFIX)
    assert run["made"].result["diff"] == {"before": {"usable": []}, "after": {"usable": ["rack 4"]}}
    assert run["kept"].result["secret"] is None
    assert run["kept"].result["token_info"]["id"] == run["made"].result["token_info"]["id"]
    assert run["replaced"].result["revoked"] == [run["made"].result["token_info"]["id"]]
    assert [(one["max_uses"], one["condition"]) for one in run["shown"].result["tokens"]] == [(5, "usable")]
    mine = [one for one in admin.get("/api/enrollment-tokens").json()["items"] if one["name"] == "rack 4"]
    assert {one["condition"] for one in mine} == {"revoked"}


def test_an_enrolment_token_lets_a_machine_in(ansible: Ansible) -> None:
    run = ansible.play([task("made", "enrollment_token", name="pve9", expires_in=600, force=True)])
    with httpx.Client(base_url=ansible.url) as http:
        body = {"action": "register-with-token", "hostname": "pve9", "attempt": "1"}
        headers = {"Authorization": f"Bearer {run['made'].result['secret']}"}
        assert http.post("/api/auth", json=body, headers=headers).json()["agent_id"]


def test_tokens_of_automation(ansible: Ansible, admin: httpx.Client) -> None:
    nightly = {"name": "nightly", "scopes": ["patch", "read"]}
    run = ansible.play(
        [
            task("made", "token", **nightly),
            task("kept", "token", name="nightly", scopes=["read", "patch"]),
            task("forced", "token", **nightly, force=True),
            task("of an agent that is not there", "token", name="x", kind="agent", agent_id="agent-nobody"),
        ]
    )
    assert run.changes() == ["made", "forced"]
    assert run["forced"].result["secret"].startswith(OPERATOR_PREFIX)
    refused = run["of an agent that is not there"]
    assert (run.code, refused.how, refused.result["status"]) == (2, "failed", 404)
    assert "agent-nobody" in refused.result["msg"]
    usable = [one for one in admin.get("/api/tokens").json()["items"] if one["condition"] == "usable"]
    assert [one["id"] for one in usable if one["name"] == "nightly"] == [run["forced"].result["token_info"]["id"]]


def test_an_agent_is_revoked_once(ansible: Ansible, enrol: Enrol) -> None:
    agent = enrol("pve7")
    run = ansible.play(
        [
            task("checked", "agent", check=True, hostname="pve7", state="revoked"),
            task("still trusted", "agent_info", hostname="pve7"),
            task("no rest", "agent", agent_id=agent.id, state="resumed"),
            task("revoked", "agent", check=False, hostname="pve7", state="revoked"),
            task("again", "agent", hostname="pve7", state="revoked"),
            task("shown", "agent_info", agent_id=agent.id),
            task("nobody", "agent", hostname="pve-nobody", state="revoked"),
        ]
    )
    assert run.changes() == ["checked", "revoked"]
    assert run["still trusted"].result["agents"][0]["status"] == "active"
    assert run["revoked"].result["diff"]["after"] == {"status": "revoked", "resting": False}
    assert run["shown"].result["agents"][0]["status"] == "revoked"
    assert "policy" in run["shown"].result["agents"][0]
    assert "no agent on a host 'pve-nobody'" in run["nobody"].result["msg"]
    assert agent.client.get(f"/api/agent/{agent.id}").status_code == 403


def test_packages_are_held_back_until_that_is_ended(ansible: Ansible, admin: httpx.Client) -> None:
    where = {"package": "containerd", "scope": "group", "tag": "docker"}
    held = {**where, "expires_at": "2099-01-01T00:00:00+00:00"}
    run = ansible.play(
        [
            task("checked", "package_exception", check=True, reason="breaks", **held),
            task("none yet", "package_exception_info", package="containerd"),
            task("held", "package_exception", check=False, reason="breaks", **held),
            task("kept", "package_exception", reason="breaks", **held),
            task("for another reason", "package_exception", reason="vendor", **held),
            task("shown", "package_exception_info", package="containerd"),
            task("ended", "package_exception", state="absent", **where),
            task("ended before", "package_exception", state="absent", **where),
            task("no tag", "package_exception", package="containerd", scope="group", reason="x"),
        ]
    )
    assert run.changes() == ["checked", "held", "for another reason", "ended"]
    assert run["none yet"].result["exceptions"] == []
    assert [one["reason"] for one in run["shown"].result["exceptions"]] == ["vendor"]
    assert run["for another reason"].result["ended"] == [run["held"].result["held"]["id"]]
    assert "tag" in run["no tag"].result["msg"]
    assert admin.get("/api/package-exceptions", params={"active": True}).json()["total"] == 0


def test_scripts_are_added_and_signed_once(ansible: Ansible, admin: httpx.Client, tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    public = base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    name = admin.post("/api/signing-keys", json={"public_key": public, "name": "safe"}).json()["key_id"]
    pem, file = tmp_path / "safe.pem", tmp_path / "own.sh"
    pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    file.write_text("#!/bin/sh\necho '[]'\n")
    shipped = admin.get("/api/scripts").json()["items"][0]
    sign_shipped = {"script_id": shipped["id"], "signing_key": str(pem)}
    run = ansible.play(
        [
            task("checked", "script", check=True, name="own", src=str(file), signing_key=str(pem)),
            task("none yet", "script_info", name="own"),
            task("added", "script", check=False, name="own", src=str(file)),
            task("kept", "script", name="own", content=file.read_text()),
            task("signed", "script", name="own", src=str(file), signing_key=str(pem)),
            task("signed before", "script", name="own", src=str(file), signing_key=str(pem)),
            task("shipped", "script", sha256=shipped["sha256"], **sign_shipped),
            {**task("another one", "script", sha256="0" * 64, **sign_shipped), "ignore_errors": True},
            task("no key", "script", name="own", src=str(file), signing_key=str(file)),
        ]
    )
    assert run.changes() == ["checked", "added", "signed", "shipped"]
    assert run["none yet"].result["scripts"] == []
    assert name in run["signed"].result["signed_by"]
    assert name not in run["added"].result["signed_by"]
    assert "Nothing was signed" in run["another one"].result["msg"]
    assert "private key" in run["no key"].result["msg"]


def test_accounts_are_made_changed_and_removed(ansible: Ansible, admin: httpx.Client) -> None:
    op, first, second = "op2@example.com", "first pass phrase", "second pass phrase"
    run = ansible.play(
        [
            task("checked", "user", check=True, email=op, role="operator", password=first),
            task("made", "user", check=False, email=op, role="operator", password=first),
            task("kept", "user", email=op, role="operator", password=second, name="op2"),
            task("closed", "user", check=False, email=op, role="viewer", disabled=True),
            task("same password", "user", email=op, password=first, update_password="always"),
            task("same, checked", "user", check=True, email=op, password=first, update_password="always"),
            task("new password", "user", email=op, password=second, update_password="always"),
            task("shown", "user_info", email=op),
            task("removed", "user", email=op, state="absent"),
            task("removed before", "user", email=op, state="absent"),
            task("nobody", "user", email=op, disabled=False),
        ]
    )
    assert run.changes() == ["checked", "made", "closed", "same, checked", "new password", "removed"]
    assert run["closed"].result["diff"]["before"]["roles"] == {"team-default": "operator"}
    assert run["closed"].result["diff"]["after"]["roles"] == {"team-default": "viewer"}
    assert [one["disabled"] for one in run["shown"].result["users"]] == [True]
    assert "to make it, give: role, password" in run["nobody"].result["msg"]
    assert "pass phrase" not in run.said
    assert admin.get("/api/users", params={"email": op}).json()["total"] == 0


def test_defaults_of_the_group_carry_the_connection(ansible: Ansible, admin: httpx.Client) -> None:
    token = admin.headers["Authorization"].removeprefix("Bearer ")
    looks = admin.post("/api/tokens", json={"name": "looks", "scopes": ["read"]}).json()["token"]
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "ignore_errors": True,
        "module_defaults": {"group/nanny.ops.nanny": {"url": ansible.url, "token": token}},
        "tasks": [
            task("asked", "agent_info"),
            task("a wrong token", "agent_info", token="nop_wrong"),
            task("no token", "agent_info", token=""),
            task("no address", "agent_info", url=""),
            task("unencrypted", "agent_info", url="http://ops.example.com"),
            task("nobody there", "agent_info", url="http://127.0.0.1:9", request_tries=1),
            task("a wrong value", "enrollment_token", name="x", ranges=["not a network"]),
            task("may look", "agent_info", token=looks),
            task("may not change", "enrollment_token", name="y", token=looks),
        ],
    }
    run = ansible.book([play], NANNY_OPS_URL="", NANNY_OPS_TOKEN="")
    said = {one.task: str(one.result.get("msg")) for one in run.tasks if one.how == "failed"}
    assert set(said) == {one.task for one in run.tasks} - {"asked", "may look"}
    assert "401" in said["a wrong token"]
    assert "nanny-ops token add" in said["a wrong token"]
    assert "nop_wrong" not in run.said
    assert "A token is needed" in said["no token"]
    assert "NANNY_OPS_URL" in said["no address"]
    assert "unencrypted" in said["unencrypted"]
    assert "No answer from" in said["nobody there"]
    assert "not a network" in said["a wrong value"]
    assert [run[name].result["status"] for name in ("a wrong value", "may not change")] == [422, 403]
