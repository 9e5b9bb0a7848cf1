"""The owner's policy narrows, and a slip in it is an error."""

from pathlib import Path

import pytest

from nanny_ops.agent.policy import OFFLINE, Policy, load
from nanny_ops.errors import SettingsError


def test_without_a_file_everything_is_allowed() -> None:
    assert load("").refuses(mode="apply", target="host", sha256="ab") == ""


def test_each_list_narrows_one_thing(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('modes = ["dry-run"]\ntargets = ["host", 100]\nscripts = ["AB"]\n')
    policy = load(str(file))
    assert policy == Policy(modes=frozenset({"dry-run"}), targets=frozenset({"host", "100"}), scripts=frozenset({"ab"}))
    assert policy.refuses(mode="dry-run", target="100", sha256="ab") == ""
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


@pytest.mark.parametrize("text", ["mode = []", 'modes = "apply"', "modes = [[]]", "modes ="])
def test_a_slip_is_an_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"policy\.toml"):
        load(str(file))
    with pytest.raises(SettingsError):
        load(str(tmp_path / "none.toml"))
