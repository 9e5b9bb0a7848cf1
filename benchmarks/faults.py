"""How orders fare under faults: each class of schedule played with many seeds, five at once on real containers.

``played`` and ``failed`` count schedules; ``to the end`` is the median time from the first step to a delivered result
with nothing left open. Needs root and LXC. With ``--in-process`` the same is asked of the real parts in virtual time,
where steps between any two effects are kill points; ``to the end`` is then in virtual seconds, and ``--only NAME
--first-seed N --schedules 1`` plays a single schedule again.
"""

import argparse
import logging
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from benchmarks._figures import Figure, show
from nanny_ops.lab import lxc
from nanny_ops.lab.fleet import LabPlan
from nanny_ops.lab.lab import Lab
from tests.e2e.schedules import SCHEDULES, Scene, play
from tests.e2e.site import Site
from tests.fakes import virtual_time
from tests.integration.faults import schedules as in_process
from tests.integration.faults.scene import Cast, enrol, perform

AT_ONCE = 5
Schedule = Callable[[Scene], dict[str, Any]]


@dataclass(frozen=True)
class Played:
    """One schedule: how long it took in seconds, and what was wrong, if anything."""

    seconds: float
    wrong: str


@contextmanager
def installations(home: Path) -> Iterator[list[Site]]:
    """Open a lab with one installation per node, and close everything afterwards."""
    with ExitStack() as stack:
        lab = stack.enter_context(Lab(LabPlan(nodes=AT_ONCE, guests=7, real=AT_ONCE), home, refusal_delay=0))
        sites = [Site(lab, home / node.name, [node]) for node in lab.nodes]
        for site in sites:
            stack.callback(site.close)
        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(Site.open, sites))
        yield sites


def played(site: Site, schedule: Schedule, seed: int) -> Played:
    """Play one schedule; what is wrong with it is told on stderr."""
    began = time.monotonic()
    try:
        play(site, schedule, seed)
    except Exception as wrong:  # noqa: BLE001  every failure counts, and the next schedule is played all the same
        print(f"{schedule.__name__} seed {seed}: {wrong!r}"[:4000], file=sys.stderr)
        return Played(time.monotonic() - began, repr(wrong))
    return Played(time.monotonic() - began, "")


def measure(sites: list[Site], seeds: list[int]) -> list[Figure]:
    """Play every class with every seed; each installation takes its share of the seeds, one after the other."""
    figures = []
    for schedule in SCHEDULES:
        shares = [(site, schedule, seeds[place :: len(sites)]) for place, site in enumerate(sites)]
        with ThreadPoolExecutor(len(sites)) as threads:
            found = [one for share in threads.map(_share, shares) for one in share]
        name = schedule.__name__.replace("_", " ")
        figures.append(Figure(f"{name}: played", len(found), "schedules"))
        figures.append(Figure(f"{name}: failed", sum(bool(one.wrong) for one in found), "schedules", budget=0))
        figures.append(Figure(f"{name}: to the end", statistics.median(one.seconds for one in found), "s"))
    return figures


def _share(share: tuple[Site, Schedule, list[int]]) -> list[Played]:
    site, schedule, seeds = share
    return [played(site, schedule, seed) for seed in seeds]


def measure_in_process(seeds: list[int], only: str) -> list[Figure]:
    """Play every class, or only one, in virtual time, one schedule after the other."""
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    figures = []
    with tempfile.TemporaryDirectory(prefix="nanny-faults-") as home:
        cast = virtual_time.play(lambda: enrol(Path(home) / "cast"))
        for schedule in (one for one in in_process.SCHEDULES if only in {"", one.__name__}):
            found = [_in_process(cast, Path(home), schedule, seed) for seed in seeds]
            name = schedule.__name__.replace("_", " ")
            figures.append(Figure(f"{name}: played", len(found), "schedules"))
            figures.append(Figure(f"{name}: failed", sum(bool(one.wrong) for one in found), "schedules", budget=0))
            figures.append(Figure(f"{name}: to the end", statistics.median(one.seconds for one in found), "s"))
    return figures


def _in_process(cast: Cast, home: Path, schedule: in_process.Schedule, seed: int) -> Played:
    place = home / f"{schedule.__name__}-{seed}"
    try:
        scene = virtual_time.play(lambda: perform(cast, place, schedule, seed))
    except Exception as wrong:  # noqa: BLE001  every failure counts, and the next schedule is played all the same
        print(f"{schedule.__name__} seed {seed}: {wrong!r}"[:4000], file=sys.stderr)
        return Played(0.0, repr(wrong))
    finally:
        shutil.rmtree(place)
    return Played(scene.lasted, "")


def main() -> int:
    """Run the benchmark; the exit code is 1 when a schedule failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schedules", type=int, default=5, help="schedules of each class (default: 5)")
    parser.add_argument("--first-seed", type=int, default=1, help="seed of the first; the others follow (default: 1)")
    parser.add_argument("--in-process", action="store_true", help="in virtual time, without containers or root")
    parser.add_argument("--only", default="", help="with --in-process: the one class to play")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    seeds = list(range(options.first_seed, options.first_seed + options.schedules))
    if options.in_process:
        return show(measure_in_process(seeds, options.only), options.json)
    if missing := lxc.missing():
        raise SystemExit(" ".join(missing))
    with tempfile.TemporaryDirectory(prefix="nanny-faults-") as home, installations(Path(home)) as sites:
        return show(measure(sites, seeds), options.json)


if __name__ == "__main__":
    sys.exit(main())
