"""What ``nanny-ops agent show`` says of a policy."""

from dataclasses import asdict

from nanny_ops.cli.agent import allowed
from nanny_ops.protocol.policy import PolicyReport


def test_only_what_a_policy_narrows_is_told() -> None:
    assert allowed(None) == []
    told = asdict(PolicyReport(modes=["dry-run"], targets=[], signatures="offline", threshold=2))
    words = ["file: none", "only modes: dry-run", "only targets: none", "signatures: offline, 2 needed"]
    assert allowed(told) == words
