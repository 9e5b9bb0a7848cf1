"""An operation's wire record carries every field of the guide, with its type."""

from typing import Any

import pytest

from nanny_ops.control.services.record import TOPICS, record
from nanny_ops.control.store.operation import Operation

AT = 1_767_225_600_000_000


def operation(kind: str, request: dict[str, Any], **more: Any) -> Operation:
    return Operation(
        id="op-1", team_id="team-1", agent_id="agent-1", kind=kind, status="pending", target="host", request=request,
        created_by="user-1", created_at=AT, updated_at=AT, expires_at=AT, **more,
    )  # fmt: skip


@pytest.mark.rows("G0-PT-02", "G0-RT-04")
def test_a_patch_for_a_container() -> None:
    asked = {"mode": "dry-run", "script_args": "--verbose", "timeout_seconds": 60, "exclude": ["nginx"]}
    found = record(operation("patch", asked, vmid=100, script_id="apt-1"))
    guide = {
        "id": "op-1", "agent_id": "agent-1", "mode": "dry-run", "script_id": "apt-1",
        "script_url": "/api/patches/apt-1/script", "script_args": "--verbose", "lxc_id": "lxc-100", "vmid": "100",
    }  # fmt: skip
    assert guide.items() <= found.items()
    assert (found["exclude"], found["timeout_seconds"]) == (["nginx"], 60)
    assert found["expires_at"] == "2026-01-01T00:00:00.000Z"


def test_a_patch_for_the_host_names_no_container() -> None:
    found = record(operation("patch", {"mode": "apply", "timeout_seconds": 60}, script_id="apt-1"))
    assert (found["lxc_id"], found["vmid"]) == ("", "")


@pytest.mark.rows("G0-RT-03")
def test_an_investigation() -> None:
    found = record(operation("investigation", {"issue": "PostgreSQL is slow", "priority": "high"}))
    assert found == {
        "id": "op-1", "agent_id": "agent-1", "user_prompt": "PostgreSQL is slow", "status": "pending",
        "priority": "high", "created_at": "2026-01-01T00:00:00.000Z",
    }  # fmt: skip
    assert set(TOPICS) == {"patch", "investigation", "reboot", "update", "prune"}


def test_a_removal_of_snapshots() -> None:
    doomed = [{"name": "nanny-1", "operation_id": "patch-1"}]
    found = record(operation("prune", {"snapshots": doomed, "timeout_seconds": 60}))
    assert (found["snapshots"], found["timeout_seconds"], found["status"]) == (doomed, 60, "pending")
