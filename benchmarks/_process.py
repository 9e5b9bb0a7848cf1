"""What /proc says a process tree costs."""

import os
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
KIB = 1024


@dataclass(frozen=True)
class Memory:
    """Memory of a process tree in bytes; ``pss`` counts a page shared by n processes as its n-th part."""

    pss: int
    rss: int
    private: int


def tree(pid: int) -> list[int]:
    """Return the process and all its living descendants."""
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def cpu_seconds(pid: int) -> float:
    """Return user and system time of the tree, with that of children that have ended and were waited for."""
    total = 0
    for each in tree(pid):
        # The name, in parentheses, may hold spaces; the fields are counted after it.
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        total += sum(int(field) for field in fields[11:15])
    return total / TICKS


def memory(pid: int) -> Memory:
    """Return what the tree holds now."""
    sums: dict[str, int] = {}
    for each in tree(pid):
        for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()[1:]:
            name, _, amount = line.partition(":")
            sums[name] = sums.get(name, 0) + int(amount.split()[0]) * KIB
    return Memory(pss=sums["Pss"], rss=sums["Rss"], private=sums["Private_Clean"] + sums["Private_Dirty"])
