"""Tokens and privileges."""

import pytest

from nanny_ops.lab.pve.access import AUDITOR, Token, authenticate
from nanny_ops.lab.pve.refusal import Refusal

TOKEN = Token("agent@pve!mon", "s3cret", {"/": AUDITOR})
LIMITED = Token("limited@pve!t1", "x", {"/vms/101": frozenset({"VM.Audit"})})
DISABLED = Token("off@pve!t1", "x", {"/": AUDITOR}, enabled=False)


@pytest.mark.parametrize("sign", ["=", " "])
def test_the_header_of_a_token(sign: str) -> None:
    assert authenticate([LIMITED, TOKEN], f"PVEAPIToken{sign}agent@pve!mon=s3cret") is TOKEN


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (None, "No ticket"),
        ("Bearer x", "No ticket"),
        ("PVEAPIToken=agent@pve!mon=wrong", "Authentication failed!"),
        ("PVEAPIToken=agent@pve!mon:s3cret", "Authentication failed!"),
        ("PVEAPIToken=nobody@pve!x=s3cret", "Authentication failed!"),
        ("PVEAPIToken=off@pve!t1=x", "Authentication failed!"),
    ],
)
def test_every_other_header_is_answered_late(header: str | None, text: str) -> None:
    with pytest.raises(Refusal) as refused:
        authenticate([TOKEN, DISABLED], header)
    assert (refused.value.status, refused.value.text, refused.value.delay) == (401, text, True)


def test_privileges_are_inherited_downwards() -> None:
    assert TOKEN.may("/vms/101", "VM.Audit")
    assert LIMITED.may("/vms/101", "VM.Audit")
    assert not LIMITED.may("/vms/102", "VM.Audit")
    assert not LIMITED.may("/", "VM.Audit")


def test_a_lacking_privilege_is_named_with_its_path() -> None:
    with pytest.raises(Refusal, match=r"Permission check failed \(/vms/102, VM.Audit\)"):
        LIMITED.need("/vms/102", "VM.Audit")


def test_the_listing_of_privileges() -> None:
    assert LIMITED.listing() == {"/vms/101": {"VM.Audit": 1}}
    assert Token("a@pve!b", "x").listing() == {}
    assert set(TOKEN.listing()["/nodes"]) == AUDITOR


def test_the_secret_does_not_show() -> None:
    assert "s3cret" not in repr(TOKEN)
