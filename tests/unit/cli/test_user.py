"""``nanny-ops user`` on an empty data directory, and its refusals."""

import json
import os
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from nanny_ops.cli.user import app
from nanny_ops.control.app import open_database
from nanny_ops.control.settings import Settings
from nanny_ops.control.store import audit
from nanny_ops.control.store.caller import CALLER, SYSTEM
from nanny_ops.errors import Conflict, ValidationFailed

RUN = CliRunner()
PASSWORD = "a long pass phrase\n"


def add(directory: Path, email: str, role: str = "operator", password: str = PASSWORD) -> Result:
    arguments = ["add", "--email", email, "--role", role, "--password-stdin"]
    return run(directory, *arguments, typed=password)


def run(directory: Path, *arguments: str, typed: str = "") -> Result:
    """Type a command as somebody who is signed in nowhere."""
    nowhere = {"HOME": str(directory), "XDG_CONFIG_HOME": "", "NANNY_URL": "", "NANNY_TOKEN": ""}
    return RUN.invoke(app, list(arguments), input=typed, env={"NANNY_DATA_DIR": str(directory), **nowhere})


def test_the_first_person_is_made_before_the_first_serve(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert "may sign in as admin" in add(data, "Admin@example.com", "admin").output
    assert data.stat().st_mode & 0o777 == 0o700
    assert run(data, "list").output.splitlines()[1].split() == ["admin@example.com", "admin", "no"]
    only = run(data, "disable", "--email", "admin@example.com").exception
    assert isinstance(only, Conflict)
    assert "only admin" in only.message
    add(data, "second@example.com")
    assert "no longer" in run(data, "disable", "--email", "second@example.com").output
    first, second = json.loads(run(data, "list", "--json").output)
    assert (first["is_admin"], second["disabled"], second["roles"]) == (True, True, {"team-default": "operator"})


@pytest.mark.parametrize(
    ("role", "password", "wrong"),
    [("root", PASSWORD, ValidationFailed), ("viewer", "short\n", ValidationFailed), ("viewer", "", ValidationFailed)],
)
def test_bad_input_is_refused(tmp_path: Path, role: str, password: str, wrong: type[Exception]) -> None:
    assert isinstance(add(tmp_path, "a@example.com", role, password).exception, wrong)


def test_an_account_is_made_once(tmp_path: Path) -> None:
    add(tmp_path, "a@example.com")
    assert isinstance(add(tmp_path, "a@example.com").exception, Conflict)


def test_who_typed_it_is_noted(tmp_path: Path) -> None:
    add(tmp_path, "a@example.com")
    run(tmp_path, "disable", "--email", "a@example.com")
    database = open_database(Settings(data_dir=tmp_path))
    rows = database.read_now(lambda tx: audit.after(tx, audit.Filter(teams=None), 0))
    assert database.read_now(audit.verify).wrong == ""
    database.close()
    assert [(row.action, row.kind, row.actor) for row in rows] == [
        ("user.add", "local", f"uid-{os.getuid()}"),
        ("user.disable", "local", f"uid-{os.getuid()}"),
    ]
    assert CALLER.get() is SYSTEM


def test_a_wrong_role_is_told_before_a_password_is_wanted(tmp_path: Path) -> None:
    told = run(tmp_path, "add", "--email", "a@example.com", "--role", "root")
    assert isinstance(told.exception, ValidationFailed)
    assert "viewer" in told.exception.message
    assert "Password" not in told.output
