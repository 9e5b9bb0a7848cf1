"""Words for systemd arrive, or it is told that nobody wanted them."""

import secrets
import socket
from pathlib import Path

import pytest

from nanny_ops.machine.readiness import READY, tell, watchdog


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_a_word_arrives(tmp_path: Path, kind: str) -> None:
    address = str(tmp_path / "s") if kind == "path" else f"@nanny-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(address.replace("@", "\0", 1) if kind == "abstract" else address)
        ear.settimeout(5)
        assert tell(READY, {"NOTIFY_SOCKET": address})
        assert ear.recv(100) == b"READY=1"


def test_without_systemd_nothing_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert not tell(READY, {})
    assert not tell(READY, {"NOTIFY_SOCKET": "vsock:2:1"})
    assert not caplog.records
    assert not tell(READY, {"NOTIFY_SOCKET": str(tmp_path / "none")})
    assert "event=systemd_deaf" in caplog.text


def test_a_watchdog_is_meant_for_one_process() -> None:
    assert watchdog({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "7"}, 7) == 2.5
    assert watchdog({"WATCHDOG_USEC": "2500000"}, 7) == 2.5
    assert watchdog({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "8"}, 7) == 0
    assert watchdog({}, 7) == 0
