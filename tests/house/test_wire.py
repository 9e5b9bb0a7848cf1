"""The wire changes on purpose only, and each thing on it is documented."""

import json

import pytest

from nanny_ops.protocol import realtime
from nanny_ops.protocol.operation import Outcome, Status
from nanny_ops.protocol.play_report import PlayOutcome
from nanny_ops.protocol.playbook_run import RunOutcome
from nanny_ops.protocol.wire import CATALOGUE
from tests.house.tree import ROOT
from tests.house.wire_schema import FILE, wire_schema

DOCS = ROOT / "docs"


def test_the_wire_is_as_recorded() -> None:
    recorded = json.loads(FILE.read_text())
    present = json.loads(json.dumps(wire_schema()))
    changed = sorted(name for name in recorded | present if recorded.get(name) != present.get(name))
    assert not changed, "the wire has changed; if that is wanted: ./run snapshot-wire, and tell it in CHANGELOG.md"


def test_no_record_is_listed_twice() -> None:
    assert len(CATALOGUE) == len(set(CATALOGUE))


@pytest.mark.parametrize("record", CATALOGUE, ids=lambda record: record.__name__)
def test_every_record_is_documented(record: type) -> None:
    assert f"`{record.__name__}`" in (DOCS / "wire.md").read_text()


@pytest.mark.parametrize("word", [*realtime.CHANNELS, "connect", "record", *Status])
def test_every_channel_event_and_status_is_documented(word: str) -> None:
    assert f"`{word}`" in (DOCS / "wire.md").read_text()


def test_outcomes_are_documented_one_row_each() -> None:
    rows = [line.split("|")[1].strip(" `") for line in (DOCS / "outcomes.md").read_text().splitlines() if "| `" in line]
    assert sorted(rows) == sorted(str(outcome) for outcome in Outcome)


def test_outcomes_of_runs_are_documented_one_row_each() -> None:
    table = (DOCS / "playbooks.md").read_text().partition("## Outcomes of runs")[2]
    rows = [line.split("|")[1].strip(" `") for line in table.splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(str(outcome) for outcome in RunOutcome)


def test_outcomes_of_plays_are_documented_one_row_each() -> None:
    section = (DOCS / "ansible.md").read_text().partition("| outcome of a play |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1].strip(" `") for line in section.splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(str(outcome) for outcome in PlayOutcome)
