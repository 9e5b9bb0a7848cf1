"""What ``nanny-ops agent show`` says of a policy, and of a node that rests."""

from dataclasses import asdict

from nanny_ops.cli.agent import allowed, rest
from nanny_ops.protocol.policy import PolicyReport


def test_only_what_a_policy_narrows_is_told() -> None:
    assert allowed(None) == []
    told = asdict(PolicyReport(modes=["dry-run"], targets=[], signatures="offline", threshold=2))
    words = ["file: none", "only modes: dry-run", "only targets: none", "signatures: offline, 2 needed"]
    assert allowed(told) == words


def test_a_rest_is_told_with_its_end_and_the_way_out() -> None:
    resting = {"failures": 3, "reason": "disk_full: /var", "until": "2026-01-31T02:15:00Z", "trial": False}
    said = rest({"hostname": "pve1", "resting": resting})
    assert said.startswith("until 2026-01-31 02:15")
    assert "after 3 failures in a row, the last disk_full: /var" in said
    assert said.endswith("'nanny-ops agent resume pve1' ends that")
    assert "is tried" in rest({"hostname": "pve1", "resting": {**resting, "trial": True}})
    assert rest({"hostname": "pve1", "resting": None}) == ""
