"""The owner's policy narrows, and a slip in it is an error."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from nanny_ops.errors import SettingsError
from nanny_ops.machine.policy import OFFLINE, Policy, find, load, report

AB = "ab" * 32


def test_without_a_file_only_looking_is_allowed(tmp_path: Path) -> None:
    nothing = load(find("", tmp_path / "none.toml"))
    assert nothing.refuses(mode="dry-run", target="host", sha256="ab") == ""
    assert "apply" in nothing.refuses(mode="apply", target="host", sha256="ab")
    assert "reboot" in nothing.refuses_operation("reboot", "host")
    assert nothing.refuses_command("df", "101") == nothing.refuses_operation("investigation", "host") == ""


def test_the_usual_file_is_found_and_a_named_one_comes_first(tmp_path: Path) -> None:
    usual = tmp_path / "policy.toml"
    assert find("", usual) == ""
    usual.touch()
    assert (find("", usual), find("/other", usual)) == (str(usual), "/other")


def test_an_older_policy_allows_no_kind_of_operation_that_came_later(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text("targets = [101]\n")
    policy = load(str(file))
    assert policy.refuses(mode="apply", target="101", sha256="") == ""
    assert policy.refuses_operation("reboot", "101") != ""
    assert policy.refuses_operation("update", "host") != ""
    file.write_text('operations = ["reboot"]\ncommands = ["df"]\ntargets = [101]\n')
    policy = load(str(file))
    assert policy.refuses_operation("reboot", "101") == policy.refuses_command("df", "101") == ""
    assert "host" in policy.refuses_operation("reboot", "host")
    assert "patch" in policy.refuses(mode="dry-run", target="101", sha256="")
    assert "free" in policy.refuses_command("free", "101")


def test_it_is_told_to_others_as_it_is_judged_by(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('targets = ["host", 7]\ntimes = ["sat"]\ntime_zone = "UTC"\n')
    told = report(load(str(file)), str(file))
    assert (told.targets, told.scripts, told.times, told.time_zone) == (["7", "host"], None, ["sat"], "UTC")
    assert (told.operations, told.signatures) == (["investigation", "patch"], "control-plane")


def test_each_list_narrows_one_thing(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(f'modes = ["dry-run"]\ntargets = ["host", 100]\nscripts = ["{AB.upper()}"]\n')
    policy = load(str(file))
    assert policy == Policy(modes=frozenset({"dry-run"}), targets=frozenset({"host", "100"}), scripts=frozenset({AB}))
    assert policy.refuses(mode="dry-run", target="100", sha256=AB) == ""
    assert "apply" in policy.refuses(mode="apply", target="100", sha256="ab")
    assert "101" in policy.refuses(mode="dry-run", target="101", sha256="ab")
    assert "cd" in policy.refuses(mode="dry-run", target="host", sha256="cd")


def test_an_empty_list_allows_nothing(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text("targets = []\n")
    assert load(str(file)).refuses(mode="dry-run", target="host", sha256="") != ""


def test_signatures_can_be_demanded_and_from_whom(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('signatures = "offline"\nthreshold = 2\n')
    policy = load(str(file))
    assert (policy.signatures, policy.threshold, policy.demands_signatures) == (OFFLINE, 2, True)
    assert policy.refuses(mode="apply", target="host", sha256="ab") == ""
    file.write_text("threshold = 2\n")
    assert load(str(file)).demands_signatures
    assert not Policy().demands_signatures


@pytest.mark.parametrize(
    "text", ["signatures = true", 'signatures = "none"', "threshold = 0", "threshold = true", "threshold = 17"]
)
def test_a_slip_about_signatures_is_an_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"policy\.toml"):
        load(str(file))


@pytest.mark.parametrize(
    "text",
    ["mode = []", 'modes = "apply"', "modes = [[]]", "modes =", 'modes = ["aply"]', 'targets = ["lxc:100"]',
     "operations = ['delete']", "commands = ['sh -c']", "targets = [0]", "targets = [true]", 'scripts = ["apt.sh"]'],
)  # fmt: skip
def test_a_slip_is_an_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"policy\.toml"):
        load(str(file))
    with pytest.raises(SettingsError):
        load(str(tmp_path / "none.toml"))


DAY, NIGHT = datetime(2026, 11, 20, 12, tzinfo=UTC), datetime(2026, 11, 20, 23, tzinfo=UTC)


def test_times_hold_back_changes_and_no_dry_runs(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('times = ["mon-fri 22:00-05:00"]\ntime_zone = "UTC"\n')
    policy = load(str(file))
    assert policy.mistimed(NIGHT, dry_run=False) == policy.mistimed(DAY, dry_run=True) == ""
    late = policy.mistimed(DAY, dry_run=False)
    assert "mon-fri 22:00-05:00 (UTC), next from 2026-11-20T22:00+00:00 on" in late
    file.write_text('times = ["mon-fri 22:00-05:00"]\ntime_zone = "UTC"\ndry_runs_anytime = false\n')
    assert load(str(file)).mistimed(DAY, dry_run=True) != ""
    file.write_text("times = []\n")
    assert "not in two weeks" in load(str(file)).mistimed(NIGHT, dry_run=False)
    assert Policy().mistimed(DAY, dry_run=False) == ""


@pytest.mark.parametrize(
    "text",
    [
        'times = "mon"',
        "times = [1]",
        'times = ["mon 1-2"]',
        'time_zone = "UTC"',
        "dry_runs_anytime = 1",
        "time_zone = 1",
    ],
)
def test_a_slip_about_times_is_an_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"policy\.toml"):
        load(str(file))
