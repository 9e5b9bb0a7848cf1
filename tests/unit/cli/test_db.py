"""``nanny-ops db upgrade`` makes the tables, and can be repeated."""

from pathlib import Path

from typer.testing import CliRunner

from nanny_ops.cli.db import app


def test_upgrade_twice(tmp_path: Path) -> None:
    environ = {"NANNY_DATA_DIR": str(tmp_path)}
    assert "Upgraded from empty" in CliRunner().invoke(app, ["upgrade"], env=environ).output
    assert "is at revision" in CliRunner().invoke(app, ["upgrade"], env=environ).output
