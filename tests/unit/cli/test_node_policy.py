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
from nanny_ops.cli import node
from nanny_ops.cli.node_policy import refusal, show_policy
from nanny_ops.errors import SettingsError
from nanny_ops.machine.policy import load as load_policy
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
        assert show_policy(settings, world, argparse.Namespace(json=as_json, action="show")) == 0
        said.append(capsys.readouterr().out)
    return said[0], json.loads(said[1])


def test_without_a_file_only_looking_is_allowed(tmp_path: Path, capsys: Any) -> None:
    shown, found = show(tmp_path, capsys, None)
    assert (found["changes_allowed_now"], found["until"], found["modes"]) == (True, None, ["dry-run"])
    assert "only readings and dry runs" in shown
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


POLICY = 'targets = ["host", 101]\noperations = ["patch", "reboot"]\ntimes = ["sat"]\ntime_zone = "UTC"\n'


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (["--at", "2026-11-21T03:00:00Z"], ""),
        ([], "does not let a change begin now"),
        (["--mode", "dry-run", "--target", "lxc-101"], ""),
        (["--mode", "dry-run", "--target", "102"], "the target 102"),
        (["--operation", "reboot"], "begin now"),
        (["--operation", "reboot", "--at", "2026-11-21"], ""),
        (["--operation", "update", "--at", "2026-11-21"], "kind update"),
        (["--operation", "investigation"], "kind investigation"),
        (["--command", "df", "--target", "101"], "kind investigation"),
    ],
)
def test_it_says_whether_an_order_would_be_allowed(tmp_path: Path, capsys: Any, asked: list[str], reason: str) -> None:
    """Through the whole program: no address of a control plane is needed for it."""
    (tmp_path / "policy.toml").write_text(POLICY)
    options = node.build_parser().parse_args(["policy", "check", *asked])
    assert refusal(load_policy(str(tmp_path / "policy.toml")), NOON, options).find(reason) >= 0
    assert bool(reason) is bool(refusal(load_policy(str(tmp_path / "policy.toml")), NOON, options))
    assert node._run(["policy", "check", "--policy-file", str(tmp_path / "policy.toml"), *asked], {}) in (0, 1)
    assert "policy.toml: " in capsys.readouterr().out


@pytest.mark.parametrize(
    "asked",
    [["--target", "x"], ["--at", "soon"], ["--command", "sh"], ["--script-sha256", "-"]],
    ids=lambda asked: asked[0],
)
def test_a_question_that_makes_no_sense_is_an_error(tmp_path: Path, asked: list[str]) -> None:
    (tmp_path / "policy.toml").write_text(f"scripts = ['{'ab' * 32}']\n")
    options = node.build_parser().parse_args(["policy", "check", *asked])
    with pytest.raises(SettingsError):
        refusal(load_policy(str(tmp_path / "policy.toml")), NOON, options)


@pytest.mark.parametrize(("target", "reason"), [("101", ""), ("7", "the target 7")])
def test_a_command_belongs_to_an_investigation(tmp_path: Path, target: str, reason: str) -> None:
    (tmp_path / "policy.toml").write_text('targets = [101]\noperations = ["investigation"]\n')
    options = node.build_parser().parse_args(["policy", "check", "--command", "df", "--target", target])
    found = refusal(load_policy(str(tmp_path / "policy.toml")), NOON, options)
    assert (reason in found, bool(found)) == (True, bool(reason))
