"""The specification's rows as committed here, and the record of which ones a test run has proved."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
#: Written at the end of a test run; ``{test's node id: [row, ...]}`` of tests that passed.
RECORD = HERE.parents[1] / ".cache" / "spec-rows.json"


@dataclass(frozen=True)
class Row:
    """One thing the specification asks for, and which piece of work owns it."""

    id: str
    owner: str
    text: str


def all_rows() -> dict[str, Row]:
    """Read every committed row list; an id that stands twice raises ValueError."""
    rows: dict[str, Row] = {}
    for file in sorted(HERE.glob("*-rows.tsv")):
        for line in file.read_text().splitlines()[1:]:
            row = Row(*line.split("\t"))
            if row.id in rows:
                raise ValueError(f"{file.name}: {row.id} stands twice")
            rows[row.id] = row
    return rows


def resolved_owners() -> frozenset[str]:
    """Read the owners whose every row needs a passing test."""
    lines = (HERE / "resolved.txt").read_text().splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def read_record(file: Path = RECORD) -> dict[str, list[str]]:
    """Read which tests have proved which rows; empty when no test has run."""
    if not file.exists():
        return {}
    proofs: dict[str, list[str]] = json.loads(file.read_text())
    return proofs


def merge_record(passed: dict[str, list[str]], seen: set[str], file: Path = RECORD) -> None:
    """Add the tests that passed, and drop those that ran and did not."""
    kept = {test: rows for test, rows in read_record(file).items() if test not in seen}
    file.parent.mkdir(exist_ok=True)
    # Replaced whole: another run may be reading.
    new = file.with_suffix(f".{os.getpid()}")
    new.write_text(json.dumps(kept | passed, indent=1, sort_keys=True) + "\n")
    new.replace(file)
