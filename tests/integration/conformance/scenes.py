"""What stood where when a request was recorded: functions that prepare a rig, by the recording's name."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from tests.integration.conformance.rig import Rig


@dataclass
class Asked:
    """The request that is about to be made; a scene may change it, as by adding a real ticket."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    answering: str = ""


Scene = Callable[[Rig, Asked], None]


@dataclass
class Scenes:
    """Patterns of names, and what prepares the rig for them, in the order in which they were added."""

    _all: list[tuple[tuple[str, ...], Scene]] = field(default_factory=list)

    def of(self, *patterns: str) -> Callable[[Scene], Scene]:
        """Add a scene for recordings whose name fits one of the patterns."""

        def add(scene: Scene) -> Scene:
            self._all.append((patterns, scene))
            return scene

        return add

    def play(self, name: str, rig: Rig, asked: Asked) -> None:
        """Prepare the rig for a recording."""
        for patterns, scene in self._all:
            if any(fnmatchcase(name, pattern) for pattern in patterns):
                scene(rig, asked)
