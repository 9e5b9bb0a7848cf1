"""Versions and times that stand in packages."""

from pathlib import Path

import pytest

import nanny_ops
from nanny_ops.errors import SettingsError
from release.source import SOME_TIME, built_at, demand_version, version_of


def test_the_version_is_the_one_the_source_names() -> None:
    assert version_of() == nanny_ops.__version__ == demand_version(nanny_ops.__version__)


@pytest.mark.parametrize("text", ["1.2.3", "0.2.0rc1", "0.2.0.dev4", "1.0.post2"])
def test_versions_that_pip_and_dpkg_understand(text: str) -> None:
    assert demand_version(text) == text


@pytest.mark.parametrize("text", ["", "v1", "1.0-1", "1.0+local", "1.0; rm", "../1", '1"'])
def test_other_versions_are_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        demand_version(text)


def test_the_time_is_the_given_one_or_the_last_commit(tmp_path: Path) -> None:
    assert built_at({"SOURCE_DATE_EPOCH": "12"}) == 12
    assert built_at({}, tmp_path) == SOME_TIME
    with pytest.raises(SettingsError):
        built_at({"SOURCE_DATE_EPOCH": "yesterday"})
