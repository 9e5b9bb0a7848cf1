"""``nanny-ops token add --as``: a token before anybody has signed in."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from nanny_ops.cli.token import own
from nanny_ops.cli.user import app as people
from nanny_ops.errors import NotFound, ValidationFailed

RUN = CliRunner()


def add(home: Path, email: str, *words: str) -> Any:
    return RUN.invoke(own, ["add", "--name", "rollout", "--as", email, *words], env={"NANNY_DATA_DIR": str(home)})


def test_it_acts_for_a_person_of_this_machine_for_minutes(tmp_path: Path) -> None:
    words = ["add", "--email", "ops@example.com", "--role", "admin", "--password-stdin"]
    RUN.invoke(people, words, input="a long pass phrase\n", env={"NANNY_DATA_DIR": str(tmp_path)})
    told = json.loads(add(tmp_path, "ops@example.com", "--scope", "enrol", "--minutes", "30", "--json").output)
    assert told["token"].startswith("nop_")
    assert (told["scopes"], told["kind"]) == (["enrol"], "operator")
    assert isinstance(add(tmp_path, "who@example.com", "--scope", "enrol").exception, NotFound)
    assert isinstance(add(tmp_path, "ops@example.com").exception, ValidationFailed), "without a scope"
