"""One thing, what was told of it, and how well it is known."""

import pytest

from nanny_ops.cli.detail import show_detail

ROW = {
    "id": "guest-1",
    "status": "unknown",
    "usage": {"cpu": 0.5, "cpus": 2, "mem": 512, "maxmem": 1024},
    "trouble": {"forbidden": 1},
    "reported": {"ostype": "debian", "status": "running"},
    "known": [
        {"section": "guest.agent", "state": "forbidden", "source": "api", "at": None}
        | {"privilege": "VM.X", "reason": "no"}
    ],
}


def test_a_missing_privilege_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    show_detail(ROW, as_json=False)
    said = capsys.readouterr().out
    assert "needs VM.X: no" in said
    assert "512 B (50 %)" in said
    assert "running" not in said  # what was told once is not told as if it were so now


def test_a_hardware_address_is_no_picture(capsys: pytest.CaptureFixture[str]) -> None:
    show_detail({"net0": "BC:24:11:AB:CD:EF", "used": 1 << 30, "status": "up", "last_status": "up"}, as_json=False)
    said = capsys.readouterr().out
    assert "BC:24:11:AB:CD:EF" in said
    assert "1 GiB" in said
    assert "last_status" not in said


def test_programs_get_everything(capsys: pytest.CaptureFixture[str]) -> None:
    show_detail(ROW, as_json=True)
    assert '"privilege": "VM.X"' in capsys.readouterr().out
