"""What counts as a package's name, and what as tags."""

import pytest

from nanny_ops.control.services.word import is_package, tags


@pytest.mark.parametrize("text", ["nginx", "libstdc++6", "7zip", "perl-base:amd64", "python3.11"])
def test_names_of_packages(text: str) -> None:
    assert is_package(text)


@pytest.mark.parametrize("text", ["", "-y", "a b", "a,b", "../x", "linux-*"])
def test_what_is_none(text: str) -> None:
    assert not is_package(text)


def test_tags_are_parted_as_proxmox_ve_parts_them() -> None:
    assert tags("Web;db,prod  x") == ["web", "db", "prod", "x"]
