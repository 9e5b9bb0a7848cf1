"""The schema's permission trees."""

from typing import Any

import pytest

from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.schema.permission import check
from nanny_ops.lab.pve.schema.table import table
from nanny_ops.lab.pve.state.access import Caller
from tests.unit.lab.pve.pretended import ADMIN, AUDITOR, LIMITED, rights


def refusal(tree: dict[str, Any], who: str, **given: str) -> str:
    try:
        check(tree, Caller(rights(), who), given)
    except Refusal as refused:
        return refused.text
    return ""


def test_any_of_several_privileges() -> None:
    tree = table("8.4").calls["PUT /nodes/{node}/lxc/{vmid}/config"].permission
    wanted = "|".join(f"VM.Config.{what}" for what in ("Disk", "CPU", "Memory", "Network", "Options"))
    assert refusal(tree, AUDITOR, vmid="103") == f"Permission check failed (/vms/103, {wanted})"
    assert refusal(tree, ADMIN, vmid="103") == ""


def test_both_and_either() -> None:
    audit, modify = ["perm", "/", ["Sys.Audit"]], ["perm", "/nodes/{node}", ["Sys.Modify"]]
    assert refusal({"check": ["or", modify, audit]}, AUDITOR, node="pve1") == ""
    both = refusal({"check": ["and", audit, modify]}, AUDITOR, node="pve1")
    assert both == "Permission check failed (/nodes/pve1, Sys.Modify)"


def test_only_root_where_the_schema_names_nobody() -> None:
    assert refusal({}, ADMIN) == "Permission check failed (user != root@pam)"
    assert refusal({}, "root@pam") == ""


def test_oneself() -> None:
    tree = {"check": ["or", ["userid-param", "self"], ["userid-group", ["User.Modify", "Sys.Audit"]]]}
    assert refusal(tree, LIMITED, userid="limited@pve") == ""
    assert refusal(tree, LIMITED, userid="agent@pve") != ""


def test_a_parameter_that_the_privilege_depends_on() -> None:
    tree = {"check": ["perm", "/pool/{pool}", ["VM.Allocate"], "require_param", "pool"]}
    assert refusal(tree, ADMIN) != ""
    assert refusal(tree, ADMIN, pool="production") == ""


@pytest.mark.parametrize("release", ["8.4", "9.2"])
def test_every_tree_can_be_walked(release: str) -> None:
    given = dict.fromkeys(("userid", "path", "vmid", "newid", "pool", "target-endpoint"), "x")
    for call in table(release).calls.values():
        refusal(call.permission, LIMITED, **given)
