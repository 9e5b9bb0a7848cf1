"""Recorded runs of Proxmox VE's programs, and whether those of the lab's stand-ins are like them."""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from nanny_ops.lab.command_line import PCT, QM
from nanny_ops.lab.pvesh import METHODS
from tests.integration.conformance.likeness import differences
from tests.integration.conformance.recording import DIRECTORY

#: What differs from one time to the next: addresses, times, process and task numbers, line numbers of another release.
_VOLATILE = (
    (r"(?<=hwaddr=)[0-9A-F:]{17}", "MAC"),
    (r"(?<=virtio=)[0-9A-F:]{17}", "MAC"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
    (r"(?<=Date:             ).+", "DATE"),
    (r"(?<=Ring ID:          ).+", "RING"),
    (r"(?<=snaptime: )\d+", "TIME"),
    (r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "UUID"),
    (r"(?<=\.conf\.tmp\.)\d+", "PID"),
    (r"UPID:[^:]+:[0-9A-F:]+:(?=vz|qm)", "UPID:"),
    (r"(?<=\d )\d+ +$", "PID"),
    (r"simulated guest: ", ""),
    (r"(?<=lxc-attach: )nanny-[0-9a-f]+-", ""),
    (r"(?<=\.pm line )\d+", "N"),
    (r"\.\./src/lxc/attach\.c: \S+ \d+ |\S+/attach\.c: \S+ \d+ ", ""),
)
#: Figures of a status, which are the machine's own.
_FIGURE = re.compile(
    r"^(cpus?|disk\w*|max\w+|mem\w*|net(?:in|out)|pid|swap|uptime|pressure\w+|balloon\w*): .*$", re.MULTILINE
)


@dataclass(frozen=True)
class Transcript:
    """One run; what was long is None. ``series`` are runs that followed each other on one installation."""

    series: str
    name: str
    release: str
    argv: tuple[str, ...]
    exit_code: int
    stdout: str | None
    stderr: str | None
    stdin: str | None

    @property
    def supported(self) -> bool:
        """Return whether a stand-in has the command; help, and files of the recorded machine, are no commands."""
        program, words = self.argv[0], self.argv[1:]
        if self.stdin is not None and self.stdin.startswith("<"):
            return False
        if program in {"pct", "qm"}:
            forms = (PCT if program == "pct" else QM).forms
            return bool(words) and (words[0] in forms or " ".join(words[:2]) in forms)
        if program == "pvesh":
            return words[0] in METHODS and ("--output-format" in words or self.exit_code != 0 or words[0] == "create")
        return program == "pvecm" or words == ()


@lru_cache
def transcripts() -> tuple[Transcript, ...]:
    """Return all recorded runs, in the order in which they were made."""
    lines = (json.loads(line) for line in (DIRECTORY / "cli.ndjson").read_text().splitlines())
    return tuple(
        Transcript(
            line["series"],
            line["id"],
            line["release"],
            tuple(line["cmd"]),
            line["rc"],
            line.get("stdout"),
            line.get("stderr"),
            line.get("stdin"),
        )
        for line in lines
    )


def differ(recorded: Transcript, exit_code: int | None, stdout: str, stderr: str) -> list[str]:
    """Return how a run differs from the recorded one."""
    found = [] if exit_code == recorded.exit_code else [f"rc {recorded.exit_code} recorded, {exit_code} now"]
    for what, wanted, ours in (("stdout", recorded.stdout, stdout), ("stderr", recorded.stderr, stderr)):
        if wanted is None or plain(wanted) == plain(ours):
            continue
        if recorded.argv[-1] == "env" and sorted(plain(wanted).splitlines()) == sorted(plain(ours).splitlines()):
            continue
        if (one := _json(wanted)) is not None and (other := _json(ours)) is not None:
            found += [f"{what}{difference}" for difference in differences(one, other)]
        else:
            found.append(f"{what} {plain(wanted)[-300:]!r} recorded, {plain(ours)[-300:]!r} now")
    return found


def plain(text: str) -> str:
    """Return a text without what differs each time."""
    for pattern, word in _VOLATILE:
        text = re.sub(pattern, word, text, flags=re.MULTILINE)
    return _FIGURE.sub(r"\1: N", text)


def _json(text: str) -> Any:
    try:
        return json.loads(text) if text[:1] in "[{" else None
    except ValueError:
        return None
