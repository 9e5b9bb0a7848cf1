"""``nanny-ops db backup`` and ``db restore`` on the embedded database."""

import socket
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nanny_ops.cli.db import app
from nanny_ops.cli.user import app as people
from nanny_ops.errors import SettingsError

RUN = CliRunner()


def environ(home: Path) -> dict[str, str]:
    return {"NANNY_DATA_DIR": str(home / "data"), "NANNY_BACKUP_DIR": str(home / "kept"), "NANNY_PORT": "0"}


def db(home: Path, *words: str, **more: str) -> Any:
    return RUN.invoke(app, list(words), env={**environ(home), **more})


def people_of(home: Path) -> list[str]:
    return [line.split()[0] for line in RUN.invoke(people, ["list"], env=environ(home)).output.splitlines()[1:]]


def add(home: Path, email: str) -> None:
    words = ["add", "--email", email, "--role", "viewer", "--password-stdin"]
    assert RUN.invoke(people, words, input="a long pass phrase\n", env=environ(home)).exit_code == 0


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    add(tmp_path, "first@example.com")
    assert db(tmp_path, "backup").exit_code == 0
    (made,) = (tmp_path / "kept").iterdir()
    return made


def test_what_was_there_at_the_backup_is_there_again_with_its_keys(tmp_path: Path, kept: Path) -> None:
    key = (tmp_path / "data/secret.key").read_text()
    add(tmp_path, "second@example.com")
    (tmp_path / "data/secret.key").write_text("0" * 64)
    assert isinstance(db(tmp_path, "restore", str(kept)).exception, SettingsError)
    assert "is here again" in db(tmp_path, "restore", "--force", str(kept)).output
    assert people_of(tmp_path) == ["first@example.com"]
    assert (tmp_path / "data/secret.key").read_text() == key
    assert (tmp_path / "data/nanny-ops.db.before-restore").exists()


def test_an_empty_machine_takes_a_backup(tmp_path: Path, kept: Path) -> None:
    other = tmp_path / "other"
    assert db(other, "restore", str(kept)).exit_code == 0
    assert people_of(other) == ["first@example.com"]


def test_a_running_control_plane_is_left_alone(tmp_path: Path, kept: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as serving:
        said = db(tmp_path, "restore", "--force", str(kept), NANNY_PORT=str(serving.getsockname()[1]))
    assert "Cannot listen" in str(said.exception)


def test_a_backup_of_another_kind_of_database_is_refused(tmp_path: Path, kept: Path) -> None:
    said = db(tmp_path, "restore", str(kept), NANNY_DATABASE_URL="postgresql:///nowhere")
    assert "is of sqlite" in str(said.exception)
