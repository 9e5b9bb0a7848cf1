"""Which carrier a machine has, and what a job's unit is asked to be."""

import json
import os
import socket
from pathlib import Path

import pytest

from nanny_ops.machine import carrier, supervisor
from nanny_ops.machine.carrier import (
    BOOTED,
    MARGIN,
    PRIVATE,
    choose,
    detached,
    errand_argv,
    read_version,
    transient,
    unit_argv,
)


@pytest.fixture
def booted(tmp_path: Path) -> Path:
    (tmp_path / BOOTED).mkdir(parents=True)
    (tmp_path / PRIVATE).touch()
    return tmp_path


def chosen(root: Path, *, uid: int = 0, program: str | None = "/usr/bin/systemd-run", version: int = 252) -> object:
    return choose(root, lambda: uid, lambda _name: program, lambda: version)


def test_a_unit_where_systemd_can_make_one_for_us(booted: Path) -> None:
    assert chosen(booted) is transient
    assert chosen(booted, uid=1000) is detached
    assert chosen(booted, program=None) is detached
    assert chosen(booted, version=247) is detached
    (booted / PRIVATE).unlink()
    assert chosen(booted) is detached


def test_without_systemd_nothing_is_asked(tmp_path: Path) -> None:
    assert choose(tmp_path, version=lambda: pytest.fail("asked")) is detached


def test_versions_are_read() -> None:
    assert read_version(b"systemd 252 (252.39-1~deb12u2)\n+PAM +AUDIT\n") == 252
    assert read_version(b"something else") == 0


def test_a_unit_has_limits_a_name_and_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANNY_AGENT_TOKEN", "nsk_secret")
    directory = tmp_path / "op-1"
    directory.mkdir()
    (directory / "order.json").write_text(json.dumps({"timeout_seconds": 600}))
    argv = unit_argv(directory, "abc", "/usr/bin")
    assert "--unit=nanny-job-op-1.service" in argv
    for wanted in (f"RuntimeMaxSec={600 + MARGIN}", "MemoryMax=50%", "TasksMax=4096", "ProtectSystem=no"):
        assert f"--property={wanted}" in argv
    assert argv[-3:] == [str(directory), "abc", "--in-unit"]
    settings = [word.partition("=")[2].partition("=")[0] for word in argv if word.startswith("--setenv=")]
    assert settings == ["PATH", "PYTHONPATH"]
    assert not any("nsk_secret" in word for word in argv)


def test_a_procedure_has_the_time_that_it_needs(tmp_path: Path) -> None:
    plan = {"bake_seconds": 50, "protect": "require-backup", "hooks": [{"timeout_seconds": 7}]}
    (tmp_path / "order.json").write_text(json.dumps({"timeout_seconds": 600, "plan": plan}))
    seconds = 600 + 50 + 7 + carrier.PROTECTION + MARGIN
    assert f"--property=RuntimeMaxSec={seconds}" in unit_argv(tmp_path, "", "/usr/bin")


def test_the_next_supervisor_of_a_job_has_a_name_of_its_own(tmp_path: Path) -> None:
    argv = unit_argv(tmp_path / "op-1", "", "/usr/bin", "-2")
    assert "--unit=nanny-job-op-1-2.service" in argv


def test_an_errand_has_its_environment_and_a_limit() -> None:
    argv = errand_argv(["pct", "exec"], 3.5, {"PATH": "/usr/bin", "LC_ALL": "C"})
    assert argv[-3:] == ["--", "pct", "exec"]
    assert {"--wait", "--pipe", "--property=RuntimeMaxSec=4", "--setenv=PATH=/usr/bin"} < set(argv)


@pytest.mark.parametrize("torn", ["", "[]", "{", '{"timeout_seconds": null}'])
def test_a_torn_order_still_has_a_limit(tmp_path: Path, torn: str) -> None:
    (tmp_path / "order.json").write_text(torn)
    assert f"--property=RuntimeMaxSec={MARGIN}" in unit_argv(tmp_path, "", "/usr/bin")


def test_a_group_of_its_own_hears_nothing_of_its_callers_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A supervisor that is not one: it writes its environment down."""
    (tmp_path / "python").write_text(f"#!/bin/sh\nenv >{tmp_path}/env\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(carrier.sys, "executable", str(tmp_path / "python"))
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "CREDENTIALS_DIRECTORY", "STATE_DIRECTORY", "NANNY_AGENT_TOKEN"):
        monkeypatch.setenv(name, "mine")
    assert detached(tmp_path, "abc").exit_code == 0
    found = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    assert "mine" not in found.values()
    assert found["PATH"] == os.environ["PATH"]
    assert found["PYTHONPATH"]


def test_a_supervisor_in_a_unit_says_that_it_is_ready(tmp_path: Path) -> None:
    """It does not leave its caller, and its script does not learn how to speak for it."""
    environ = {"NOTIFY_SOCKET": str(tmp_path / "s")}
    (tmp_path / "op-1").mkdir()
    (tmp_path / "op-1" / "cancel").touch()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(environ["NOTIFY_SOCKET"])
        ear.settimeout(5)
        assert supervisor.main(["", str(tmp_path / "op-1"), "", "--in-unit"], environ) == 0
        assert ear.recv(100) == b"READY=1"
    assert environ == {}
    assert json.loads((tmp_path / "op-1" / "result.json").read_text())["outcome"] == "cancelled"


def test_supervisors_of_guests_share_a_unit_without_a_time_limit_of_its_own() -> None:
    argv = carrier.guests_argv(Path("/state/supervisors"), "/usr/bin", "abc")
    assert "--unit=nanny-job-guests-abc.service" in argv
    assert "--property=ExitType=cgroup" in argv
    assert not any("RuntimeMaxSec" in word for word in argv)
    assert argv[-3:] == ["nanny_ops.machine.fork_server", "/state/supervisors", "--in-unit"]
