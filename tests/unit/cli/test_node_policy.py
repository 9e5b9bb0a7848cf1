"""What ``nanny-agent policy`` says."""

import argparse
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nanny_ops.agent.app import World
from nanny_ops.agent.settings import load
from nanny_ops.cli.node_policy import show_policy
from tests.fakes.hands import FakeHands

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def show(tmp_path: Path, capsys: Any, text: str | None, now: datetime = NOON) -> tuple[str, dict[str, Any]]:
    settings = load({"url": "http://127.0.0.1:9"}, {}, tmp_path / "none")
    if text is not None:
        (tmp_path / "policy.toml").write_text(text)
        settings = replace(settings, policy_file=str(tmp_path / "policy.toml"))
    said = []
    for as_json in (False, True):
        world = World(hands=FakeHands(tmp_path), now=lambda: now)
        assert show_policy(settings, world, argparse.Namespace(json=as_json)) == 0
        said.append(capsys.readouterr().out)
    return said[0], json.loads(said[1])


def test_without_a_file_everything_is_allowed(tmp_path: Path, capsys: Any) -> None:
    shown, found = show(tmp_path, capsys, None)
    assert (found["changes_allowed_now"], found["until"], found["modes"]) == (True, None, None)
    assert "everything is allowed" in shown
    assert "times                 always" in shown


@pytest.mark.parametrize(
    ("now", "word", "until"),
    [(NOON, "not allowed", "2026-11-20T22:00:00.000Z"), (NOON.replace(hour=23), "allowed", "2026-11-21T05:00:00.000Z")],
)
def test_it_says_what_is_allowed_now_and_until_when(
    tmp_path: Path, capsys: Any, now: datetime, word: str, until: str
) -> None:
    text = 'modes = ["apply"]\ntargets = []\ntimes = ["mon-fri 22:00-05:00"]\ntime_zone = "UTC"\n'
    shown, found = show(tmp_path, capsys, text, now)
    assert (found["modes"], found["targets"], found["until"]) == (["apply"], [], until)
    assert f"changes now           {word}, until {until}" in shown
    assert "mon-fri 22:00-05:00 (UTC)" in shown
