"""A patch order becomes arguments that no shell ever sees, and bounds what it takes."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from nanny_ops.protocol.patch import LONGEST_TIMEOUT, PatchRecord, PatchRequest, ResultMetadata, script_argv


def record(**changes: Any) -> PatchRecord:
    """An order with only what it needs."""
    needed = {"id": "patch-1", "agent_id": "agent-1", "mode": "apply", "script_id": "apt", "script_url": "/api/x"}
    return PatchRecord(**needed | changes)


def test_apply_needs_no_arguments() -> None:
    assert script_argv(record(), []) == []


def test_a_dry_run_comes_first_and_the_orders_own_arguments_last() -> None:
    order = record(mode="dry-run", exclude=["nginx", "curl"], only=["openssl"], security_only=True)
    assert script_argv(order, ["--verbose", "a b"]) == [
        "--dry-run",
        "--exclude=nginx,curl",
        "--only=openssl",
        "--security-only",
        "--verbose",
        "a b",
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "purge"},
        {"timeout_seconds": 0},
        {"timeout_seconds": LONGEST_TIMEOUT + 1},
        {"exclude": [""]},
        {"only": ["p"] * 1001},
        {"script_args": "x" * 4097},
        {"agent_id": ""},
    ],
)
def test_an_order_out_of_bounds_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(PatchRequest).validate_python({"agent_id": "agent-1", "mode": "apply"} | change)


def test_a_guest_may_be_a_number_or_a_word() -> None:
    requests = TypeAdapter(PatchRequest)
    assert requests.validate_python({"agent_id": "a", "mode": "apply", "vmid": 100}).vmid == 100
    assert requests.validate_python({"agent_id": "a", "mode": "apply", "vmid": "100"}).vmid == "100"


def test_results_as_the_guide_writes_them_are_enough() -> None:
    packages = [{"name": "nginx", "version": "1.2", "old_version": "1.1", "action": "upgrade"}]
    said = {"operation_id": "patch-1", "success": True, "duration": 15_234, "package_list": packages}
    result = TypeAdapter(ResultMetadata).validate_python(said)
    assert result.package_list[0].security is None
    assert (result.outcome, result.exit_code, result.stdout_truncated) == ("", None, False)
