"""``nanny-ops patch run``: one target as ever, and many by options of selection."""

from typing import Any

import pytest
from typer.testing import CliRunner

from nanny_ops.cli import patch, patch_run
from nanny_ops.errors import SettingsError


@pytest.fixture
def placed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """Note what would be placed."""
    found: list[tuple[str, Any]] = []
    monkeypatch.setattr(patch_run, "_run_one", lambda _agent, guest, order, **_more: found.append((guest, order)))
    monkeypatch.setattr(patch_run, "_run_many", lambda agent, asked, **_more: found.append((agent, asked)))
    return found


def run(*words: str) -> Any:
    return CliRunner().invoke(patch.app, ["run", *words], catch_exceptions=True)


@pytest.mark.parametrize("words", [["--guest", "100"], ["--vmid", "100"], ["--lxc", "100", "--agent", "pve1"]])
def test_one_guest_is_one_order(placed: list[tuple[str, Any]], words: list[str]) -> None:
    assert run(*words).exit_code == 0
    assert placed[0][0] == "100"
    assert placed[0][1]["mode"] == "dry-run"


def test_options_of_selection_are_fields_of_a_batch(placed: list[tuple[str, Any]]) -> None:
    done = run(
        *("--apply", "--tag", "web,shop", "--vmid", "100-120", "--security-updates", "--exclude-name", "db*"),
        *("--protect", "prefer-snapshot", "--probe", "unit:nginx", "--pre-hook", "drain-1", "--bake", "60"),
    )
    assert done.exit_code == 0
    asked = placed[0][1]
    assert asked["select"] == {"tags": ["web", "shop"], "ranges": ["100-120"], "updates": "security"}
    assert asked["exclude"] == {"names": ["db*"]}
    order = asked["order"]
    assert (order["mode"], order["protect"], order["bake_seconds"]) == ("apply", "prefer-snapshot", 60)
    assert (order["probes"], order["hooks"][0]["script_id"]) == ([{"kind": "unit", "unit": "nginx"}], "drain-1")


def test_a_preview_of_one_number_is_a_batch_too(placed: list[tuple[str, Any]]) -> None:
    assert run("--vmid", "100", "--preview").exit_code == 0
    assert placed[0][1]["dry"] is True


def test_one_guest_and_a_selection_contradict(placed: list[tuple[str, Any]]) -> None:
    assert isinstance(run("--guest", "100", "--tag", "web").exception, SettingsError)
    assert placed == []
