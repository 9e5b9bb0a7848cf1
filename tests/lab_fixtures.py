"""Fixtures over labs; a test module takes them by importing their names."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nanny_ops.lab import lxc
from nanny_ops.lab.fleet import LabPlan
from nanny_ops.lab.lab import Lab


def need_real_containers() -> None:
    """Skip where LXC or root is missing; with CI=true that is a failure."""
    if missing := lxc.missing():
        reason = " ".join(missing)
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)


@pytest.fixture(scope="module")
def real_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of three nodes and twelve guests; containers 101 (pve1) and 102 (pve2) are real."""
    need_real_containers()
    with Lab(LabPlan(), _short(tmp_path_factory), refusal_delay=0.05) as lab:
        yield lab


@pytest.fixture(scope="module")
def simulated_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The same without real containers; proves nothing about one."""
    cache = tmp_path_factory.mktemp("cache")
    with Lab(LabPlan(real=0), _short(tmp_path_factory), cache=cache, refusal_delay=0.05) as lab:
        yield lab


def _short(factory: pytest.TempPathFactory) -> Path:
    return factory.mktemp("lab")
