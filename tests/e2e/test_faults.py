"""Whatever is killed or cut, and when: the script runs once, its result arrives, and nothing stays open.

Each class of fault has five schedules, drawn from seeds. Five installations play them at once, each with a control
plane, a proxy, an agent and a container of its own.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from nanny_ops.lab.lab import Lab
from tests.e2e.schedules import SCHEDULES, Scene, play
from tests.e2e.site import Site

pytestmark = [pytest.mark.lxc, pytest.mark.timeout(300)]

SEEDS = (1, 2, 3, 4, 5)


@pytest.fixture(scope="module")
def sites(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Site]]:
    """One installation per node and seed."""
    home = tmp_path_factory.mktemp("faults")
    made = [Site(lab, home / node.name, [node]) for node in lab.nodes]
    try:
        each_at_once(Site.open, made)
        yield made
    finally:
        each_at_once(Site.close, made)


def each_at_once(act: Callable[[Site], None], made: list[Site]) -> None:
    """Do something with every installation at once; return when all have ended, also where one failed."""
    with ThreadPoolExecutor(len(made)) as threads:
        list(threads.map(act, made))


@pytest.mark.rows("G0-PT-01", "G0-RT-05", "G0-PT-08")
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_script_runs_once_and_its_result_arrives(
    sites: list[Site], schedule: Callable[[Scene], dict[str, Any]]
) -> None:
    assert len(sites) == len(SEEDS)
    with ThreadPoolExecutor(len(sites)) as threads:
        begun = [threads.submit(play, site, schedule, seed) for site, seed in zip(sites, SEEDS, strict=True)]
    wrong = [f"seed {seed}: {error!r}" for seed, one in zip(SEEDS, begun, strict=True) if (error := one.exception())]
    if wrong:
        pytest.fail("\n\n".join(wrong).replace("\\n", "\n"), pytrace=False)
