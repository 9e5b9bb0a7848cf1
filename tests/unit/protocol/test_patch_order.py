"""Options become arguments of the script as single tokens, and a plain order has none."""

from nanny_ops.protocol.patch import PatchRecord, script_argv
from nanny_ops.protocol.patch_order import PatchOptions, option_argv


def test_a_plain_order_adds_nothing() -> None:
    assert option_argv(PatchOptions()) == []


def test_each_option_is_one_token() -> None:
    asked = PatchOptions(dist_upgrade=True, autoremove=True, repair=True, conffiles="hold-back", lock_timeout_seconds=0)
    assert option_argv(asked) == [
        "--dist-upgrade", "--autoremove", "--repair", "--conffiles=hold-back", "--lock-timeout=0",
    ]  # fmt: skip


def test_the_dry_run_comes_first_and_own_words_last() -> None:
    record = PatchRecord(
        id="1", agent_id="a", mode="dry-run", script_id="s", script_url="u", exclude=["a", "b"], dist_upgrade=True
    )
    assert script_argv(record, ["--verbose"]) == ["--dry-run", "--exclude=a,b", "--dist-upgrade", "--verbose"]
