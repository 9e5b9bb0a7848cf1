"""Users, tokens and what they may do."""

import pytest

from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.state.access import Caller, Grant, Token
from tests.unit.lab.pve.pretended import ADMIN, AUDITOR, LIMITED, POWERLESS, asking, rights


def caller(who: str) -> Caller:
    return Caller(rights(), who, {102: "production"})


def test_privileges_are_inherited_downwards() -> None:
    assert caller(AUDITOR).may("/vms/101", "VM.Audit")
    assert caller(LIMITED).may("/vms/101", "VM.Audit")
    assert not caller(LIMITED).may("/vms/102", "VM.Audit")
    assert not caller(LIMITED).may("/", "VM.Audit")


def test_the_nearest_grant_counts_alone() -> None:
    access = rights()
    access.grants.append(Grant("/vms", "agent@pve", "NoAccess"))
    assert not Caller(access, AUDITOR).may("/vms/101", "VM.Audit")
    assert Caller(access, AUDITOR).may("/nodes/pve1", "Sys.Audit")


def test_a_token_with_privilege_separation_holds_what_both_hold() -> None:
    access = rights()
    assert access.privileges(POWERLESS, "/") == frozenset()
    access.grants.append(Grant("/", POWERLESS, "Administrator", "token"))
    assert access.privileges(POWERLESS, "/") == access.special["PVEAuditor"]


def test_a_grant_on_a_pool_holds_for_its_guests() -> None:
    access = rights()
    access.grants.append(Grant("/pool/production", "limited@pve", "PVEVMUser"))
    assert Caller(access, LIMITED, {102: "production"}).may("/vms/102", "VM.PowerMgmt")
    assert not Caller(access, LIMITED, {}).may("/vms/102", "VM.PowerMgmt")


def test_a_grant_that_does_not_propagate_ends_at_its_path() -> None:
    access = rights()
    access.grants.append(Grant("/storage", "limited@pve", "PVEDatastoreUser", propagate=False))
    assert Caller(access, LIMITED).may("/storage", "Datastore.Audit")
    assert not Caller(access, LIMITED).may("/storage/local", "Datastore.Audit")


@pytest.mark.rows("PVE-16")
def test_a_token_of_root_is_not_root() -> None:
    assert not caller(ADMIN).is_root
    assert caller("root@pam").is_root
    assert caller(ADMIN).may("/anything", "Permissions.Modify")


def test_a_lacking_privilege_is_named_with_its_path() -> None:
    with pytest.raises(Refusal, match=r"Permission check failed \(/vms/102, VM.Audit\)"):
        caller(LIMITED).need("/vms/102", "VM.Audit")


@pytest.mark.rows("PVE-15")
def test_the_listing_of_privileges_tells_a_useless_token() -> None:
    assert asking().get("/access/permissions", POWERLESS) == {}
    assert asking().get("/access/permissions", LIMITED) == {"/vms/101": {"VM.Audit": 1, "VM.PowerMgmt": 1}}


def test_the_secret_does_not_show() -> None:
    assert "s3cret" not in repr(Token("a@pve!b", "s3cret"))
