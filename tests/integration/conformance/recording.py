"""Recorded requests and answers of real Proxmox VE."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tests.integration.conformance.naming import Naming

DIRECTORY = Path(__file__).parents[2] / "recorded"


@dataclass(frozen=True)
class Answer:
    """One answer; ``body`` is its JSON, or ``text`` where it is none."""

    status: int
    reason: str
    body: dict[str, Any] | None
    text: str | None
    head: dict[str, str]


@dataclass(frozen=True)
class Recording:
    """One request, what it was answered, and what came of the task that it began."""

    name: str
    release: str
    method: str
    path: str
    auth: str | None
    data: dict[str, Any] | str | None
    headers: dict[str, str]
    answer: Answer
    task: dict[str, Any] | None
    #: The last answer of exec-status, and that of asking once more.
    polled: dict[str, Any] | None
    reaped: Answer | None


@lru_cache
def _lines(release: str) -> tuple[str, ...]:
    return tuple((DIRECTORY / f"pve-{release}.ndjson").read_text().splitlines())


def recordings(release: str, naming: Naming) -> list[Recording]:
    """Return what was recorded of a release, told in other names."""
    return [_recording(release, json.loads(naming.text(line)), json.loads(line)["name"]) for line in _lines(release)]


def _recording(release: str, line: dict[str, Any], name: str) -> Recording:
    reaped = line.get("reaped")
    return Recording(
        name,
        release,
        line["method"],
        line["path"],
        line["auth"],
        line.get("data"),
        line.get("headers", {}),
        _answer(line),
        line.get("task"),
        line.get("polled"),
        _answer(reaped) if reaped else None,
    )


def _answer(line: dict[str, Any]) -> Answer:
    return Answer(line["status"], line["reason"], line.get("body"), line.get("text"), line.get("head", {}))
