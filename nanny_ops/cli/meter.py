"""How far an order has come: its steps, and the packages that its script's own lines tell of."""

import re
from collections.abc import Mapping
from typing import Any

#: How apt tells what it will do, and each package that is done.
_APT_ALL = re.compile(r"(\d+) upgraded, (\d+) newly installed")
_APT_ONE = re.compile(r"Setting up \S+ \(")
#: How zypper, pacman, apk and dnf 5 count at the beginning of a line, and yum and dnf at its end.
_AHEAD = re.compile(r"\s*[\[(]\s*(\d+)/(\d+)[\])]\s")
_BEHIND = re.compile(r"\s*(?:Upgrading|Updating|Installing|Reinstalling|Downgrading)\s*:.*\s(\d+)/(\d+)\s*$")
SCRIPT, RUNNING = "script", "running"
#: Lines that no more package can stand in.
LONGEST = 4096


class Meter:
    """Counts what is known to be done of what is known to be ahead."""

    def __init__(self, planned: list[str]) -> None:
        """Take the names of the steps that are to be expected."""
        self._ahead = list(planned)
        self._done: set[str] = set()
        self.step = ""
        self.packages = self.all_packages = 0

    def take(self, step: Mapping[str, Any]) -> None:
        """Note that a step has begun or ended."""
        name = step["name"]
        if name not in self._ahead:
            self._ahead.append(name)
        if step["outcome"] == RUNNING:
            self.step = name
        else:
            self._done.add(name)

    def read(self, line: str) -> None:
        """Note what a line of the script tells of packages."""
        line = line[:LONGEST]
        if found := _APT_ALL.match(line):
            self.all_packages, self.packages = int(found[1]) + int(found[2]), 0
        elif found := _AHEAD.match(line) or _BEHIND.match(line):
            self.packages, self.all_packages = int(found[1]), int(found[2])
        elif _APT_ONE.match(line):
            self.packages = min(self.packages + 1, self.all_packages or self.packages + 1)

    @property
    def share(self) -> float:
        """Return how much is done, from 0 to 1; a script counts by its packages."""
        part = self.packages / self.all_packages if self.all_packages and SCRIPT not in self._done else 0.0
        return min(1.0, (len(self._done) + part) / max(1, len(self._ahead)))

    @property
    def words(self) -> str:
        """Return what goes on: ``script, package 3 of 12``."""
        if self.all_packages and self.step in ("", SCRIPT):
            return f"{self.step or SCRIPT}, package {self.packages} of {self.all_packages}"
        return self.step


def planned(order: Any) -> list[str]:
    """Return the steps that are to be expected of a patch; one that only looks has none but its script."""
    if order.mode == "dry-run":
        return ["preflight", "protect", "start", "space", SCRIPT, "restore"] if order.start_stopped else [SCRIPT]
    hooks = [f"hook-{number + 1}" for number in range(len(order.hooks))]
    looks = ["baseline", "probe"] if order.probes else []
    bake = ["bake"] if order.probes and order.bake_seconds else []
    return ["preflight", "space", "protect", *hooks, *looks, SCRIPT, *bake, "restore"]
