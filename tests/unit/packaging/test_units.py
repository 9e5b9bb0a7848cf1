"""How exposed the shipped units are, by systemd's own measure, and that they are what the programs expect."""

import os
import re
import shutil
from configparser import ConfigParser
from pathlib import Path

import pytest

from nanny_ops.control.settings import CREDENTIALS
from nanny_ops.helper.settings import SETTINGS as HELPER_SETTINGS
from nanny_ops.machine.run import run
from tests.house.tree import ROOT

UNITS = ROOT / "packaging/systemd"
CONTROL = ROOT / "packaging/control/systemd"


def analyze(*argv: str) -> str:
    if shutil.which("systemd-analyze") is None:
        reason = "Install systemd: nothing else measures units."
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    done = run(["systemd-analyze", *argv], timeout=60, env={**os.environ, "LC_ALL": "C"})
    return (done.stdout + done.stderr).decode()


@pytest.mark.rows("F9")
@pytest.mark.parametrize(
    ("unit", "most"),
    [
        (UNITS / "nanny-agent.service", 2.0),
        (UNITS / "nanny-agent-helper.service", 4.5),
        *((path, 2.0) for path in sorted(CONTROL.glob("*.service"))),
    ],
    ids=lambda told: told.stem if isinstance(told, Path) else "",
)
def test_no_unit_is_more_exposed_than_is_promised(unit: Path, most: float) -> None:
    said = analyze("security", "--offline=true", "--no-pager", str(unit))
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert found is not None, said
    assert 0 < float(found[1]) <= most


def test_systemd_understands_every_line(tmp_path: Path) -> None:
    """Programs are replaced, because they are not installed here."""
    for unit in (*UNITS.iterdir(), *CONTROL.iterdir()):
        text = re.sub(r"(?m)^ExecStart=.*", "ExecStart=/bin/true", unit.read_text())
        (tmp_path / unit.name).write_text(text)
    assert analyze("verify", *map(str, sorted(tmp_path.iterdir()))) == ""


def test_the_parts_know_each_other() -> None:
    defaults = {row.key: row.default for row in HELPER_SETTINGS}
    daemon, helper, socket = (read(name) for name in ("agent.service", "agent-helper.service", "agent-helper.socket"))
    assert daemon["Service"]["User"] == socket["Socket"]["SocketGroup"] == defaults["user"]
    assert daemon["Service"]["Environment"] == f"NANNY_AGENT_HELPER_SOCKET={socket['Socket']['ListenStream']}"
    assert f"/var/lib/{helper['Service']['StateDirectory']}" == defaults["state_dir"]
    assert f"u {defaults['user']} " in (ROOT / "packaging/sysusers.d/nanny-agent.conf").read_text()


def test_the_control_planes_units_hand_over_the_credentials_that_its_settings_know() -> None:
    admin = (ROOT / "packaging/control/nanny-ops-admin").read_text()
    for unit in ("nanny-ops.service", "nanny-ops-backup.service"):
        text = (CONTROL / unit).read_text()
        assert set(re.findall(r"(?m)^LoadCredential=(.+)$", text)) == set(CREDENTIALS)
    assert set(re.findall(r"=LoadCredential=(\S+)", admin)) == set(CREDENTIALS)


def read(name: str) -> ConfigParser:
    parser = ConfigParser(strict=False, interpolation=None)
    parser.read(UNITS / f"nanny-{name}")
    return parser
