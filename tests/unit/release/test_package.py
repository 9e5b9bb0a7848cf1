"""What goes into the Debian package, as far as it stands in the repository."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from release.package import COMMANDS, NOT_FOR_AGENTS, PLACES, SCRIPTS, UNITS, debian_version
from release.product import FOLDERS
from release.source import ROOT
from release.wheelhouse import PACKAGING

SERVICE = (PACKAGING / "systemd/nanny-agent.service").read_text()


@pytest.mark.parametrize(
    ("version", "written"),
    [("1.2.3", "1.2.3"), ("0.2.0rc1", "0.2.0~rc1"), ("0.2.0.dev4", "0.2.0~dev4"), ("1.0.post2", "1.0.post2")],
)
def test_what_comes_before_a_release_sorts_before_it(version: str, written: str) -> None:
    assert debian_version(version) == written


def test_scripts_and_units_mean_the_same_user() -> None:
    user = re.search(r"^User=(\S+)$", SERVICE, re.MULTILINE)
    assert user
    assert f"u {user[1]} " in (PACKAGING / "sysusers.d/nanny-agent.conf").read_text()
    assert f" {user[1]} {user[1]} " in (PACKAGING / "tmpfiles.d/nanny-agent.conf").read_text()
    assert f"\nuser={user[1]}\n" in (PACKAGING / "debian/postrm").read_text()


def test_units_start_what_the_package_installs() -> None:
    started = {
        found
        for unit in (PACKAGING / "systemd").glob("*.service")
        for found in re.findall(r"^ExecStart=(\S+)", unit.read_text(), re.MULTILINE)
    }
    assert started == {f"/opt/nanny-agent/bin/{command}" for command in COMMANDS}
    assert all("def main(" in (ROOT / f"{module.replace('.', '/')}.py").read_text() for module in COMMANDS.values())


def test_every_file_of_the_folders_is_packed() -> None:
    files = [path for folder in PLACES for path in (PACKAGING / folder).iterdir()]
    assert [path for path in files if path.suffix not in UNITS] == []
    names = {path.name for path in PACKAGING.iterdir() if path.is_dir()}
    others = {"debian", "wheelhouse", "control", "execution-environment"}
    assert names - set(PLACES) == others, "a folder that no package installs"
    assert set(FOLDERS) == set(PLACES), "the wheelhouse carries the same"


@pytest.mark.parametrize("script", SCRIPTS)
def test_maintainer_scripts_stop_at_the_first_error(script: str) -> None:
    file = PACKAGING / "debian" / script
    assert file.read_text().startswith("#!/bin/sh\nset -e\n")
    assert subprocess.run(["sh", "-n", file], check=False, timeout=10).returncode == 0
    assert subprocess.run([file, "surprise"], check=False, timeout=10, capture_output=True).returncode == 1


def test_the_agent_imports_nothing_that_is_left_out() -> None:
    """Imports inside functions count; what the operator's commands import does not, for they are not installed."""
    left_out = tuple(folder.rstrip("/").replace("/", ".") for folder in NOT_FOR_AGENTS)
    seen: set[str] = set()
    waiting = [*COMMANDS.values(), "nanny_ops.machine.fork_server"]
    while waiting:
        module = waiting.pop()
        file = _file(module)
        if file is None or module in seen:
            continue
        seen.add(module)
        assert not module.startswith(left_out), f"{module} is not in the package"
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
    assert "nanny_ops.agent.app" in seen


def _file(module: str) -> Path | None:
    path = ROOT / module.replace(".", "/")
    return next((one for one in (path.with_suffix(".py"), path / "__init__.py") if one.is_file()), None)
