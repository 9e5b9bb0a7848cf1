"""What it costs to count one request, and what an agent or an object of an agent costs to remember.

Real requests cannot tell: the limits would let through a few of a thousand. So the counting alone is measured, with
the headers it puts on the answer.
"""

import argparse
import time
import tracemalloc
from collections.abc import Callable

from benchmarks._figures import Figure, show
from nanny_ops.control.services.limit import AGENTS, OBJECTS, Limits, Quota

#: The agents of a large fleet, and how often each is counted.
FLEET, ROUNDS = 3000, 20
BUDGET = 20.0
START = 1_800_000_000.0


def price(count: Callable[[str, float], Quota | None], spacing: float) -> float:
    """Return the microseconds of CPU for one count: the middle of several rounds, each agent asking once a round."""
    took, now = [], START
    for _ in range(ROUNDS):
        began = time.process_time()
        for number in range(FLEET):
            quota = count(f"agent-{number:036}", now + number * spacing / FLEET)
            assert quota is not None
            assert len(quota.headers) == 3
        took.append((time.process_time() - began) / FLEET * 1e6)
        now += spacing
    return sorted(took)[ROUNDS // 2]


def weight(fill: Callable[[Limits, int], object], items: int) -> float:
    """Return the MiB that full memory takes; more items than room are offered."""
    limits = Limits(enabled=True)
    tracemalloc.start()
    for number in range(items + items // 10):
        fill(limits, number)
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return size / 2**20


def report(limits: Limits, agent: str, now: float) -> Quota | None:
    """Look and count, as one report does."""
    limits.report(agent, "lxc", "100", now)
    return limits.reported(agent, "lxc", "100", now)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="./run bench limits", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    limits = Limits(enabled=True)
    figures = [
        Figure("fresh reading", price(lambda agent, now: limits.reading(agent, now, now), 30), "us", BUDGET),
        Figure("fresh reading, refused", price(lambda agent, now: limits.reading(agent, now, now), 1), "us", BUDGET),
        Figure("old reading", price(lambda agent, now: limits.reading(agent, now - 3600, now), 1.25), "us", BUDGET),
        Figure("Proxmox VE report", price(lambda agent, now: report(limits, agent, now), 300), "us", BUDGET),
        Figure("memory of all agents", weight(lambda all_, n: all_.reading(str(n), START, START), AGENTS), "MiB"),
        Figure("memory of all objects", weight(lambda all_, n: report(all_, str(n), START), OBJECTS), "MiB"),
    ]
    return show(figures, arguments.json)


if __name__ == "__main__":
    raise SystemExit(main())
