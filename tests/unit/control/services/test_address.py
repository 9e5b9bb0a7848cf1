"""No address that a machine tells of itself leads back to the control plane."""

import pytest

from nanny_ops.control.services.address import reachable


@pytest.mark.parametrize(
    "text",
    ["", "x", "127.0.0.1", "127.1.2.3", "::1", "0.0.0.0", "::", "fe80::1", "169.254.1.1", "::ffff:127.0.0.1",
     "::ffff:7f00:1", "::ffff:10.0.0.1", "fd00::1%{{ 7 }}", "fd00::1%eth0", "-oProxyCommand=id", "10.0.0.1 "],
)  # fmt: skip
def test_what_leads_nowhere_or_here_is_no_address(text: str) -> None:
    assert reachable(text) == ""


@pytest.mark.parametrize(("text", "told"), [("10.0.0.1", "10.0.0.1"), ("FD00:0::0:1", "fd00::1")])
def test_others_are_told_in_one_way(text: str, told: str) -> None:
    assert reachable(text) == told
