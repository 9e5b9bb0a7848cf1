"""Formats."""

import re

import pytest

from nanny_ops.lab.pve.schema.form import FORMS, complaint


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        ("pve-vmid", "100", "099"),
        ("pve-storage-id", "local-zfs", "l!"),
        ("pve-userid", "agent@pve", "agent"),
        ("ip", "fe80::1", "300.1.1.1"),
        ("pve-vmid-list", "100,101;102", "100,x"),
        ("pve-priv-list", "VM.Audit", "VM.Nothing"),
        ("dns-name", "web1.example.org", "-web"),
    ],
)
def test_good_and_bad_values(form: str, good: str, bad: str) -> None:
    assert complaint(form, good, privileges={"VM.Audit"}) == ""
    assert complaint(form, bad, privileges={"VM.Audit"}) != ""


def test_a_format_nobody_knows_takes_anything() -> None:
    assert complaint("pve-nosuch", "?", privileges=()) == ""


def test_patterns_are_patterns() -> None:
    assert all(re.compile(pattern) for pattern, _sentence in FORMS.values())
