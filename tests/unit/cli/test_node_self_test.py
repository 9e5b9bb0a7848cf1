"""A version tries itself: everything can be loaded, and what the agent keeps can be read without a change."""

from pathlib import Path

import pytest

from nanny_ops.agent.order import Order
from nanny_ops.agent.spool import NAME, Spool
from nanny_ops.cli.node import main
from nanny_ops.cli.node_self_test import helper_note, orders
from nanny_ops.errors import SpoolError
from nanny_ops.machine.frame import PROTOCOL


def test_orders_are_counted_and_a_damaged_spool_is_told(tmp_path: Path) -> None:
    file = tmp_path / NAME
    assert orders(file) == 0
    spool = Spool(file, cap=5)
    spool.accept(Order(id="o", kind="update", record={}))
    spool.close()
    assert orders(file) == 1
    file.write_bytes(b"no database" * 100)
    with pytest.raises(SpoolError):
        orders(file)
    assert file.read_bytes().startswith(b"no database")


def test_it_needs_an_identity_and_good_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--url", "http://127.0.0.1:1", "--state-dir", str(tmp_path)]
    assert main(["self-test", *given]) == 3
    assert main(["self-test", *given, "--policy-file", "/nonexistent"]) == 2
    token = tmp_path / "static"
    token.write_text("nsk_" + "a" * 40)
    token.chmod(0o600)
    assert main(["self-test", *given, "--token-file", str(token)]) == 0
    assert "modules" in capsys.readouterr().out


def test_a_helper_of_another_protocol_or_none_is_told_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert helper_note(None) == helper_note({"reachable": True, "protocol": PROTOCOL}) == ""
    other = {"reachable": True, "protocol": PROTOCOL + 1, "version": "9.0"}
    assert "systemctl stop nanny-agent-helper.service" in helper_note(other)
    token = tmp_path / "static"
    token.write_text("nsk_" + "a" * 40)
    token.chmod(0o600)
    given = ["--url", "http://127.0.0.1:1", "--state-dir", str(tmp_path), "--token-file", str(token)]
    assert main(["self-test", *given, "--helper-socket", str(tmp_path / "none")]) == 0
    assert "systemctl status nanny-agent-helper.socket" in capsys.readouterr().err
