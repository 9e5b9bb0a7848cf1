"""The callback plugin in real runs of ansible-playbook: what a play came to arrives once, and nothing fails without."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.collection.conftest import BIN, Ansible

#: Programs of Ansible start slowly where all cores are busy.
pytestmark = pytest.mark.timeout(300)
ENABLED = {"ANSIBLE_CALLBACKS_ENABLED": "nanny.ops.report", "NANNY_OPS_REPORT_TIMEOUT": "20"}
SECRET = "open-sesame-77"


def tasks(file: Path) -> list[dict[str, Any]]:
    """One task that changes, one that hides what it does, one that fails, and one that nobody comes to."""
    return [
        {"name": "Write", "ansible.builtin.copy": {"dest": str(file), "content": f"word={SECRET}\n", "mode": "0600"}},
        {"name": "Hide", "ansible.builtin.command": {"argv": ["echo", SECRET]}, "no_log": True},
        {"name": "Ignore", "ansible.builtin.fail": {"msg": "Never mind."}, "ignore_errors": True},
        {"name": "Keep", "ansible.builtin.debug": {"msg": SECRET}},
        {"name": "Fail", "ansible.builtin.fail": {"msg": "token: abcdef is wrong"}},
    ]


def newest(admin: httpx.Client, **filters: Any) -> dict[str, Any]:
    """The newest report, whole."""
    found = admin.get("/api/play-reports", params={"limit": 1, **filters}).json()["items"][0]
    whole: dict[str, Any] = admin.get(f"/api/play-reports/{found['id']}").json()
    return whole


def test_what_a_play_came_to_is_reported(ansible: Ansible, admin: httpx.Client, tmp_path: Path) -> None:
    file = tmp_path / "file"
    checked = ansible.play(tasks(file)[:1], "--check", "--diff", **ENABLED, NANNY_OPS_REPORT_DIFF="true")
    assert checked.code == 0, checked.said
    drift = newest(admin, check=True)
    assert (drift["outcome"], drift["changed"], drift["hosts"]) == ("changed", 1, 1)
    assert [(one["host"], one["task"], one["state"]) for one in drift["tasks"]] == [("localhost", "Write", "changed")]
    assert f"+word={SECRET}" in drift["tasks"][0]["diff"]

    done = ansible.play(tasks(file), "--diff", **ENABLED)
    assert done.code == 2
    assert "not reported" not in done.said
    report = newest(admin)
    assert (report["check"], report["outcome"], report["failed"]) == (False, "failed", 1)
    assert [(one["task"], one["state"]) for one in report["tasks"]] == [
        ("Write", "changed"), ("Hide", "changed"), ("Ignore", "ignored"), ("Fail", "failed"),
    ]  # fmt: skip
    assert [one["hidden"] for one in report["tasks"]] == [False, True, False, False]
    assert [one["message"] for one in report["tasks"]] == ["", "", "Never mind.", "token: ****** is wrong"]
    assert SECRET not in json.dumps(report)
    assert report["recap"]["localhost"]["ignored"] == 1
    assert report["recap"]["localhost"]["seconds"] > 0
    told = admin.get("/api/proxmox/events", params={"kind": "play.ended"}).json()["items"]
    assert [one["id"] for one in told[:2]] == [report["id"], drift["id"]]
    shown = nanny_ops(ansible, "play", "list", "--drift")
    assert drift["id"] in shown
    assert report["id"] not in shown
    assert "Never mind." in nanny_ops(ansible, "play", "show", report["id"])


def test_a_control_plane_that_is_away_costs_one_warning(ansible: Ansible, admin: httpx.Client) -> None:
    before = admin.get("/api/play-reports").json()["total"]
    calm = [{"name": "Look", "ansible.builtin.debug": {"msg": "here"}}]
    away = {**ENABLED, "NANNY_OPS_URL": "http://127.0.0.1:9", "NANNY_OPS_REPORT_TIMEOUT": "2"}
    wrong = {**ENABLED, "NANNY_OPS_TOKEN": "nop_wrong"}
    for env, why in ((away, "No answer from http://127.0.0.1:9"), (wrong, "401")):
        run = ansible.play(calm, **env)
        assert run.code == 0
        assert run["Look"].how == "ok"
        said = " ".join(run.said.split())
        assert said.count("was not reported to the control plane") == 1
        assert why in said
        assert "nop_wrong" not in said
    assert admin.get("/api/play-reports").json()["total"] == before


def nanny_ops(ansible: Ansible, *words: str) -> str:
    """Type a command as the person whose token Ansible has."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(ansible.home),
        "NANNY_URL": ansible.url,
        "NANNY_TOKEN": ansible.token,
    }
    return subprocess.run(
        [BIN / "nanny-ops", *words], env=env, capture_output=True, text=True, check=True, timeout=60
    ).stdout
