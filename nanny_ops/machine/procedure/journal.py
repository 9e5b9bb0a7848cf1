"""A job's journal: each step is on the disk before it begins and after it has ended, one JSON line each.

Whoever comes after a supervisor that was killed reads here what has been touched, and what must not be done twice.
"""

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from nanny_ops.protocol import clock
from nanny_ops.protocol.patch_report import Step

NAME = "journal.ndjson"
#: Bytes that are read back, at most.
CAP = 4 * 1024 * 1024


class Journal:
    """The journal of one job, in its folder; what was in it before is known from the start."""

    def __init__(
        self, directory: Path, now: Callable[[], datetime] = clock.now, *, sync: Callable[[int], None] = os.fsync
    ) -> None:
        """Read what there is; nothing is made before the first line is written."""
        self._path, self._now, self._sync = directory / NAME, now, sync
        self._torn = False
        self._begun: dict[str, str] = {}
        self._ended: dict[str, Step] = {}
        #: What steps have found out or are about to make, by name.
        self.facts: dict[str, Any] = {}
        self._read()

    @property
    def begun_anything(self) -> bool:
        """Tell whether anything was ever written."""
        return bool(self._begun or self.facts)

    @property
    def steps(self) -> list[Step]:
        """Return all steps in the order in which they began; one that was cut short is unknown."""
        return [
            self._ended.get(name) or Step(name=name, outcome="unknown", reason="It was cut short.", started_at=at)
            for name, at in self._begun.items()
        ]

    @property
    def so_far(self) -> list[Step]:
        """Return all steps in the order in which they began; one that has not ended is running."""
        return [
            self._ended.get(name) or Step(name=name, outcome="running", started_at=at)
            for name, at in self._begun.items()
        ]

    def begin(self, step: str) -> None:
        """Write that a step is about to begin; a step that was begun before keeps its first time. Raises OSError."""
        at = clock.stamp(self._now())
        self._write({"event": "begin", "step": step, "at": at})
        self._begun.setdefault(step, at)

    def end(self, step: Step) -> None:
        """Write what a step came to. Raises OSError."""
        self._write({"event": "end", **asdict(step)})
        self._ended[step.name] = step

    def note(self, **facts: Any) -> None:
        """Write facts, plain values of JSON; a later one of the same name counts. Raises OSError."""
        self._write({"event": "fact", "facts": facts})
        self.facts.update(facts)

    def begun(self, step: str) -> bool:
        """Tell whether a step has ever begun."""
        return step in self._begun

    def ended(self, step: str) -> Step | None:
        """Return what a step came to, None for one that has not ended."""
        return self._ended.get(step)

    def _read(self) -> None:
        try:
            with self._path.open("rb") as file:
                text = file.read(CAP)
        except FileNotFoundError:
            return
        self._torn = bool(text) and not text.endswith(b"\n")
        for line in text.splitlines():
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError):
                continue  # the line that a crash has torn

    def _take(self, line: dict[str, Any]) -> None:
        match line.pop("event"):
            case "begin":
                self._begun.setdefault(line["step"], line["at"])
            case "end":
                self._ended[line["name"]] = Step(**line)
            case "fact":
                self.facts.update(line["facts"])

    def _write(self, line: dict[str, Any]) -> None:
        fresh = not self._path.exists()
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            text = ("\n" if self._torn else "") + json.dumps(line) + "\n"
            self._torn = True  # until all of it is there
            os.write(descriptor, text.encode())
            self._sync(descriptor)
            self._torn = False
        finally:
            os.close(descriptor)
        if fresh:
            self._sync_folder()

    def _sync_folder(self) -> None:
        descriptor = os.open(self._path.parent, os.O_RDONLY)
        try:
            self._sync(descriptor)
        finally:
            os.close(descriptor)
