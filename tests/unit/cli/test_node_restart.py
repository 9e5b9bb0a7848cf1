"""How a process that updated itself ends: for systemd with a code, elsewhere by becoming the next start."""

from pathlib import Path

import pytest

from nanny_ops.cli import node_restart
from nanny_ops.cli.node_restart import AGAIN, Restart
from nanny_ops.machine import trial
from nanny_ops.machine.update_verbs import SwitchUpdate
from tests.fakes.versions import make_prefix


def test_without_a_wish_the_code_stays_and_with_one_systemd_starts_it_again() -> None:
    assert [Restart(versions=None).end(code, {}) for code in (0, 2)] == [0, 2]
    assert Restart(versions=None, wanted=True).end(0, {"INVOCATION_ID": "x"}) == AGAIN


def test_a_version_on_trial_that_fails_is_started_again_whatever_its_code(tmp_path: Path) -> None:
    versions = make_prefix(tmp_path / "prefix", node_restart.running())
    trial.begin(versions, SwitchUpdate(order_id="o", claim="", sha256="0"), node_restart.running())
    systemd = {"INVOCATION_ID": "x"}
    assert [Restart(versions=versions).end(code, systemd) for code in (0, 2)] == [0, AGAIN]
    trial.confirm(versions)
    assert Restart(versions=versions).end(2, systemd) == 2


def test_without_systemd_the_starter_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[list[str]] = []
    monkeypatch.setattr(node_restart.os, "execv", lambda _program, argv: taken.append(argv))
    monkeypatch.setattr(node_restart.sys, "argv", ["nanny-agent", "run", "--log-level", "info"])
    versions = make_prefix(tmp_path / "prefix")
    Restart(versions=versions, wanted=True).end(0, {})
    assert taken == [[str(versions.prefix / "start"), "run", "--log-level", "info"]]


def test_the_ground_tells_the_words_a_version_is_tried_with(tmp_path: Path) -> None:
    ground = Restart(versions=None).ground(tmp_path, ["--config", "x"])
    assert (ground.running, ground.words, ground.folder) == ("", ("--config", "x"), tmp_path)
